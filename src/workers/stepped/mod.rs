//! Really forked processes of which one moves at a time: each asks a strategy before each access to shared memory, and
//! gives the turn to whoever it names. So an execution is a list of choices, and comes again.
//!
//! [`Crew`] forks and supervises; `worker` is one process of it; [`stepper`] is what its memory calls; `board` is the page
//! that they share; `plan` is what is known between two steps, `process` what of one process, and `footprint` which words matter to whom.

mod board;
mod crew;
mod ends;
mod execution;
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

pub(crate) use crew::{Crew, Judge, RunAs};
pub(crate) use ends::{Ended, Outside};
pub(crate) use plan::LONGEST;
pub(crate) use stepper::Note;
