//! A structure from the field for each of the ready specs that need one, on all engines, with its
//! broken twin.

mod barrier;
mod byte_stream;
mod event;
mod mpmc;
mod semaphore;
mod sequential;
#[path = "../support/mod.rs"]
mod support;

use forkcheck::check::Kind;
use forkcheck::engine::Engine;
use forkcheck::prelude::*;
use support::passes;

/// Returns a suite with a fixed seed that saves nothing, and runs little.
fn suite<S: Spec>(name: &str) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .seed(7)
        .cases(8)
        .executions(400)
        .regressions(None)
}

/// Asserts a finding of this kind, and returns its report.
#[track_caller]
fn caught<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
) -> String {
    support::caught::<E, T>(suite, kind).1
}
