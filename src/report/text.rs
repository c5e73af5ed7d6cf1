//! A report as text for a terminal: what is wrong in one sentence, the case as a small table, the
//! reason, and the command that runs it again. The most needed parts come first.

use super::covered::ran;
use super::data::{Linearization, Report};
use super::marked::write_excerpts;
use super::phrases::{PASSES_STEPPED, counted, kept};
use super::rows::{Table, table};
use super::screen::{Room, Screen, Tone, cut};
use super::table::{WIDTH, render};
use super::wrap::{LABEL, headed, wrapped};
use crate::case::{Access, Schedule};
use std::fmt::{self, Write};

/// Fewest columns that lines are wrapped to.
const NARROW: usize = 40;

impl Report {
    /// Returns the report as text for a terminal of this many columns. A wide terminal has more
    /// processes side by side in the table; in a narrow one lines are wrapped sooner. Displayed, a
    /// report has 100 columns, but for the headline and the line below it, in which programs look for words: they are not wrapped.
    ///
    /// ```
    /// # let report = forkcheck::Report::default();
    /// assert_eq!(report.text(100), report.to_string());
    /// ```
    pub fn text(&self, columns: usize) -> String {
        self.text_of(columns, false, false)
    }

    /// Returns the text with colours, as escape sequences of terminals: of the verdict, of kills, and of the accesses that matter.
    /// [`shows_colors`](super::shows_colors) says whether a stream should get them.
    ///
    /// ```
    /// # let report = forkcheck::Report::default();
    /// let (plain, coloured) = (report.text(100), report.colored_text(100));
    /// assert!(coloured.contains("\x1b[1;32mok\x1b[0m") && !plain.contains('\x1b'));
    /// ```
    pub fn colored_text(&self, columns: usize) -> String {
        self.text_of(columns, true, false)
    }

    /// Returns the text, with or without colours; a verbose one leaves out no row of its table, and cuts no value in it.
    pub(crate) fn text_of(&self, columns: usize, colors: bool, verbose: bool) -> String {
        let screen = Screen {
            colors,
            room: Room::of(verbose),
            ..Screen::plain(columns.max(NARROW))
        };
        text(self, screen)
    }

    /// Returns the text, with its headline on one line.
    pub(crate) fn searchable_text(&self, columns: usize, verbose: bool) -> String {
        let screen = Screen {
            head: usize::MAX,
            room: Room::of(verbose),
            ..Screen::plain(columns.max(NARROW))
        };
        text(self, screen)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.searchable_text(WIDTH, false))
    }
}

/// Returns the whole report for this terminal.
pub(super) fn text(report: &Report, screen: Screen) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match report.verdict {
        "finding" => of_finding(&mut text, report, screen),
        "unknown" => not_green(&mut text, "UNKNOWN", report, screen),
        "unavailable" => not_green(&mut text, "UNAVAILABLE", report, screen),
        _ => ok(&mut text, report, screen),
    };
    text.truncate(text.trim_end().len());
    if let Some(cross_check) = &report.cross_check {
        let heading = match report.cross_check_passes() {
            true => PASSES_STEPPED,
            false => "the program of this case, step by step:",
        };
        text.push_str(&format!("\n\n{heading}\n"));
        text.push_str(&self::text(cross_check, screen));
    }
    text
}

fn ok(to: &mut String, report: &Report, screen: Screen) -> std::fmt::Result {
    headline(to, screen, (Tone::Good, "ok"), &report.test, &ran(report))?;
    limits(to, report, screen)?;
    // It stands last, where the other verdicts have it before their coverage.
    page(to, screen, report)
}

fn not_green(to: &mut String, what: &str, report: &Report, screen: Screen) -> std::fmt::Result {
    headline(
        to,
        screen,
        (Tone::Undecided, what),
        &report.test,
        &report.headline,
    )?;
    page(to, screen, report)?;
    if report.is_of_recorded() {
        return Ok(());
    }
    labelled(to, screen, "ran", &wrapped(&ran(report), screen.columns))?;
    limits(to, report, screen)?;
    let allow = format!(
        "where this has to pass all the same, FORKCHECK_ALLOW_MISSING={}",
        report.engine
    );
    labelled(to, screen, "allow", &wrapped(&allow, screen.columns))?;
    printed(to, report)
}

