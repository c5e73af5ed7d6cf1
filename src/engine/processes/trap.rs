//! Stops a process at a machine instruction of any code: by a breakpoint, or by the trap flag, which makes the processor report
//! each instruction as a signal. Only x86-64 has the flag for programs without privileges; elsewhere no process is stopped.
//!
//! A breakpoint takes a few microseconds; the trap flag takes as long for each instruction. So an operation is taken instruction by
//! instruction to learn which ones there are, and for pauses in the C library; most pauses are at breakpoints.
//!
//! Both end before the first system call of the operation. Code that has blocked or handles SIGTRAP before is left alone; if it
//! handles SIGSYS or has a second thread, it has no breakpoints. Not handled: code that can be executed and not read, code that reads
//! or changes its own instructions, and jumps behind a prefix of an instruction.
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
    let progress = point.progress;
    progress.reset();
    #[cfg(target_arch = "x86_64")]
    let stop = Stop::begin(&point);
    let value = body();
    #[cfg(target_arch = "x86_64")]
    drop(stop);
    let paused = progress.when.load(Relaxed) > 0;
    if !paused {
        progress.when.store(clock::now(), Relaxed);
    }
    (value, paused)
}

/// The state of the handlers. A process has one; it is in one operation at a time.
struct Handler {
    /// Whether the handlers are installed, and their signals are ours.
    armed: AtomicBool,
    /// Whether the operation has ended: no more instructions are taken one by one.
    has_ended: AtomicBool,
    /// Whether the instruction at the breakpoint is taken now, with the trap flag.
    steps: AtomicBool,
    /// The instructions until the pause; or how often the process goes on at the breakpoint.
    left: AtomicU32,
    point: AtomicPtr<Point<'static>>,
}

static HANDLER: Handler = Handler {
    armed: AtomicBool::new(false),
    has_ended: AtomicBool::new(false),
    steps: AtomicBool::new(false),
    left: AtomicU32::new(0),
    point: AtomicPtr::new(std::ptr::null_mut()),
};

#[cfg(target_arch = "x86_64")]
use stop::Stop;

#[cfg(target_arch = "x86_64")]
mod stop {
    use super::super::breakpoint::{self, Absent};
    use super::super::code;
    use super::super::disposition::{handle, is, is_default, restore, restorer};
    use super::super::point::{Patience, Pause, Target};
    use super::{HANDLER, Point, Relaxed, clock};
    use nix::errno::Errno;
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
    use std::arch::asm;
    use std::marker::PhantomData;
    use std::os::unix::fs::MetadataExt;

    type Registers = [libc::greg_t; 23];

    const TRAP_FLAG: i64 = 0x100;
    const FLAGS: usize = libc::REG_EFL as usize;
    const RIP: usize = libc::REG_RIP as usize;

    /// Arms a pause; dropping it disarms, also by unwinding.
    pub(super) struct Stop<'a>(PhantomData<&'a Point<'a>>);

    impl<'a> Stop<'a> {
        // Both are inlined: each instruction of ours is one more to be taken.
        #[inline(always)]
        pub(super) fn begin(point: &'a Point<'a>) -> Option<Self> {
            let mut mask = SigSet::empty();
            let asked = sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
            // A blocked trap ends the process; code that handles or ignores the signal may want the next one.
            let is_free = |signal| !mask.contains(signal) && is_default(signal);
            if asked.is_err() || !is_free(Signal::SIGTRAP) {
                return None;
            }
            HANDLER
                .point
                .store(std::ptr::from_ref(point).cast_mut().cast(), Relaxed);
            HANDLER.has_ended.store(false, Relaxed);
            HANDLER.steps.store(false, Relaxed);
            let stop = Self(PhantomData);
            match point.target {
                Target::Before(instruction, times) => {
                    let (code, learnt) = point.code?;
                    if !is_free(Signal::SIGSYS) {
                        learnt.refuse_breakpoints();
                        return None;
                    }
                    if !has_one_thread() {
                        return None;
                    }
                    HANDLER.left.store(times, Relaxed);
                    HANDLER.armed.store(true, Relaxed);
                    handle(Signal::SIGTRAP, on_trap);
                    handle(Signal::SIGSYS, on_system_call);
                    let set = breakpoint::set(code, instruction, restorer());
                    if set == Err(Absent::Refused) {
                        learnt.refuse_breakpoints();
                    }
                    Some(stop)
                }
                Target::After(instructions) => {
                    HANDLER.left.store(instructions.max(1), Relaxed);
                    handle(Signal::SIGTRAP, on_trap);
                    HANDLER.armed.store(true, Relaxed);
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
            // If the trap flag is set, the handler clears it after this store.
            HANDLER.has_ended.store(true, Relaxed);
            disarm();
        }
    }

    /// Takes the breakpoint and the handlers away, if they are there. Async-signal-safe.
    fn disarm() {
        end_breakpoint();
        if HANDLER.armed.swap(false, Relaxed) {
            restore(Signal::SIGTRAP);
        }
    }

    /// Takes the breakpoint away, if there is one. Async-signal-safe.
    fn end_breakpoint() {
        breakpoint::clear();
        // Only a breakpoint has set this one; otherwise it may be the code's.
        if HANDLER.armed.load(Relaxed) && is(Signal::SIGSYS, (on_system_call as *const ()).addr()) {
            restore(Signal::SIGSYS);
        }
    }

    /// Returns whether this process has one thread, and shares its memory with no other process.
    fn has_one_thread() -> bool {
        match unshare(CloneFlags::CLONE_VM) {
            // To leave what it does not share changes nothing.
            Ok(()) => true,
            Err(Errno::EINVAL) => false,
            // A sandbox may refuse the call. A directory has a link from above, one of its own, and one from each in it.
            Err(_) => {
                std::fs::metadata("/proc/self/task").is_ok_and(|threads| threads.nlink() == 3)
            }
        }
    }

    /// Ends our part in a signal that is not ours: it has its default effect, which ends the process. Async-signal-safe.
    fn default_effect(signal: libc::c_int, registers: &mut Registers) {
        registers[FLAGS] &= !TRAP_FLAG;
        disarm();
        // SAFETY: `raise`.
        // 1. Any signal may be raised. 2. It is blocked until the handler is left.
        unsafe { libc::raise(signal) };
    }

    /// Handles a breakpoint, or the end of an instruction. It touches atomics and its own code, reads the clock by the vDSO, and calls
    /// `sigaction`, `mprotect`, `prctl`, `raise` and `sched_yield`: all of that is async-signal-safe.
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
        if handle_trap(signal, info.si_code, &mut context.uc_mcontext.gregs) {
            breakpoint::write();
        }
    }

