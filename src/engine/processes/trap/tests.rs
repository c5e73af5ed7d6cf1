//! Pauses of the process of the test itself.
#![allow(unsafe_code, reason = "a breakpoint, and handlers of a signal")]

use super::*;
use crate::engine::processes::code::{Code, Instruction};
use crate::engine::processes::control::Control;
use crate::engine::processes::disposition::use_alternate_stack;
use crate::engine::processes::learnt::Learnt;
use crate::engine::processes::point::{Others, Pause, Progress, Target};
use crate::process::{self, Exit, in_fresh_process};
use crate::region::Region;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Release};

fn at(instructions: u32, progress: &Progress) -> Point<'_> {
    Point {
        target: Target::After(instructions),
        pause: Pause::Nanoseconds(0),
        progress,
        code: None,
    }
}

/// Returns what another process saw of two stores when this one paused at this place.
fn seen(target: Target, code: Option<(&Code, &Learnt)>) -> (u32, u32) {
    let region = Region::anonymous(size_of::<Control>()).unwrap();
    let control: &Control = region.get(0).unwrap();
    let (progress, words) = (&control.pauses.progress, [&control.late, &control.batch]);
    let (looks, finished) = (&*control.clock, &*control.finished);
    let other = Others {
        clock: looks,
        finished,
        count: 1,
    };
    let child = process::spawn(|| {
        while progress.when.load(Acquire) == 0 {
            std::thread::yield_now();
        }
        let (second, first) = (words[1].load(Acquire), words[0].load(Acquire));
        looks.fetch_add(1, Release);
        (first, second)
    });
    let point = Point {
        target,
        pause: Pause::Events(1, other),
        progress,
        code,
    };
    pausing(point, || store(&words));
    child.unwrap().value().unwrap()
}

/// Some instructions precede the stores, which a loop takes.
#[inline(never)]
fn store(words: &[&AtomicU32]) {
    let one = std::hint::black_box(1);
    for word in std::hint::black_box(words) {
        word.store(one, Release);
    }
}

/// Values of the first and of the second word.
const ALL: [(u32, u32); 3] = [(0, 0), (1, 0), (1, 1)];

/// Returns which of these were never seen, in up to 100 tries of each target: a pause ends when the other process has no processor for
/// long.
fn unseen(
    wanted: &[(u32, u32)],
    targets: &[Target],
    code: Option<(&Code, &Learnt)>,
) -> Vec<(u32, u32)> {
    let mut missing = wanted.to_vec();
    for target in (0..100).flat_map(|_| targets) {
        let seen = seen(*target, code);
        assert!(ALL.contains(&seen), "{target:?}: {seen:?}");
        missing.retain(|&one| one != seen);
        if missing.is_empty() {
            break;
        }
    }
    missing
}

fn steps() {
    let steps: Vec<_> = (1..=200).map(Target::After).collect();
    assert_eq!(unseen(&ALL, &steps, None), [], "never seen");

    let progress = Progress::default();
    let (value, paused) = pausing(at(u32::MAX, &progress), || std::hint::black_box(7));
    let taken = progress.taken.load(Relaxed);
    assert!(
        value == 7 && !paused && (2..10_000).contains(&taken),
        "{taken}"
    );
    assert!(progress.when.load(Relaxed) > 0, "the end is told as well");
    let (_, paused) = pausing(at(1, &progress), || std::hint::black_box(7));
    assert!(paused && progress.taken.load(Relaxed) == 1);

    // It also ends by unwinding.
    let unwound = std::panic::catch_unwind(|| {
        pausing(at(u32::MAX, &progress), || {
            std::panic::resume_unwind(Box::new(7))
        })
    });
    assert!(unwound.is_err() && !HANDLER.armed.load(Relaxed));
    let before = progress.taken.load(Relaxed);
    assert_eq!(std::hint::black_box(progress.taken.load(Relaxed)), before);

    let trap = SigSet::from(Signal::SIGTRAP);
    trap.thread_block().unwrap();
    let ((), paused) = pausing(at(1, &progress), || ());
    assert!(
        !paused && progress.taken.load(Relaxed) == 0,
        "it is blocked"
    );
    trap.thread_unblock().unwrap();
}

/// Statics and dispositions belong to a process.
#[test]
fn it_pauses_between_two_stores_and_not_where_the_signal_is_anothers() {
    in_fresh_process(|()| steps(), ()).unwrap();
}

/// Returns what a call returns while the process has a second thread.
fn breakpoint_beside_a_thread(call: &dyn Fn() -> bool) -> bool {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || ended.recv());
        let result = call();
        drop(end);
        result
    })
}

