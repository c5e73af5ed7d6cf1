//! What a person reads. Rendering only: it is given an outcome and gives text.

mod printed;
mod recorded;
mod rows;
mod site;
mod table;
mod text;

pub(crate) use recorded::of_history;
pub use site::Site;
pub(crate) use site::command_of_suite;
pub use text::{Reason, Words};
pub(crate) use text::{text, words};

use std::io::Write;

/// To the terminal itself, past the capture of a passing test's output.
pub(crate) fn loudly(text: &str) {
    // If there is nobody to hear it, nothing is lost that could be kept.
    let _ = writeln!(std::io::stderr(), "{text}");
}
