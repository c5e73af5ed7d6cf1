//! Children: what comes back, how they end, and that nothing of them is left.
//!
//! Forks happen in clean processes, since a test has threads beside it. Each job returns what it saw, so that a
//! job that did not run fails its test. Clean processes themselves are in `clean.rs`.
#![cfg(feature = "harness")]
#![allow(unsafe_code, reason = "a signal that nix does not know")]

use forkcheck::memory::{Hardware, Memory};
use forkcheck::process::{self, Exit, Panic};
use forkcheck::{Error, Region};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, geteuid, setuid};
use serde::{Deserialize, Serialize, Serializer};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Longer than anything here takes: whoever waits so long has failed.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What a job says of an error: its text, and the exit in it.
fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, Option<Exit>) {
    let error = result.unwrap_err();
    (error.to_string(), error.exit().cloned())
}

fn park_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Waits until another process has written to the word.
fn written(word: &AtomicU32) -> u32 {
    while word.load(Relaxed) == 0 {
        Hardware::wait(word, 0);
    }
    word.load(Relaxed)
}

fn write(word: &AtomicU32, value: u32) {
    word.store(value, Relaxed);
    Hardware::wake(word, u32::MAX);
}

/// Whether a process runs: it is there and no zombie.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

/// Whether it ends before the watchdog barks. Its end is not ours to wait for, hence the loop.
fn ends(pid: u32) -> bool {
    let start = Instant::now();
    while runs(pid) && start.elapsed() < WATCHDOG {
        std::thread::yield_now();
    }
    !runs(pid)
}

/// Whether this process has no child at all, not even a zombie.
fn childless() -> bool {
    waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) == Err(Errno::ECHILD)
}

