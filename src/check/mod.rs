//! Judges histories. The check is pure: it uses no process, no clock and no I/O, and gives one
//! verdict for one history.
//!
//! [`check`] judges a history; [`check_blocked`] judges an execution in which no process can continue.

mod asked;
mod bits;
mod criterion;
mod linearizable;
mod search;
mod seen;
mod verdict;
mod witness;

pub(crate) use asked::{is_of_the_spec, words_of_panic};
pub use criterion::{Criterion, Limits};
pub(crate) use criterion::{Judge, Order, Watcher};
pub(crate) use linearizable::{blame, check_blocked_watched, check_watched, other_result};
pub use linearizable::{check, check_blocked};
pub use verdict::{Blocked, Explanation, Finding, Kind, Verdict};
