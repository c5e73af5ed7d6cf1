//! Lines of output. If a line cannot be written, the command reports that and ends.

use super::standing::CANNOT_SAY;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use forkcheck::Report;
use forkcheck::builtin::{columns_of_output, is_verbose, text_for_output};
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

/// Returns a report as text for the standard output. What the environment asks for was read before it was made.
pub(super) fn report_text(report: &Report) -> String {
    text_for_output(report, is_verbose().unwrap_or_default())
}

/// Returns an empty table with this header. In a narrow terminal the columns in `wrapped` wrap: each has its number, and the
/// characters that it keeps at least.
pub(super) fn table<const N: usize>(header: [&str; N], wrapped: &[(usize, u16)]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if let Some(width) = columns_of_output() {
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        let least = wrapped.iter().find(|(wraps, _)| *wraps == number);
        column.set_constraint(match least {
            // The two spaces beside the text count.
            Some((_, least)) => ColumnConstraint::LowerBoundary(Width::Fixed(least + 2)),
            None => ColumnConstraint::ContentWidth,
        });
    }
    table
}

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
