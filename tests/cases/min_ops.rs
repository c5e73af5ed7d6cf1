//! Two processes that meet, each exactly once: shrinking and replays stay within the suite.

use crate::{caught, passes, suite};
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::suite::Origin;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Met;
impl Spec for Met {
    type Setup = ();
    type Op = u32;
    type Ret = ();
    fn start(_: &()) -> Self {
        Met
    }
    fn step(&mut self, _: usize, _: &u32) {}
}

/// A meeting at which each process waits until `ALL` have arrived. The broken one does not count an
/// arrival with an even number.
struct Meeting<M: Memory, const ALL: u32, const FIXED: bool> {
    came: M::AtomicU32,
}
type Broken<M> = Meeting<M, 2, false>;
type Fixed<M> = Meeting<M, 2, true>;

impl<M: Memory, const ALL: u32, const FIXED: bool> Structure for Meeting<M, ALL, FIXED> {
    type Memory = M;
    type Spec = Met;
    fn new(_: &()) -> Self {
        Meeting {
            came: Atomic::new(0),
        }
    }
    fn apply(&self, number: &u32) {
        if FIXED || number % 2 == 1 {
            self.came.fetch_add(1, Ordering::AcqRel);
        }
        while self.came.load(Ordering::Acquire) < ALL {
            M::spin_loop()
        }
    }
}

fn meeting() -> Suite<Met> {
    suite("meeting")
        .role("one", 1, 1..=1, 1u32..5)
        .role("other", 1, 1..=1, 1u32..5)
        .executions(50)
}

/// The suite with a directory of its own for saved cases.
fn saved_in(directory: &Path) -> Suite<Met> {
    meeting().regressions(Some(directory))
}

