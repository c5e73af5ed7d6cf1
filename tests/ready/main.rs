//! A structure for each ready spec but `Register`, `Once`, `Queue`, `StaleQueue` and `Counter`, whose structures are elsewhere,
//! and broken twins of it; and structures that are their own spec. All engines run each structure. A suite without `kills` says
//! why the death of a process breaks it.

mod barrier;
mod byte_stream;
mod cas;
mod event;
mod lock;
mod map;
mod mpmc;
mod semaphore;
mod sequential;
mod set;
mod stack;
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

/// Asserts a finding of this kind that ten replays of ten reproduce, and returns its report.
#[track_caller]
fn caught<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
) -> String {
    let (outcome, report) = support::caught::<E, T>(suite, kind);
    support::is_reproduced(&outcome, &report);
    report
}