/// Takes the instructions of a function one by one, and then stops at each by a breakpoint.
fn breakpoints() {
    // The instructions that were taken one by one are known: a breakpoint stops at them, too.
    let region = Learnt::region().unwrap();
    let learnt: &Learnt = region.get(0).unwrap();
    let known = &learnt.known;
    let code = Code::of_this_process();
    seen(Target::After(u32::MAX), Some((&code, learnt)));
    let own = (store as *const ()).addr() as u64;
    let instructions: Vec<_> = (0..known.count())
        .filter_map(|number| known.get(number))
        .collect();
    let first = instructions.iter().find(|one| one.address == own);
    let first = *first.expect("it was called");
    let before = code.at(own as usize);
    for times in 0..2 {
        let all = instructions
            .iter()
            .map(|&instruction| Target::Before(instruction, times));
        let all: Vec<_> = all.collect();
        let wanted = if times == 0 { &ALL[..] } else { &[(1, 0)] };
        let missing = unseen(wanted, &all, Some((&code, learnt)));
        assert_eq!(missing, [], "never seen, after {times} times");
    }
    assert_eq!(code.at(own as usize), before, "the code is as it was");
    let progress = Progress::default();
    let word = AtomicU32::new(0);
    let words = [&word, &word];
    let breakpoint = |instruction, times| {
        let point = Point {
            target: Target::Before(instruction, times),
            code: Some((&code, learnt)),
            ..at(0, &progress)
        };
        pausing(point, || store(&words)).1
    };
    assert!(breakpoint(first, 0), "the function is called once");
    assert!(!breakpoint(first, 1));
    let other = Instruction {
        bytes: !first.bytes,
        ..first
    };
    assert!(!breakpoint(other, 0), "there is another instruction");
    let outside = Instruction {
        address: (&raw const words).addr() as u64,
        bytes: 0,
    };
    assert!(!breakpoint(outside, 0), "that is no code");
    assert!(!HANDLER.armed.load(Relaxed));
    // The first system call ends it: a child, a thread and a handler of the code's own do not meet it.
    let does = |call: &dyn Fn()| {
        let point = Point {
            target: Target::Before(first, 0),
            code: Some((&code, learnt)),
            ..at(0, &progress)
        };
        let (same, paused) = pausing(point, || {
            call();
            let same = code.at(own as usize) == before;
            store(&words);
            same
        });
        assert!(same && !paused, "there was a system call before");
    };
    does(&|| {
        let child = process::spawn(|| code.at(own as usize) == before).unwrap();
        assert!(child.value().unwrap(), "a child has no breakpoint");
    });
    does(&|| {
        let trap = SigSet::from(Signal::SIGTRAP);
        trap.thread_block().unwrap();
        store(&words);
        trap.thread_unblock().unwrap();
    });
    assert!(breakpoint(first, 0));
    // The kernel may take a moment to end the thread.
    does(&|| {
        std::thread::scope(|scope| {
            scope.spawn(|| store(&words));
        });
    });
    assert!(
        !breakpoint_beside_a_thread(&|| breakpoint(first, 0)),
        "it has two threads"
    );
}

#[test]
fn a_breakpoint_stops_at_each_known_instruction_and_at_nothing_else() {
    in_fresh_process(|()| breakpoints(), ()).unwrap();
}

/// A page that becomes writable at the first write to it.
static PAGE: AtomicUsize = AtomicUsize::new(0);
const LENGTH: usize = 4_096;

extern "C" fn make_writable(_: libc::c_int) {
    let page = std::ptr::with_exposed_provenance_mut(PAGE.load(Relaxed));
    // SAFETY: changes the protection of a page of the test's own.
    unsafe { libc::mprotect(page, LENGTH, libc::PROT_READ | libc::PROT_WRITE) };
}

/// Returns a word in such a page, of this process.
fn tracked() -> &'static AtomicU32 {
    let access = libc::PROT_READ;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, of no file.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, access, kind, -1, 0) };
    PAGE.store(page.expose_provenance(), Relaxed);
    let handler = SigHandler::Handler(make_writable);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: sets a handler, which calls mprotect alone.
    unsafe { sigaction(Signal::SIGSEGV, &action) }.unwrap();
    // SAFETY: a reference to the start of the page, which stays mapped; zeros are an `AtomicU32`.
    unsafe { &*page.cast::<AtomicU32>() }
}

/// Returns how processes end that store to such a page, with a breakpoint at each instruction: the handler makes a system call while
/// the instruction is taken, and returns to it.
fn ends_of_tracked() -> Vec<String> {
    let region = Learnt::region().unwrap();
    let learnt: &Learnt = region.get(0).unwrap();
    let code = Code::of_this_process();
    seen(Target::After(u32::MAX), Some((&code, learnt)));
    let known = &learnt.known;
    let known = (0..known.count()).filter_map(|number| known.get(number));
    let end = |target| {
        let mut child = process::spawn(|| {
            let progress = Progress::default();
            let point = Point {
                target,
                code: Some((&code, learnt)),
                ..at(0, &progress)
            };
            let word = tracked();
            pausing(point, || store(&[word, word]));
            assert_eq!(word.load(Relaxed), 1);
        });
        child.as_mut().unwrap().wait().unwrap().to_string()
    };
    known
        .flat_map(|instruction| (0..3).map(move |times| Target::Before(instruction, times)))
        .map(end)
        .collect()
}

