//! Cases that begin with a prefix: operations that are done before the processes begin.

use crate::{caught, passes, suite};
use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::report::Operation;
use forkcheck::spec::{Queue, QueueOp, QueueRet};
use forkcheck::suite::Origin;
use std::path::Path;

const SLOTS: u64 = 3;

/// A queue of one process at a time, under a spin lock. `LOSES`: the item in the last slot is lost
/// if two items follow it. `FULL_AT`: it says that it is full with this many items.
struct Locked<M: Memory, const LOSES: bool, const FULL_AT: u64> {
    locked: M::AtomicU32,
    pushed: M::AtomicU64,
    popped: M::AtomicU64,
    slots: [M::AtomicU64; SLOTS as usize],
}

type Right<M> = Locked<M, false, SLOTS>;
type Loses<M> = Locked<M, true, SLOTS>;
type FullTooSoon<M> = Locked<M, false, 1>;

impl<M: Memory, const LOSES: bool, const FULL_AT: u64> Structure for Locked<M, LOSES, FULL_AT> {
    type Memory = M;
    type Spec = Queue<u64>;
    fn new(_: &usize) -> Self {
        Locked {
            locked: Atomic::new(0),
            pushed: Atomic::new(0),
            popped: Atomic::new(0),
            slots: std::array::from_fn(|_| Atomic::new(0)),
        }
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        while self.locked.swap(1, Ordering::Acquire) == 1 {
            M::spin_loop();
        }
        let pushed = self.pushed.load(Ordering::Relaxed);
        let popped = self.popped.load(Ordering::Relaxed);
        let ret = match op {
            QueueOp::Push(_) if pushed - popped >= FULL_AT => QueueRet::Full,
            QueueOp::Push(item) => {
                let slot = match LOSES && pushed > SLOTS {
                    true => &self.slots[0],
                    false => &self.slots[(pushed % SLOTS) as usize],
                };
                slot.store(*item, Ordering::Relaxed);
                self.pushed.store(pushed + 1, Ordering::Relaxed);
                QueueRet::Pushed
            }
            QueueOp::Pop if pushed == popped => QueueRet::Empty,
            QueueOp::Pop => {
                self.popped.store(popped + 1, Ordering::Relaxed);
                QueueRet::Popped(self.slots[(popped % SLOTS) as usize].load(Ordering::Relaxed))
            }
        };
        self.locked.store(0, Ordering::Release);
        ret
    }
}

fn queue() -> Suite<Queue<u64>> {
    suite("queue")
        .setup(Just(SLOTS as usize))
        .role("producer", 1, 1..=2, (1u64..9).prop_map(QueueOp::Push))
        .role("consumer", 1, 1..=2, Just(QueueOp::Pop))
        .executions(300)
}

/// Returns a suite that starts after three items were pushed and popped: the next push but one uses
/// the slot in which the broken twin is wrong.
fn near_the_end() -> Suite<Queue<u64>> {
    queue()
        .prefix("producer", Just([1, 2, 3].map(QueueOp::Push).to_vec()))
        .prefix("consumer", Just(vec![QueueOp::Pop; 3]))
}

fn ops(outcome: &Outcome<Queue<u64>>) -> (usize, usize) {
    let case = &outcome.found.as_ref().unwrap().run.case;
    (case.operations() - case.prefix.len(), case.prefix.len())
}

#[test]
fn what_takes_many_operations_to_reach_is_found_from_a_prefix() {
    passes::<Stepped, Loses<SteppedMemory>>(&queue().cases(1));
    let (outcome, report) =
        caught::<Stepped, Loses<SteppedMemory>>(&near_the_end(), Kind::NotLinearizable);
    let (own, of_prefix) = ops(&outcome);
    assert_eq!((own, of_prefix), (3, 6), "{report}");
    assert!(report.contains("prefix: Push(1) -> Pushed"), "{report}");
    passes::<Stepped, Right<SteppedMemory>>(&near_the_end().cases(1));
}

#[test]
fn a_near_miss_has_the_prefix_of_the_case_that_fails() {
    // A process that is killed with the lock leaves the others waiting.
    let suite = near_the_end().seed(1).cases(8).regressions(None);
    let outcome = suite.check::<Kills, Right<SteppedMemory>>().unwrap();
    let report = suite.report_data(&outcome);
    let of_prefix = |operations: &[Operation]| {
        operations
            .iter()
            .filter(|operation| operation.is_of_prefix)
            .count()
    };
    let failing: Vec<usize> = report
        .processes
        .iter()
        .map(|process| of_prefix(&process.operations))
        .collect();
    assert_eq!(failing, [3, 3], "{report}");
    let executions = report
        .near_misses
        .iter()
        .filter_map(|near_miss| near_miss.execution.as_ref());
    let executions: Vec<Vec<usize>> = executions
        .map(|passing| {
            passing
                .operations
                .iter()
                .map(|operations| of_prefix(operations))
                .collect()
        })
        .collect();
    assert!(!executions.is_empty(), "{report}");
    assert!(
        executions.iter().all(|passing| *passing == failing),
        "{executions:?}"
    );
}

/// Each engine has its own way to do a prefix.
#[test]
fn a_prefix_that_returns_something_wrong_is_found_on_each_engine() {
    let full = queue()
        .cases(1)
        .executions(100)
        .prefix("producer", Just(vec![QueueOp::Push(1), QueueOp::Push(2)]));
    let blames = |report: &str| {
        assert!(
            report.contains("producer: Push(2) returned Full, expected Pushed"),
            "{report}"
        );
    };
    let kind = Kind::NotLinearizable;
    blames(&caught::<Stepped, FullTooSoon<SteppedMemory>>(&full, kind).1);
    blames(&caught::<Kills, FullTooSoon<SteppedMemory>>(&full, kind).1);
    blames(&caught::<Processes, FullTooSoon<Hardware>>(&full, kind).1);
    #[cfg(feature = "loom")]
    {
        use forkcheck::engine::loom::{Loom, LoomMemory};
        let kind = Kind::NotSequentiallyConsistent;
        blames(&caught::<Loom, FullTooSoon<LoomMemory>>(&full, kind).1);
    }
}