#[test]
fn a_case_keeps_the_operations_that_each_role_needs() {
    let (found, _) = caught::<Stepped, Broken<SteppedMemory>>(&meeting(), Kind::Livelock);
    let program = found.found.unwrap().run.case.program;
    assert_eq!(program.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn mended_code_passes_with_the_case_that_the_broken_one_saved() {
    let directory = tempfile::tempdir().unwrap();
    let suite = saved_in(directory.path());
    let (found, _) = caught::<Stepped, Broken<SteppedMemory>>(&suite, Kind::Livelock);
    assert!(found.found.unwrap().saved.unwrap().is_ok());
    let (again, _) = caught::<Stepped, Broken<SteppedMemory>>(&suite, Kind::Livelock);
    assert_eq!(again.found.unwrap().origin, Origin::Saved);
    let (_, report) = passes::<Stepped, Fixed<SteppedMemory>>(&suite.cases(1));
    assert!(report.contains("1 saved case first"), "{report}");
}

/// Cases of another version, or of the suite before its ranges changed.
#[test]
fn a_saved_case_outside_the_suite_is_stale_and_is_not_run() {
    for (program, why) in [
        ("[[1], []]", "other has 0 of 1..=1 operations"),
        ("[[1, 1], [1]]", "one has 2 of 1..=1 operations"),
        ("[[1], [1], [1]]", "it has 3 processes and the suite 2"),
        ("[[1]]", "other has 0 of 1..=1 operations"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let case = format!(
            "(forkcheck: 1, cases: [(found: \"\", engine: \"stepped\", case: (setup: (), program: {program}))])"
        );
        std::fs::write(directory.path().join("cases-meeting.ron"), case).unwrap();
        let suite = saved_in(directory.path()).cases(1);
        let outcome = suite.check::<Stepped, Fixed<SteppedMemory>>().unwrap();
        let report = suite.report(&outcome);
        assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
        assert_eq!(outcome.covered.programs, 1, "only what is drawn: {report}");
        let [stale] = &outcome.stale[..] else {
            panic!("{report}")
        };
        assert!(
            stale.contains(why) && stale.contains("saved case 1 of") && report.contains("stale: "),
            "{report}"
        );
    }
}

/// A case that a user replays explicitly runs even outside of the ranges.
#[test]
fn a_token_outside_the_suite_is_replayed_and_the_report_says_so() {
    let alone = suite("meeting")
        .role("one", 1, 1..=2, 1u32..5)
        .role("other", 1, 0..=1, 1u32..5)
        .executions(50);
    let (found, _) = caught::<Stepped, Fixed<SteppedMemory>>(&alone, Kind::Livelock);
    let found = found.found.unwrap();
    assert_eq!(found.run.case.operations(), 1, "one waits alone");
    let suite = meeting().replay(&found.token);
    let (replayed, report) = caught::<Stepped, Fixed<SteppedMemory>>(&suite, Kind::Livelock);
    assert_eq!(replayed.found.unwrap().origin, Origin::Replayed);
    let words = "not one of the suite, and was run all the same: other has 0 of 1..=1 operations";
    assert!(
        replayed.stale[0].contains(words) && report.contains("stale: "),
        "{report}"
    );
}

/// The replay of a case within the suite has no such note.
#[test]
fn a_token_within_the_suite_is_not_called_stale() {
    let (found, _) = caught::<Stepped, Broken<SteppedMemory>>(&meeting(), Kind::Livelock);
    let token = found.found.unwrap().token;
    let suite = meeting().replay(&token);
    let (replayed, report) = caught::<Stepped, Broken<SteppedMemory>>(&suite, Kind::Livelock);
    assert!(replayed.stale.is_empty(), "{report}");
}

#[cfg(feature = "loom")]
mod on_loom {
    use super::*;
    use forkcheck::engine::loom::{Loom, LoomMemory};

    #[test]
    fn a_program_that_fits_passes() {
        passes::<Loom, Fixed<LoomMemory>>(&meeting().cases(1));
    }

    /// Guests arrive with 0; a host sleeps until its number of guests has arrived.
    struct Party<M: Memory> {
        came: M::AtomicU32,
    }

    impl<M: Memory> Structure for Party<M> {
        type Memory = M;
        type Spec = Met;
        fn new(_: &()) -> Self {
            Party {
                came: Atomic::new(0),
            }
        }
        fn apply(&self, number: &u32) {
            if *number == 0 {
                self.came.fetch_add(1, Ordering::AcqRel);
                return M::wake(&self.came, 1);
            }
            loop {
                let came = self.came.load(Ordering::Acquire);
                if came >= *number {
                    return;
                }
                M::wait(&self.came, came);
            }
        }
    }

    /// Three guests arrive, of which loom explores two.
    #[test]
    fn a_program_that_stands_still_for_what_was_cut_is_unknown_and_not_a_finding() {
        let party = |guests| {
            suite("party")
                .role("guest", 1, guests, Just(0))
                .role("host", 1, 1..=1, Just(3))
                .cases(1)
                .executions(50)
        };
        passes::<Stepped, Party<SteppedMemory>>(&party(3..=3));
        let why = crate::unknown::<Loom, Party<LoomMemory>>(&party(3..=3));
        assert!(
            why.contains("guest has 2 of its at least 3 operations"),
            "{why}"
        );
        // If the suite may draw two, the host waits in vain.
        caught::<Loom, Party<LoomMemory>>(&party(2..=2), Kind::Deadlock);
    }

    /// Wrong results are wrong, even in a truncated program.
    #[test]
    fn what_a_cut_program_returns_is_still_judged() {
        use forkcheck::spec::{Register, RegisterOp, RegisterRet};
        struct Zero;
        impl Structure for Zero {
            type Memory = LoomMemory;
            type Spec = Register<u64>;
            fn new(_: &u64) -> Self {
                Zero
            }
            fn apply(&self, _: &RegisterOp<u64>) -> RegisterRet<u64> {
                RegisterRet::Value(7)
            }
        }
        let suite = suite("zero")
            .setup(Just(0))
            .role("one", 1, 3..=3, Just(RegisterOp::Read))
            .role("other", 1, 3..=3, Just(RegisterOp::Read))
            .cases(1);
        let (found, _) = caught::<Loom, Zero>(&suite, Kind::NotSequentiallyConsistent);
        let program = found.found.unwrap().run.case.program;
        assert!(program.iter().all(|ops| ops.len() == 2), "{program:?}");
    }
}
