//! Ends of children that another process causes: timeouts, kills, drops, other reapers; and forks
//! that are refused.

use crate::{childless, told};
use forkcheck::Region;
use forkcheck::memory::{Hardware, Memory};
use forkcheck::process::{self, Exit};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, geteuid, setuid};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The watchdog's time, longer than any test here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

pub(crate) fn park_indefinitely() -> ! {
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

/// Returns whether a process runs: it exists and is no zombie.
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

/// Returns whether it ends within the watchdog's time. It is not ours to wait for, hence the loop.
pub(crate) fn ends(pid: u32) -> bool {
    let start = Instant::now();
    while runs(pid) && start.elapsed() < WATCHDOG {
        std::thread::yield_now();
    }
    !runs(pid)
}

#[test]
fn a_kill_after_a_timeout_takes_grandchildren_along() {
    let (pids, before, exit, after) = process::in_fresh_process(
        |()| {
            let region = Region::anonymous(8).unwrap();
            let words: &[AtomicU32; 2] = region.get(0).unwrap();
            let mut child = process::spawn(|| -> () {
                // One is in the child's group; the other has a group of its own but dies with its
                // parent.
                let mut member = Command::new("sleep").arg("600").spawn().unwrap();
                words[0].store(member.id(), Relaxed);
                let kin = process::spawn(|| -> () { park_indefinitely() }).unwrap();
                words[1].store(kin.id(), Relaxed);
                let _ = member.wait();
            })
            .unwrap();
            let pids = words.each_ref().map(|word| {
                while word.load(Relaxed) == 0 {
                    let early = child.wait_timeout(Duration::from_millis(1)).unwrap();
                    assert_eq!(early, None, "it has both before it ends");
                }
                word.load(Relaxed)
            });
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
    let seen = process::in_fresh_process(
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
            error.contains("process::in_fresh_process(job, input)") && error.contains("threads"),
            "{error}"
        );
        drop(stop);
    });
}

#[test]
fn a_thread_that_was_joined_does_not_forbid_a_fork() {
    let sum = process::in_fresh_process(
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
    let seen = process::in_fresh_process(
        |()| {
            let running = process::spawn(|| -> () { park_indefinitely() }).unwrap();
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
fn a_child_that_other_code_reaped_is_an_error_in_words() {
    let (reaped, waited, killed) = process::in_fresh_process(
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
        assert!(text.contains("something else has reaped it"), "{text}");
    }
}

#[test]
fn a_fork_that_the_limits_forbid_is_an_error_with_a_remedy() {
    let text = process::in_fresh_process(
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
fn a_handle_in_a_forked_copy_of_its_owner_does_nothing() {
    let seen = process::in_fresh_process(
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
