//! The options of a check: on which engines, how much, and how the outcome is told.

use super::builtins;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use forkcheck::builtin::{Html, Overrides};
use std::path::PathBuf;
use std::time::Duration;

/// The options that choose engines, budgets and output.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    /// Run on this engine only; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = engines())]
    pub(super) engine: Vec<String>,
    /// Programs to draw for each; engines that explore stop once they have run as many executions as four may take, or
    /// sixteen of `stepped` and `kills`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    pub(super) cases: Option<u32>,
    /// The time limit for a structure on an engine: a safety net. What it cuts short is unknown.
    #[arg(long, value_name = "T", value_parser = seconds, allow_negative_numbers = true)]
    pub(super) seconds: Option<Duration>,
    /// The seed of what is drawn; a new one each time, unless it is given.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(super) seed: Option<u64>,
    /// Writes the report of each check that is not ok into this directory too, as a page for a browser: SUITE-ENGINE.html.
    #[arg(long, value_name = "DIR")]
    pub(super) html: Option<PathBuf>,
    /// One JSON object a line, for programs, and nothing else.
    #[arg(long)]
    pub(super) json: bool,
}

impl Options {
    pub(super) fn limits(&self) -> Overrides {
        Overrides {
            cases: self.cases,
            time: self.seconds,
            seed: self.seed,
            replay: None,
            command: called(),
            gdb_row: None,
            trace: None,
            html: self.html.clone().map_or(Html::Nowhere, Html::Directory),
        }
    }
    pub(super) fn names(&self, engine: &str) -> bool {
        self.engine.is_empty() || self.engine.iter().any(|name| name == engine)
    }
}

fn engines() -> impl TypedValueParser<Value = String> {
    let mut names: Vec<&str> = Vec::new();
    for (engine, _) in builtins::all().iter().flat_map(|builtin| &builtin.engines) {
        if !names.contains(engine) {
            names.push(engine);
        }
    }
    PossibleValuesParser::new(names)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "a number above 0 is wanted, such as 2.5".into())
}

/// Returns the call of this command, so that the commands that it prints can be pasted.
pub(super) fn called() -> String {
    let first = std::env::args_os().next();
    first.map_or("forkcheck".into(), |it| it.to_string_lossy().into_owned())
}
