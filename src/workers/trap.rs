//! Halts a process at a machine instruction of any code: by the trap flag, which has the processor report each
//! instruction as a signal. x86-64 alone has it for programs without privileges; elsewhere nobody is halted.
#![allow(unsafe_code, reason = "the trap flag, and a handler of its signal")]

use super::clock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Where to halt, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// After so many instructions, or before a system call that comes first.
    pub(super) instructions: u32,
    /// Nanoseconds, at least: a signal takes its time, too.
    pub(super) pause: u64,
    /// Whether others need this processor meanwhile.
    pub(super) shared: bool,
}

/// Runs `body`, halts in it, and says after how many instructions. When it halts, or at the end of a `body` that is
/// shorter, the time is stored to `when`.
#[cfg(target_arch = "x86_64")]
pub(super) fn halting<R>(point: Point, when: &AtomicU64, body: impl FnOnce() -> R) -> (R, u32) {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};
    use nix::sys::signal::{sigaction, sigprocmask};
    use std::arch::asm;

    HALT.left.store(point.instructions.max(1), Relaxed);
    HALT.taken.store(0, Relaxed);
    HALT.pause.store(point.pause, Relaxed);
    HALT.shared.store(point.shared, Relaxed);
    HALT.when
        .store(std::ptr::from_ref(when).cast_mut(), Relaxed);
    let trap = SigSet::from(Signal::SIGTRAP);
    let mut mask = SigSet::empty();
    let unblocked = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&trap), Some(&mut mask)).is_ok();
    let action = SigAction::new(
        SigHandler::SigAction(on_trap),
        SaFlags::SA_SIGINFO,
        SigSet::empty(),
    );
    // SAFETY: a handler for a signal.
    // 1. It touches atomics, reads the clock by the vDSO, and calls `sched_yield`, `signal` and `raise`: all of them
    //    async-signal-safe. 2. It writes one flag of the context that it interrupts. 3. What was there before is put back.
    let before = unsafe { sigaction(Signal::SIGTRAP, &action) };
    let armed = unblocked && before.is_ok();
    if armed {
        // SAFETY: sets the trap flag, which no code of a compiler reads or relies on.
        // 1. The stack is left as it was; without `nostack`, nothing of ours lies below it. 2. The handler is there.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    }
    let value = body();
    if armed {
        // SAFETY: as above; where the handler has cleared the flag, this does nothing.
        unsafe { asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
    }
    if let Ok(before) = before {
        // SAFETY: `before` is what `sigaction` said was there.
        let _ = unsafe { sigaction(Signal::SIGTRAP, &before) };
    }
    if mask.contains(Signal::SIGTRAP) {
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&trap), None);
    }
    if HALT.left.load(Relaxed) > 0 {
        when.store(clock::now(), Relaxed);
    }
    (value, HALT.taken.load(Relaxed))
}

/// The same where there is no such flag: only the end of `body` is reported.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn halting<R>(_: Point, when: &AtomicU64, body: impl FnOnce() -> R) -> (R, u32) {
    let value = body();
    when.store(clock::now(), Relaxed);
    (value, 0)
}

/// What the handler knows. A process has one; it is in one operation at a time.
struct Halt {
    /// Instructions until the halt; 0 after it.
    left: AtomicU32,
    taken: AtomicU32,
    pause: AtomicU64,
    shared: AtomicBool,
    when: AtomicPtr<AtomicU64>,
}

static HALT: Halt = Halt {
    left: AtomicU32::new(0),
    taken: AtomicU32::new(0),
    pause: AtomicU64::new(0),
    shared: AtomicBool::new(false),
    when: AtomicPtr::new(std::ptr::null_mut()),
};

/// An instruction has ended.
#[cfg(target_arch = "x86_64")]
extern "C" fn on_trap(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// The kernel's word for a trap by the flag.
    const TRACE: libc::c_int = 2;
    const TRAP_FLAG: i64 = 0x100;
    const SYSCALL: [u8; 2] = [0x0f, 0x05];
    // SAFETY: the kernel gives a handler with SA_SIGINFO both, for as long as it runs, and to nobody else.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    if info.si_code != TRACE {
        // A breakpoint of the code's own: what it would have done without us.
        // SAFETY: both are async-signal-safe, and the default ends the process when this handler is left.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return;
    }
    let registers = &mut context.uc_mcontext.gregs;
    let next = registers[libc::REG_RIP as usize] as *const u8;
    // A system call might block the signal, and a process that blocks a trap is ended. One that lies across two pages is missed.
    // SAFETY: 1. The processor is about to execute what is there, so it is mapped, and code can be read on this
    // architecture unless it was made otherwise on purpose. 2. Both bytes are on one page.
    let calls = next.addr() % 4096 != 4095 && unsafe { next.cast::<[u8; 2]>().read() } == SYSCALL;
    HALT.taken.fetch_add(1, Relaxed);
    let left = HALT.left.load(Relaxed).saturating_sub(1);
    HALT.left.store(if calls { 0 } else { left }, Relaxed);
    if !calls && left > 0 {
        return;
    }
    registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    let now = clock::now();
    // SAFETY: `halting` has borrowed it until the code that was interrupted returns.
    unsafe { &*HALT.when.load(Relaxed) }.store(now, Relaxed);
    let until = now + HALT.pause.load(Relaxed);
    while clock::now() < until {
        if HALT.shared.load(Relaxed) {
            std::thread::yield_now();
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};

    /// Long enough for another thread to look.
    const PAUSE: u64 = 200_000;

    fn at(instructions: u32) -> Point {
        Point {
            instructions,
            pause: PAUSE,
            shared: true,
        }
    }

    /// What a thread saw of two stores when the other one halted after so many instructions, and whether it was in time.
    fn seen(instructions: u32) -> (u32, u32) {
        let (when, words) = (AtomicU64::new(0), [const { AtomicU32::new(0) }; 2]);
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                while when.load(Acquire) == 0 {
                    std::thread::yield_now();
                }
                (words[1].load(Acquire), words[0].load(Acquire))
            });
            halting(at(instructions), &when, || {
                words[0].store(1, Release);
                words[1].store(1, Release);
            });
            let (second, first) = looks.join().unwrap();
            (first, second)
        })
    }

    /// Statics are of a process, so these are one test.
    #[test]
    fn it_halts_between_two_stores_and_before_a_system_call_and_leaves_nothing_behind() {
        let all: Vec<_> = (1..=100).map(seen).collect();
        for expected in [(0, 0), (1, 0), (1, 1)] {
            assert!(all.contains(&expected), "{expected:?} is not in {all:?}");
        }

        let when = AtomicU64::new(0);
        let block = nix::sys::signal::SigSet::from(nix::sys::signal::Signal::SIGTRAP);
        let ((), taken) = halting(at(u32::MAX), &when, || {
            block.thread_block().unwrap();
            block.thread_unblock().unwrap();
        });
        assert!(taken > 0 && when.load(Relaxed) > 0);
        let was = HALT.left.load(Relaxed);
        assert_eq!(was, 0, "it halted before the first of the calls");

        let ((), taken) = halting(at(1), &when, || ());
        assert_eq!(taken, 1);
        let (value, taken) = halting(at(u32::MAX), &when, || std::hint::black_box(7));
        assert!(value == 7 && (2..10_000).contains(&taken), "{taken}");
        let before = HALT.taken.load(Relaxed);
        assert_eq!(std::hint::black_box(before + 1), taken + 1);
        assert_eq!(HALT.taken.load(Relaxed), before, "no trap after the end");
    }
}
