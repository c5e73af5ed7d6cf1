//! Helpers that test programs share: the outcomes that tests expect of a suite.
#![allow(dead_code, reason = "no program uses all of them")]

use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Engine;
use forkcheck::prelude::*;
use forkcheck::suite::Rate;

/// Checks a suite, and returns the outcome with its report.
#[track_caller]
pub(crate) fn check<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
) -> (Outcome<T::Spec>, String) {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    (outcome, report)
}

/// Returns the kind of finding of a suite, if there is one, and its report. Panics at any other verdict than `ok`.
#[track_caller]
pub(crate) fn found<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
) -> (Option<Kind>, String) {
    let (outcome, report) = check::<E, T>(suite);
    match outcome.verdict {
        Verdict::Finding(finding) => (Some(finding.kind), report),
        Verdict::Ok => (None, report),
        other => panic!("{other:?}: {report}"),
    }
}

/// Asserts that the engine finds nothing in the executions that it ran.
#[track_caller]
pub(crate) fn passes<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
) -> (Outcome<T::Spec>, String) {
    let (outcome, report) = check::<E, T>(suite);
    assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
    assert!(outcome.covered.executions > 0, "{report}");
    (outcome, report)
}

/// Asserts a finding of this kind.
#[track_caller]
pub(crate) fn caught<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
) -> (Outcome<T::Spec>, String) {
    let (outcome, report) = check::<E, T>(suite);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("not found: {report}")
    };
    assert_eq!(finding.kind, kind, "{report}");
    (outcome, report)
}

/// Asserts that a finding came again in ten replays of ten.
#[track_caller]
pub(crate) fn is_reproduced<S: Spec>(outcome: &Outcome<S>, report: &str) {
    let found = outcome.found.as_ref().expect("a finding is told");
    let Rate::Reproduced { times, of, .. } = found.rate else {
        panic!("{report}")
    };
    assert_eq!((times, of), (10, 10), "{report}");
}

/// Asserts that the token of a finding alone leads to the same case, and returns that outcome.
#[track_caller]
pub(crate) fn is_in_its_token<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
    outcome: &Outcome<T::Spec>,
    report: &str,
) -> Outcome<T::Spec> {
    let found = outcome.found.as_ref().expect("a finding is told");
    let again = suite.clone().replay(&found.token).check::<E, T>().unwrap();
    let case = again.found.as_ref().map(|again| &again.run.case);
    assert_eq!(case, Some(&found.run.case), "{report}");
    again
}
