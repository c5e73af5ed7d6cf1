//! Judges histories. Pure: no process, no clock, no I/O; the same history gives the same verdict.
//!
//! [`explain`] judges what happened; [`rest`] judges an execution in which no process can move any more.

mod asked;
mod bits;
mod linearizable;
mod search;
mod seen;
mod verdict;

#[cfg(feature = "loom")]
pub(crate) use asked::is_of_the_spec;
pub use linearizable::{Criterion, Limits, explain, rest};
pub(crate) use linearizable::{Order, Watcher, blame, explain_watched, rest_watched};
pub use verdict::{Blocked, Explanation, Finding, Kind, Verdict};
