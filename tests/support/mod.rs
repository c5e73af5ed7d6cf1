//! Helpers that test programs share.

use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Engine;
use forkcheck::prelude::*;

/// Returns the kind of finding of a suite, if there is one, and its report. Panics at any other verdict than `ok`.
pub(crate) fn found<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
) -> (Option<Kind>, String) {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    match outcome.verdict {
        Verdict::Finding(finding) => (Some(finding.kind), report),
        Verdict::Ok => (None, report),
        other => panic!("{other:?}: {report}"),
    }
}
