//! Children and fresh processes: their results, their ends, and that no process or descriptor of
//! them is left.
//!
//! Forks happen in fresh processes, since a test process has several threads. Each job returns what
//! it saw, so that a job that did not run fails its test.
#![cfg(feature = "harness")]

mod clean;
mod descriptors;
mod ends;
mod refused;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod values;
#[path = "../victim/mod.rs"]
mod victim;

use forkcheck::Error;
use forkcheck::process::Exit;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Returns a job's view of an error: its text, and the exit in it.
fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, Option<Exit>) {
    let error = result.unwrap_err();
    (error.to_string(), error.exit().cloned())
}

/// Returns whether this process has no child at all, not even a zombie.
fn childless() -> bool {
    waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) == Err(Errno::ECHILD)
}
