//! `forkcheck history`: judges a history from a file of JSON lines by a ready spec.

mod fields;
mod input;
mod specs;

use super::print::{complain, say};
use super::standing::Standing;
use clap::ValueEnum;
use fields::{Fields, Json, OpAndRet};
use forkcheck::Spec;
use forkcheck::check::{Limits, Verdict};
use forkcheck::recorded::{Judged, judge};
use forkcheck::spec::{
    Barrier, CasRegister, Counter, Event, Lock, Map, Queue, Register, RelaxedQueue, Semaphore, Set,
    Stack,
};
use input::{Recorded, recorded};
use serde_json::{Value, json};
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

/// Judges the history in a file, and prints the outcome.
pub(super) fn history(file: &Path, spec: Ready, limits: Limits, json: bool) -> Standing {
    let judged = match spec {
        Ready::Register => {
            judged::<Register<Json>>(file, &Json("null".into()), of_register, limits)
        }
        Ready::Cas => judged::<CasRegister<Json>>(file, &Json("null".into()), of_cas, limits),
        Ready::Queue => judged::<Queue<Json>>(file, &usize::MAX, of_queue, limits),
        Ready::RelaxedQueue => {
            judged::<RelaxedQueue<Json>>(file, &usize::MAX, of_relaxed_queue, limits)
        }
        Ready::Stack => judged::<Stack<Json>>(file, &(), of_stack, limits),
        Ready::Set => judged::<Set<Json>>(file, &(), of_set, limits),
        Ready::Map => judged::<Map<Json, Json>>(file, &(), of_map, limits),
        Ready::Counter => judged::<Counter>(file, &0, of_counter, limits),
        Ready::Lock => judged::<Lock>(file, &(), of_lock, limits),
        Ready::Semaphore => judged::<Semaphore>(file, &0, of_semaphore, limits),
        Ready::Barrier => processes(file)
            .and_then(|parties| judged::<Barrier>(file, &parties, of_barrier, limits)),
        Ready::Event => judged::<Event>(file, &false, of_event, limits),
    };
    match judged {
        Err(error) => {
            complain!("error: {}{error}", file.display());
            Standing::CannotSay
        }
        Ok(judged) => {
            if json {
                let name = spec.to_possible_value();
                let mut object = judged.object;
                object["spec"] = name.map(|name| name.get_name().to_owned()).into();
                say!("{object}");
            } else {
                say!("{}", judged.report);
            }
            judged.standing
        }
    }
}

/// Returns the number of processes of a file, which are the parties of its barrier.
fn processes(file: &Path) -> Result<usize, String> {
    recorded::<Barrier>(file, of_barrier).map(|recorded| recorded.names.len())
}

/// The outcome to print, as text and as JSON.
struct Printable {
    standing: Standing,
    report: String,
    object: Value,
}

fn judged<S: Spec>(
    file: &Path,
    setup: &S::Setup,
    read: fn(&mut Fields<'_>) -> Result<OpAndRet<S>, String>,
    limits: Limits,
) -> Result<Printable, String> {
    let Recorded {
        names,
        history,
        lines,
    } = recorded::<S>(file, read)?;
    let name = file.display().to_string();
    let judged = judge(&name, &names, setup, &history, limits);
    let Judged {
        verdict,
        mut report,
        why,
        reason,
        blamed,
        ..
    } = judged;
    let line = blamed.map(|(process, call)| lines[process][call]);
    if let Some(line) = line {
        report += &format!("\n line:        {line}");
    }
    let (standing, word, kind, unknown) = match verdict {
        Verdict::Ok => (Standing::AsExpected, "ok", None, None),
        Verdict::Finding(finding) => (Standing::NotAsExpected, "finding", Some(finding.kind), None),
        Verdict::Unknown(why) => {
            // The limits are options here.
            let why = why.replace("Limits::", "--");
            report = report.replace("Limits::", "--");
            (Standing::CannotSay, "unknown", None, Some(why))
        }
        Verdict::Unavailable(why) => (Standing::CannotSay, "unavailable", None, Some(why)),
        other => (
            Standing::CannotSay,
            "unknown",
            None,
            Some(format!("{other:?}")),
        ),
    };
    let calls = || history.calls.iter().flatten();
    let object = json!({
        "history": name,
        "verdict": word,
        "kind": kind.map(|kind| kind.to_string().to_lowercase()),
        "reason": unknown,
        "processes": names.len(),
        "calls": calls().count(),
        "pending": calls().filter(|call| call.ret.is_none()).count(),
        "why": why,
        "line": line,
        "explanation": reason,
    });
    Ok(Printable {
        standing,
        report,
        object,
    })
}
