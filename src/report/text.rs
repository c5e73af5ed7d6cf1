//! An outcome as text for a terminal: what is wrong in one sentence, the case as a small table, why, how to run
//! it again. Nothing that one does not need first.

use super::covered::{blind_to, ran};
use super::printed::printed;
use super::rows::rows;
use super::sentence::sentence;
use super::table::{WIDTH, apart, render, short};
use crate::case::{Call, History, named};
use crate::check::{Explanation, Finding, Verdict};
use crate::engine::Run;
use crate::search::{Found, Origin, Outcome, Rate};
use crate::spec::Spec;
use serde::Serialize;
use std::fmt::Write;

/// The whole report. `test` is the name of the test that runs, `home` the directory from which files are named, and
/// `replay` the command that runs the case of a token again.
pub(crate) fn text<S: Spec>(
    test: &str,
    roles: &[String],
    outcome: &Outcome<S>,
    home: &str,
    replay: &dyn Fn(&str) -> String,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match (&outcome.verdict, &outcome.found) {
        (Verdict::Finding(finding), Some(found)) => {
            let replay = replay(&found.token);
            of_finding(
                &mut text, test, roles, finding, found, outcome, home, &replay,
            )
        }
        (Verdict::Unknown(why), _) => not_green(&mut text, "UNKNOWN", test, why, outcome),
        (Verdict::Unavailable(why), _) => not_green(&mut text, "UNAVAILABLE", test, why, outcome),
        _ => write!(
            text,
            "ok  {test}  {}{}",
            ran(outcome).replace(KEPT, " "),
            blind_to(outcome)
        ),
    };
    text
}

/// What a report says of a finding, part by part.
#[derive(Clone, Debug)]
pub struct Words {
    /// What is wrong, in one sentence.
    pub why: String,
    /// Why no order of the calls explains the history, where one was looked for.
    pub reason: Option<Reason>,
    /// Where the failing case came from.
    pub origin: String,
    /// How surely it comes again.
    pub rate: String,
}

/// Why no order of the calls explains a history.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// The longest order that works, call by call.
    pub longest: Vec<String>,
    /// The state of the spec after it.
    pub state: String,
    /// What cannot come next, and what it would return.
    pub blocked: Vec<String>,
}

/// Of a finding the sentence that says why, and the like.
pub(crate) fn words<S: Spec>(roles: &[String], outcome: &Outcome<S>) -> Option<Words> {
    let (Verdict::Finding(finding), Some(found)) = (&outcome.verdict, &outcome.found) else {
        return None;
    };
    let explanation = finding.explanation.as_ref();
    Some(Words {
        why: sentence(roles, &found.run, finding),
        reason: explanation.map(|explanation| reason(roles, &found.run.history, explanation)),
        origin: origin(found.origin, &found.run),
        rate: rate(found.rate),
    })
}

fn not_green<S: Spec>(
    to: &mut String,
    what: &str,
    test: &str,
    why: &str,
    outcome: &Outcome<S>,
) -> std::fmt::Result {
    writeln!(to, "{what}  {test}  {why}")?;
    writeln!(
        to,
        " ran:    {}{}",
        wrapped(&ran(outcome)),
        blind_to(outcome)
    )?;
    write!(
        to,
        " allow:  where this has to pass all the same, FORKCHECK_ALLOW_MISSING={}",
        outcome.engine
    )?;
    printed(to, &outcome.output)
}

#[allow(
    clippy::too_many_arguments,
    reason = "one rendering of one outcome, in one place"
)]
fn of_finding<S: Spec>(
    to: &mut String,
    test: &str,
    roles: &[String],
    finding: &Finding<S>,
    found: &Found<S>,
    outcome: &Outcome<S>,
    home: &str,
    replay: &str,
) -> std::fmt::Result {
    let run = &found.run;
    writeln!(
        to,
        "{}  {test}  {}",
        finding.kind,
        sentence(roles, run, finding)
    )?;
    writeln!(
        to,
        "{}; {} ({})",
        origin(found.origin, run),
        rate(found.rate),
        machine()
    )?;
    if size_of::<S::Setup>() > 0 {
        writeln!(to, "\n  from setup {}", short(&run.case.setup))?;
    }
    let (rows, legend) = rows(run);
    // What `new` did wrong has no rows.
    if rows.is_empty() {
        writeln!(to)?;
    } else {
        writeln!(to, "\n{}\n", render(roles, &rows))?;
    }
    if let Some(legend) = legend {
        writeln!(to, " words:  {}", wrapped(legend))?;
    }
    if let Some(explanation) = &finding.explanation {
        why(to, &reason(roles, &run.history, explanation))?;
    }
    for (number, passes) in found.passes.iter().enumerate() {
        let label = if number == 0 { " passes:" } else { "        " };
        // A step that was folded away is in the rows that say so.
        let shown = |step: usize| {
            rows.iter()
                .rposition(|row| row.step.is_some_and(|s| s <= step))
        };
        let row = passes.step.and_then(shown);
        let row = row.map_or(String::new(), |row| format!("row {}: ", row + 1));
        writeln!(to, "{label} {}", wrapped(&format!("{row}{}", passes.words)))?;
    }
    writeln!(to, " replay: {replay}")?;
    match &found.saved {
        Some(Ok(file)) => writeln!(
            to,
            " saved:  {}",
            file.strip_prefix(home).unwrap_or(file).display()
        )?,
        Some(Err(error)) => writeln!(to, " not saved: {error}")?,
        None => {}
    }
    write!(
        to,
        " ran:    {}{}",
        wrapped(&ran(outcome)),
        blind_to(outcome)
    )?;
    printed(to, &outcome.output)
}