    /// Handles the announcement of a system call, before which the breakpoint ends. Async-signal-safe, as `on_trap`.
    extern "C" fn on_system_call(
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        /// The kernel's code for an announcement, and the length of the instruction.
        const ANNOUNCED: libc::c_int = 2;
        const LENGTH: i64 = 2;
        breakpoint::put_back();
        // SAFETY: two references, as in `on_trap`.
        let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
        let registers = &mut context.uc_mcontext.gregs;
        if info.si_code == ANNOUNCED && breakpoint::address() != 0 {
            // A handler of the code's own may have interrupted the instruction that is taken with the trap flag: the trap is still
            // to come.
            let own = registers[FLAGS] & TRAP_FLAG != 0;
            match HANDLER.steps.load(Relaxed) && !own {
                true => end_breakpoint(),
                false => disarm(),
            }
            registers[FLAGS] &= !TRAP_FLAG;
            // It makes the call again, which was not made.
            registers[RIP] -= LENGTH;
        } else {
            default_effect(signal, registers);
        }
    }

    /// Does what the signal says, and returns whether the breakpoint, which was put back, is to be written again.
    fn handle_trap(signal: libc::c_int, code: libc::c_int, registers: &mut Registers) -> bool {
        /// The kernel's codes for a trap by the flag; the first is qemu's, and the kernel uses it for no event that
        /// can occur here. Then the code for the instruction `int3`.
        const TRACES: [libc::c_int; 2] = [1, 2];
        const INT3: libc::c_int = libc::SI_KERNEL;
        let breakpoint = breakpoint::address();
        let at = registers[RIP];
        let left = HANDLER.left.load(Relaxed);
        // SAFETY: a reference to the point.
        // 1. `begin` was given it for as long as the `Stop` lives, which is as long as this handler is installed; the process
        // has one thread, or the trap flag is that of the thread with the `Stop`. 2. No process writes to it; what it points to
        // is made of atomics.
        let point = unsafe { &*HANDLER.point.load(Relaxed) };
        let progress = point.progress;
        if breakpoint != 0 && code == INT3 && at as usize == breakpoint + 1 {
            registers[RIP] = breakpoint as i64;
            if left > 0 {
                // It takes this instruction, and is back after it.
                HANDLER.left.store(left - 1, Relaxed);
                HANDLER.steps.store(true, Relaxed);
                registers[FLAGS] |= TRAP_FLAG;
                return false;
            }
        } else if !TRACES.contains(&code) {
            progress.own_trap.store(1, Relaxed);
            default_effect(signal, registers);
            return false;
        } else if HANDLER.steps.swap(false, Relaxed) {
            registers[FLAGS] &= !TRAP_FLAG;
            if breakpoint == 0 {
                disarm();
            }
            return breakpoint != 0;
        } else if HANDLER.has_ended.load(Relaxed) {
            registers[FLAGS] &= !TRAP_FLAG;
            return false;
        } else {
            progress.taken.fetch_add(1, Relaxed);
            let left = left.saturating_sub(1);
            HANDLER.left.store(left, Relaxed);
            if !code::ends_stepping(at) {
                if let Some((code, learnt)) = point.code
                    && let Some(instruction) = code.at(at as usize)
                {
                    learnt.known.add(instruction);
                }
                if left > 0 {
                    return false;
                }
            }
        }
        // From here on the operation runs as without the pause.
        registers[FLAGS] &= !TRAP_FLAG;
        disarm();
        let now = clock::now();
        progress.when.store(now, Relaxed);
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
mod tests;
