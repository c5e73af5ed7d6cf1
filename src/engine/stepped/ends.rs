//! The end of a batch: for the crew that runs it, and the engine that requested it.

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
