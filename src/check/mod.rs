//! Judges histories. Pure: no process, no clock, no I/O; the same history gives the same verdict.

mod linearizable;
mod verdict;

pub use linearizable::{Criterion, explain};
pub use verdict::{Blocked, Explanation, Finding, Kind, Verdict};
