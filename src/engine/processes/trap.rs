//! Stops a process at a machine instruction of any code: by a breakpoint, or by the trap flag, which makes the processor report
//! each instruction as a signal. Only x86-64 has the flag for programs without privileges; elsewhere no process is stopped.
//!
//! A breakpoint takes a few microseconds, the trap flag some for each instruction on the way. So an operation is taken instruction by
//! instruction to learn which ones there are, and for pauses in the C library; most pauses are at breakpoints.
//!
//! Code that uses that signal itself, or blocks it, is left alone. Not handled: code that keeps its flags from one
//! operation to the next (`pushf`), code that can be executed and not read, and code that reads its own instructions.
#![allow(unsafe_code, reason = "the trap flag, and a handler of its signal")]
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no process is paused")
)]

use super::clock;
use super::point::Point;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::Relaxed};

/// Runs `body` and pauses in it; returns whether it did, before `body` ended.
#[inline(always)]
pub(super) fn pausing<R>(point: Point<'_>, body: impl FnOnce() -> R) -> (R, bool) {
    let way = point.way;
    way.taken.store(0, Relaxed);
    way.when.store(0, Relaxed);
    #[cfg(target_arch = "x86_64")]
    let stop = Stop::begin(&point);
    let value = body();
    #[cfg(target_arch = "x86_64")]
    drop(stop);
    let paused = way.when.load(Relaxed) > 0;
    if !paused {
        way.when.store(clock::now(), Relaxed);
    }
    (value, paused)
}

/// The state of the handler. A process has one; it is in one operation at a time.
struct Handler {
    /// Whether the handler is installed, and its signals are ours.
    armed: AtomicBool,
    /// The instructions until the pause; or how often the process goes on at the breakpoint.
    left: AtomicU32,
    point: AtomicPtr<Point<'static>>,
}

static HANDLER: Handler = Handler {
    armed: AtomicBool::new(false),
    left: AtomicU32::new(0),
    point: AtomicPtr::new(std::ptr::null_mut()),
};

#[cfg(target_arch = "x86_64")]
use stop::Stop;

#[cfg(target_arch = "x86_64")]
mod stop {
    use super::super::point::{Patience, Pause, Place};
    use super::super::{breakpoint, code};
    use super::{HANDLER, Point, Relaxed, clock};
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
    use std::arch::asm;
    use std::marker::PhantomData;
    use std::mem::MaybeUninit;

    /// While it lives, the process is about to stop. It ends by unwinding as well.
    pub(super) struct Stop<'a>(PhantomData<&'a Point<'a>>);

    impl<'a> Stop<'a> {
        // Both are inlined: each instruction of ours is one more to be taken.
        #[inline(always)]
        pub(super) fn begin(point: &'a Point<'a>) -> Option<Self> {
            let mut mask = SigSet::empty();
            let asked = sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
            // A blocked trap ends the process; code that handles or ignores the signal may want the next one.
            if asked.is_err() || mask.contains(Signal::SIGTRAP) || !is_default() {
                return None;
            }
            HANDLER
                .point
                .store(std::ptr::from_ref(point).cast_mut().cast(), Relaxed);
            let handler = on_trap as extern "C" fn(_, _, _);
            handle(
                handler as libc::sighandler_t,
                libc::SA_SIGINFO | libc::SA_ONSTACK,
            );
            HANDLER.armed.store(true, Relaxed);
            let stop = Self(PhantomData);
            match (point.place, point.code) {
                (Place::Before(instruction, times), Some((code, _))) => {
                    HANDLER.left.store(times, Relaxed);
                    breakpoint::set(code, instruction).then_some(stop)
                }
                (Place::Before(..), None) => None,
                (Place::After(instructions), _) => {
                    HANDLER.left.store(instructions.max(1), Relaxed);
                    // SAFETY: sets the trap flag, which no code of a compiler reads or relies on.
                    // 1. The stack is left as it was; without `nostack`, nothing of ours lies below it. 2. The handler is
                    // there.
                    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
                    Some(stop)
                }
            }
        }
    }