#[test]
fn a_handler_that_makes_a_system_call_returns_to_an_instruction_at_a_breakpoint() {
    let ends = in_fresh_process(|()| ends_of_tracked(), ()).unwrap();
    assert!(ends.len() > 20, "{}", ends.len());
    let whole = Exit::Code(0).to_string();
    assert_eq!(ends, vec![whole; ends.len()]);
}

/// Returns how a process ends that takes steps, and stops at a breakpoint, on a stack of that many bytes.
fn ends_on_a_stack(length: usize) -> Exit {
    let mut child = process::spawn(|| {
        let code: &Code = Box::leak(Box::new(Code::of_this_process()));
        let region = Box::leak(Box::new(Learnt::region().unwrap()));
        let learnt: &Learnt = region.get(0).unwrap();
        let first = code.at((store as *const ()).addr()).unwrap();
        use_alternate_stack();
        let stack = DefaultStack::new(length).unwrap();
        let run = move |_: &Yielder<(), ()>, ()| {
            // Most of the stack is taken.
            let rest = std::hint::black_box([0u8; 2_048]);
            let progress = Progress::default();
            let word = AtomicU32::new(0);
            for target in [Target::After(10), Target::Before(first, 0)] {
                let point = Point {
                    target,
                    code: Some((code, learnt)),
                    ..at(0, &progress)
                };
                assert!(pausing(point, || store(&[&word, &word])).1);
            }
            std::hint::black_box(&rest);
        };
        Coroutine::with_stack(stack, run).resume(());
    });
    child.as_mut().unwrap().wait().unwrap()
}

#[test]
fn a_pause_takes_nothing_of_a_small_stack() {
    let end = in_fresh_process(|length| ends_on_a_stack(length).to_string(), 8_192);
    assert_eq!(end.unwrap(), Exit::Code(0).to_string());
}

/// Returns how a process that uses its SIGTRAP in an operation ends: as it is, where instructions are taken one by one, and where there
/// is a breakpoint.
fn ends(how: u32) -> [String; 3] {
    let code = Code::of_this_process();
    let region = Learnt::region().unwrap();
    let learnt: &Learnt = region.get(0).unwrap();
    let first = code.at((store as *const ()).addr()).unwrap();
    let end = |target: Option<Target>| {
        let run = || {
            match how {
                // SAFETY: a breakpoint.
                // 1. It touches nothing.
                0 => unsafe { std::arch::asm!("int3") },
                1 => raise(Signal::SIGTRAP).unwrap(),
                2 => {
                    ignore(true);
                    raise(Signal::SIGTRAP).unwrap();
                    assert!(is_ignored(), "it is as it was left");
                }
                _ => {
                    SigSet::all().thread_block().unwrap();
                    raise(Signal::SIGTRAP).unwrap();
                    ignore(true);
                    SigSet::all().thread_unblock().unwrap();
                }
            }
            let word = AtomicU32::new(0);
            store(&[&word, &word]);
        };
        let mut child = process::spawn(|| {
            let progress = Progress::default();
            match target {
                Some(target) => {
                    let point = Point {
                        target,
                        code: Some((&code, learnt)),
                        ..at(0, &progress)
                    };
                    pausing(point, run);
                    assert!(how < 2 || is_ignored(), "it is as it was left");
                }
                None => run(),
            }
        })
        .unwrap();
        match child.wait().unwrap() {
            Exit::Signal(signal) => format!("signal {signal}"),
            exit => exit.to_string(),
        }
    };
    [
        end(None),
        end(Some(Target::After(100_000))),
        end(Some(Target::Before(first, 0))),
    ]
}

fn ignore(ignore: bool) {
    let handler = if ignore {
        SigHandler::SigIgn
    } else {
        SigHandler::SigDfl
    };
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: a signal is ignored, or not.
    // 1. No handler of ours runs.
    unsafe { sigaction(Signal::SIGTRAP, &action) }.unwrap();
}
fn is_ignored() -> bool {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: as above.
    // 1. No handler of ours runs.
    let before = unsafe { sigaction(Signal::SIGTRAP, &action) }.unwrap();
    matches!(before.handler(), SigHandler::SigIgn)
}

#[test]
fn a_trap_of_the_codes_own_does_what_it_does_without_us() {
    let all = in_fresh_process(|()| (0..4).map(ends).collect::<Vec<_>>(), ()).unwrap();
    let trap = format!("signal {}", libc::SIGTRAP);
    for (how, [bare, stepping, breakpoint]) in all.into_iter().enumerate() {
        assert_eq!(stepping, bare, "{how}");
        assert_eq!(breakpoint, bare, "{how}");
        assert_eq!(bare == trap, how < 2, "{how}: {bare}");
    }
}
