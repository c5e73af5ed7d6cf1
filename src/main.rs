//! The `forkcheck` command: checks the built-in structures on the engines, lists them, and replays
//! saved cases.
#![allow(unsafe_code, reason = "SIGPIPE as other commands have it")]

mod command;

use clap::Parser;
use command::Command;
use nix::sys::signal::{SigHandler, Signal, signal};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Rust ignores SIGPIPE before `main`. With the default action, a command whose reader is gone ends silently.
    // SAFETY: signal with SIG_DFL installs no handler.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    Command::parse().run().into()
}
