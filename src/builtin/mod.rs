//! The crate's own publications as structures, and for each a planted broken twin that the engines must find: a harness
//! that was never seen to fail proves nothing.
//!
//! Each is a file with a `suite()`. The `forkcheck` command lists them and checks them with [`check`]; that it does is what
//! `tests/builtins.rs` sees, so a crate that depends on this one does not compile them for each engine.

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

pub use dead_writer::DeadWriter;
pub use double_buffer::DoubleBuffer;
pub use early_flag::EarlyFlag;
pub use early_index::EarlyIndex;
pub use early_publish::EarlyPublish;
pub use event_count::CheckedEventCount;
pub use latest::CheckedLatest;
pub use lost_wake::LostWake;
pub use one_shot::CheckedOneShot;
pub use replay::{Known, known};
pub use ring::CheckedRing;
pub use seq_lock::CheckedSeqLock;

use crate::engine::Engine;
use crate::error::Error;
use crate::report::Report;
use crate::structure::WithHandles;
use crate::suite::Suite;
use std::path::PathBuf;
use std::time::Duration;

/// A message of two words that belong together: a value and its check sum. A torn copy shows.
pub type Pair = [u64; 2];

/// The message of a value. It takes some tens of nanoseconds, as encoding a message does.
fn message(value: u64) -> Pair {
    let round = |sum: u64, _| {
        (sum ^ value)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
    };
    [value, (0..64).fold(value, round) % 1000]
}

/// How much to run; what is `None` is left to the environment, and then to the suite.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Programs to draw.
    pub cases: Option<u32>,
    /// Time after which no new program is drawn.
    pub time: Option<Duration>,
    /// The seed of what is drawn.
    pub seed: Option<u64>,
    /// The one case to run instead.
    pub replay: Option<Known>,
    /// How the command is called that replays a token.
    pub command: String,
    /// The file or directory of the report as a page; `FORKCHECK_HTML` names a directory where this names nothing.
    pub html: Html,
}

/// Place of a page.
#[derive(Clone, Debug, Default)]
pub enum Html {
    /// None is asked for.
    #[default]
    Nowhere,
    /// In this directory, under the name of the suite and the engine, unless the verdict is `ok`.
    Directory(PathBuf),
    /// In this file, whatever the verdict.
    File(PathBuf),
}

/// Checks a structure on an engine, with these limits.
///
/// # Errors
/// The suite, the environment or the case to replay makes no sense, or a system call failed.
pub fn check<E: Engine, S: WithHandles<Memory = E::Memory>>(
    suite: Suite<S::Spec>,
    limits: &Limits,
) -> Result<Report, Error> {
    let mut suite = suite.with_environment()?;
    if let Some(cases) = limits.cases {
        suite = suite.cases(cases);
    }
    if let Some(time) = limits.time {
        suite = suite.time(time);
    }
    if let Some(seed) = limits.seed {
        suite = suite.seed(seed);
    }
    if let Some(known) = &limits.replay {
        suite = suite.replay(&known.token::<S::Spec>()?);
    }
    let outcome = suite.check::<E, S>()?;
    let report = suite.report_with(&outcome, |token| {
        format!("{} replay {token}", limits.command)
    });
    let page = match (&limits.html, suite.html()) {
        (Html::File(file), _) => Some(file.clone()),
        _ if report.verdict == "ok" => None,
        (Html::Directory(directory), _) => Some(report.page_in(directory)),
        (Html::Nowhere, directory) => directory.map(|directory| report.page_in(directory)),
    };
    Ok(match page {
        Some(page) => report.with_page(&page),
        None => report,
    })
}
