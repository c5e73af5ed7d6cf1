//! Lines of output. If a line cannot be written, the command reports that and ends.

use super::CANNOT_SAY;
use std::fmt::Arguments;
use std::io::{Write, stderr, stdout};

/// Writes a line to the standard output.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::command::print::to_output(format_args!($($line)*))
    };
}

/// Writes a line to the standard error.
macro_rules! complain {
    ($($line:tt)*) => {
        $crate::command::print::to_errors(format_args!($($line)*))
    };
}

pub(super) use {complain, say};

pub(super) fn to_output(line: Arguments<'_>) {
    let mut out = stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    if let Err(error) = written {
        complain!(
            "error: cannot write to the standard output: {error}; make room, or write elsewhere"
        );
        std::process::exit(CANNOT_SAY.into());
    }
}

/// Writes a line to the standard error. A failure is ignored: the exit code says the same.
pub(super) fn to_errors(line: Arguments<'_>) {
    let _ = writeln!(stderr(), "{line}");
}
