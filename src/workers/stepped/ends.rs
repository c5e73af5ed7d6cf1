//! How a batch ended, and what it counted: for the crew that runs it, the plan that counts, and the engine that asked for it.

use super::decision::Stop;
use crate::process::Exit;
use crate::workers::Lost;
use crate::workers::watch::Stuck;

/// How a batch ended.
pub(crate) enum Ended {
    /// By a decision.
    Stopped(Stop),
    /// A process ended that the engine did not kill.
    Died { process: usize, exit: Exit },
    /// The process that has the turn does not come back.
    Outside { process: usize, stuck: Stuck },
    /// The machinery itself cannot go on.
    Lost(Lost),
}

/// Counts of a batch.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) executions: u64,
    pub(crate) failing: u64,
    pub(crate) remaining: u64,
    /// Steps that executions may still take.
    pub(crate) steps: u64,
}

/// Phase, other than an operation, in which a process waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    Attach,
    Drop,
}
