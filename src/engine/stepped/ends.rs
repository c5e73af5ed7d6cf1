//! The end of a batch, and its counts: for the crew that runs it, the plan that counts, and the engine that requested
//! it.

use super::scheduler::decision::Stop;
use crate::process::Exit;
use crate::workers::Lost;
use crate::workers::watch::Stuck;

/// The end of a batch.
pub(crate) enum Ended {
    /// A decision stopped it.
    Stopped(Stop),
    /// A process ended that the engine did not kill.
    Died { process: usize, exit: Exit },
    /// The process that has the turn does not return.
    Outside { process: usize, stuck: Stuck },
    /// The engine itself cannot go on.
    Lost(Lost),
}

/// The counts of a batch.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) executions: u64,
    pub(crate) failing: u64,
    pub(crate) remaining: u64,
    /// The steps that executions may still take.
    pub(crate) steps: u64,
}

/// The phase, other than an operation, in which a process waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    Attach,
    Drop,
}
