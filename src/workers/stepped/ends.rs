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

/// How a batch or an execution ended, as a number on the board.
pub(super) mod ended {
    pub(in super::super) const RUNS: u32 = 0;
    /// The executions that were asked for.
    pub(in super::super) const DONE: u32 = 1;
    /// The strategy has no other execution.
    pub(in super::super) const EXHAUSTED: u32 = 2;
    pub(in super::super) const JUDGED: u32 = 3;
    pub(in super::super) const STUCK: u32 = 4;
    pub(in super::super) const TOO_LONG: u32 = 5;
    pub(in super::super) const RACE: u32 = 6;
    pub(in super::super) const FULL: u32 = 7;
    pub(in super::super) const WAITS: u32 = 8;
    pub(in super::super) const WROTE: u32 = 9;
    /// A coroutine did something that it could not do as a process, or that another process would not notice.
    pub(in super::super) const DIFFERS: u32 = 10;
    /// A coroutine panicked.
    pub(in super::super) const PANICKED: u32 = 11;
    /// The host has no room left for what killed coroutines own; the batch goes on with another host.
    pub(in super::super) const SPENT: u32 = 12;
    /// An execution had a step of a new kind, and the batch goes on once it was compared.
    pub(in super::super) const NOVEL: u32 = 13;
}
