//! Stops a process at a machine instruction of any code, by the trap flag, which makes the processor report each
//! instruction as a signal. Only x86-64 has it for programs without privileges; elsewhere no process is stopped.
//!
//! Code that uses that signal itself, or blocks it, is left alone. Not handled: code that keeps its flags from one
//! operation to the next (`pushf`), and code that can be executed and not read.
#![allow(unsafe_code, reason = "the trap flag, and a handler of its signal")]
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no process is paused")
)]

use super::clock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};

/// The point of a pause: its place, and its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    /// After this many instructions, or before a system call that comes first.
    pub(super) instructions: u32,
    pub(super) pause: Pause<'a>,
    /// The counter that shows progress.
    pub(super) way: &'a Way,
}

/// The length of a pause.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause<'a> {
    /// At least this long: a signal takes its time, too.
    Nanoseconds(u64),
    /// Until the other processes, which need this processor, began and ended that many calls, are done, or make no
    /// progress.
    Events(u64, Others<'a>),
}

/// Counters of the progress of the other processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others<'a> {
    /// Incremented by each call that begins or returns.
    pub(super) clock: &'a AtomicU64,
    /// The number of processes that have done all their operations, and the number of processes.
    pub(super) finished: &'a AtomicU32,
    pub(super) count: u32,
}

/// In nanoseconds: a wait may end after this time without an instruction of the process that should
/// pause, or without a call of the others, since they may wait for each other.
pub(super) const PATIENCE: u64 = 2_000_000;

/// A wait ends only after it has offered the processor to others that many times: beside other work a process may have none for
/// longer than [`PATIENCE`].
const OFFERS: u32 = 16;

/// How long a wait has gone on without progress.
#[derive(Debug)]
pub(super) struct Patience {
    /// The progress that was seen last, the time when it was seen first, and the offers since.
    seen: u64,
    since: u64,
    offers: u32,
}

impl Patience {
    pub(super) fn new(progress: u64) -> Self {
        let (since, offers) = (clock::now(), 0);
        Self {
            seen: progress,
            since,
            offers,
        }
    }

    /// Returns whether a wait ends that sees this progress. Offers the processor where time alone would end it. Async-signal-safe.
    pub(super) fn is_over(&mut self, progress: u64) -> bool {
        if progress != self.seen {
            *self = Self::new(progress);
        } else if clock::now() > self.since + PATIENCE {
            self.offers += 1;
            std::thread::yield_now();
        }
        self.offers > OFFERS
    }
}

/// The progress of a process, for others to see.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The instructions taken.
    pub(super) taken: AtomicU32,
    /// The time when it paused, or ended without, by the monotonic clock; 0 before.
    pub(super) when: AtomicU64,
}

/// Runs `body` and pauses in it; returns whether it did, before `body` ended.
#[inline(always)]
pub(super) fn pausing<R>(point: Point<'_>, body: impl FnOnce() -> R) -> (R, bool) {
    let way = point.way;
    way.taken.store(0, Relaxed);
    way.when.store(0, Relaxed);
    #[cfg(target_arch = "x86_64")]
    let stepping = Stepping::begin(&point);
    let value = body();
    #[cfg(target_arch = "x86_64")]
    drop(stepping);
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
    /// The instructions until the pause.
    left: AtomicU32,
    point: AtomicPtr<Point<'static>>,
}

static HANDLER: Handler = Handler {
    armed: AtomicBool::new(false),
    left: AtomicU32::new(0),
    point: AtomicPtr::new(std::ptr::null_mut()),
};

#[cfg(target_arch = "x86_64")]
use stepping::Stepping;

#[cfg(target_arch = "x86_64")]
mod stepping {
    use super::{HANDLER, Patience, Pause, Point, Relaxed, clock};
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
    use std::arch::asm;
    use std::marker::PhantomData;
    use std::mem::MaybeUninit;

    /// While it lives, instructions are taken one by one, until the pause. It ends by unwinding as well.
    pub(super) struct Stepping<'a>(PhantomData<&'a Point<'a>>);

    impl<'a> Stepping<'a> {
        // Both are inlined: each instruction of ours is one more to be taken.
        #[inline(always)]
        pub(super) fn begin(point: &'a Point<'a>) -> Option<Self> {
            let mut mask = SigSet::empty();
            let asked = sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
            // A blocked trap ends the process; code that handles or ignores the signal may want the next one.
            if asked.is_err() || mask.contains(Signal::SIGTRAP) || !is_default() {
                return None;
            }
            HANDLER.left.store(point.instructions.max(1), Relaxed);
            HANDLER
                .point
                .store(std::ptr::from_ref(point).cast_mut().cast(), Relaxed);
            let handler = on_trap as extern "C" fn(_, _, _);
            handle(
                handler as libc::sighandler_t,
                libc::SA_SIGINFO | libc::SA_ONSTACK,
            );
            HANDLER.armed.store(true, Relaxed);
            // SAFETY: sets the trap flag, which no code of a compiler reads or relies on.
            // 1. The stack is left as it was; without `nostack`, nothing of ours lies below it. 2. The handler is there.
            unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
            Some(Self(PhantomData))
        }
    }

