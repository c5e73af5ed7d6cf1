//! A report as text for a terminal: what is wrong in one sentence, the case as a small table, why, how to run
//! it again. Nothing that one does not need first.

use super::covered::ran;
use super::data::{Reason, Report};
use super::rows::rows;
use super::table::{WIDTH, cut, render};
use std::fmt::Write;

/// Returns the whole report for a terminal of this many columns.
pub(super) fn text(report: &Report, width: usize) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match report.verdict {
        "finding" => of_finding(&mut text, report, width),
        "unknown" => not_green(&mut text, "UNKNOWN", report, width),
        "unavailable" => not_green(&mut text, "UNAVAILABLE", report, width),
        _ => ok(&mut text, report, width),
    };
    if let Some(cross_check) = &report.cross_check {
        text.push_str(match cross_check.verdict {
            "finding" => "\n\nthe program of this case, step by step:\n",
            _ => "\n\nthe program of this case, step by step: it passes under `stepped`, so the failure needs something that `stepped` does not check\n",
        });
        text.push_str(&self::text(cross_check, width));
    }
    text
}

fn ok(to: &mut String, report: &Report, width: usize) -> std::fmt::Result {
    let ran = ran(report).replace(KEPT, " ");
    write!(to, "ok  {}  {ran}{}", report.test, limits(report, width))?;
    // It stands last, where the others have it before their coverage.
    let mut of_page = String::new();
    page(&mut of_page, report)?;
    if !of_page.is_empty() {
        write!(to, "\n{}", of_page.trim_end())?;
    }
    Ok(())
}

fn not_green(to: &mut String, what: &str, report: &Report, width: usize) -> std::fmt::Result {
    writeln!(to, "{what}  {}  {}", report.test, report.headline)?;
    page(to, report)?;
    writeln!(
        to,
        " ran:    {}{}",
        wrapped(&ran(report), width),
        limits(report, width)
    )?;
    write!(
        to,
        " allow:  where this has to pass all the same, FORKCHECK_ALLOW_MISSING={}",
        report.engine
    )?;
    printed(to, report)
}

fn of_finding(to: &mut String, report: &Report, width: usize) -> std::fmt::Result {
    let of = |words: &Option<String>| words.clone().unwrap_or_default();
    let kind = of(&report.kind);
    writeln!(to, "{kind}  {}  {}", report.test, report.headline)?;
    writeln!(
        to,
        "{}; {} ({})",
        of(&report.origin),
        of(&report.rate),
        report.machine
    )?;
    if let Some(setup) = &report.setup {
        writeln!(to, "\n  from setup {}", cut(setup))?;
    }
    let rows = rows(report);
    // What `new` did wrong has no rows.
    if rows.is_empty() {
        writeln!(to)?;
    } else {
        writeln!(to, "\n{}\n", render(&report.names(), &rows, width))?;
    }
    if let Some(legend) = report.legend {
        writeln!(to, " words:  {}", wrapped(legend, width))?;
    }
    if let Some(linearization) = &report.linearization {
        why(to, &linearization.reason)?;
    }
    for (number, near_miss) in report.near_misses.iter().enumerate() {
        let label = if number == 0 { " passes:" } else { "        " };
        // A step that was folded away is in the rows that say so.
        let shown = |step: usize| {
            rows.iter()
                .rposition(|row| row.step.is_some_and(|s| s <= step))
        };
        let row = near_miss.step.and_then(shown);
        let row = row.map_or(String::new(), |row| format!("row {}: ", row + 1));
        writeln!(
            to,
            "{label} {}",
            wrapped(&format!("{row}{}", near_miss.words), width)
        )?;
    }
    if let Some(replay) = &report.replay {
        writeln!(to, " replay: {replay}")?;
    }
    if let Some(saved) = &report.saved {
        writeln!(to, " saved:  {saved}")?;
    }
    if let Some(error) = &report.not_saved {
        writeln!(to, " not saved: {error}")?;
    }
    page(to, report)?;
    write!(
        to,
        " ran:    {}{}",
        wrapped(&ran(report), width),
        limits(report, width)
    )?;
    printed(to, report)
}

/// The file of the page, or why there is none.
fn page(to: &mut String, report: &Report) -> std::fmt::Result {
    if let Some(page) = &report.page {
        writeln!(to, " page:   {page}")?;
    }
    if let Some(error) = &report.no_page {
        writeln!(to, " no page: {error}")?;
    }
    Ok(())
}

/// What was not covered and cannot be, in lines of their own.
fn limits(report: &Report, width: usize) -> String {
    let stale = report.stale.iter();
    let stale: String = stale
        .map(|stale| format!("\n stale:  {}", wrapped(stale, width)))
        .collect();
    let coarse = report.unscheduled.as_ref();
    let coarse = coarse.map_or(String::new(), |coarse| {
        format!("\n coarse: {}", wrapped(coarse, width))
    });
    let unseen = wrapped(&report.not_checked.join("; "), width);
    format!("{stale}{coarse}\n unseen: {unseen}")
}

fn printed(to: &mut String, report: &Report) -> std::fmt::Result {
    if report.printed.is_empty() {
        return Ok(());
    }
    write!(to, "\n its processes printed, last:\n")?;
    let mut lines = report.printed.iter();
    lines.try_for_each(|line| writeln!(to, "   | {line}"))
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
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let width = width.min(WIDTH);
    let mut lines: Vec<String> = Vec::new();
    let words = text.split(|c: char| c.is_whitespace() && c != KEPT);
    for word in words.filter(|word| !word.is_empty()) {
        let length = |text: &str| text.chars().count();
        match lines.last_mut() {
            Some(line) if length(line) + length(word) + 10 <= width => {
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
            let text = wrapped(
                &format!("{} {seed}, FORKCHECK_REFRESH=1", "x".repeat(filler)),
                WIDTH,
            );
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
        assert_eq!(wrapped(&format!("a {token} b"), WIDTH).lines().count(), 3);
    }
}