fn origin<S: Spec>(origin: Origin, run: &Run<S>) -> String {
    match origin {
        Origin::Drawn {
            operations,
            candidates,
            took,
            cut,
        } => format!(
            "shrunk from {} to {} in {:.1} s ({}{})",
            counted(operations as u64, "operation"),
            run.case.operations(),
            took.as_secs_f64(),
            counted(candidates, "candidate"),
            if cut { ", then the time limit" } else { "" }
        ),
        Origin::CrossCheck(first) => {
            let operations = counted(run.case.operations() as u64, "operation");
            format!("what {first} found, in {operations}")
        }
        Origin::Saved => "a saved case".into(),
        Origin::Replayed => "replayed from its token".into(),
    }
}

fn rate(rate: Rate) -> String {
    match rate {
        Rate::Executions(0, of) => format!("seen before, and in none of {of} executions since"),
        Rate::Executions(failing, of) => format!("seen in {failing} of {of} executions"),
        Rate::Replays(again, of, _) => format!("replayed {again} of {of} times"),
    }
}

fn machine() -> String {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{profile}, {}, {}",
        std::env::consts::ARCH,
        counted(cores as u64, "core")
    )
}

/// Why no order works: the longest that does, and what stands in its way.
pub(super) fn reason<S: Spec>(
    roles: &[String],
    history: &History<S>,
    explanation: &Explanation<S>,
) -> Reason {
    let called = |process: usize, call: usize| {
        let Call { op, ret, .. } = &history.calls[process][call];
        let ret = ret.as_ref().map_or("no return".into(), short);
        format!("{} {} -> {ret}", named(roles, process), short(op))
    };
    let longest = explanation.longest.iter();
    let blocked = explanation.blocked.iter().map(|blocked| {
        let ret = history.calls[blocked.process][blocked.call].ret.as_ref();
        let would = match &blocked.expected {
            Some(expected) if ret != Some(expected) => {
                let wanted = ret.map_or_else(|| short(expected), |ret| apart(ret, expected).1);
                format!(": it would return {wanted}")
            }
            _ if blocked.waits => ": it would wait".into(),
            _ => String::new(),
        };
        let cannot = match ret {
            Some(_) => "cannot come next",
            None => "need not wait",
        };
        let call = called(blocked.process, blocked.call);
        format!("{call} {cannot}{would}")
    });
    Reason {
        longest: longest
            .map(|&(process, call)| called(process, call))
            .collect(),
        state: explanation.state.clone(),
        blocked: blocked.collect(),
    }
}

pub(super) fn why(to: &mut String, reason: &Reason) -> std::fmt::Result {
    if reason.longest.is_empty() {
        writeln!(to, " why:    at the start {}", short_state(&reason.state))?;
    } else {
        writeln!(to, " why:    the longest order that works is")?;
        for call in &reason.longest {
            writeln!(to, "           {call}")?;
        }
        writeln!(to, "         and then {}", short_state(&reason.state))?;
    }
    for blocked in &reason.blocked {
        writeln!(to, "         where {blocked}")?;
    }
    Ok(())
}

fn short_state(state: &str) -> String {
    if state.chars().count() <= WIDTH - 20 {
        return format!("the state is {state}");
    }
    format!(
        "the state is {}…",
        state.chars().take(WIDTH - 20).collect::<String>()
    )
}

/// Words that stand under each other behind a label of nine columns. What [`kept`] has joined stays on one line.
pub(super) fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let words = text.split(|c: char| c.is_whitespace() && c != KEPT);
    for word in words.filter(|word| !word.is_empty()) {
        let length = |text: &str| text.chars().count();
        match lines.last_mut() {
            Some(line) if length(line) + length(word) + 10 <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n         ").replace(KEPT, " ")
}

/// A space at which no line ends.
const KEPT: char = '\u{a0}';

pub(super) fn kept(text: &str) -> String {
    text.replace(' ', &KEPT.to_string())
}

pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_a_token_and_a_variable_stand_on_one_line() {
        for filler in 60..100 {
            let seed = kept("seed 12345678901234567890");
            let text = wrapped(&format!(
                "{} {seed}, FORKCHECK_REFRESH=1",
                "x".repeat(filler)
            ));
            assert!(
                text.lines()
                    .any(|line| line.contains("seed 12345678901234567890,")),
                "{text}"
            );
            assert!(
                text.lines().all(|line| line.chars().count() <= WIDTH),
                "{text}"
            );
        }
        let token = "f".repeat(3 * WIDTH);
        assert_eq!(wrapped(&format!("a {token} b")).lines().count(), 3);
    }
}
