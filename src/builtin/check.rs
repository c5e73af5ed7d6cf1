//! The check of a built-in structure on an engine, within limits from a command line.

use super::dead_writer::{self, DeadWriter};
use super::replay::SavedCase;
#[cfg(feature = "loom")]
use crate::engine::loom::{Loom, LoomMemory};
use crate::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use crate::error::Error;
use crate::memory::Hardware;
use crate::report::Report;
use crate::structure::WithHandles;
use crate::suite::Suite;
use std::path::PathBuf;
use std::time::Duration;

/// Settings that a check overrides; what is `None` comes from the environment, or else from the suite.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The number of programs to draw.
    pub cases: Option<u32>,
    /// Time after which no new program is drawn.
    pub time: Option<Duration>,
    /// The seed of the draws.
    pub seed: Option<u64>,
    /// The one case to run instead.
    pub replay: Option<SavedCase>,
    /// The command that replays a token.
    pub command: String,
    /// The row of the report at which gdb is attached to its process; 0 for that of the access that shows the failure.
    pub gdb_row: Option<usize>,
    /// The file for the report as a trace; by default in a directory that `FORKCHECK_TRACE` names, unless the verdict is `ok`.
    pub trace: Option<PathBuf>,
    /// The place of the report as a page; by default a directory that `FORKCHECK_HTML` names.
    pub html: Html,
}

/// The place of a report page.
#[derive(Clone, Debug, Default)]
pub enum Html {
    /// No page, unless `FORKCHECK_HTML` is set.
    #[default]
    Nowhere,
    /// A file in this directory, named after the suite and the engine, unless the verdict is `ok`.
    Directory(PathBuf),
    /// This file, whatever the verdict.
    File(PathBuf),
}

/// A check of one structure on one engine.
pub type Check = fn(&Overrides) -> Result<Report, Error>;

/// Checks a structure on an engine within these limits.
///
/// # Errors
/// If the suite, the environment or the case to replay is invalid, or a system call fails.
pub fn check<E: Engine, S: WithHandles<Memory = E::Memory>>(
    suite: Suite<S::Spec>,
    limits: &Overrides,
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
    if let Some(row) = limits.gdb_row {
        suite = suite.gdb_row(row);
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
    let trace = match (&limits.trace, suite.trace()) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(directory)) if report.verdict != "ok" => Some(report.trace_in(directory)),
        _ => None,
    };
    let report = match page {
        Some(page) => report.with_page(&page),
        None => report,
    };
    Ok(match trace {
        Some(trace) => report.with_trace(&trace),
        None => report,
    })
}

/// Returns the check of [`DeadWriter`] on each engine, with the engine's name.
///
/// It is here and not in the command so that the library contains one instance of each engine.
/// Without optimisation the compiler reuses from it what does not depend on a structure's types, and
/// each program with a suite compiles a third fewer instructions.
pub fn checks_of_dead_writer() -> Vec<(&'static str, Check)> {
    Vec::from([
        (
            Processes::NAME,
            (|limits| check::<Processes, DeadWriter<Hardware>>(dead_writer::suite(), limits))
                as Check,
        ),
        (Stepped::NAME, |limits| {
            check::<Stepped, DeadWriter<SteppedMemory>>(dead_writer::suite(), limits)
        }),
        (Kills::NAME, |limits| {
            check::<Kills, DeadWriter<SteppedMemory>>(dead_writer::suite(), limits)
        }),
        #[cfg(feature = "loom")]
        (Loom::NAME, |limits| {
            check::<Loom, DeadWriter<LoomMemory>>(dead_writer::suite(), limits)
        }),
    ])
}