    impl Drop for Stop<'_> {
        #[inline(always)]
        fn drop(&mut self) {
            // SAFETY: clears the trap flag; where the handler has cleared it, this does nothing.
            // 1. The stack is left as it was; without `nostack`, nothing of ours lies below it. 2. The handler is there
            // until after it, where it is still needed.
            unsafe { asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
            breakpoint::clear();
            if HANDLER.armed.swap(false, Relaxed) {
                handle(libc::SIG_DFL, 0);
            }
        }
    }

    fn is_default() -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: asks for the disposition of a signal.
        // 1. No new one is given. 2. `action` is valid for writes; zeros are one, so it may be read whatever came of it.
        let action = unsafe {
            libc::sigaction(libc::SIGTRAP, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        action.sa_sigaction == libc::SIG_DFL
    }

    /// Sets the disposition of the signal. Async-signal-safe.
    fn handle(what: libc::sighandler_t, flags: libc::c_int) {
        let action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: sets the disposition of a signal.
        // 1. Zeros are an action: the default, no flags, an empty mask, no restorer. 2. `what` is the default or
        // `on_trap`, which is one for SA_SIGINFO. 3. No other code had set it: see `begin`.
        unsafe {
            let mut action = action.assume_init();
            action.sa_sigaction = what;
            action.sa_flags = flags;
            libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut());
        }
    }

    /// Handles a breakpoint, or the end of an instruction. It touches atomics and its own code, reads the clock by the vDSO, and calls
    /// `sigaction`, `raise` and `sched_yield`: all of that is async-signal-safe.
    extern "C" fn on_trap(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        breakpoint::put_back();
        // SAFETY: two references.
        // 1. The kernel gives a handler with SA_SIGINFO both, valid and aligned, for as long as it runs. 2. It gives
        // them to no other code.
        let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
        let registers = &mut context.uc_mcontext.gregs;
        if is_set_again(signal, info.si_code, registers) {
            breakpoint::set_again();
        }
    }

