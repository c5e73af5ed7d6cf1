//! A history whose check takes too long, and a spec that does not return to a fresh process: the
//! check ends with a reason.

use super::Suite;
use crate::check::Verdict;
use crate::engine::{Engine, Processes, Stepped};
use crate::memory::{Atomic, Memory};
use crate::spec::Spec;
use crate::structure::{Structure, WithHandles};
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::Just;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Returns the processor time that this thread has used.
fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

/// A counter; each call returns the value before it, and takes 0.01 s of processor time to check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slow(u32);

impl Spec for Slow {
    type Setup = ();
    type Op = ();
    type Ret = u32;
    fn start(_: &()) -> Self {
        Slow(0)
    }
    fn step(&mut self, _: usize, _: &()) -> u32 {
        let until = used() + Duration::from_millis(10);
        while used() < until {
            std::hint::spin_loop();
        }
        self.0 += 1;
        self.0 - 1
    }
}

struct Counter<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for Counter<M> {
    type Memory = M;
    type Spec = Slow;
    fn new(_: &()) -> Self {
        Counter(Atomic::new(0))
    }
    fn apply(&self, _: &()) -> u32 {
        self.0.fetch_add(1, Ordering::AcqRel)
    }
}

/// Checks histories of 40 calls, which takes twice as long as allowed in tests of this crate.
fn is_unknown<E: Engine>()
where
    Counter<E::Memory>: WithHandles<Memory = E::Memory, Spec = Slow>,
{
    let suite = Suite::new(crate::site!(), "unjudged")
        .role("adder", 1, 40..=40, Just(()))
        .cases(1)
        .executions(1)
        .regressions(None);
    let verdict = suite.check::<E, Counter<E::Memory>>().unwrap().verdict;
    let Verdict::Unknown(why) = &verdict else {
        panic!("{verdict:?}")
    };
    assert!(why.contains("the check of a history was not done"), "{why}");
}

#[test]
fn a_history_whose_check_takes_too_long_is_unknown() {
    is_unknown::<Stepped>();
    is_unknown::<Processes>();
}

/// A call that waits, for a spec that never says whether it may.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Undecided;

impl Spec for Undecided {
    type Setup = ();
    type Op = ();
    type Ret = ();
    fn start(_: &()) -> Self {
        Undecided
    }
    fn step(&mut self, _: usize, _: &()) {}
    fn blocks(&self, _: usize, _: &()) -> bool {
        loop {
            std::hint::black_box(());
        }
    }
}

struct Waits<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for Waits<M> {
    type Memory = M;
    type Spec = Undecided;
    fn new(_: &()) -> Self {
        Waits(Atomic::new(0))
    }
    fn apply(&self, (): &()) {
        while self.0.load(Ordering::Acquire) == 0 {
            M::wait(&self.0, 0);
        }
    }
}

/// Whether a call may wait is asked at a standstill, also by the fresh process.
fn is_ended<E: Engine>()
where
    Waits<E::Memory>: WithHandles<Memory = E::Memory, Spec = Undecided>,
{
    let suite = Suite::new(crate::site!(), "undecided")
        .role("waiter", 1, 1..=1, Just(()))
        .cases(1)
        .executions(1)
        .regressions(None);
    let verdict = suite.check::<E, Waits<E::Memory>>().unwrap().verdict;
    let Verdict::Unavailable(why) = &verdict else {
        panic!("{verdict:?}")
    };
    assert!(why.contains("a question to the spec"), "{why}");
}

#[test]
fn a_spec_that_does_not_say_whether_a_call_may_wait_ends_the_check_in_words() {
    is_ended::<Stepped>();
    is_ended::<Processes>();
}
