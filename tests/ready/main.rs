//! A structure from the field for each of the ready specs that need one, on all engines, with its
//! broken twin.

mod barrier;
mod byte_stream;
mod event;
mod mpmc;
mod semaphore;
mod sequential;

use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Engine;
use forkcheck::prelude::*;

/// Returns a suite with a fixed seed that saves nothing, and runs little.
fn suite<S: Spec>(name: &str) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .seed(7)
        .cases(8)
        .executions(400)
        .regressions(None)
}

/// Asserts that the engine finds nothing in the executions that it ran.
#[track_caller]
fn passes<E: Engine, T: WithHandles<Memory = E::Memory>>(suite: &Suite<T::Spec>) {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
    assert!(outcome.covered.executions > 0, "{report}");
}

/// Asserts a finding of this kind, and returns its report.
#[track_caller]
fn caught<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
) -> String {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    match &outcome.verdict {
        Verdict::Finding(finding) => assert_eq!(finding.kind, kind, "{report}"),
        _ => panic!("{report}"),
    }
    report
}
