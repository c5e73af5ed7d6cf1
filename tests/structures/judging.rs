//! Histories that take long to judge: the check of one makes progress with each step of the spec,
//! so it is not endless; a step that does not return is.

use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Engine, Processes, Stepped};
use forkcheck::prelude::*;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    /// A step of the spec takes this many milliseconds of processor time.
    Add(u64),
    /// A step of the spec does not return.
    AddEndlessly,
}

/// A counter; each call returns the value before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SlowCounter(u32);

impl Spec for SlowCounter {
    type Setup = ();
    type Op = Op;
    type Ret = u32;
    fn start(_: &()) -> Self {
        SlowCounter(0)
    }
    fn step(&mut self, _: usize, op: &Op) -> u32 {
        match *op {
            Op::Add(milliseconds) => burn(Duration::from_millis(milliseconds)),
            Op::AddEndlessly => loop {
                std::hint::black_box(());
            },
        }
        self.0 += 1;
        self.0 - 1
    }
}

/// Uses processor time.
fn burn(time: Duration) {
    let used = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let until = used() + time;
    while used() < until {
        std::hint::spin_loop();
    }
}

struct Counter<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for Counter<M> {
    type Memory = M;
    type Spec = SlowCounter;
    fn new(_: &()) -> Self {
        Counter(Atomic::new(0))
    }
    fn apply(&self, _: &Op) -> u32 {
        self.0.fetch_add(1, Ordering::AcqRel)
    }
}

/// The time without progress that is a hang here.
const WATCHDOG: Duration = Duration::from_millis(100);

/// Returns the verdict for one program with one process, and a few executions of it: each history
/// is judged for longer than the watchdog's time.
fn verdict<E: Engine>(op: Op, times: usize) -> Verdict<SlowCounter>
where
    Counter<E::Memory>: WithHandles<Memory = E::Memory, Spec = SlowCounter>,
{
    let suite = Suite::new(forkcheck::site!(), "judging")
        .role("adder", 1, times..=times, Just(op))
        .cases(1)
        .executions(1)
        .watchdog(WATCHDOG)
        .regressions(None);
    let outcome = suite.check::<E, Counter<E::Memory>>().unwrap();
    outcome.verdict
}

/// Asserts `ok` although judging one history takes more processor time than the watchdog's, in
/// shorter steps of the spec.
fn takes_long<E: Engine>()
where
    Counter<E::Memory>: WithHandles<Memory = E::Memory, Spec = SlowCounter>,
{
    // A model has fewer calls.
    let (each, times) = if E::NAME == "loom" { (70, 2) } else { (20, 9) };
    assert_eq!(verdict::<E>(Op::Add(each), times), Verdict::Ok);
}

/// The twin: a step of the spec does not return.
fn is_endless<E: Engine>()
where
    Counter<E::Memory>: WithHandles<Memory = E::Memory, Spec = SlowCounter>,
{
    let verdict = verdict::<E>(Op::AddEndlessly, 1);
    let Verdict::Finding(finding) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(finding.kind, Kind::Endless, "{}", finding.detail);
}

#[test]
fn a_history_that_takes_long_to_judge_is_not_endless() {
    takes_long::<Processes>();
    takes_long::<Stepped>();
    #[cfg(feature = "loom")]
    takes_long::<forkcheck::engine::loom::Loom>();
}

#[test]
fn a_step_of_the_spec_that_does_not_return_is_endless() {
    is_endless::<Processes>();
    is_endless::<Stepped>();
    #[cfg(feature = "loom")]
    is_endless::<forkcheck::engine::loom::Loom>();
}
