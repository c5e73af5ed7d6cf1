//! The report of a history that no engine made; for a long one, the calls around the error.

use super::data::{Process, Reason};
use super::made::{operations, reason};
use super::rows::rows_of_calls;
use super::screen::{Room, Screen};
use super::sentence::accusation;
use super::table::{WIDTH, render};
use super::text::why;
use crate::case::{History, named};
use crate::check::{Blocked, Explanation, Finding};
use crate::spec::Spec;
use std::fmt::Write;

/// The number of calls shown from the end of the longest order.
const BEFORE: usize = 12;
/// The number of calls shown that overlap those that cannot come next.
const BESIDE: usize = 24;

/// A report and its parts.
pub(crate) struct Parts {
    pub(crate) text: String,
    pub(crate) why: String,
    pub(crate) reason: Option<Reason>,
}

/// Describes what is wrong with a history, and which call is to blame.
pub(crate) fn of_history<S: Spec>(
    what: &str,
    names: &[String],
    history: &History<S>,
    finding: &Finding<S>,
    blamed: Option<&Blocked<S>>,
) -> Parts {
    let sentence = match blamed {
        Some(blamed) => accusation(names, history, blamed, Room::USUAL),
        None => finding.detail.clone(),
    };
    let mut text = format!("{}  {what}  {sentence}", finding.kind);
    let reason = finding.explanation.as_ref().map(|explanation| {
        let order = explanation.longest.len();
        let (names, shown, explanation) = excerpt(names, history, explanation, blamed);
        let all = history.calls.iter().map(Vec::len).sum::<usize>();
        let few = shown.calls.iter().map(Vec::len).sum::<usize>();
        // Writing to a String cannot fail.
        if few < all {
            let _ = write!(text, "\n{few} of {all} calls, those around it");
        }
        let processes = operations(&shown).into_iter().enumerate();
        let processes = processes.map(|(process, operations)| Process {
            name: named(&names, process),
            role: names[process].clone(),
            operations,
        });
        let processes: Vec<Process> = processes.collect();
        let heads: Vec<&str> = processes.iter().map(|process| &*process.name).collect();
        let _ = writeln!(
            text,
            "\n\n{}\n",
            render(&heads, &rows_of_calls(&processes), Screen::plain(WIDTH))
        );
        let mut reason = reason(&names, &shown, &explanation, Room::USUAL);
        if let before @ 1.. = order - explanation.longest.len() {
            reason
                .longest
                .insert(0, format!("{before} calls, and then"));
        }
        let _ = why(&mut text, Screen::plain(WIDTH), &reason);
        reason
    });
    Parts {
        text: text.trim_end().to_owned(),
        why: sentence,
        reason,
    }
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
