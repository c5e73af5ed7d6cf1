//! A finding of `processes` is shown step by step, if `stepped` finds it too; otherwise the report
//! says that it does not.

use forkcheck::builtin::EarlyPublish;
use forkcheck::check::Verdict;
use forkcheck::engine::SteppedMemory;
use forkcheck::prelude::*;
use forkcheck::spec::{RegisterOp, Spec};
use forkcheck::suite::Rate;
use serde::{Deserialize, Serialize};

#[test]
fn what_fails_in_processes_comes_with_a_schedule() {
    let directory = tempfile::tempdir().unwrap();
    let suite = Suite::new(forkcheck::site!(), "early_publish")
        .seed(7)
        .cases(16)
        .executions(2_000)
        .setup(Just([0, 0]))
        .role(
            "writer",
            1,
            1..=3,
            (1u64..3).prop_map(|n| RegisterOp::Write([n, 145 * n])),
        )
        .role("reader", 1, 1..=3, Just(RegisterOp::Read))
        .regressions(Some(directory.path()));
    let outcome = suite
        .check_forked::<EarlyPublish<Hardware>, EarlyPublish<SteppedMemory>>()
        .unwrap();
    assert!(matches!(outcome.verdict, Verdict::Finding(_)));
    let stepped = outcome.stepped.as_ref().unwrap();
    let found = stepped.found.as_ref().unwrap();
    assert_eq!(
        found.rate,
        Rate::Reproduced {
            times: 10,
            of: 10,
            limit: 8_000
        }
    );
    assert!(found.run.case.operations() <= 2 && !found.run.steps.is_empty());
    let report = suite.report_data(&outcome);
    let of_stepped = report.cross_check.as_deref().unwrap();
    for (report, test) in [
        (&report, "comes_with_a_schedule"),
        (of_stepped, "::stepped"),
    ] {
        assert!(report.test.ends_with(test), "{report}");
        assert!(report.headline.starts_with("reader: Read "), "{report}");
    }
    // Both forms are saved, for either test.
    let saved = std::fs::read_to_string(found.saved.clone().unwrap().unwrap()).unwrap();
    for engine in ["processes", "stepped"] {
        assert!(saved.contains(engine), "{saved}");
    }
    // A replay adds nothing to that.
    let token = &outcome.found.as_ref().unwrap().token;
    let replayed = suite
        .clone()
        .replay(token)
        .check_forked::<EarlyPublish<Hardware>, EarlyPublish<SteppedMemory>>()
        .unwrap();
    let stepped = replayed.stepped.unwrap().found.unwrap();
    assert_eq!(stepped.saved, None);
    assert_eq!(stepped.token, found.token);
    let without = suite.without("stepped", "for this test");
    let outcome = without
        .check_forked::<EarlyPublish<Hardware>, EarlyPublish<SteppedMemory>>()
        .unwrap();
    assert!(outcome.found.is_some() && outcome.stepped.is_none());
}

/// Each process raises its own flag and looks at the other's: they may not both see none, but the
/// hardware lets the look come first.
struct Flags<M: Memory>([M::AtomicU32; 2]);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Raised([bool; 2]);

impl Spec for Raised {
    type Setup = ();
    /// The process whose flag is raised.
    type Op = usize;
    type Ret = bool;
    fn start(_: &()) -> Self {
        Self([false, false])
    }
    fn step(&mut self, _: usize, whose: &usize) -> bool {
        self.0[*whose] = true;
        self.0[1 - whose]
    }
    /// It may see a flag that is raised by an operation at the same time.
    fn accept(&mut self, _: usize, whose: &usize, seen: &bool) -> bool {
        let raised = self.step(0, whose);
        *seen || !raised
    }
}

impl<M: Memory> Structure for Flags<M> {
    type Memory = M;
    type Spec = Raised;
    fn new(_: &()) -> Self {
        Self([Atomic::new(0), Atomic::new(0)])
    }
    fn apply(&self, whose: &usize) -> bool {
        self.0[*whose].store(1, Ordering::Release);
        self.0[1 - whose].load(Ordering::Acquire) == 1
    }
}

#[test]
fn what_takes_reordering_is_reported_not_to_fail_step_by_step() {
    let suite = Suite::new(forkcheck::site!(), "flags")
        .role("left", 1, 1..=1, Just(0))
        .role("right", 1, 1..=1, Just(1))
        .cases(8)
        .regressions(None);
    let outcome = suite
        .check_forked::<Flags<Hardware>, Flags<SteppedMemory>>()
        .unwrap();
    let report = suite.report_data(&outcome);
    // Store buffers show within the search on x86 and Arm alike. Where processes share a processor they cannot, and the report says so.
    if std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1) {
        assert!(outcome.found.is_none(), "{report}");
        let told = "calls on several processors at the same time";
        let mut items = report.not_checked.iter();
        assert!(items.any(|item| item.starts_with(told)), "{report}");
        return;
    }
    assert!(outcome.found.is_some(), "{report}");
    assert_eq!(outcome.stepped.as_ref().unwrap().verdict, Verdict::Ok);
    assert_eq!(report.cross_check.unwrap().verdict, "ok");
}
