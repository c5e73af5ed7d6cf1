//! The results of a child: a value of any size, a panic with its message, or another end.
#![allow(unsafe_code, reason = "a signal that nix does not know")]

use crate::{childless, told};
use forkcheck::Region;
use forkcheck::process::{self, Exit};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize, Serializer};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[test]
fn values_of_any_size_come_back_whole() {
    for len in [0, 1, 4096, 100_000_000] {
        let value = process::in_fresh_process(
            |len: usize| {
                let text: String = ('a'..='z').cycle().take(len).collect();
                let returned = process::run(|| text.clone()).unwrap();
                assert!(returned == text, "{len} bytes changed on their way");
                (
                    returned.len(),
                    std::process::id(),
                    process::run(std::process::id).unwrap(),
                )
            },
            len,
        );
        let (returned, clean, child) = value.unwrap();
        assert_eq!(returned, len);
        assert!(
            clean != std::process::id() && child != clean,
            "two forks deep: {clean} {child}"
        );
    }
}

#[test]
fn a_body_without_a_value_ends_with_code_0_and_every_wait_says_so() {
    let seen = process::in_fresh_process(
        |()| {
            let region = Region::anonymous(4).unwrap();
            let word: &AtomicU32 = region.get(0).unwrap();
            process::run(|| word.store(7, Relaxed)).unwrap();
            let mut child = process::spawn(|| ()).unwrap();
            let exits = [
                child.wait().unwrap(),
                child.wait().unwrap(),
                child.kill().unwrap(),
            ];
            (exits, word.load(Relaxed), childless())
        },
        (),
    );
    assert_eq!(
        seen.unwrap(),
        ([Exit::Code(0), Exit::Code(0), Exit::Code(0)], 7, true)
    );
}

#[test]
fn a_panic_comes_back_with_its_message_and_location() {
    let ((text, exit), waited, line) = process::in_fresh_process(
        |()| {
            fn body(n: u32) -> u32 {
                assert!(n != 7, "seven is {n}");
                line!() - 1
            }
            let waited = process::spawn(|| body(7)).unwrap().wait().unwrap();
            (told(process::run(|| body(7))), waited, body(6))
        },
        (),
    )
    .unwrap();
    let location = format!("{}:{line}:17", file!());
    let Exit::Panic(panic) = &waited else {
        panic!("{waited:?}")
    };
    assert_eq!(
        (&*panic.message, &panic.location),
        ("seven is 7", &location)
    );
    assert_eq!(exit, Some(waited));
    assert!(
        text.contains(&format!("panicked at {location}: seven is 7")),
        "{text}"
    );
}

#[test]
fn a_panic_of_a_grandchild_is_its_own_and_not_its_parents() {
    let (middle, inner) = process::in_fresh_process(
        |()| {
            let region = Region::anonymous(4).unwrap();
            let panicked: &AtomicU32 = region.get(0).unwrap();
            let middle = process::run(|| -> () {
                let inner = told(process::run(|| -> u8 { panic!("inner") })).1;
                let ours = matches!(inner, Some(Exit::Panic(panic)) if panic.message == "inner");
                panicked.store(u32::from(ours), Relaxed);
                // This would be reported as a panic, had the inner one been taken for its own.
                std::process::abort()
            });
            (told(middle).1, panicked.load(Relaxed))
        },
        (),
    )
    .unwrap();
    assert_eq!((middle, inner), (Some(Exit::Signal(6)), 1));
}

#[test]
fn a_panic_that_the_body_catches_is_none() {
    let seen = process::in_fresh_process(
        |()| {
            let value = process::run(|| std::panic::catch_unwind(|| panic!("caught")).is_err());
            let exit = process::spawn(|| -> () {
                let _ = std::panic::catch_unwind(|| panic!("caught"));
                std::process::exit(101)
            });
            (value.unwrap(), exit.unwrap().wait().unwrap())
        },
        (),
    );
    assert_eq!(seen.unwrap(), (true, Exit::Code(101)));
}

#[test]
fn a_panic_that_cannot_unwind_and_aborts_is_reported_as_a_panic() {
    extern "C" fn aborts() {
        panic!("in C's stack");
    }
    let exit = process::in_fresh_process(|()| told(process::run(|| aborts())).1, ()).unwrap();
    assert!(matches!(&exit, Some(Exit::Panic(_))), "{exit:?}");
    let exit = told(process::in_fresh_process(|()| aborts(), ())).1;
    assert!(matches!(&exit, Some(Exit::Panic(_))), "{exit:?}");
}

