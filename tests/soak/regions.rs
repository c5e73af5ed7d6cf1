//! Regions of each kind: made, shared with forked processes that end or are killed, and dropped.

use crate::held::{key, mark};
use forkcheck::region::Name;
use forkcheck::{Region, process};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The input of the fresh process: the soak's part of the names, the key, and the directory.
type Input = (String, i32, String, u64);

/// Adds to a word in each of several regions by forked processes, some of which are killed.
fn fork_and_kill((mark, key, directory, number): Input) -> u64 {
    let names = [
        Name::posix(&format!("/{mark}-clean")),
        Name::sysv(key),
        Name::file(format!("{directory}/clean")),
    ];
    let named = names.map(|name| Region::create(&name.unwrap(), 8).unwrap());
    let nameless = [Region::anonymous(8), Region::memfd(8), Region::sysv(8)];
    let all: Vec<Region> = named
        .into_iter()
        .chain(nameless.map(Result::unwrap))
        .collect();
    let write = |value: u64| {
        for region in &all {
            region.get::<AtomicU64>(0).unwrap().store(value, Relaxed);
        }
    };
    process::run(|| write(number + 1)).unwrap();
    let forever = || -> () {
        write(number + 2);
        loop {
            std::hint::spin_loop();
        }
    };
    let mut child = process::spawn(forever).unwrap();
    child.kill().unwrap();
    // A dropped child is killed and waited for.
    drop(process::spawn(std::thread::park).unwrap());
    let words = all
        .iter()
        .map(|region| region.get::<AtomicU64>(0).unwrap().load(Relaxed));
    words.sum()
}

pub(crate) fn round(number: u64) {
    let directory = std::env::temp_dir().to_str().unwrap().to_owned();
    let sum =
        process::in_fresh_process(fork_and_kill, (mark(), key(1), directory, number)).unwrap();
    // Killed before its first word, after its last, or in between.
    assert!(
        (6 * (number + 1)..=6 * (number + 2)).contains(&sum),
        "{sum}"
    );
    for region in [
        Region::anonymous(1 << 20),
        Region::memfd(1 << 20),
        Region::sysv(1 << 20),
    ] {
        let region = region
            .unwrap()
            .guarded()
            .unwrap_or_else(|_| Region::anonymous(8).unwrap());
        region.get::<AtomicU64>(0).unwrap().store(number, Relaxed);
    }
    let name = Name::posix(&format!("/{}", mark())).unwrap();
    let region = Region::create(&name, 1 << 20).unwrap();
    let opened = Region::open(&name, 1 << 20).unwrap();
    region.get::<AtomicU64>(8).unwrap().store(number, Relaxed);
    assert_eq!(opened.get::<AtomicU64>(8).unwrap().load(Relaxed), number);
}
