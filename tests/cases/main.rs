//! Small structures and suites that an earlier version judged wrongly, each with the right verdict.

mod blame_pop;
mod counted_readers;
mod distinct_items;
#[cfg(feature = "loom")]
mod loom;
mod macros_generic;
mod min_ops;
mod names;
mod nonsense;
mod prefix;
mod private_memory;
mod sequences;
mod spec_panics;
mod standstill;
mod untouched;

use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Engine;
use forkcheck::prelude::*;
use forkcheck::suite::Rate;

/// Returns a suite with a fixed seed that saves nothing.
fn suite<S: Spec>(name: &str) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .seed(7)
        .cases(8)
        .regressions(None)
}

/// A spec of operations without a result: a check then asks only how they end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Nothing;

impl Spec for Nothing {
    type Setup = ();
    type Op = ();
    type Ret = ();
    fn start(_: &()) -> Self {
        Nothing
    }
    fn step(&mut self, _: usize, _: &()) {}
}

/// Asserts that the engine finds nothing, and returns the report of an outcome in which something ran.
#[track_caller]
fn passes<E: Engine, T: WithHandles<Memory = E::Memory>>(suite: &Suite<T::Spec>) -> String {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
    assert!(outcome.covered.executions > 0, "{report}");
    report
}

/// Asserts a finding of this kind.
#[track_caller]
fn caught<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
) -> (Outcome<T::Spec>, String) {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("not found: {report}")
    };
    assert_eq!(finding.kind, kind, "{report}");
    (outcome, report)
}

/// Asserts that the verdict is unknown, and returns its reason.
#[track_caller]
fn unknown<E: Engine, T: WithHandles<Memory = E::Memory>>(suite: &Suite<T::Spec>) -> String {
    let outcome = suite.check::<E, T>().unwrap();
    let Verdict::Unknown(reason) = &outcome.verdict else {
        panic!("not unknown: {}", suite.report(&outcome))
    };
    reason.clone()
}
