//! Children that return more than an exit code: values of any size, panics with their words, typed exits.
//!
//! [`run`] and [`spawn`] fork, from a process that has one thread. Under `cargo test` a process has
//! several; there [`in_fresh_process`] runs a job in a fresh process with one thread, and forks
//! happen inside it. A child dies with the process that started it, and a handle never leaves a
//! zombie behind.
//!
//! # Untrusted input, and how waits end
//!
//! A child may write anything to descriptors and memory that it inherited, close them, or never end.
//!
//! | from a child, or a client | bound |
//! |---|---|
//! | the length of its record (`record`) | the bytes that were really written, and the memory that is free |
//! | the length of a frame (`frame`) | 1 GiB, and the bytes that have arrived |
//! | the offset of a job (`job`) | an aligned place in a readable mapping of this program's image, with the magic number and the name there |
//! | its output (`zygote`) | the last 16 KiB |
//! | a descriptor that is kept (record, socket, pidfd) | its device and inode are compared before it is written to, read or closed; without its pidfd a child is known by its pid |
//!
//! | wait | ends |
//! |---|---|
//! | [`Child::wait`] | with the child; its owner has [`Child::wait_timeout`] and [`Child::kill`] |
//! | [`Child::kill`] | with the child, which the kernel ends; where no call may kill it, at once and with an error |
//! | dropping a handle | as a kill, and after ten seconds at the latest |
//! | the start of a fresh process | after ten seconds at the latest |
//! | the answer of a fresh process | with the answer or the process; a timeout around the test is its owner's |
//! | a request (in the fresh process) | with the client, with which the process is killed as well |
//! | the guardian of a fresh process | with that or the client, and after all that they left, for which it waits five seconds |
//!
//! In this module: `fork` starts a child, `record` holds what it leaves behind, `child` waits for
//! it, and `exit` says how it ended. With the harness: `zygote` is the client of a fresh process,
//! `takeover` starts one, `job` is what it runs and `fresh` the simplest of those, `frame` is the protocol between both, `strays` are
//! the processes that its children leave behind, and its `guardian` ends those that it cannot end
//! itself.

#[cfg(feature = "harness")]
mod backtraces;
mod child;
mod exit;
mod fork;
#[cfg(feature = "harness")]
mod frame;
#[cfg(feature = "harness")]
mod fresh;
#[cfg(feature = "harness")]
mod guardian;
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
pub use fresh::in_fresh_process;

#[cfg(feature = "harness")]
pub(crate) use fork::end_now;
#[cfg(feature = "harness")]
pub(crate) use {
    backtraces::{print_backtraces, printed_panics},
    fork::{die_with_parent, spawn_as},
    frame::Channel,
    guardian::answer_requests,
    job::Job,
    record::leave_caught_panics_to,
    strays::end_strays,
    zygote::Session,
};

use serde::{Serialize, de::DeserializeOwned};

/// Returns a value as bytes that another process of this program reads.
fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    postcard::to_stdvec(value).map_err(|e| format!("turning it into bytes: {e}"))
}

/// Returns the value that all of the bytes encode.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("reading it back left {} bytes over", rest.len())),
        Err(e) => Err(format!("reading it back from {} bytes: {e}", bytes.len())),
    }
}
