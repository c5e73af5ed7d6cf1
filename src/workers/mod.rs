//! The room that engines with forked processes share. It knows no engine, and no case.
//!
//! | file | content |
//! |---|---|
//! | `watch`, `futex` | the watchdog: processes without progress, and waits that no other process can end |
//! | `bell` | a pipe from workers to their supervisor |
//! | `log`, `seal` | records in shared memory, and words that show a stray write |
//! | `judging` | the limit on the check of one history |
//! | `maps`, `original` | the mappings of a process; the end of copies that a structure forks |
//! | `turns` | the right to use the machine |
//!
//! It is used in the zygote, which is single-threaded, so forking is safe there, and in the workers that the zygote forks.
//!
//! # Memory
//!
//! A process of a suite takes the pages that it touches. Of the address space, each coroutine takes
//! 8 MiB, less where that does not fit, and each thread of a model of loom takes 8 MiB. A limit on
//! addresses (RLIMIT_AS), and `vm.overcommit_memory=2`, count all of it. Where it does not fit, the
//! engine says so with the remedy.
//!
//! # Waits
//!
//! A structure may close descriptors, write anywhere, stop or kill processes. So each wait of a check has an end that
//! does not depend on the process that it waits for:
//!
//! | wait | for | ended at the latest by |
//! |---|---|---|
//! | the test's thread, `Session::exchange` | the reply of the zygote | the zygote's end (pidfd), a second after a signal stopped it, 10 s at its start |
//! | the zygote, `Channel::next` | a request | the end of the client: its socket closes, and the guardian kills the zygote |
//! | the zygote, in the spec of a suite | its answer | the guardian, after 90 s of processor time without a wait |
//! | the guardian, `Guardian::guard` | the end of the zygote or of the client | that, or its SIGKILL by the client; then 5 s for what is left |
//! | a supervisor, [`Bell::wait`](bell::Bell::wait) | a worker to ring or to end | 50 ms; then it looks at the seals, at the word that says how the batch ended, and at the [`Watch`] |
//! | the supervisor of a model, `poll` | the answer or the end of the model | 50 ms, and the [`Watch`] |
//! | a supervisor of looks (`private`, `locks`) | a process that looks | 2 or 5 ms; it gives up after 30 or 100 ms of processor time, or 5 or 20 looks at a sleeping process |
//! | a worker or a host, `await_round`, `await_turn` | another worker, or its supervisor | the supervisor, which kills it when it drops its handle; the kernel, when the supervisor ends |
//! | a worker, `await_start_line`, `Progress::wait` | a moment; a pause of another worker | the moment; 2 ms |
//! | a worker that has ended the batch or has to die, `pause` | its SIGKILL | the supervisor, as above |
//! | `Child::drop`, `Session::drop`, `end_strays` | processes that were killed or hung up on | 10 s, 10 s, 5 s |
//! | [`MachineTurn`] | other tests of this program | their verdicts |
//! | the test's thread, `Ahead::take`, `Ahead::drop` | an engine in another thread | its answer, as in the first row |
//! | [`MachineTurn`], where it is for the machine | other programs | 120 s |
//! | saving a case, flock(2) | another program that saves one | 10 s |
//!
//! The check of a history makes progress with each step of the spec, and is ended after a minute of processor time ([`Judging`]).
//!
//! The [`Watch`] calls processes stuck if nothing changed while they used the watchdog's processor
//! time (by default 2 s; 20 s while one prints a panic), or slept at the looks of that time, or at
//! 10 looks at which a signal had stopped one of them. It watches those that have something to do,
//! or all of them if none has. A stuck process is a verdict in words, and the workers are killed.

pub(crate) mod bell;
pub(crate) mod futex;
pub(crate) mod judging;
pub(crate) mod log;
pub(crate) mod maps;
pub(crate) mod original;
pub(crate) mod seal;
pub(crate) mod turns;
pub(crate) mod watch;

#[cfg(feature = "loom")]
pub(crate) use bell::{NO_POLL, Sender};
pub(crate) use futex::PrivateWait;
pub(crate) use judging::Judging;
pub(crate) use turns::MachineTurn;
#[cfg(feature = "loom")]
pub(crate) use watch::{BETWEEN_LOOKS, Watch};
pub(crate) use watch::{Stuck, WATCHDOG};

use crate::error::Error;
use crate::schedule::MAX_PROCESSES;
use std::fmt;

/// The largest structure, in bytes. It is built on the stack, which without optimisation holds several copies, and moved.
const LARGEST: usize = 1 << 20;

/// The reason why an engine's own machinery cannot go on: damage by a structure, or a check of a history that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Memory that does not belong to the structure has changed: a seal is broken.
    Overwritten,
    /// Every process sleeps, and none of them has a step to take.
    Idle,
    /// The check of a history took too long.
    Unjudged,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overwritten => {
                "an operation wrote over memory of the check itself, so nothing can be said: look for a pointer or an index that \
                 leads out of the structure"
            }
            Self::Idle => {
                "every process of the check sleeps and none has a step to take, so nothing can be said: look for an operation that \
                 writes beyond the structure, or wakes and stops processes that it does not know"
            }
            Self::Unjudged => {
                "the check of a history was not done after a minute of processor time, so nothing can be said; use fewer operations or fewer \
                 processes, or a spec whose steps take less time"
            }
        })
    }
}

/// Returns an error if workers cannot be forked for this many roles and for a structure of that size.
pub(crate) fn possible(size: usize, roles: &[String]) -> Result<(), Error> {
    if roles.is_empty() || roles.len() > MAX_PROCESSES {
        return Err(Error::invalid(
            format!("a suite of {} processes", roles.len()),
            format!("give it 1 to {MAX_PROCESSES}"),
        ));
    }
    if size > LARGEST {
        return Err(Error::invalid(
            format!("a structure of {size} bytes, which is built on the stack"),
            format!("check a smaller one, of at most {LARGEST} bytes: a few slots show the same"),
        ));
    }
    Ok(())
}
