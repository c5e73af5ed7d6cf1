//! A line of the summary: what one test covered.

use serde::Deserialize;

/// A line of the file.
#[derive(Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) binary: String,
    pub(super) test: String,
    pub(super) engine: String,
    pub(super) verdict: String,
    pub(super) kind: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) programs: u64,
    pub(super) executions: u64,
    pub(super) covered: Vec<String>,
    pub(super) not_reached: Vec<String>,
    pub(super) unscheduled: Option<String>,
    pub(super) not_checked: Vec<String>,
    pub(super) milliseconds: u64,
    /// The name by which it is shown.
    #[serde(skip)]
    pub(super) shown: String,
}
