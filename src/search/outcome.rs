//! Results of a search, as plain data.

use crate::case::Case;
use crate::check::Verdict;
use crate::engine::{Covered, MachineWait, Run};
use crate::spec::Spec;
use std::path::PathBuf;
use std::time::Duration;

/// Result of checking a suite on one engine.
///
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::{Outcome, check::Verdict};
/// /// Asserts that nothing was found, in at least N executions.
/// fn passed<S: Spec>(outcome: &Outcome<S>, executions: u64) {
///     assert_eq!(outcome.verdict, Verdict::Ok, "{}", outcome.engine);
///     assert!(outcome.covered.executions >= executions);
/// }
/// # let _ = passed::<forkcheck::spec::Counter>;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome<S: Spec> {
    /// The engine's name.
    pub engine: &'static str,
    /// Whether the engine explores, so that a replay is one execution.
    pub(crate) explores: bool,
    /// The type of the structure.
    pub structure: &'static str,
    /// Faults that the engine cannot see.
    pub limitations: &'static str,
    /// Whether the structure has an invariant, which this engine does not check.
    pub leaves_invariant: bool,
    /// The verdict.
    pub verdict: Verdict<S>,
    /// Counts of what was run.
    pub covered: Covered,
    /// Saved cases that ran first.
    pub saved_cases: usize,
    /// Saved cases that no longer apply, in words. A case that changed with its suite is run as far
    /// as it applies.
    pub stale: Vec<String>,
    /// Roles whose processes are never killed, where the engine kills.
    pub spared: Vec<String>,
    /// The seed of the draws.
    pub seed: u64,
    /// The time that all of it took, without the wait for the machine.
    pub took: Duration,
    /// The wait of the engine for the machine.
    pub machine: MachineWait,
    /// The programs that were to be drawn, where the time limit came first.
    pub planned: Option<u64>,
    /// The failing execution, where the verdict is a finding.
    pub found: Option<Found<S>>,
    /// Functions of instrumented crates that have atomic instructions which the engine does not see.
    pub not_instrumented: Vec<String>,
    /// The last output of the processes.
    pub output: String,
    /// The result of `stepped` on the program of the finding, if it was asked: a failure is
    /// deterministic there.
    pub stepped: Option<Box<Outcome<S>>>,
}

/// A finding, shrunk and confirmed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found<S: Spec> {
    /// The smallest execution that shows the finding.
    pub run: Run<S>,
    /// Origin of the case.
    pub origin: Origin,
    /// The rate at which it fails again.
    pub rate: Rate,
    /// Similar cases that pass, where the engine schedules steps.
    pub passes: Vec<NearMiss<S>>,
    /// The case as a token.
    pub token: String,
    /// The file in which it was saved, or why it was not; `None` if it was not to be saved.
    pub saved: Option<Result<PathBuf, String>>,
}

/// A case that is almost a failing one, and passes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NearMiss<S: Spec> {
    /// Difference in words.
    pub words: String,
    /// The first step of the failing run that differs, where there is one.
    pub step: Option<usize>,
    /// The case; where the words name several, the last one.
    pub case: Case<S>,
    /// The execution of the case, where the engine shows one that passes.
    pub run: Option<Run<S>>,
}

/// Origin of a failing case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Drawn, and then shrunk.
    Drawn {
        /// The number of operations at first.
        operations: usize,
        /// The number of smaller forms that were tried.
        candidates: u64,
        /// The time that shrinking took.
        took: Duration,
        /// Whether the time limit ended it: there may be a smaller form.
        timed_out: bool,
    },
    /// Found by another engine, and searched for on this one.
    CrossCheck(&'static str),
    /// A saved case.
    Saved,
    /// The token in `FORKCHECK_REPLAY`.
    Replayed,
}

/// The rate at which a finding fails again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rate {
    /// Failing executions, and all executions, of the case.
    Executions(u64, u64),
    /// Replays of the case.
    Reproduced {
        /// Replays that failed.
        times: u64,
        /// All replays.
        of: u64,
        /// The most executions that a replay may take.
        limit: u64,
    },
}
