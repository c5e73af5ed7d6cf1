//! Outcomes and structures, as one JSON object per line.

use super::builtins::Builtin;
use super::standing::expected;
use forkcheck::Report;
use serde_json::{Value, json};

/// Returns the outcome of a structure on an engine; `unavailable` with the reason if it could not
/// be run.
pub(super) fn outcome(builtin: &Builtin, engine: &str, report: &Result<Report, String>) -> Value {
    let mut object = json!({
        "subject": builtin.name,
        "engine": engine,
        "expected": expected(builtin.is_planted(engine)),
    });
    let report = match report {
        Err(error) => {
            object["verdict"] = "unavailable".into();
            object["reason"] = error.as_str().into();
            for nothing in ["kind", "seed", "token"] {
                object[nothing] = Value::Null;
            }
            for none in ["cases", "executions", "seconds", "waited"] {
                object[none] = 0.into();
            }
            return object;
        }
        Ok(report) => report,
    };
    let covered = &report.covered;
    object["verdict"] = report.verdict.into();
    object["kind"] = report.kind.as_ref().map(|kind| kind.to_lowercase()).into();
    let has_reason = matches!(report.verdict, "unknown" | "unavailable");
    object["reason"] = has_reason.then(|| report.headline.clone()).into();
    object["cases"] = covered.programs.into();
    object["executions"] = covered.executions.into();
    object["failing"] = covered.failing.into();
    object["paused"] = covered.paused.into();
    object["by_pauses"] = covered.by_pauses.into();
    object["overlapping"] = covered.overlapping.into();
    object["seconds"] = report.seconds.into();
    object["waited"] = report.waited.into();
    object["seed"] = report.seed.into();
    object["token"] = report.token.clone().into();
    object["kill_points"] = covered.kill_points.into();
    object["killed"] = covered.killed.into();
    object["later_points"] = covered.later_points.into();
    object["killed_again"] = covered.killed_again.into();
    object["killed_by_sigkill"] = covered.by_sigkill.into();
    object["samples"] = covered.samples.into();
    object["by_processes"] = covered.by_processes.into();
    object["same_pid"] = covered.same_id.into();
    object["worst_steps"] = covered.worst.into();
    // The finding is plain data, so converting it to JSON cannot fail.
    let is_finding = report.schedule.is_some();
    object["schedule"] = json!(report.schedule);
    object["kills"] = json!(is_finding.then_some(&report.kills));
    object["steps"] = json!(report.steps);
    let passes = report.near_misses.iter();
    object["passes"] = passes.map(|near_miss| near_miss.words.as_str()).collect();
    object["why"] = json!(is_finding.then_some(&report.headline));
    let linearization = report.linearization.as_ref();
    object["explanation"] = json!(linearization.map(|attempt| &attempt.reason));
    object["origin"] = json!(report.origin);
    object["rate"] = json!(report.rate);
    object["excerpts"] = json!(report.excerpts);
    object["page"] = json!(report.page);
    object["no_page"] = json!(report.no_page);
    object["trace"] = json!(report.trace_file);
    object["no_trace"] = json!(report.no_trace);
    object
}

/// Returns a structure for the list.
pub(super) fn subject(builtin: &Builtin) -> Value {
    let engines: Vec<&str> = builtin.engines.iter().map(|(engine, _)| *engine).collect();
    json!({
        "subject": builtin.name,
        "about": builtin.about,
        "expected": expected(!builtin.planted.is_empty()),
        "found_by": builtin.planted,
        "engines": engines,
    })
}
