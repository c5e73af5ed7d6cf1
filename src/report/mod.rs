//! Reports of checks: an outcome becomes one [`Report`], which is data, and a report becomes text,
//! JSON or a page.

mod annotation;
mod covered;
mod data;
mod excerpt;
mod files;
mod json;
mod made;
mod marked;
mod page;
mod phrases;
mod printed;
mod recorded;
mod rows;
mod screen;
mod sentence;
mod site;
pub(crate) mod summary;
mod table;
mod text;
mod trace;
mod words;
mod wrap;

pub use data::{
    Excerpt, Execution, Linearization, NearMiss, Operation, Process, Reason, Report, Word,
};
pub(crate) use made::{About, report};
pub(crate) use recorded::of_history;
pub(crate) use screen::columns_of;
#[doc(hidden)]
pub use screen::shows_colors;
#[doc(hidden)]
pub use site::Site;
pub(crate) use site::command_of_suite;
pub(crate) use table::WIDTH as COLUMNS;

use std::io::Write;
use std::panic::Location;

/// Prints to the terminal itself, which the capture of a passing test's output does not reach.
pub(crate) fn loudly(text: &str) {
    // If nothing reads it, there is no other place to keep it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Fails a test with a report, as a panic at this location does, but without the backtrace: it
/// would show this crate's own calls.
pub(crate) fn fail(text: String, at: &Location<'_>) -> ! {
    fail_showing(&text.clone(), text, at)
}

/// Fails a test as [`fail`] does: `shown` is printed, and may have colours; `text` is the payload of the panic, which
/// `should_panic` compares.
pub(crate) fn fail_showing(shown: &str, text: String, at: &Location<'_>) -> ! {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    // The form is that of the standard library, which test runners look for.
    eprintln!("\nthread '{name}' panicked at {at}:\n{shown}");
    std::panic::resume_unwind(Box::new(text))
}

/// Returns whether the output of a test should have colours. libtest prints what it captured to the standard output, and lets
/// through to the standard error what it does not capture: both have to show them.
pub(crate) fn tests_show_colors() -> bool {
    shows_colors(&std::io::stdout()) && shows_colors(&std::io::stderr())
}
