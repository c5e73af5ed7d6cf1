//! Results of a search, as plain data.

use crate::case::Case;
use crate::check::Verdict;
use crate::engine::{Covered, Run, Turn};
use crate::spec::Spec;
use std::path::PathBuf;
use std::time::Duration;

/// Result of checking a suite on one engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome<S: Spec> {
    /// The engine's name.
    pub engine: &'static str,
    /// The type of the structure.
    pub structure: &'static str,
    /// Faults that the engine cannot see.
    pub limitations: &'static str,
    /// The verdict.
    pub verdict: Verdict<S>,
    /// Counts of what was run.
    pub covered: Covered,
    /// Saved cases that ran first.
    pub saved_cases: usize,
    /// Saved cases that do not apply any more, in words: a case that changed with its suite is run as far as it applies.
    pub stale: Vec<String>,
    /// Roles of which no process was to be killed, where the engine kills.
    pub spared: Vec<String>,
    /// The seed of what was drawn.
    pub seed: u64,
    /// How long all of it took, without the wait for the machine.
    pub took: Duration,
    /// How the engine came to have the machine for itself.
    pub turn: Turn,
    /// The programs that were to be drawn, where the time limit came first.
    pub planned: Option<u64>,
    /// The failing execution, where the verdict is a finding.
    pub found: Option<Found<S>>,
    /// Last output of the processes.
    pub output: String,
    /// Result of `stepped` on the program that was found, if it was asked: there a failure is deterministic.
    pub stepped: Option<Box<Outcome<S>>>,
}

/// A finding, shrunk and confirmed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found<S: Spec> {
    /// The smallest execution that shows it.
    pub run: Run<S>,
    /// Origin of the case.
    pub origin: Origin,
    /// How surely it comes again.
    pub rate: Rate,
    /// Similar cases that pass, where the engine places steps.
    pub passes: Vec<NearMiss<S>>,
    /// The case as a token.
    pub token: String,
    /// File in which it was saved, or why it was not; `None` if it was not to be.
    pub saved: Option<Result<PathBuf, String>>,
}

/// A case that is almost a failing one, and passes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NearMiss<S: Spec> {
    /// Difference in words.
    pub words: String,
    /// The step of the failing run from which on it is, where there is one.
    pub step: Option<usize>,
    /// The case; of several that the words name, the last.
    pub case: Case<S>,
}

/// Origin of a failing case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Drawn, and then shrunk.
    Drawn {
        /// How many operations it had at first.
        operations: usize,
        /// How many smaller forms were tried.
        candidates: u64,
        /// How long that took.
        took: Duration,
        /// The time limit ended it: there may be a smaller form.
        cut: bool,
    },
    /// Another engine found it, and it was looked for on this one.
    CrossCheck(&'static str),
    /// A saved case.
    Saved,
    /// The token in `FORKCHECK_REPLAY`.
    Replayed,
}

/// How surely a finding comes again.
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