    /// Does what the signal says, and returns whether the breakpoint, which was put back, has to be set again.
    fn is_set_again(
        signal: libc::c_int,
        code: libc::c_int,
        registers: &mut [libc::greg_t; 23],
    ) -> bool {
        /// The kernel's codes for a trap by the flag; the first is qemu's, and the kernel uses it for no event that
        /// can occur here. Then the code for the instruction `int3`.
        const TRACES: [libc::c_int; 2] = [1, 2];
        const INT3: libc::c_int = libc::SI_KERNEL;
        const TRAP_FLAG: i64 = 0x100;
        const FLAGS: usize = libc::REG_EFL as usize;
        const RIP: usize = libc::REG_RIP as usize;
        let breakpoint = breakpoint::address();
        let at = registers[RIP];
        let left = HANDLER.left.load(Relaxed);
        // SAFETY: a reference to the point.
        // 1. `begin` was given it for as long as the `Stop` lives, which is as long as this handler is installed.
        // 2. No process writes to it; what it points to is made of atomics.
        let point = unsafe { &*HANDLER.point.load(Relaxed) };
        let way = point.way;
        if breakpoint != 0 && code == INT3 && at as usize == breakpoint + 1 {
            registers[RIP] = breakpoint as i64;
            if left > 0 {
                // It takes this instruction, and is back after it.
                HANDLER.left.store(left - 1, Relaxed);
                registers[FLAGS] |= TRAP_FLAG;
                return false;
            }
        } else if !TRACES.contains(&code) {
            // A breakpoint of the code's own, or a signal from elsewhere: it has its default effect.
            registers[FLAGS] &= !TRAP_FLAG;
            HANDLER.armed.store(false, Relaxed);
            handle(libc::SIG_DFL, 0);
            // SAFETY: `raise`. 1. Any signal may be raised. 2. It is blocked until this handler is left.
            unsafe { libc::raise(signal) };
            return false;
        } else if breakpoint != 0 {
            registers[FLAGS] &= !TRAP_FLAG;
            return true;
        } else {
            way.taken.fetch_add(1, Relaxed);
            let left = left.saturating_sub(1);
            HANDLER.left.store(left, Relaxed);
            // A system call might block the signal, or handle it, or copy our flags into a new thread.
            if !code::is_system_call(at) {
                if let Some((code, known)) = point.code
                    && let Some(instruction) = code.at(at as usize)
                {
                    known.add(instruction);
                }
                if left > 0 {
                    return false;
                }
            }
            HANDLER.armed.store(false, Relaxed);
            handle(libc::SIG_DFL, 0);
        }
        // From here on all runs as without us. The handler of a breakpoint stays: another thread may be at it, too.
        registers[FLAGS] &= !TRAP_FLAG;
        let now = clock::now();
        way.when.store(now, Relaxed);
        match point.pause {
            Pause::Nanoseconds(pause) => while clock::now() < now + pause {},
            Pause::Events(events, others) => {
                let enough = others.clock.load(Relaxed).saturating_add(events);
                let mut patience = Patience::new(0);
                loop {
                    let count = others.clock.load(Relaxed);
                    let is_enough =
                        count >= enough || others.finished.load(Relaxed) >= others.count;
                    if is_enough || patience.is_over(count) {
                        break;
                    }
                    std::thread::yield_now();
                }
            }
        }
        false
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::code::{Code, Instruction, Known};
    use super::super::control::Control;
    use super::super::point::{Others, Pause, Place, Way};
    use super::*;
    use crate::process::{self, Exit, in_fresh_process};
    use crate::region::Region;
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::{Acquire, Release};

    fn at(instructions: u32, way: &Way) -> Point<'_> {
        Point {
            place: Place::After(instructions),
            pause: Pause::Nanoseconds(0),
            way,
            code: None,
        }
    }

    /// Returns what a thread saw of two stores when the other one paused at this place.
    fn seen(place: Place, code: Option<(&Code, &Known)>) -> (u32, u32) {
        let (way, words) = (Way::default(), [const { AtomicU32::new(0) }; 2]);
        let (looks, finished) = (AtomicU64::new(0), AtomicU32::new(0));
        let other = Others {
            clock: &looks,
            finished: &finished,
            count: 1,
        };
        std::thread::scope(|scope| {
            let other_thread = scope.spawn(|| {
                while way.when.load(Acquire) == 0 {
                    std::thread::yield_now();
                }
                let words = (words[1].load(Acquire), words[0].load(Acquire));
                looks.fetch_add(1, Release);
                words
            });
            let point = Point {
                place,
                pause: Pause::Events(1, other),
                way: &way,
                code,
            };
            pausing(point, || store(&words));
            let (second, first) = other_thread.join().unwrap();
            (first, second)
        })
    }

    /// Some instructions precede the stores, which a loop takes.
    #[inline(never)]
    fn store(words: &[AtomicU32]) {
        let one = std::hint::black_box(1);
        for word in std::hint::black_box(words) {
            word.store(one, Release);
        }
    }

    /// Returns what was never seen, in up to 100 tries of each place: a pause ends when the other thread has no processor for long.
    fn unseen(places: &[Place], code: Option<(&Code, &Known)>) -> Vec<(u32, u32)> {
        let all = [(0, 0), (1, 0), (1, 1)];
        let mut missing = all.to_vec();
        for place in (0..100).flat_map(|_| places) {
            let seen = seen(*place, code);
            assert!(all.contains(&seen), "{place:?}: {seen:?}");
            missing.retain(|&one| one != seen);
            if missing.is_empty() {
                break;
            }
        }
        missing
    }

