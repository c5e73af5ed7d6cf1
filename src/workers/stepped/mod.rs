//! Processes of which one moves at a time: each asks a strategy before each access to shared memory, and gives the turn to
//! the process that it names. So an execution is a list of choices, and comes again. To search with they are coroutines of one forked
//! process; what is told, and samples of what passes, is done by really forked ones.
//!
//! | file | what is in it |
//! |---|---|
//! | `crew` | forks the host or the workers, and supervises them; replaces those that were killed |
//! | `host` | all processes as coroutines; what they share and forked ones do not |
//! | `worker` | one forked process |
//! | `execution` | the structure of one execution after another: built, used, judged, dropped |
//! | [`stepper`] | what memory calls before each access, in a coroutine or a worker |
//! | `fairness` | the rules by which a process that waits by looking lets others go first |
//! | `decision` | what happens next, and why an execution or a batch stops |
//! | `plan` | what is known between two steps, and who goes next; `process` what of one process, `states` where all are, `footprint` which words matter to whom, `points` where a process was killed, `workers` who runs on which |
//! | `board`, `shared` | the page that holds the plan, and what else all of them see |

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
pub(crate) use plan::LONGEST;
pub(crate) use shared::Judge;
pub(crate) use stepper::Note;
