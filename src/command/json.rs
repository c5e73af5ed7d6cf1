//! Outcomes and structures, as one JSON object per line.

use super::builtins::Builtin;
use super::standing::expected;
use forkcheck::Report;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The fields of a report, and those that only the command knows.
#[derive(Serialize)]
struct Outcome<'a> {
    /// The name of the structure.
    structure: &'a str,
    /// The verdict that is expected of it on this engine.
    expected: &'static str,
    #[serde(flatten)]
    report: Cow<'a, Report>,
}

/// Returns the outcome of a structure on an engine; `unavailable` with the reason if it could not
/// be run.
pub(super) fn outcome(builtin: &Builtin, engine: &str, report: &Result<Report, String>) -> String {
    let report = match report {
        Ok(report) => Cow::Borrowed(report),
        Err(error) => Cow::Owned(unavailable(builtin, engine, error)),
    };
    let outcome = Outcome {
        structure: builtin.name,
        expected: expected(builtin.is_planted(engine)),
        report,
    };
    in_json(&outcome)
}

/// Returns an outcome as JSON.
pub(super) fn in_json(outcome: &impl Serialize) -> String {
    serde_json::to_string(outcome).expect("a report is plain data, so converting it cannot fail")
}

/// Returns the report of a check that could not be run.
fn unavailable(builtin: &Builtin, engine: &str, error: &str) -> Report {
    let mut report = Report::default();
    report.test = format!("{}::{engine}", builtin.suite);
    report.suite.clone_from(&builtin.suite);
    report.engine = engine.to_owned();
    report.verdict = "unavailable";
    report.headline = error.to_owned();
    report
}

/// Returns a structure for the list.
pub(super) fn structure(builtin: &Builtin) -> Value {
    let engines: Vec<&str> = builtin.engines.iter().map(|(engine, _)| *engine).collect();
    json!({
        "structure": builtin.name,
        "about": builtin.about,
        "expected": expected(!builtin.planted.is_empty()),
        "found_by": builtin.planted,
        "engines": engines,
    })
}