#[test]
fn a_prefix_is_before_all_else_on_each_engine() {
    let three = near_the_end().cases(1).executions(100);
    passes::<Processes, Right<Hardware>>(&three);
    passes::<Kills, Looked<SteppedMemory>>(&looked());
    passes::<Stepped, Looked<SteppedMemory>>(&looked());
    passes::<Processes, Looked<Hardware>>(&looked());
    caught::<Stepped, Forgets<SteppedMemory>>(&looked(), Kind::NotLinearizable);
    caught::<Kills, Forgets<SteppedMemory>>(&looked(), Kind::NotLinearizable);
    caught::<Processes, Forgets<Hardware>>(&looked(), Kind::NotLinearizable);
    #[cfg(feature = "loom")]
    {
        use forkcheck::engine::loom::{Loom, LoomMemory};
        passes::<Loom, Right<LoomMemory>>(&three);
        passes::<Loom, Looked<LoomMemory>>(&looked());
        let kind = Kind::NotSequentiallyConsistent;
        caught::<Loom, Forgets<LoomMemory>>(&looked(), kind);
    }
}

/// A queue of one item. `FORGETS`: the first pop says that the queue is empty, as if it came before
/// the prefix.
struct One<M: Memory, const FORGETS: bool> {
    item: M::AtomicU64,
    pops: M::AtomicU64,
}
type Looked<M> = One<M, false>;
type Forgets<M> = One<M, true>;

impl<M: Memory, const FORGETS: bool> Structure for One<M, FORGETS> {
    type Memory = M;
    type Spec = Queue<u64>;
    fn new(_: &usize) -> Self {
        One {
            item: Atomic::new(0),
            pops: Atomic::new(0),
        }
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(item) => {
                let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
                match self.item.compare_exchange(0, *item, success, failure) {
                    Ok(_) => QueueRet::Pushed,
                    Err(_) => QueueRet::Full,
                }
            }
            QueueOp::Pop => {
                if FORGETS && self.pops.fetch_add(1, Ordering::AcqRel) == 0 {
                    return QueueRet::Empty;
                }
                match self.item.swap(0, Ordering::AcqRel) {
                    0 => QueueRet::Empty,
                    item => QueueRet::Popped(item),
                }
            }
        }
    }
}

fn looked() -> Suite<Queue<u64>> {
    suite("one")
        .setup(Just(1))
        .role("producer", 1, 0..=1, (1u64..9).prop_map(QueueOp::Push))
        .role("consumer", 1, 1..=1, Just(QueueOp::Pop))
        .prefix(
            "producer",
            (1u64..9).prop_map(|item| vec![QueueOp::Push(item)]),
        )
        .cases(2)
        .executions(100)
}

#[test]
fn a_saved_case_and_a_token_hold_the_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let saves = |suite: Suite<_>| suite.regressions(Some(directory.path()));
    let suite = saves(near_the_end());
    let (first, _) = caught::<Stepped, Loses<SteppedMemory>>(&suite, Kind::NotLinearizable);
    let found = first.found.unwrap();
    let (again, _) = caught::<Stepped, Loses<SteppedMemory>>(&suite, Kind::NotLinearizable);
    let again = again.found.unwrap();
    assert_eq!(
        (again.origin, &again.run.case),
        (Origin::Saved, &found.run.case)
    );
    // The prefix comes from the case, whatever prefix the suite has now.
    let other = queue().replay(&found.token);
    let (replayed, _) = caught::<Stepped, Loses<SteppedMemory>>(&other, Kind::NotLinearizable);
    assert_eq!(replayed.found.unwrap().run.case, found.run.case);
    let outcome = near_the_end()
        .replay(&found.token)
        .check::<Stepped, Right<SteppedMemory>>()
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Ok, "all of it applies");
}

fn saved_with(directory: &Path, prefix: &str) -> Result<Outcome<Queue<u64>>, forkcheck::Error> {
    let case = format!(
        "(forkcheck: 1, cases: [(found: \"\", engine: \"stepped\", case: (setup: 3, program: [[Push(1), Push(2)], [Pop]]{prefix}))])"
    );
    std::fs::write(directory.join("cases-queue.ron"), case).unwrap();
    let suite = queue().cases(1).regressions(Some(directory));
    suite.check::<Stepped, Right<SteppedMemory>>()
}

#[test]
fn a_saved_case_of_an_earlier_version_has_no_prefix_and_a_prefix_that_cannot_be_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for fine in ["", ", prefix: [0]"] {
        let outcome = saved_with(directory.path(), fine).unwrap();
        assert_eq!((&outcome.verdict, outcome.saved_cases), (&Verdict::Ok, 1));
    }
    for (wrong, words) in [
        (", prefix: [2]", "it has 2 processes, counted from 0"),
        (
            ", prefix: [1, 1]",
            "more often than process 1 has operations",
        ),
    ] {
        let error = saved_with(directory.path(), wrong).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_prefix_of_a_role_that_the_suite_does_not_have_is_refused_at_its_line() {
    let suite = queue().prefix("producers", Just(vec![QueueOp::Pop]));
    let line = line!() - 1;
    let error = suite.check::<Stepped, Right<SteppedMemory>>().unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(&format!("prefix.rs:{line}")) && error.contains("\"producers\""),
        "{error}"
    );
}