    /// Statics and dispositions belong to a process, so all pauses in this one are in one test.
    #[test]
    fn it_pauses_between_two_stores_and_not_where_the_signal_is_anothers() {
        let steps: Vec<_> = (1..=200).map(Place::After).collect();
        assert_eq!(unseen(&steps, None), [], "never seen");

        let way = Way::default();
        let (value, paused) = pausing(at(u32::MAX, &way), || std::hint::black_box(7));
        let taken = way.taken.load(Relaxed);
        assert!(
            value == 7 && !paused && (2..10_000).contains(&taken),
            "{taken}"
        );
        assert!(way.when.load(Relaxed) > 0, "the end is told as well");
        let ((), paused) = pausing(at(1, &way), || ());
        assert!(paused && way.taken.load(Relaxed) == 1);

        // It also ends by unwinding.
        let unwound = std::panic::catch_unwind(|| {
            pausing(at(u32::MAX, &way), || {
                std::panic::resume_unwind(Box::new(7))
            })
        });
        assert!(unwound.is_err() && !HANDLER.armed.load(Relaxed));
        let before = way.taken.load(Relaxed);
        assert_eq!(std::hint::black_box(way.taken.load(Relaxed)), before);

        let trap = SigSet::from(Signal::SIGTRAP);
        trap.thread_block().unwrap();
        let ((), paused) = pausing(at(1, &way), || ());
        assert!(!paused && way.taken.load(Relaxed) == 0, "it is blocked");
        trap.thread_unblock().unwrap();
    }

    /// Takes the instructions of a function one by one, and then stops at each by a breakpoint.
    fn breakpoints() {
        // The instructions that were taken one by one are known: a breakpoint stops at them, too.
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let known = &region.get::<Control>(0).unwrap().pauses.known;
        let code = Code::of_this_process();
        seen(Place::After(u32::MAX), Some((&code, known)));
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
                .map(|&instruction| Place::Before(instruction, times));
            let missing = unseen(&all.collect::<Vec<_>>(), Some((&code, known)));
            // Before the second store, the first is there.
            let expected = if times == 0 { &[][..] } else { &[(0, 0)] };
            assert_eq!(missing, expected, "never seen, after {times} times");
        }
        assert_eq!(code.at(own as usize), before, "the code is as it was");
        let way = Way::default();
        let words = [const { AtomicU32::new(0) }; 2];
        let breakpoint = |instruction, times| {
            let point = Point {
                place: Place::Before(instruction, times),
                code: Some((&code, known)),
                ..at(0, &way)
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
        let child = || {
            let point = Point {
                place: Place::Before(first, 0),
                code: Some((&code, known)),
                ..at(0, &way)
            };
            pausing(point, || {
                let mut child = process::spawn(|| store(&words)).unwrap();
                child.wait().unwrap()
            })
        };
        let (exit, paused) = child();
        assert_eq!(
            exit,
            Exit::Code(0),
            "a child has the breakpoint, and what it needs for it"
        );
        assert!(!paused);
        assert!(breakpoint(first, 0));
    }

    #[test]
    fn a_breakpoint_stops_at_each_known_instruction_and_at_nothing_else() {
        in_fresh_process(|()| breakpoints(), ()).unwrap();
    }

    /// Returns how a process that uses its SIGTRAP in `pausing` ends, and how it ends without the trap flag.
    fn ends(how: u32) -> (String, String) {
        let end = |pauses: bool| {
            let run = move || match how {
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
            };
            let mut child = process::spawn(move || match pauses {
                true => {
                    pausing(at(100_000, &Way::default()), run);
                }
                false => run(),
            })
            .unwrap();
            match child.wait().unwrap() {
                Exit::Signal(signal) => format!("signal {signal}"),
                exit => exit.to_string(),
            }
        };
        (end(true), end(false))
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
        for (how, (pausing, bare)) in all.into_iter().enumerate() {
            assert_eq!(pausing, bare, "{how}");
            assert_eq!(bare == trap, how < 2, "{how}: {bare}");
        }
    }
}
