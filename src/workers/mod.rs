//! The machinery of the engines that run really forked processes: a [`Pool`] forked once, logs in shared
//! memory, and a [`Watch`] on processor time.
//!
//! All of it lives in the zygote, which is single-threaded, so forking is safe there.

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

pub(crate) use control::Phase;
pub(crate) use futex::PrivateWait;
pub(crate) use locks::private_lock;
pub(crate) use pool::{Batch, Ended, Pool, Tally};
pub(crate) use turns::MachineTurn;
pub(crate) use watch::Stuck;
#[cfg(feature = "loom")]
pub(crate) use watch::Watch;

use crate::error::Error;
use crate::schedule::MAX_PROCESSES;

/// The largest subject, in bytes. It is built on the stack, which without optimisation holds several copies, and moved.
const LARGEST: usize = 1 << 20;

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
