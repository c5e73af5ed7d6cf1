//! A report as text for a terminal: what is wrong in one sentence, the case as a small table, the
//! reason, and the command that runs it again. The most needed parts come first.

use super::covered::ran;
use super::data::{Reason, Report};
use super::phrases::{KEPT, kept};
use super::rows::rows;
use super::table::{WIDTH, cut, render};
use std::fmt::{self, Write};

/// Fewest columns that lines are wrapped to.
const NARROW: usize = 40;

impl Report {
    /// Returns the report as text for a terminal of this many columns. A wide terminal has more
    /// processes side by side in the table; in a narrow one lines are wrapped sooner. Displayed, a
    /// report has 100 columns.
    ///
    /// ```
    /// # let report = forkcheck::Report::default();
    /// assert_eq!(report.text(100), report.to_string());
    /// ```
    pub fn text(&self, columns: usize) -> String {
        text(self, columns.max(NARROW))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(WIDTH))
    }
}

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
    text.truncate(text.trim_end().len());
    if let Some(cross_check) = &report.cross_check {
        text.push_str(match cross_check.verdict {
            "finding" | "unknown" | "unavailable" => "\n\nthe program of this case, step by step:\n",
            _ => "\n\nthe program of this case, step by step: it passes under `stepped`, so the failure needs something that `stepped` does not check\n",
        });
        text.push_str(&self::text(cross_check, width));
    }
    text
}

fn ok(to: &mut String, report: &Report, width: usize) -> std::fmt::Result {
    let ran = ran(report).replace(KEPT, " ");
    writeln!(to, "ok  {}  {ran}", report.test)?;
    limits(to, report, width)?;
    // It stands last, where the other verdicts have it before their coverage.
    page(to, report)
}

fn not_green(to: &mut String, what: &str, report: &Report, width: usize) -> std::fmt::Result {
    writeln!(to, "{what}  {}  {}", report.test, report.headline)?;
    page(to, report)?;
    labelled(to, "ran", &wrapped(&ran(report), width))?;
    limits(to, report, width)?;
    let allow = format!(
        "where this has to pass all the same, FORKCHECK_ALLOW_MISSING={}",
        report.engine
    );
    labelled(to, "allow", &allow)?;
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
    // A failure of `new` has no rows.
    if rows.is_empty() {
        writeln!(to)?;
    } else {
        writeln!(to, "\n{}\n", render(&report.names(), &rows, width))?;
    }
    if let Some(scope) = &report.scope {
        labelled(to, "among", &wrapped(scope, width))?;
    }
    if let Some(legend) = report.legend {
        labelled(to, "words", &wrapped(legend, width))?;
    }
    if let Some(linearization) = &report.linearization {
        why(to, &linearization.reason)?;
    }
    for (number, near_miss) in report.near_misses.iter().enumerate() {
        let label = if number == 0 { "near miss" } else { "" };
        // A step that was folded is in the rows that say so.
        let shown = |step: usize| {
            rows.iter()
                .rposition(|row| row.step.is_some_and(|s| s <= step))
        };
        let row = near_miss.step.and_then(shown);
        let row = row.map_or(String::new(), |row| format!("row {}: ", row + 1));
        labelled(
            to,
            label,
            &wrapped(&format!("{row}{}", near_miss.words), width),
        )?;
    }
    if let Some(replay) = &report.replay {
        labelled(to, "replay", replay)?;
    }
    if let Some(saved) = &report.saved {
        labelled(to, "saved", saved)?;
    }
    if let Some(error) = &report.not_saved {
        labelled(to, "not saved", error)?;
    }
    page(to, report)?;
    labelled(to, "ran", &wrapped(&ran(report), width))?;
    limits(to, report, width)?;
    printed(to, report)
}

/// Writes the file of the page, or why there is none.
fn page(to: &mut String, report: &Report) -> std::fmt::Result {
    if let Some(page) = &report.page {
        labelled(to, "page", page)?;
    }
    if let Some(error) = &report.no_page {
        labelled(to, "no page", error)?;
    }
    Ok(())
}

/// Writes what was not covered, and what the engine cannot cover, in lines of their own.
fn limits(to: &mut String, report: &Report, width: usize) -> std::fmt::Result {
    for stale in &report.stale {
        labelled(to, "stale", &wrapped(stale, width))?;
    }
    if let Some(unscheduled) = &report.unscheduled {
        labelled(to, "unscheduled", &wrapped(unscheduled, width))?;
    }
    if !report.not_reached.is_empty() {
        let labels: Vec<String> = report.not_reached.iter().map(|label| kept(label)).collect();
        labelled(to, "not reached", &wrapped(&labels.join(", "), width))?;
    }
    labelled(
        to,
        "not checked",
        &wrapped(&report.not_checked.join("; "), width),
    )
}

/// Writes a line that begins with a label; without one it continues the line before.
fn labelled(to: &mut String, label: &str, words: &str) -> std::fmt::Result {
    let label = match label {
        "" => String::new(),
        label => format!("{label}:"),
    };
    writeln!(to, " {label:<LABEL$}{words}")
}

/// Columns of a label, with the space after it.
const LABEL: usize = 13;

fn printed(to: &mut String, report: &Report) -> std::fmt::Result {
    if report.printed.is_empty() {
        return Ok(());
    }
    writeln!(to, " its processes printed, last:")?;
    let mut lines = report.printed.iter();
    lines.try_for_each(|line| writeln!(to, "   | {line}"))
}

pub(super) fn why(to: &mut String, reason: &Reason) -> std::fmt::Result {
    if reason.longest.is_empty() {
        labelled(
            to,
            "why",
            &format!("at the start {}", short_state(&reason.state)),
        )?;
    } else {
        labelled(to, "why", "the longest order that works is")?;
        for call in &reason.longest {
            labelled(to, "", &format!("  {call}"))?;
        }
        labelled(to, "", &format!("and then {}", short_state(&reason.state)))?;
    }
    for blocked in &reason.blocked {
        labelled(to, "", &format!("where {blocked}"))?;
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

/// Returns words that stand under each other behind a label. Words that [`kept`] has joined stay on
/// one line.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let width = width.min(WIDTH);
    let mut lines: Vec<String> = Vec::new();
    let words = text.split(|c: char| c.is_whitespace() && c != KEPT);
    for word in words.filter(|word| !word.is_empty()) {
        let length = |text: &str| text.chars().count();
        match lines.last_mut() {
            Some(line) if length(line) + length(word) + LABEL + 2 <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
        .join(&format!("\n{}", " ".repeat(LABEL + 1)))
        .replace(KEPT, " ")
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
