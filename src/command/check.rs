//! `forkcheck check`: a row for each structure on each engine, and a report for each verdict other
//! than `ok`.

use super::builtins::{self, Builtin};
use super::json;
use super::options::Options;
use super::print::{report_text, say, table};
use super::standing::{Standing, expected};
use forkcheck::Report;
use forkcheck::engine::Covered;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Checks the structures of these names, or all.
pub(super) fn check(names: &[String], options: &Options) -> Standing {
    let all = builtins::all();
    let named = |builtin: &&Builtin| names.is_empty() || names.iter().any(|n| n == builtin.name);
    let runs: Vec<_> = all
        .iter()
        .filter(named)
        .flat_map(|builtin| builtin.engines.iter().map(move |engine| (builtin, engine)))
        .filter(|(_, (engine, _))| options.names(engine))
        .collect();
    let bar = progress(runs.len() as u64, options.json);
    let mut table = table(
        [
            "structure",
            "engine",
            "verdict",
            "programs",
            "executions",
            "covered",
            "seconds",
        ],
        &[(2, 11), (5, 7)],
    );
    let mut reports = Vec::new();
    let mut worst = Standing::AsExpected;
    let (mut planted, mut others) = (0, 0);
    for (builtin, (engine, check)) in runs {
        bar.set_message(format!("{} on {engine}", builtin.name));
        let row = Row::of(
            builtin,
            engine,
            check(&options.limits()).map_err(|e| e.to_string()),
        );
        bar.inc(1);
        worst = worst.max(row.standing);
        let counted = if builtin.is_planted(engine) {
            &mut planted
        } else {
            &mut others
        };
        *counted += 1;
        if options.json {
            say!("{}", json::outcome(builtin, engine, &row.outcome));
        } else {
            table.add_row(row.cells());
            // One report of a planted bug is enough: that of `stepped`, where it has to find it.
            let planted = builtin.name;
            let as_planted = row.standing == Standing::AsExpected;
            if let Some(report) = row.report() {
                let outcome = reports.iter().position(|(name, _)| *name == Some(planted));
                match outcome {
                    Some(outcome) if as_planted => {
                        if *engine == "stepped" {
                            reports[outcome].1 = report;
                        }
                    }
                    _ => reports.push((as_planted.then_some(planted), report)),
                }
            }
        }
    }
    bar.finish_and_clear();
    if options.json {
        return worst;
    }
    say!("{table}");
    for (_, report) in reports {
        say!("\n{report}");
    }
    say!(
        "\n{}",
        match worst {
            Standing::AsExpected => as_expected(planted, others),
            Standing::NotAsExpected => "NOT as expected: see above".into(),
            Standing::CannotSay => "not everything could be run: see above".into(),
        }
    );
    worst
}

/// Returns the text for N runs of an engine that can see the planted bug, and M other runs.
fn as_expected(planted: u32, others: u32) -> String {
    let runs = |n: u32| format!("{n} run{}", if n == 1 { "" } else { "s" });
    let found = format!(
        "each engine that can see a planted bug found it ({})",
        runs(planted)
    );
    let nothing = format!(
        "{} found nothing, and nothing was to be found",
        runs(others)
    );
    match (planted, others) {
        (0, _) => format!("all as expected: {nothing}"),
        (_, 0) => format!("all as expected: {found}"),
        _ => format!("all as expected: {found}; {nothing}"),
    }
}

/// Returns a progress bar that a terminal shows until all is done.
fn progress(length: u64, json: bool) -> ProgressBar {
    let target = if json {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {msg} {elapsed}") {
        bar.set_style(style);
    }
    // A hidden bar needs no thread that redraws it. Where no thread can be started, the bar
    // advances row by row.
    if !bar.is_hidden() && std::thread::Builder::new().spawn(|| ()).is_ok() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}

/// One structure on one engine: the result, or the reason why it could not be run.
struct Row<'a> {
    builtin: &'a Builtin,
    engine: &'a str,
    outcome: Result<Report, String>,
    standing: Standing,
}

impl<'a> Row<'a> {
    fn of(builtin: &'a Builtin, engine: &'a str, outcome: Result<Report, String>) -> Self {
        let standing = match &outcome {
            Ok(outcome) if outcome.verdict == expected(builtin.is_planted(engine)) => {
                Standing::AsExpected
            }
            Ok(outcome) if matches!(outcome.verdict, "ok" | "finding") => Standing::NotAsExpected,
            _ => Standing::CannotSay,
        };
        Self {
            builtin,
            engine,
            outcome,
            standing,
        }
    }

