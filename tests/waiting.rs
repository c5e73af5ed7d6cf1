//! Operations that wait: a spec says where one may sleep for ever, and everything else that sleeps so is a deadlock.

use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Processes;
use forkcheck::prelude::*;
use serde::{Deserialize, Serialize};

/// A counter that is raised and lowered; lowering it waits while it is 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Count(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    Post,
    Wait,
}

impl Spec for Count {
    type Setup = ();
    type Op = Op;
    type Ret = ();
    fn start(_: &()) -> Self {
        Count(0)
    }
    fn step(&mut self, op: &Op) {
        match op {
            Op::Post => self.0 += 1,
            Op::Wait => self.0 -= 1,
        }
    }
    fn may_block(&self, _: usize, op: &Op) -> bool {
        *op == Op::Wait && self.0 == 0
    }
}

/// A semaphore on a futex. `WAKES`: a post wakes who waits; the broken twin forgets it.
struct Semaphore<M: Memory, const WAKES: bool>(M::AtomicU32);
type Right<M> = Semaphore<M, true>;
type Forgetful<M> = Semaphore<M, false>;

impl<M: Memory, const WAKES: bool> Subject<M> for Semaphore<M, WAKES> {
    type Spec = Count;
    type Seat<'a> = &'a Self;
    fn new(_: &()) -> Self {
        Semaphore(Atomic::new(0))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(seat: &mut &Self, op: &Op) {
        let count = &seat.0;
        match op {
            Op::Post => {
                count.fetch_add(1, Ordering::Release);
                if WAKES {
                    M::wake(count, 1);
                }
            }
            Op::Wait => loop {
                let seen = count.load(Ordering::Acquire);
                if seen == 0 {
                    M::wait(count, 0);
                } else if count
                    .compare_exchange(seen, seen - 1, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
                {
                    return;
                }
            },
        }
    }
}

fn suite(posts: usize, waits: usize) -> Suite<Count> {
    Suite::new(forkcheck::site!(), "semaphore")
        .role("poster", 1, posts..=posts, Just(Op::Post))
        .role("waiter", 1, waits..=waits, Just(Op::Wait))
        .cases(1)
        .executions(3_000)
        .regressions(None)
}

fn kind(outcome: &Outcome<Count>) -> Option<Kind> {
    match &outcome.verdict {
        Verdict::Finding(finding) => Some(finding.kind),
        _ => None,
    }
}

#[test]
fn who_sleeps_for_ever_where_the_spec_lets_it_is_no_finding() {
    let outcome = suite(1, 2).check::<Processes, Right<Hardware>>().unwrap();
    assert_eq!(outcome.verdict, Verdict::Ok);
    assert_eq!(
        outcome.covered.executions, 1,
        "all but one call returned, and there the case ended"
    );
}

#[test]
fn a_semaphore_that_wakes_passes() {
    let outcome = suite(2, 2).check::<Processes, Right<Hardware>>().unwrap();
    assert_eq!(kind(&outcome), None, "{:?}", outcome.verdict);
    assert_eq!(outcome.covered.executions, 3_000);
}

#[test]
fn a_post_that_wakes_nobody_is_a_deadlock_and_the_report_says_who_need_not_wait() {
    let suite = suite(1, 1);
    let outcome = suite.check::<Processes, Forgetful<Hardware>>().unwrap();
    assert_eq!(
        kind(&outcome),
        Some(Kind::Deadlock),
        "{:?}",
        outcome.verdict
    );
    let report = suite.report(&outcome);
    assert!(
        report.contains("waiter (process 1): Wait sleeps, and nobody is left to wake it"),
        "{report}"
    );
    assert!(
        report.contains("where waiter Wait -> no return need not wait: it would return ()"),
        "{report}"
    );
}

#[cfg(feature = "loom")]
mod in_the_model {
    use super::*;
    use forkcheck::engine::loom::{Loom, LoomMemory};

    #[test]
    fn a_semaphore_that_wakes_passes() {
        let outcome = suite(2, 2).check::<Loom, Right<LoomMemory>>().unwrap();
        assert_eq!(outcome.verdict, Verdict::Ok);
    }

    #[test]
    fn a_post_that_wakes_nobody_is_a_deadlock() {
        let outcome = suite(1, 1).check::<Loom, Forgetful<LoomMemory>>().unwrap();
        assert_eq!(
            kind(&outcome),
            Some(Kind::Deadlock),
            "{:?}",
            outcome.verdict
        );
    }

    #[test]
    fn a_program_that_may_rest_is_unknown_there_and_says_why() {
        let outcome = suite(1, 2).check::<Loom, Right<LoomMemory>>().unwrap();
        assert!(
            matches!(&outcome.verdict, Verdict::Unknown(why) if why.contains("wait for ever")),
            "{:?}",
            outcome.verdict
        );
    }
}
