//! The `forkcheck` command: checks the built-in subjects on the engines there are, lists them, replays what failed.

mod command;

use clap::Parser;
use command::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    Command::parse().run().into()
}
