//! The machinery of the engines that run really forked processes: a [`Pool`] forked once, logs in shared
//! memory, and a [`Watch`] on processor time.
//!
//! All of it lives in the zygote, which is single-threaded, so forking is safe there.

mod clock;
mod control;
mod log;
mod pool;
mod start;
pub(crate) mod stepped;
mod turns;
mod watch;
mod worker;

pub(crate) use control::Phase;
pub(crate) use pool::{Batch, Ended, Pool, Tally};
pub(crate) use turns::machine_turn;
pub(crate) use watch::Stuck;
#[cfg(feature = "loom")]
pub(crate) use watch::Watch;
