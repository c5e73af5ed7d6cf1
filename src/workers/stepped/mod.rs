//! Processes of which one moves at a time: before each access to shared memory, a process asks a strategy, and gives
//! the turn to the process that it names. An execution is therefore a list of choices, and can be repeated. In a
//! search they are coroutines of one forked process; confirmation, and samples of what passes, use really forked
//! processes.
//!
//! | file | content |
//! |---|---|
//! | `crew` | forks the host or the workers, and supervises them; replaces those that were killed |
//! | `host` | all processes as coroutines; the memory that they share and forked ones do not |
//! | `worker` | one forked process |
//! | `execution` | the structure of one execution after another: built, used, judged, dropped |
//! | [`stepper`] | the call before each access of a memory, in a coroutine or a worker |
//! | `fairness` | the rules by which a process that waits by looking lets others go first |
//! | `decision` | the next event, and why an execution or a batch stops |
//! | `plan` | the state between two steps, and the choice of the next process; `process` is the part of one process, `states` all states, `footprint` the words by process, `points` the kill points, `workers` the worker of each process |
//! | `board`, `shared` | the page that holds the plan, and the other shared memory |

mod board;
mod crew;
mod decision;
mod ends;
mod execution;
mod fairness;
mod footprint;
mod host;
#[cfg(test)]
mod outcomes;
mod plan;
mod points;
mod process;
mod shared;
mod states;
pub(crate) mod stepper;
mod worker;
mod workers;

pub(crate) use crew::{Crew, RunAs};
pub(crate) use decision::Stop;
pub(crate) use ends::{Ended, Outside};
#[cfg(forkcheck_instrumented)]
pub(crate) use host::{PrivatePiece, private_pieces};
pub(crate) use plan::LONGEST;
pub(crate) use shared::Judge;
pub(crate) use stepper::Note;
