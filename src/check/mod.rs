//! Judges histories. Pure: no process, no clock, no I/O; the same history gives the same verdict.
//!
//! [`explain`] judges what happened; [`rest`] judges an execution in which nobody can move any more.

mod linearizable;
mod seen;
mod verdict;

pub use linearizable::{Criterion, Limits, explain, rest};
pub use verdict::{Blocked, Explanation, Finding, Kind, Verdict};