/// Writes the verdict, the test, and what is wrong or was covered.
fn headline(
    to: &mut String,
    screen: Screen,
    (tone, verdict): (Tone, &str),
    test: &str,
    what: &str,
) -> std::fmt::Result {
    let text = format!("{}  {test}  {what}", kept(verdict));
    let text = headed(&text, screen.head);
    // Escape sequences take no columns.
    let rest = text.strip_prefix(verdict).unwrap_or(&text);
    writeln!(to, "{}{rest}", screen.paint(tone, verdict))
}

fn of_finding(to: &mut String, report: &Report, screen: Screen) -> std::fmt::Result {
    let of = |words: &Option<String>| words.clone().unwrap_or_default();
    let kind = of(&report.kind);
    let verdict = (Tone::Bad, &*kind);
    headline(to, screen, verdict, &report.test, &report.headline)?;
    let mut origin = of(&report.origin);
    if let Some(rate) = &report.rate {
        let machine = kept(&format!("({})", report.machine));
        let _ = write!(origin, "; {rate} {machine}");
    }
    if !origin.is_empty() {
        writeln!(to, "{}", headed(&origin, screen.head))?;
    }
    if let Some(setup) = &report.setup {
        writeln!(to, "\n  from setup {}", screen.room.cut(setup))?;
    }
    let mut table = table(report);
    tone(report, &mut table);
    // A failure of `new` has no rows.
    if table.rows.is_empty() {
        writeln!(to)?;
    } else {
        writeln!(to, "\n{}\n", render(&report.names(), &table.rows, screen))?;
    }
    let excerpts = report.excerpts.iter().map(|excerpt| {
        let row = excerpt.step.and_then(|step| table.of_step(step));
        (excerpt, row.map(|row| row + 1))
    });
    write_excerpts(to, &excerpts.collect::<Vec<_>>(), screen)?;
    if !report.excerpts.is_empty() {
        writeln!(to)?;
    }
    if let Some(scope) = &report.scope {
        labelled(to, screen, "among", scope)?;
    }
    if let Some(legend) = report.legend {
        labelled(to, screen, "words", &wrapped(legend, screen.columns))?;
    }
    if let Some(linearization) = &report.linearization {
        why(to, screen, linearization)?;
    }
    for (number, near_miss) in report.near_misses.iter().enumerate() {
        let label = if number == 0 { "near miss" } else { "" };
        let row = near_miss.step.and_then(|step| table.of_step(step));
        let row = row.map_or(String::new(), |row| format!("row {}: ", row + 1));
        labelled(
            to,
            screen,
            label,
            &wrapped(&format!("{row}{}", near_miss.words), screen.columns),
        )?;
    }
    if let Some(replay) = &report.replay {
        labelled(to, screen, "replay", replay)?;
    }
    if let Some(command) = report.step_into() {
        labelled(to, screen, "step into", &command)?;
    }
    if let Some(command) = &report.steps_by {
        let what = "looks for it step by step, and shows source lines";
        labelled(to, screen, "steps", &format!("{command}  {what}"))?;
    }
    if let Some(saved) = &report.saved {
        labelled(to, screen, "saved", saved)?;
    }
    if let Some(error) = &report.not_saved {
        labelled(to, screen, "not saved", error)?;
    }
    page(to, screen, report)?;
    if report.is_of_recorded() {
        return Ok(());
    }
    labelled(to, screen, "ran", &wrapped(&ran(report), screen.columns))?;
    limits(to, report, screen)?;
    printed(to, report)
}

impl Report {
    /// Returns the command that stops the process of the access that shows the failure under gdb.
    fn step_into(&self) -> Option<String> {
        let is_scheduled = self.schedule.as_ref().is_some_and(|s| *s != Schedule::Free);
        let replay = self.replay.as_ref().filter(|_| is_scheduled)?;
        let (row, _) = self.telling_row()?;
        if !replay.starts_with("FORKCHECK_REPLAY=") {
            return Some(format!("{replay} --gdb --to-row {row}"));
        }
        // Tests that nextest captures have no terminal.
        let terminal = match replay.contains(" nextest run ") {
            true => " --no-capture",
            false => "",
        };
        Some(format!("FORKCHECK_GDB_ROW={row} {replay}{terminal}"))
    }
}

/// Marks the kills, and the accesses that have excerpts.
fn tone(report: &Report, table: &mut Table) {
    for excerpt in &report.excerpts {
        if let Some(row) = excerpt.step.and_then(|step| table.of_step(step)) {
            table.rows[row].tone = Some(Tone::Telling);
        }
    }
    for row in &mut table.rows {
        let step = row.step.and_then(|step| report.steps.get(step));
        if step.is_some_and(|step| step.access == Access::Killed) {
            row.tone = Some(Tone::Bad);
        }
    }
}

