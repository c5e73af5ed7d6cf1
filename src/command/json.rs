//! Outcomes and subjects as one JSON object a line.

use super::expected;
use forkcheck::builtin::{Builtin, Told};
use serde_json::{Value, json};

/// What came of a subject on an engine. What could not be run is `unavailable`, with the reason.
pub(super) fn outcome(builtin: &Builtin, engine: &str, told: &Result<Told, String>) -> Value {
    let mut object = json!({
        "subject": builtin.name,
        "engine": engine,
        "expected": expected(builtin.is_planted(engine)),
    });
    object["verdict"] = told
        .as_ref()
        .map_or("unavailable", |told| told.verdict)
        .into();
    let told = match told {
        Err(error) => {
            object["reason"] = error.as_str().into();
            for nothing in ["kind", "seed", "token"] {
                object[nothing] = Value::Null;
            }
            for none in ["cases", "executions", "seconds", "waited"] {
                object[none] = 0.into();
            }
            return object;
        }
        Ok(told) => told,
    };
    object["kind"] = told.kind.map(|kind| kind.to_string().to_lowercase()).into();
    object["reason"] = told.reason.clone().into();
    object["cases"] = told.covered.programs.into();
    object["executions"] = told.covered.executions.into();
    object["failing"] = told.covered.failing.into();
    object["halted"] = told.covered.halted.into();
    object["overlapping"] = told.covered.overlapping.into();
    object["seconds"] = told.took.as_secs_f64().into();
    object["waited"] = told.waited.as_secs_f64().into();
    object["seed"] = told.seed.into();
    object["token"] = told.token.clone().into();
    object["kill_points"] = told.covered.kill_points.into();
    object["killed"] = told.covered.killed.into();
    object["later_points"] = told.covered.later_points.into();
    object["killed_again"] = told.covered.killed_again.into();
    object["killed_by_sigkill"] = told.covered.by_sigkill.into();
    object["samples"] = told.covered.samples.into();
    object["by_processes"] = told.covered.by_processes.into();
    object["same_pid"] = told.covered.same_id.into();
    object["worst_steps"] = told.covered.worst.into();
    // The finding as the report tells it: plain data, so that nothing fails to become JSON.
    let (schedule, kills) = told.schedule.clone().unzip();
    object["schedule"] = json!(schedule);
    object["kills"] = json!(kills);
    object["steps"] = json!(told.steps);
    object["passes"] = json!(told.passes);
    let words = told.words.as_ref();
    object["why"] = json!(words.map(|words| &words.why));
    object["explanation"] = json!(words.map(|words| &words.reason));
    object["origin"] = json!(words.map(|words| &words.origin));
    object["rate"] = json!(words.map(|words| &words.rate));
    object
}

/// A subject of the list.
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