#[test]
fn a_panic_without_a_text_or_a_hook_is_reported_all_the_same() {
    let seen = process::in_fresh_process(
        |()| {
            [
                told(process::run(|| -> u8 { std::panic::panic_any(7) })).1,
                told(process::run(|| -> u8 {
                    std::panic::resume_unwind(Box::new("quietly"))
                }))
                .1,
            ]
        },
        (),
    )
    .unwrap();
    let [Some(Exit::Panic(any)), Some(Exit::Panic(quiet))] = seen else {
        panic!("{seen:?}")
    };
    assert!(
        any.message == "a value that is no text" && any.location.starts_with(file!()),
        "{any:?}"
    );
    assert_eq!(
        (&*quiet.message, &*quiet.location),
        ("quietly", "an unknown place")
    );
}

#[test]
fn exits_signals_and_aborts_are_told_apart() {
    let seen = process::in_fresh_process(
        |()| {
            [
                told(process::run(|| -> u8 { std::process::exit(3) })),
                told(process::run(|| -> u8 { std::process::exit(0) })),
                told(process::run(|| raise(Signal::SIGUSR1).is_ok())),
                told(process::run(|| -> u8 { std::process::abort() })),
                // SAFETY: raise takes an integer.
                told(process::run(|| unsafe {
                    libc::raise(libc::SIGRTMIN() + 3)
                })),
            ]
        },
        (),
    )
    .unwrap();
    let real_time = libc::SIGRTMIN() + 3;
    let exits = [
        Exit::Code(3),
        Exit::Code(0),
        Exit::Signal(10),
        Exit::Signal(6),
        Exit::Signal(real_time),
    ];
    for ((text, seen), exit) in seen.into_iter().zip(exits) {
        assert_eq!(seen.as_ref(), Some(&exit), "{text}");
        assert!(text.contains(&exit.to_string()), "{text}");
    }
}

#[test]
fn a_child_that_dies_half_way_through_its_value_gave_none() {
    /// A value that ends the process while it is being turned into bytes.
    #[derive(Debug, Deserialize)]
    struct Half;
    impl Serialize for Half {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            std::process::exit(0)
        }
    }
    let (whole, file, bytes) = process::in_fresh_process(
        |()| {
            let limited = |len| {
                process::run(move || {
                    // The kernel lets a process write this many bytes to a file, the value's
                    // included, and then kills it.
                    setrlimit(Resource::RLIMIT_FSIZE, 1 << 20, 1 << 20).unwrap();
                    "x".repeat(len)
                })
            };
            (
                limited(1 << 19).unwrap().len(),
                told(limited(1 << 21)),
                told(process::run(|| Half)),
            )
        },
        (),
    )
    .unwrap();
    assert_eq!(whole, 1 << 19);
    assert_eq!(
        file.1,
        Some(Exit::Signal(Signal::SIGXFSZ as i32)),
        "{}",
        file.0
    );
    assert_eq!(bytes.1, Some(Exit::Code(0)), "{}", bytes.0);
}

#[test]
fn a_value_that_cannot_be_written_or_read_is_an_error_that_says_why() {
    /// A value that refuses to be written.
    #[derive(Debug, Deserialize)]
    struct Shy;
    impl Serialize for Shy {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("shy"))
        }
    }
    /// A value that writes two bytes and reads one.
    #[derive(Debug, Deserialize)]
    struct Wordy(#[allow(dead_code, reason = "what matters is that it is one byte")] u8);
    impl Serialize for Wordy {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (1u8, 2u8).serialize(serializer)
        }
    }
    let inside = process::in_fresh_process(
        |()| [told(process::run(|| Shy)), told(process::run(|| Wordy(1)))],
        (),
    )
    .unwrap();
    let outside = [
        told(process::in_fresh_process(|()| Shy, ())),
        told(process::in_fresh_process(|()| Wordy(1), ())),
    ];
    for [shy, wordy] in [inside, outside] {
        assert!(
            shy.1.is_none() && shy.0.contains("turning it into bytes"),
            "{}",
            shy.0
        );
        assert!(
            wordy.1.is_none() && wordy.0.contains("left 1 bytes over"),
            "{}",
            wordy.0
        );
    }
    assert!(
        told(process::in_fresh_process(|_: Shy| (), Shy))
            .0
            .contains("turning it into bytes")
    );
    assert!(
        told(process::in_fresh_process(|_: Wordy| (), Wordy(1)))
            .0
            .contains("left 1 bytes over")
    );
}