/// Writes the files of the page and of the trace, or why there is none.
fn page(to: &mut String, screen: Screen, report: &Report) -> std::fmt::Result {
    if let Some(page) = &report.page {
        labelled(to, screen, "page", page)?;
    }
    if let Some(error) = &report.no_page {
        labelled(to, screen, "no page", error)?;
    }
    if let Some(trace) = &report.trace_file {
        labelled(to, screen, "trace", trace)?;
    }
    if let Some(error) = &report.no_trace {
        labelled(to, screen, "no trace", error)?;
    }
    Ok(())
}

/// Writes what was not covered, and what the engine cannot cover, in lines of their own.
fn limits(to: &mut String, report: &Report, screen: Screen) -> std::fmt::Result {
    for stale in &report.stale {
        labelled(to, screen, "stale", &wrapped(stale, screen.columns))?;
    }
    if let Some(unscheduled) = &report.unscheduled {
        labelled(
            to,
            screen,
            "unscheduled",
            &wrapped(unscheduled, screen.columns),
        )?;
    }
    if !report.not_reached.is_empty() {
        let labels: Vec<String> = report.not_reached.iter().map(|label| kept(label)).collect();
        labelled(
            to,
            screen,
            "not reached",
            &wrapped(&labels.join(", "), screen.columns),
        )?;
    }
    if !report.not_checked.is_empty() {
        let items = wrapped(&report.not_checked.join("; "), screen.columns);
        labelled(to, screen, "not checked", &items)?;
    }
    Ok(())
}

/// Writes a line that begins with a label; without one it continues the line before.
fn labelled(to: &mut String, screen: Screen, label: &str, words: &str) -> std::fmt::Result {
    let label = match label {
        "" => String::new(),
        label => format!("{label}:"),
    };
    let padded = " ".repeat(LABEL.saturating_sub(label.chars().count()));
    let label = match &*label {
        "" => label,
        label => screen.paint(Tone::Label, label),
    };
    writeln!(to, " {label}{padded}{words}")
}

fn printed(to: &mut String, report: &Report) -> std::fmt::Result {
    if report.printed.is_empty() {
        return Ok(());
    }
    writeln!(to, " its processes printed, last:")?;
    let mut lines = report.printed.iter();
    lines.try_for_each(|line| writeln!(to, "   | {line}"))
}

fn why(to: &mut String, screen: Screen, linearization: &Linearization) -> std::fmt::Result {
    let Linearization { reason, before, .. } = linearization;
    let state = state(&reason.state, screen);
    if reason.longest.is_empty() {
        labelled(
            to,
            screen,
            "why",
            &wrapped(&format!("at the start {state}"), screen.columns),
        )?;
    } else {
        labelled(to, screen, "why", "the longest order that works is")?;
        if *before > 0 {
            let calls = counted(*before as u64, "call");
            labelled(to, screen, "", &format!("  {calls}, and then"))?;
        }
        for call in &reason.longest {
            labelled(to, screen, "", &format!("  {call}"))?;
        }
        labelled(
            to,
            screen,
            "",
            &wrapped(&format!("and then {state}"), screen.columns),
        )?;
    }
    for blocked in &reason.blocked {
        let blocked = wrapped(&format!("where {blocked}"), screen.columns);
        labelled(to, screen, "", &blocked)?;
    }
    Ok(())
}

