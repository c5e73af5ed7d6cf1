//! Children that return more than an exit code: values of any size, panics with their words, typed exits.
//!
//! [`run`] and [`spawn`] fork, from a process that has one thread. Under `cargo test` every test has company;
//! there [`clean`] runs a job in a fresh process with one thread, and forks happen inside it. A child dies with
//! the process that started it, and a handle never leaves a zombie behind.
//!
//! In here: `fork` starts a child, `record` is what it leaves behind, `child` waits for it, `exit` says how it
//! ended. With the harness: `zygote` is the client of a clean process, `takeover` is how one starts, `job` is
//! what it runs, `frame` is how both talk, `strays` are what its children leave behind.

mod child;
mod exit;
mod fork;
#[cfg(feature = "harness")]
mod frame;
#[cfg(feature = "harness")]
mod job;
mod record;
#[cfg(feature = "harness")]
mod strays;
#[cfg(feature = "harness")]
mod takeover;
#[cfg(feature = "harness")]
mod zygote;

pub use child::Child;
pub use exit::{Exit, Panic};
pub use fork::{run, spawn};
#[cfg(feature = "harness")]
pub use job::clean;

#[cfg(feature = "loom")]
pub(crate) use fork::end_now;
#[cfg(feature = "harness")]
pub(crate) use {
    fork::{die_with_parent, spawn_as},
    frame::Channel,
    job::Job,
    strays::end_strays,
    zygote::Session,
};

use serde::{Serialize, de::DeserializeOwned};

/// A value as bytes that another process of this program reads.
fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(value).map_err(|e| format!("turning it into bytes: {e}"))
}

/// The value that all of the bytes are.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("reading it back left {} bytes over", rest.len())),
        Err(e) => Err(format!("reading it back from {} bytes: {e}", bytes.len())),
    }
}
