//! Reports of checks: an outcome becomes one [`Report`], which is data, and a report becomes text,
//! JSON or a page.

mod annotation;
mod covered;
mod data;
mod json;
mod made;
mod page;
mod phrases;
mod printed;
mod recorded;
mod rows;
mod sentence;
mod site;
pub(crate) mod summary;
mod table;
mod text;
mod words;

pub use data::{Linearization, NearMiss, Operation, Process, Reason, Report, Word};
pub(crate) use made::{About, report};
pub(crate) use recorded::of_history;
pub use site::Site;
pub(crate) use site::command_of_suite;

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
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    // The form is that of the standard library, which test runners look for.
    eprintln!("\nthread '{name}' panicked at {at}:\n{text}");
    std::panic::resume_unwind(Box::new(text))
}