    impl Drop for Stepping<'_> {
        #[inline(always)]
        fn drop(&mut self) {
            // SAFETY: clears the trap flag; where the handler has cleared it, this does nothing.
            // 1. The stack is left as it was; without `nostack`, nothing of ours lies below it. 2. The handler is there
            // until after it, where it is still needed.
            unsafe { asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
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

    /// Handles the end of an instruction. It touches atomics, reads the clock by the vDSO, and calls `sigaction`,
    /// `raise` and `sched_yield`: all of that is async-signal-safe.
    extern "C" fn on_trap(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        /// The kernel's codes for a trap by the flag; the first is qemu's, and the kernel uses it for no event that
        /// can occur here.
        const TRACES: [libc::c_int; 2] = [1, 2];
        const TRAP_FLAG: i64 = 0x100;
        // SAFETY: two references.
        // 1. The kernel gives a handler with SA_SIGINFO both, valid and aligned, for as long as it runs. 2. It gives
        // them to no other code.
        let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
        let registers = &mut context.uc_mcontext.gregs;
        if !TRACES.contains(&info.si_code) {
            // A breakpoint of the code's own, or a signal from elsewhere: it has its default effect.
            registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
            HANDLER.armed.store(false, Relaxed);
            handle(libc::SIG_DFL, 0);
            // SAFETY: `raise`. 1. Any signal may be raised. 2. It is blocked until this handler is left.
            unsafe { libc::raise(signal) };
            return;
        }
        // SAFETY: a reference to the point.
        // 1. `begin` was given it for as long as the `Stepping` lives, which is as long as this handler is installed.
        // 2. No process writes to it; what it points to is made of atomics.
        let point = unsafe { &*HANDLER.point.load(Relaxed) };
        let way = point.way;
        way.taken.fetch_add(1, Relaxed);
        let left = HANDLER.left.load(Relaxed).saturating_sub(1);
        HANDLER.left.store(left, Relaxed);
        // A system call might block the signal, or handle it, or copy our flags into a new thread.
        if left > 0 && !is_system_call(registers[libc::REG_RIP as usize]) {
            return;
        }
        // From here on all runs as without the trap flag.
        registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
        HANDLER.armed.store(false, Relaxed);
        handle(libc::SIG_DFL, 0);
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
                        return;
                    }
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Returns whether the instruction at this address enters the kernel.
    fn is_system_call(at: i64) -> bool {
        /// `int n`, and the first byte of `syscall` and `sysenter`.
        const INT: u8 = 0xcd;
        const ESCAPE: u8 = 0x0f;
        if at < 0 {
            // The kernel's half: only the page of the old system calls can be executed, and not read.
            return true;
        }
        let byte = |nth: usize| {
            let at = (at as *const u8).wrapping_add(nth);
            // SAFETY: a byte of an instruction.
            // 1. The processor is about to execute it, so all of it is mapped, or what follows is a fault anyway. 2.
            // Code can be read on this architecture, unless a program makes it otherwise on purpose. 3. `nth` goes no
            // further than what was read before says that the instruction does.
            unsafe { at.read() }
        };
        let is_prefix = |byte: u8| {
            let legacy = [
                0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
            ];
            (0x40..=0x4f).contains(&byte) || legacy.contains(&byte)
        };
        let prefixes = (0..14).take_while(|&nth| is_prefix(byte(nth))).count();
        match byte(prefixes) {
            INT => true,
            ESCAPE => matches!(byte(prefixes + 1), 0x05 | 0x34),
            _ => false,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_system_call_is_one_whatever_stands_before_it() {
            let is = |code: &[u8]| is_system_call(code.as_ptr() as i64);
            for code in [
                &[0x0f, 0x05][..],
                &[0x48, 0x0f, 0x05],
                &[0x66, 0x4f, 0x0f, 0x05],
                &[0x0f, 0x34],
                &[0xcd, 0x80],
            ] {
                assert!(is(code), "{code:02x?}");
            }
            for code in [&[0x0f, 0x0b][..], &[0x90], &[0x48, 0x89, 0x05], &[0xcc]] {
                assert!(!is(code), "{code:02x?}");
            }
            assert!(is_system_call(0xffff_ffff_ff60_0400_u64.cast_signed()));
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::process::{self, Exit, in_fresh_process};
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
    use std::sync::atomic::Ordering::{Acquire, Release};

    fn at(instructions: u32, way: &Way) -> Point<'_> {
        Point {
            instructions,
            pause: Pause::Nanoseconds(0),
            way,
        }
    }

    /// Returns what a thread saw of two stores when the other one paused after that many instructions.
    fn seen(instructions: u32) -> (u32, u32) {
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
                pause: Pause::Events(1, other),
                ..at(instructions, &way)
            };
            pausing(point, || {
                // Some instructions precede the stores.
                let one = std::hint::black_box(1);
                words[0].store(one, Release);
                words[1].store(one, Release);
            });
            let (second, first) = other_thread.join().unwrap();
            (first, second)
        })
    }

    /// Statics and dispositions belong to a process, so all pauses in this one are in one test.
    #[test]
    fn it_pauses_between_two_stores_and_not_where_the_signal_is_anothers() {
        // A pause ends when the other thread has no processor for long: each instruction is tried up to 100 times.
        let all = [(0, 0), (1, 0), (1, 1)];
        let mut missing = all.to_vec();
        for _ in 0..100 {
            for instructions in 1..=100 {
                let seen = seen(instructions);
                assert!(all.contains(&seen), "{seen:?}");
                missing.retain(|&one| one != seen);
            }
            if missing.is_empty() {
                break;
            }
        }
        assert!(missing.is_empty(), "never seen: {missing:?}");
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
