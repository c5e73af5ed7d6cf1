//! The report of a history that no engine made; for a long one, the calls around the error.

use super::data::{Linearization, Process, RECORDED, Report};
use super::made::{operations, reason};
use super::phrases::counted;
use super::screen::Room;
use super::sentence::accusation;
use crate::case::{History, named};
use crate::check::{Blocked, Explanation, Finding, Verdict};
use crate::spec::Spec;
use std::time::Duration;

/// The number of calls shown from the end of the longest order.
const BEFORE: usize = 12;
/// The number of calls shown that overlap those that cannot come next.
const BESIDE: usize = 24;

/// Returns the report of a history by this name. A verbose one has all calls, and whole values in its sentences.
pub(crate) fn of_history<S: Spec>(
    what: &str,
    names: &[String],
    history: &History<S>,
    verdict: &Verdict<S>,
    blamed: Option<&Blocked<S>>,
    took: Duration,
    verbose: bool,
) -> Report {
    let calls = history.calls.iter().map(Vec::len).sum::<usize>();
    let mut report = Report {
        test: what.to_owned(),
        suite: what.to_owned(),
        engine: RECORDED.to_owned(),
        coverage: vec![counted(calls as u64, "call")],
        seconds: took.as_secs_f64(),
        ..Report::default()
    };
    match verdict {
        Verdict::Ok => report.verdict = "ok",
        Verdict::Unknown(why) => (report.verdict, report.headline) = ("unknown", why.clone()),
        Verdict::Unavailable(why) => {
            (report.verdict, report.headline) = ("unavailable", why.clone());
        }
        Verdict::Finding(finding) => {
            let room = Room::of(verbose);
            report.verdict = "finding";
            report.kind = Some(finding.kind.to_string());
            report.headline = match blamed {
                Some(blamed) => accusation(names, history, blamed, room),
                None => finding.detail.clone(),
            };
            explained(&mut report, names, history, finding, blamed, room);
        }
    }
    report
}

/// Adds the calls around the error, and the order that ends there.
fn explained<S: Spec>(
    report: &mut Report,
    names: &[String],
    history: &History<S>,
    finding: &Finding<S>,
    blamed: Option<&Blocked<S>>,
    room: Room,
) {
    let Some(explanation) = &finding.explanation else {
        return;
    };
    let order = explanation.longest.len();
    let (names, shown, explanation) = match room {
        Room::ALL => (names.to_vec(), history.clone(), explanation.clone()),
        _ => excerpt(names, history, explanation, blamed),
    };
    let count = |history: &History<S>| history.calls.iter().map(Vec::len).sum::<usize>();
    let (few, all) = (count(&shown), count(history));
    report.origin = (few < all).then(|| format!("{few} of {all} calls, those around it"));
    let processes = operations(&shown).into_iter().enumerate();
    let processes = processes.map(|(process, operations)| Process {
        name: named(&names, process),
        role: names[process].clone(),
        operations,
    });
    report.processes = processes.collect();
    let blocked = explanation.blocked.iter();
    report.linearization = Some(Linearization {
        reason: reason(&names, &shown, &explanation, room),
        before: order - explanation.longest.len(),
        blocked: blocked.map(|b| (b.process, b.call)).collect(),
        longest: explanation.longest,
    });
}

/// Returns the end of the longest order, the calls that cannot come next, those that overlap them,
/// and the one to blame.
fn excerpt<S: Spec>(
    names: &[String],
    history: &History<S>,
    explanation: &Explanation<S>,
    blamed: Option<&Blocked<S>>,
) -> (Vec<String>, History<S>, Explanation<S>) {
    let Explanation {
        longest, blocked, ..
    } = explanation;
    let longest = &longest[longest.len().saturating_sub(BEFORE)..];
    let blocked_calls = || blocked.iter().chain(blamed).map(|b| (b.process, b.call));
    let mut kept: Vec<(usize, usize)> = longest.iter().copied().chain(blocked_calls()).collect();
    let times = blocked_calls().map(|(process, call)| {
        let call = &history.calls[process][call];
        (call.invoked, call.returned, S::key(&call.op))
    });
    let times: Vec<_> = times.collect();
    let of_processes = history.calls.iter().enumerate();
    let all = of_processes.flat_map(|(process, calls)| {
        let numbered = calls.iter().enumerate();
        numbered.map(move |(number, call)| (process, number, call))
    });
    let beside = all.filter(|(_, _, call)| {
        let overlaps = |&(from, to, key): &(u64, u64, u64)| {
            call.invoked <= to && call.returned >= from && S::key(&call.op) == key
        };
        times.iter().any(overlaps)
    });
    kept.extend(beside.map(|(p, n, _)| (p, n)).take(BESIDE));
    kept.sort_unstable();
    kept.dedup();
    let mut processes: Vec<usize> = kept.iter().map(|&(process, _)| process).collect();
    processes.dedup();
    let place = |process: usize, call: usize| {
        let of_process = kept.iter().filter(|(p, _)| *p == process);
        let number = of_process.into_iter().position(|&(_, c)| c == call);
        let process = processes.iter().position(|&p| p == process);
        (
            process.expect("its process is kept"),
            number.expect("it is kept"),
        )
    };
    let calls = processes.iter().map(|&process| {
        let of_process = kept.iter().filter(|(p, _)| *p == process);
        let calls = of_process.map(|&(p, call)| history.calls[p][call].clone());
        calls.collect()
    });
    let shown = History {
        calls: calls.collect(),
    };
    let explanation = Explanation {
        longest: longest.iter().map(|&(p, call)| place(p, call)).collect(),
        state: explanation.state.clone(),
        blocked: blocked
            .iter()
            .map(|blocked| {
                let (process, call) = place(blocked.process, blocked.call);
                Blocked {
                    process,
                    call,
                    ..blocked.clone()
                }
            })
            .collect(),
    };
    let names = processes.iter().map(|&process| names[process].clone());
    (names.collect(), shown, explanation)
}
