//! `forkcheck history`: judges a history from a file of JSON lines by a ready spec.

mod fields;
mod input;
mod specs;

use super::json::in_json;
use super::print::{complain, report_text, say};
use super::standing::Standing;
use clap::ValueEnum;
use fields::{Fields, Json, OpAndRet};
use forkcheck::builtin::is_verbose;
use forkcheck::check::Limits;
use forkcheck::recorded::judge_for_output;
use forkcheck::spec::{
    Barrier, CasRegister, Counter, Event, Lock, Map, Queue, Register, RelaxedQueue, Semaphore, Set,
    Stack,
};
use forkcheck::{Report, Spec};
use input::{Recorded, recorded};
use serde::Serialize;
use specs::{
    of_barrier, of_cas, of_counter, of_event, of_lock, of_map, of_queue, of_register,
    of_relaxed_queue, of_semaphore, of_set, of_stack,
};

use std::path::Path;

/// The ready specs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Ready {
    /// Reads return the last value written.
    Register,
    /// A register with compare-and-swap.
    Cas,
    /// First in, first out.
    Queue,
    /// First in, first out; a pop may be empty beside a push that has not returned.
    RelaxedQueue,
    /// Last in, first out.
    Stack,
    /// Elements, judged one by one.
    Set,
    /// Keys and values, judged key by key.
    Map,
    /// A sum.
    Counter,
    /// A lock with an owner.
    Lock,
    /// Permits, none at first.
    Semaphore,
    /// A barrier of all processes of the file.
    Barrier,
    /// An event that is set and reset, not set at first.
    Event,
}

/// A file with calls, and how they are judged.
struct File<'a> {
    path: &'a Path,
    limits: Limits,
    verbose: bool,
}

/// Judges the history in a file, and prints the outcome.
pub(super) fn history(path: &Path, spec: Ready, limits: Limits, json: bool) -> Standing {
    let verbose = match is_verbose() {
        Ok(verbose) => verbose,
        Err(error) => {
            complain!("error: {error}");
            return Standing::CannotSay;
        }
    };
    let file = File {
        path,
        limits,
        verbose,
    };
    let file = &file;
    let null = Json("null".into());
    let outcome = match spec {
        Ready::Register => outcome::<Register<Json>>(file, &null, of_register),
        Ready::Cas => outcome::<CasRegister<Json>>(file, &null, of_cas),
        Ready::Queue => outcome::<Queue<Json>>(file, &usize::MAX, of_queue),
        Ready::RelaxedQueue => outcome::<RelaxedQueue<Json>>(file, &usize::MAX, of_relaxed_queue),
        Ready::Stack => outcome::<Stack<Json>>(file, &(), of_stack),
        Ready::Set => outcome::<Set<Json>>(file, &(), of_set),
        Ready::Map => outcome::<Map<Json, Json>>(file, &(), of_map),
        Ready::Counter => outcome::<Counter>(file, &0, of_counter),
        Ready::Lock => outcome::<Lock>(file, &(), of_lock),
        Ready::Semaphore => outcome::<Semaphore>(file, &0, of_semaphore),
        Ready::Barrier => {
            processes(path).and_then(|parties| outcome::<Barrier>(file, &parties, of_barrier))
        }
        Ready::Event => outcome::<Event>(file, &false, of_event),
    };
    let mut outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            complain!("error: {}{error}", path.display());
            return Standing::CannotSay;
        }
    };
    let standing = match outcome.report.verdict {
        "ok" => Standing::AsExpected,
        "finding" => Standing::NotAsExpected,
        _ => Standing::CannotSay,
    };
    if json {
        let name = spec.to_possible_value();
        outcome.spec = name.map_or(String::new(), |name| name.get_name().to_owned());
        say!("{}", in_json(&outcome));
        return standing;
    }
    say!("{}", report_text(&outcome.report));
    if let Some(line) = outcome.line {
        say!(" line:        {line}");
    }
    standing
}

/// Returns the number of processes of a file, which are the parties of its barrier.
fn processes(file: &Path) -> Result<usize, String> {
    recorded::<Barrier>(file, of_barrier).map(|recorded| recorded.names.len())
}

/// The outcome of a history: the fields of its report, and those that only the command knows.
#[derive(Serialize)]
struct Outcome {
    /// The name of the spec.
    spec: String,
    /// The calls of the file.
    calls: usize,
    /// The number of calls that never returned.
    pending: usize,
    /// The line of the call to blame.
    line: Option<usize>,
    #[serde(flatten)]
    report: Report,
}

fn outcome<S: Spec>(
    File {
        path,
        limits,
        verbose,
    }: &File<'_>,
    setup: &S::Setup,
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
) -> Result<Outcome, String> {
    let Recorded {
        names,
        history,
        lines,
    } = recorded::<S>(path, read)?;
    let name = path.display().to_string();
    let judged = judge_for_output(&name, &names, setup, &history, *limits, *verbose);
    let mut report = judged.report;
    if report.verdict == "unknown" {
        // The limits are options here.
        report.headline = report.headline.replace("Limits::", "--");
    }
    let calls = || history.calls.iter().flatten();
    Ok(Outcome {
        spec: String::new(),
        calls: calls().count(),
        pending: calls().filter(|call| call.ret.is_none()).count(),
        line: judged.blamed.map(|(process, call)| lines[process][call]),
        report,
    })
}
