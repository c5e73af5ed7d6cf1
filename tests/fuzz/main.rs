//! Fuzz tests of all input from outside (tokens, saved cases, headers of regions, records of
//! children, recorded histories). Any input is understood or refused with a message, without a
//! panic or an endless wait, and in memory in proportion to its length.
//!
//! Inputs are random bytes, and valid ones with changes. `FORKCHECK_INPUTS` gives the number of
//! each (2,000 without it); ci/fuzz.sh takes 100,000. The tests of frames and of arguments are in
//! the files of their code: `src/process/frame.rs`, `src/command/mod.rs`.
#![cfg(feature = "cli")]

mod children;
mod counted;
mod headers;
mod histories;
mod inputs;
mod tokens;

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::fmt::Debug;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The watchdog's limit, which no input reaches on a busy machine.
const HANGS: Duration = Duration::from_secs(100);
/// Bytes of memory that reading may take up for each byte of the input; `BESIDES` comes on top. A `Vec` gets room for
/// up to a mebibyte of elements if the input announces that many, `Vec`s are nested, and the text of an error quotes
/// some of the input.
const FACTOR: usize = 64;
const BESIDES: usize = 8 << 20;

/// Returns the number of inputs to draw.
fn count() -> u32 {
    std::env::var("FORKCHECK_INPUTS").map_or(2_000, |count| count.parse().unwrap())
}

/// Draws inputs and reads each. Fails if `read` panics or hangs on one.
fn each<T>(
    inputs: impl Strategy<Value = T> + Send + 'static,
    count: u32,
    read: impl Fn(&T) + Send + 'static,
) where
    T: Debug + Send + 'static,
{
    let (begun, seen) = channel();
    let all = std::thread::spawn(move || {
        let config = Config {
            cases: count,
            failure_persistence: None,
            ..Config::default()
        };
        let found = TestRunner::new(config).run(&inputs, |input| {
            begun.send(format!("{input:?}")).unwrap();
            read(&input);
            Ok::<(), TestCaseError>(())
        });
        found.map_err(|error| error.to_string())
    });
    let mut last = String::new();
    loop {
        match seen.recv_timeout(HANGS) {
            Ok(input) => last = input,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("hangs: {last}"),
        }
    }
    if let Err(why) = all.join().unwrap() {
        panic!("{why}");
    }
}

/// Reads an input of this many bytes, and returns the result. Fails if that takes up too much
/// memory.
fn in_proportion<T>(len: usize, read: impl FnOnce() -> T) -> T {
    let (result, most) = counted::most_taken_up(read);
    assert!(
        most <= FACTOR * len + BESIDES,
        "{len} bytes took up {most}, where {FACTOR} are allowed for each, and {BESIDES} besides"
    );
    result
}

#[test]
#[should_panic = "bytes took up"]
fn what_takes_up_more_than_its_length_allows_is_noticed() {
    in_proportion(3, || vec![1u8; BESIDES + 1_000].len());
}

#[test]
#[should_panic = "the input"]
fn an_input_that_panics_is_found() {
    each(inputs::bytes(vec![b"valid".to_vec()]), 1_000, |bytes| {
        assert!(
            !bytes.starts_with(b"vali") || bytes == b"valid",
            "the input"
        );
    });
}
