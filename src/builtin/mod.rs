//! The crate's own publications as structures, and for each a planted broken twin that the engines
//! must find: a harness that was never seen to fail proves nothing.
//!
//! Each file has a `suite()`. The `forkcheck` command lists the structures and checks them with
//! [`check()`], which `tests/command/builtins.rs` observes. A crate that depends on this one therefore does
//! not compile them for each engine, except for one: see [`checks_of_dead_writer`].

mod check;
pub mod dead_writer;
pub mod double_buffer;
pub mod early_flag;
pub mod early_index;
pub mod early_publish;
pub mod event_count;
pub mod latest;
pub mod lost_wake;
pub mod one_shot;
mod replay;
pub mod ring;
pub mod seq_lock;

pub use check::{Check, Html, Overrides, check, checks_of_dead_writer};
pub use dead_writer::DeadWriter;
pub use double_buffer::DoubleBuffer;
pub use early_flag::EarlyFlag;
pub use early_index::EarlyIndex;
pub use early_publish::EarlyPublish;
pub use event_count::CheckedEventCount;
pub use latest::CheckedLatest;
pub use lost_wake::LostWake;
pub use one_shot::CheckedOneShot;
pub use replay::{SavedCase, known};
pub use ring::CheckedRing;
pub use seq_lock::CheckedSeqLock;

/// Returns the width of the standard output: of `COLUMNS`, or else of the terminal, if it is one.
#[must_use]
pub fn columns_of_output() -> Option<usize> {
    crate::suite::columns_of_output()
}

/// Returns whether the environment asks for reports that leave out and cut nothing.
///
/// # Errors
/// If the environment has a setting that is none.
pub fn is_verbose() -> Result<bool, crate::Error> {
    crate::suite::is_verbose()
}

/// Returns a report as text for the standard output, as wide as it is, with colours where it shows them.
#[must_use]
pub fn text_for_output(report: &crate::Report, verbose: bool) -> String {
    crate::suite::text_for_output(report, verbose)
}

/// A message of two words that belong together: a value and its check sum. A torn copy shows.
pub type Pair = [u64; 2];

/// Returns the message of a value. It takes some tens of nanoseconds, as encoding a message does.
fn message(value: u64) -> Pair {
    let round = |sum: u64, _| {
        (sum ^ value)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
    };
    [value, (0..64).fold(value, round) % 1000]
}