/// Returns the state in words, cut to the lines that there is room for.
fn state(state: &str, screen: Screen) -> String {
    let line = screen.columns.min(WIDTH) - LABEL - 2;
    let most = (screen.room.state)
        .saturating_mul(line)
        .saturating_sub("and then the state is ".len());
    format!("the state is {}", cut(state, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Step;
    use crate::report::{Operation, Process, Reason};

    /// A report whose operation, result and state are long.
    fn long() -> Report {
        let many = |what: &str| (0..60).map(|n| format!("{what}{n} ")).collect::<String>();
        let operation = Operation {
            call: many("call"),
            result: Some(many("result")),
            invoked: 0,
            returned: Some(1),
            killed: false,
            is_of_prefix: false,
        };
        Report {
            verdict: "finding",
            processes: vec![Process {
                name: "one".into(),
                role: "one".into(),
                operations: vec![operation],
            }],
            linearization: Some(Linearization {
                reason: Reason {
                    longest: Vec::new(),
                    state: many("state"),
                    blocked: Vec::new(),
                },
                before: 0,
                longest: Vec::new(),
                blocked: Vec::new(),
            }),
            ..Report::default()
        }
    }

    #[test]
    fn what_is_long_is_cut_unless_all_of_it_is_asked_for() {
        let last = ["call59", "result59", "state59"];
        let cut = long().text(WIDTH);
        assert!(last.iter().all(|last| !cut.contains(last)), "{cut}");
        assert_eq!(cut.matches('…').count(), 3, "{cut}");
        let why = cut.lines().skip_while(|line| !line.starts_with(" why:"));
        assert!(
            why.take(2).all(|line| line.chars().count() <= WIDTH),
            "{cut}"
        );
        let whole = long().text_of(WIDTH, false, true);
        assert!(last.iter().all(|last| whole.contains(last)), "{whole}");
        assert!(!whole.contains('…'), "{whole}");
    }

    #[test]
    fn one_call_that_is_left_out_of_the_order_is_one_call() {
        for (before, words) in [(1, "  1 call, and then\n"), (2, "  2 calls, and then\n")] {
            let mut report = long();
            let linearization = report.linearization.as_mut().unwrap();
            linearization.before = before;
            linearization.reason.longest = vec!["one Read -> 7".into()];
            assert!(report.text(WIDTH).contains(words), "{report}");
        }
    }

    #[test]
    fn the_first_two_lines_are_as_wide_as_the_terminal_and_coloured_where_they_are_plain() {
        let sentence = "reader: Read returned 3, expected 7; ".repeat(6);
        let report = Report {
            test: "rings::ring::stepped".into(),
            kind: Some("NOT LINEARIZABLE".into()),
            headline: sentence.trim().into(),
            origin: Some("shrunk from 5 operations to 2 in 0.3 s (12 candidates)".into()),
            rate: Some("replayed 10 of 10 times".into()),
            machine: "release, x86_64, 2 cores".into(),
            ..Report::default()
        };
        for verdict in ["finding", "unknown", "unavailable"] {
            let report = Report {
                verdict,
                ..report.clone()
            };
            for columns in [80, 160] {
                let text = report.text(columns);
                let head: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
                assert!(
                    head.iter().all(|line| line.chars().count() <= columns),
                    "{text}"
                );
                assert!(head[0].chars().count() > columns - 12, "{text}");
                let colored = report.colored_text(columns);
                let plain = colored.split('\x1b').enumerate().map(|(number, part)| {
                    if number == 0 {
                        part
                    } else {
                        part.split_once('m').unwrap().1
                    }
                });
                assert_eq!(plain.collect::<String>(), text);
            }
            assert_eq!(report.to_string().matches(&report.headline).count(), 1);
        }
        let narrow = Report {
            verdict: "finding",
            ..report
        };
        let narrow = narrow.text(50);
        assert!(
            narrow.contains("\n    (release, x86_64, 2 cores)\n"),
            "{narrow}"
        );
    }

    #[test]
    fn a_command_that_steps_into_a_row_is_one_line_that_has_all_it_takes() {
        let token = "fk1:".to_owned() + &"0".repeat(3 * WIDTH);
        let of = |replay: &str| {
            let report = Report {
                verdict: "finding",
                schedule: Some(Schedule::Turns(Vec::new())),
                replay: Some(replay.replace("TOKEN", &token)),
                steps: vec![Step::at(0, Access::Load, ("a.rs", 1, 1))],
                ..long()
            };
            let text = report.text(80).replace(&token, "TOKEN");
            let mut lines = text.lines();
            let found = lines.find_map(|line| line.strip_prefix(" step into:   "));
            found.unwrap().to_owned()
        };
        assert_eq!(
            of("forkcheck replay TOKEN"),
            "forkcheck replay TOKEN --gdb --to-row 2"
        );
        assert_eq!(
            of("FORKCHECK_REPLAY=TOKEN cargo test -p a b -- --exact"),
            "FORKCHECK_GDB_ROW=2 FORKCHECK_REPLAY=TOKEN cargo test -p a b -- --exact"
        );
        assert_eq!(
            of("FORKCHECK_REPLAY=TOKEN cargo nextest run -p a -E 'test(=b)'"),
            "FORKCHECK_GDB_ROW=2 FORKCHECK_REPLAY=TOKEN cargo nextest run -p a -E 'test(=b)' --no-capture"
        );
    }
}
