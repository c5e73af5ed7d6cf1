//! The machinery of the engines that run really forked processes: a [`Pool`] forked once, logs in shared
//! memory, and a [`Watch`] on processor time.
//!
//! All of it lives in the zygote, which is single-threaded, so forking is safe there.

mod bell;
mod clock;
mod control;
mod futex;
mod halt;
mod locks;
mod log;
mod maps;
mod placed;
mod pool;
pub(crate) mod private;
mod start;
pub(crate) mod stepped;
mod trap;
mod turns;
mod watch;
mod worker;

#[cfg(feature = "loom")]
pub(crate) use bell::Sender;
pub(crate) use control::Phase;
pub(crate) use futex::PrivateWait;
pub(crate) use locks::private_lock;
pub(crate) use pool::{Batch, Ended, Pool, Tally};
pub(crate) use turns::MachineTurn;
pub(crate) use watch::Stuck;
#[cfg(feature = "loom")]
pub(crate) use watch::{BETWEEN_LOOKS, Watch};

use crate::error::Error;
use crate::schedule::MAX_PROCESSES;
use std::fmt;

/// The largest subject, in bytes. It is built on the stack, which without optimisation holds several copies, and moved.
const LARGEST: usize = 1 << 20;

/// Why an engine's own machinery cannot go on: what a structure did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Memory that is none of the structure's has changed: a seal is broken.
    Overwritten,
    /// Every process sleeps, and none of them has a step to take.
    Idle,
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
        })
    }
}

/// Whether workers can be forked for so many roles and for such a subject.
fn possible<S>(roles: &[String]) -> Result<(), Error> {
    if roles.is_empty() || roles.len() > MAX_PROCESSES {
        return Err(Error::invalid(
            format!("a suite of {} processes", roles.len()),
            format!("give it 1 to {MAX_PROCESSES}"),
        ));
    }
    if size_of::<S>() > LARGEST {
        return Err(Error::invalid(
            format!(
                "a subject of {} bytes, which is built on the stack",
                size_of::<S>()
            ),
            format!("check a smaller one, of at most {LARGEST} bytes: a few slots show the same"),
        ));
    }
    Ok(())
}