    fn cells(&self) -> Vec<String> {
        let verdict = match (&self.outcome, self.standing) {
            (Err(_), _) => "error",
            (Ok(outcome), Standing::CannotSay) => outcome.verdict,
            (Ok(_), Standing::AsExpected) if self.builtin.is_planted(self.engine) => "as planted",
            (Ok(_), Standing::AsExpected) if !self.builtin.planted.is_empty() => "not visible",
            (Ok(_), Standing::AsExpected) => "ok",
            (Ok(_), Standing::NotAsExpected) if self.builtin.is_planted(self.engine) => {
                "planted bug MISSED"
            }
            (Ok(_), Standing::NotAsExpected) => "FINDING",
        };
        let mut cells = vec![
            self.builtin.name.to_owned(),
            self.engine.to_owned(),
            verdict.to_owned(),
        ];
        if let Ok(outcome) = &self.outcome {
            cells.extend([
                outcome.covered.programs.to_string(),
                outcome.covered.executions.to_string(),
                covered(&outcome.covered),
                format!("{:.1}", outcome.seconds),
            ]);
        }
        cells
    }

    /// Returns the report to print below the table, if there is one.
    fn report(self) -> Option<String> {
        match self.outcome {
            Err(error) => Some(error),
            Ok(outcome) => (outcome.verdict != "ok").then(|| report_text(&outcome)),
        }
    }
}

fn covered(covered: &Covered) -> String {
    match (100 * covered.overlapping).checked_div(covered.could_overlap) {
        Some(percent) => format!("{percent} % overlap"),
        None => format!("{} of {} done", covered.exhausted, covered.programs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    /// Returns the row of a built-in structure, with a bug planted for this engine or for none,
    /// whose check ends with this verdict.
    fn row(
        planted: &'static [&'static str],
        engine: &str,
        verdict: &'static str,
    ) -> (Standing, String) {
        let builtin = Builtin {
            name: "some",
            about: "",
            planted,
            engines: Vec::new(),
            suite: String::new(),
        };
        let mut outcome = Report::default();
        outcome.verdict = verdict;
        let row = Row::of(&builtin, engine, Ok(outcome));
        let (standing, cell) = (row.standing, row.cells()[2].clone());
        assert_eq!(row.report().is_some(), verdict != "ok");
        (standing, cell)
    }

    #[test]
    fn a_finding_is_expected_where_it_was_planted_and_nowhere_else() {
        let (standing, verdict) = row(&["processes"], "processes", "finding");
        assert_eq!((standing, &*verdict), (Standing::AsExpected, "as planted"));
        let (standing, verdict) = row(&[], "processes", "finding");
        assert_eq!((standing, &*verdict), (Standing::NotAsExpected, "FINDING"));
    }

    #[test]
    fn the_last_line_counts_only_engines_that_can_see_a_bug() {
        assert_eq!(
            as_expected(1, 2),
            "all as expected: each engine that can see a planted bug found it (1 run); \
             2 runs found nothing, and nothing was to be found"
        );
        assert_eq!(
            as_expected(0, 1),
            "all as expected: 1 run found nothing, and nothing was to be found"
        );
        assert!(as_expected(3, 0).ends_with("found it (3 runs)"));
        // An engine that cannot see the bug does not say that the structure is right.
        let (standing, verdict) = row(&["kills"], "stepped", "ok");
        assert_eq!((standing, &*verdict), (Standing::AsExpected, "not visible"));
    }

    #[test]
    fn a_planted_bug_that_is_missed_is_not_as_expected() {
        let (standing, verdict) = row(&["processes"], "processes", "ok");
        assert_eq!(
            (standing, &*verdict),
            (Standing::NotAsExpected, "planted bug MISSED")
        );
    }

    #[test]
    fn what_could_not_be_run_is_neither() {
        let builtin = Builtin {
            name: "some",
            about: "",
            planted: &[],
            engines: Vec::new(),
            suite: String::new(),
        };
        let row = Row::of(&builtin, "processes", Err("no such thing".into()));
        assert_eq!(row.standing, Standing::CannotSay);
        assert_eq!(row.report().unwrap(), "no such thing");
    }
}
