//! Small structures and suites that an earlier version judged wrongly, each with the right verdict.

mod blame_pop;
mod counted_readers;
mod distinct_items;
#[cfg(feature = "loom")]
mod loom;
mod macros_generic;
mod macros_refused;
mod min_ops;
mod names;
mod nonsense;
mod prefix;
mod private_memory;
mod sequences;
mod spec_panics;
mod standstill;
#[path = "../support/mod.rs"]
mod support;
mod untouched;

use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Engine;
use forkcheck::prelude::*;
use forkcheck::suite::Rate;
use support::{caught, passes};

/// Returns a suite with a fixed seed that saves nothing.
fn suite<S: Spec>(name: &str) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .seed(7)
        .cases(8)
        .regressions(None)
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
