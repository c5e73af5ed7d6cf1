//! Structures whose operations block signals, or are interrupted by them: an instruction-level pause, which takes a signal, ends none.
#![allow(unsafe_code, reason = "a handler of a signal, and a timer")]

use forkcheck::check::Verdict;
use forkcheck::engine::Processes;
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use std::sync::atomic::AtomicU64;

fn register() -> Suite<Register<u64>> {
    Suite::new(forkcheck::site!(), "register")
        .setup(Just(0))
        .role("writer", 1, 1..=3, (1u64..9).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=3, Just(RegisterOp::Read))
        .seed(7)
        .regressions(None)
}

/// A word whose reads block all signals around code that its writes share.
struct Blocking(AtomicU64);

impl Blocking {
    #[inline(never)]
    fn access(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(*value, Ordering::SeqCst);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::SeqCst)),
        }
    }
}

impl Structure for Blocking {
    type Memory = Hardware;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Blocking(AtomicU64::new(first))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let all = nix::sys::signal::SigSet::all();
        match op {
            RegisterOp::Write(_) => self.access(op),
            RegisterOp::Read => {
                all.thread_block().unwrap();
                let ret = self.access(op);
                all.thread_unblock().unwrap();
                ret
            }
        }
    }
}

#[test]
fn code_that_blocks_signals_now_and_then_is_not_ended_by_a_pause() {
    let suite = register().cases(16).executions(1_000);
    let outcome = suite.check::<Processes, Blocking>().unwrap();
    let report = suite.report(&outcome);
    assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
    assert!(outcome.covered.paused > 0, "{report}");
}

/// A word whose operations are interrupted by a handler that blocks all signals and takes instructions of theirs, or makes a system
/// call.
struct Interrupted<const CALLS: bool>(Blocking);

extern "C" fn on_alarm<const CALLS: bool>(_: std::ffi::c_int) {
    if CALLS {
        nix::unistd::getppid();
    } else {
        let own = Blocking(AtomicU64::new(0));
        std::hint::black_box(own.access(&RegisterOp::Write(1)));
    }
}

/// Interrupts this process once, after that time; 0: never.
fn interrupt(microseconds: i64) {
    let time = |tv_usec| libc::timeval { tv_sec: 0, tv_usec };
    let timer = libc::itimerval {
        it_interval: time(0),
        it_value: time(microseconds),
    };
    // SAFETY: setitimer.
    // 1. `timer` is one; what was there is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}

/// A handle whose process is interrupted until it is dropped.
struct Interrupting<'a>(&'a Blocking);

impl Drop for Interrupting<'_> {
    fn drop(&mut self) {
        interrupt(0);
    }
}

impl<const CALLS: bool> WithHandles for Interrupted<CALLS> {
    type Memory = Hardware;
    type Spec = Register<u64>;
    type Handle<'a> = Interrupting<'a>;
    fn new(&first: &u64) -> Self {
        Interrupted(<Blocking as Structure>::new(&first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Interrupting<'a> {
        use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
        let handler = SigHandler::Handler(on_alarm::<CALLS>);
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::all());
        // SAFETY: sets a handler.
        // 1. It touches its own stack alone, and getppid is async-signal-safe.
        unsafe { sigaction(Signal::SIGALRM, &action) }.unwrap();
        interrupt(20);
        Interrupting(&self.0)
    }
    fn apply(interrupting: &mut Interrupting<'_>, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        // The instructions are known from the first time, and the handler may come before the second.
        let own = Blocking(AtomicU64::new(0));
        std::hint::black_box(own.access(&RegisterOp::Write(1)));
        for turn in 0..500 {
            std::hint::black_box(turn);
        }
        interrupting.0.access(op)
    }
}

/// Such a handler may reach a breakpoint, or a system call that is announced, and ends the process. The code is checked again
/// without breakpoints.
fn is_not_ended<const CALLS: bool>() {
    let suite = register().cases(4).executions(2_000);
    let outcome = suite.check::<Processes, Interrupted<CALLS>>().unwrap();
    let report = suite.report(&outcome);
    assert!(!matches!(outcome.verdict, Verdict::Finding(_)), "{report}");
}

#[test]
fn code_whose_handlers_block_signals_is_not_ended_by_a_pause() {
    is_not_ended::<false>();
}

#[test]
fn code_whose_handlers_block_signals_and_make_system_calls_is_not_ended_by_a_pause() {
    is_not_ended::<true>();
}
