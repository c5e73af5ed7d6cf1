//! How a batch ended, and what it counted: for the crew that runs it, the plan that counts, and the engine that asked for it.

use crate::process::Exit;
use crate::workers::Lost;
use crate::workers::watch::Stuck;

/// How a batch ended.
pub(crate) enum Ended {
    /// All executions that were asked for ran, or the time is over.
    Done,
    /// There is no other execution within the strategy's bounds.
    Exhausted,
    /// The last history is not Ok.
    Judged,
    /// No process can move any more; those that wait outside of an operation are named.
    Stuck(Vec<(usize, Outside)>),
    /// An execution, or an operation in it, takes too many steps.
    TooLong,
    /// Two processes were in one cell.
    Race,
    /// A process wrote whose mapping is read-only.
    Wrote,
    /// Every process but one that is in the middle of an operation waits.
    Waits,
    /// A process ended that the engine did not kill.
    Died { process: usize, exit: Exit },
    /// The process that has the turn does not come back.
    Outside { process: usize, stuck: Stuck },
    /// An execution had a step of a kind that none had before: [`resume`](super::Crew::resume) goes on with the batch.
    Novel,
    /// Coroutines did what processes could not do, or would not notice.
    Differs,
    /// A coroutine panicked.
    Panicked,
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
