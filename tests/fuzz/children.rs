//! Random records of children, left in place of a value, with different ends of the child.

use crate::inputs::bytes;
use crate::{count, in_proportion};
use forkcheck::process;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestRunner};
use std::fs;
use std::os::unix::fs::FileExt;

/// Returns valid records, each a header and its bytes: a value, a refusal, two kinds of panic.
fn valid() -> Vec<Vec<u8>> {
    let value = postcard::to_stdvec(&vec![(7u64, "seven".to_string()); 3]).unwrap();
    let panic = postcard::to_stdvec(&("words", "a place")).unwrap();
    let record = |(kind, bytes): (u64, &[u8])| {
        [
            &kind.to_le_bytes(),
            &(bytes.len() as u64).to_le_bytes(),
            bytes,
        ]
        .concat()
    };
    [(1, &value[..]), (2, b"why"), (3, &panic), (4, &panic)]
        .map(record)
        .into()
}

/// In a child: overwrites the record that it will leave.
fn leave(bytes: &[u8]) {
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let is_record = |link: &std::path::Path| link.to_string_lossy().contains("memfd:forkcheck");
        if fs::read_link(&path).is_ok_and(|link| is_record(&link)) {
            let record = fs::File::options().write(true).open(&path).unwrap();
            record.set_len(0).unwrap();
            record.write_all_at(bytes, 0).unwrap();
        }
    }
}

#[test]
fn anything_that_a_child_leaves_is_a_value_or_an_error() {
    // Run in a process that may fork. The watchdog ends it.
    let job = |count: u32| {
        nix::unistd::alarm::set(count / 50 + 100);
        let config = Config {
            cases: count,
            failure_persistence: None,
            ..Config::default()
        };
        let mut values = 0;
        let seen = std::cell::Cell::new(0);
        let inputs = (bytes(valid()), any::<proptest::sample::Index>());
        let inputs = inputs.prop_map(|(bytes, code)| (bytes, [0, 1, 101, 256][code.index(4)]));
        let found = TestRunner::new(config).run(&inputs, |(bytes, code)| {
            let child = process::spawn(|| -> Vec<(u64, String)> {
                leave(&bytes);
                match code {
                    256 => std::process::abort(),
                    code => std::process::exit(code),
                }
            });
            let mut child = child.unwrap();
            in_proportion(bytes.len(), || {
                child.wait().unwrap();
                if child.value().is_ok() {
                    seen.set(seen.get() + 1);
                }
            });
            Ok(())
        });
        values += seen.get();
        found.map(|()| values).map_err(|error| error.to_string())
    };
    let values = process::in_fresh_process(job, count()).unwrap();
    assert!(values.unwrap() > 0, "some are valid");
}