#[test]
fn values_of_any_size_come_back_whole() {
    for len in [0, 1, 4096, 20_000_000] {
        let value = process::clean(
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
    let seen = process::clean(
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
    let ((text, exit), waited, line) = process::clean(
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
    assert_eq!(
        waited,
        Exit::Panic(Panic {
            message: "seven is 7".into(),
            location: location.clone()
        })
    );
    assert_eq!(exit, Some(waited));
    assert!(
        text.contains(&format!("panicked at {location}: seven is 7")),
        "{text}"
    );
}

#[test]
fn a_panic_of_a_grandchild_is_its_own_and_not_its_parents() {
    let (middle, inner) = process::clean(
        |()| {
            let region = Region::anonymous(4).unwrap();
            let word: &AtomicU32 = region.get(0).unwrap();
            let mut middle = process::spawn(|| {
                let inner = told(process::run(|| -> u8 { panic!("inner") })).1;
                write(
                    word,
                    if matches!(inner, Some(Exit::Panic(panic)) if panic.message == "inner") {
                        1
                    } else {
                        2
                    },
                );
                // As a panic of its own would end it, were there one.
                std::process::abort()
            })
            .unwrap();
            let _: &process::Child<()> = &middle;
            (middle.wait().unwrap(), written(word))
        },
        (),
    )
    .unwrap();
    assert_eq!((middle, inner), (Exit::Signal(6), 1));
}

#[test]
fn a_panic_that_the_body_catches_is_none() {
    let seen = process::clean(
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
fn a_panic_that_cannot_unwind_and_aborts_is_told_as_a_panic() {
    extern "C" fn aborts() {
        panic!("in C's stack");
    }
    let exit = process::clean(|()| told(process::run(|| aborts())).1, ()).unwrap();
    assert!(matches!(&exit, Some(Exit::Panic(_))), "{exit:?}");
    let exit = told(process::clean(|()| aborts(), ())).1;
    assert!(matches!(&exit, Some(Exit::Panic(_))), "{exit:?}");
}

#[test]
fn a_panic_without_a_text_or_a_hook_is_told_all_the_same() {
    let seen = process::clean(
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
        quiet,
        Panic {
            message: "quietly".into(),
            location: "an unknown place".into()
        }
    );
}

#[test]
fn exits_signals_and_aborts_are_told_apart() {
    let seen = process::clean(
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
fn a_kill_after_a_timeout_takes_grandchildren_along() {
    let (pids, before, exit, after) = process::clean(
        |()| {
            let region = Region::anonymous(8).unwrap();
            let words: &[AtomicU32; 2] = region.get(0).unwrap();
            let mut child = process::spawn(|| -> () {
                // One that is of the child's group, and one that has a group of its own but dies with its parent.
                let member = Command::new("sleep").arg("600").spawn().unwrap();
                write(&words[0], member.id());
                let kin = process::spawn(|| -> () { park_for_ever() }).unwrap();
                write(&words[1], kin.id());
                park_for_ever()
            })
            .unwrap();
            let pids = [written(&words[0]), written(&words[1])];
            let timeout = child.wait_timeout(Duration::from_millis(1)).unwrap();
            let before = (timeout, pids.map(runs));
            (pids, before, child.kill().unwrap(), pids.map(ends))
        },
        (),
    )
    .unwrap();
    assert!(pids[0] != pids[1] && !pids.contains(&0));
    assert_eq!(before, (None, [true; 2]));
    assert_eq!((exit, after), (Exit::Signal(9), [true; 2]));
}

#[test]
fn a_child_that_ends_in_time_does_not_wait_for_the_timeout() {
    let seen = process::clean(
        |()| {
            let start = Instant::now();
            let exit = process::spawn(|| ())
                .unwrap()
                .wait_timeout(Duration::MAX)
                .unwrap();
            (exit, start.elapsed() < WATCHDOG)
        },
        (),
    );
    assert_eq!(seen.unwrap(), (Some(Exit::Code(0)), true));
}

#[test]
fn a_fork_beside_another_thread_is_an_error_that_names_the_remedy() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || stopped.recv());
        let error = process::run(|| ()).unwrap_err().to_string();
        assert!(
            error.contains("process::clean(job, input)") && error.contains("threads"),
            "{error}"
        );
        drop(stop);
    });
}

#[test]
fn a_thread_that_was_joined_does_not_forbid_a_fork() {
    let sum = process::clean(
        |()| {
            (0..200)
                .map(|n| {
                    std::thread::spawn(move || n).join().unwrap() + process::run(|| n).unwrap()
                })
                .sum::<u32>()
        },
        (),
    );
    assert_eq!(sum.unwrap(), 39_800);
}

#[test]
fn a_dropped_handle_leaves_neither_an_orphan_nor_a_zombie() {
    let seen = process::clean(
        |()| {
            let running = process::spawn(|| -> () { park_for_ever() }).unwrap();
            let pid = running.id();
            let before = (runs(pid), childless());
            drop(running);
            let after = (runs(pid), childless());
            let ended = process::spawn(|| ()).unwrap();
            while runs(ended.id()) {
                std::thread::yield_now();
            }
            let zombie = !childless();
            drop(ended);
            (before, after, zombie, childless())
        },
        (),
    );
    assert_eq!(seen.unwrap(), ((true, false), (false, true), true, true));
}

#[test]
fn a_child_that_somebody_else_reaped_is_an_error_in_words() {
    let (reaped, waited, killed) = process::clean(
        |()| {
            let mut child = process::spawn(|| ()).unwrap();
            let pid = Pid::from_raw(child.id() as i32);
            let reaped = waitpid(pid, None) == Ok(WaitStatus::Exited(pid, 0));
            (reaped, told(child.wait()).0, told(child.kill()).0)
        },
        (),
    )
    .unwrap();
    assert!(reaped);
    for text in [waited, killed] {
        assert!(text.contains("somebody else has reaped it"), "{text}");
    }
}

#[test]
fn a_fork_that_the_limits_forbid_is_an_error_with_a_remedy() {
    let text = process::clean(
        |()| {
            if geteuid().is_root() {
                // The limit does not bind root.
                setuid(Uid::from_raw(65_534)).unwrap();
            }
            setrlimit(Resource::RLIMIT_NPROC, 0, 0).unwrap();
            told(process::run(|| ())).0
        },
        (),
    )
    .unwrap();
    assert!(
        text.contains("EAGAIN") && text.contains("RLIMIT_NPROC"),
        "{text}"
    );
}

#[test]
fn a_child_that_dies_half_way_through_its_value_gave_none() {
    /// Ends the process while it is being turned into bytes.
    #[derive(Debug, Deserialize)]
    struct Half;
    impl Serialize for Half {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            std::process::exit(0)
        }
    }
    let (whole, file, bytes) = process::clean(
        |()| {
            let limited = |len| {
                process::run(move || {
                    // The kernel lets so many bytes be written to a file, the value's too, and then kills.
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
    /// Refuses to be written.
    #[derive(Debug, Deserialize)]
    struct Shy;
    impl Serialize for Shy {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("shy"))
        }
    }
    /// Writes two bytes and reads one.
    #[derive(Debug, Deserialize)]
    struct Wordy(#[allow(dead_code, reason = "what matters is that it is one byte")] u8);
    impl Serialize for Wordy {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (1u8, 2u8).serialize(serializer)
        }
    }
    let inside = process::clean(
        |()| [told(process::run(|| Shy)), told(process::run(|| Wordy(1)))],
        (),
    )
    .unwrap();
    let outside = [
        told(process::clean(|()| Shy, ())),
        told(process::clean(|()| Wordy(1), ())),
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
        told(process::clean(|_: Shy| (), Shy))
            .0
            .contains("turning it into bytes")
    );
    assert!(
        told(process::clean(|_: Wordy| (), Wordy(1)))
            .0
            .contains("left 1 bytes over")
    );
}

#[test]
fn a_handle_in_a_forked_copy_of_its_owner_does_nothing() {
    let seen = process::clean(
        |()| {
            let region = Region::anonymous(4).unwrap();
            let word: &AtomicU32 = region.get(0).unwrap();
            let mut child = Some(process::spawn(|| written(word)).unwrap());
            let pid = child.as_ref().unwrap().id();
            let copy = process::run(|| {
                let refused = told(child.as_mut().unwrap().kill()).0;
                drop(child.take());
                (refused, runs(pid))
            });
            let still = child
                .as_mut()
                .unwrap()
                .wait_timeout(Duration::ZERO)
                .unwrap();
            write(word, 7);
            (copy.unwrap(), still, child.unwrap().value().unwrap())
        },
        (),
    );
    let ((refused, ran), still, value) = seen.unwrap();
    assert!(
        refused.contains("only the process that started a child can wait for it"),
        "{refused}"
    );
    assert_eq!((ran, still, value), (true, None, 7));
}
