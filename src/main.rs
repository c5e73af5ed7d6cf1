//! The `forkcheck` command: checks the built-in subjects on every engine there is, and then shows a planted bug
//! being found, since a harness that was never seen to fail proves nothing.

use clap::Parser;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use forkcheck::builtin::{
    EarlyPublish, OneShotSubject, SeqLockSubject, early_publish, one_shot, seq_lock,
};
use forkcheck::check::Verdict;
#[cfg(feature = "loom")]
use forkcheck::engine::loom::{Loom, LoomMemory};
use forkcheck::engine::{Engine, Processes};
use forkcheck::{Hardware, Outcome, Spec, Subject, Suite};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Checks the memory that processes share: the built-in publications, on every engine there is.
///
/// Exit code: 0, all is as expected; 1, a finding, or a planted bug that was not found; 2, wrong use, or a
/// place where it cannot run. FORKCHECK_CASES, FORKCHECK_SECONDS and FORKCHECK_SEED say how much to run.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "subject",
            "engine",
            "verdict",
            "programs",
            "executions",
            "covered",
            "seconds",
        ]);
    // In a narrow terminal the words of the other columns wrap, and these stay whole.
    for column in table.column_iter_mut().take(3) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    let mut worst = Expected::Yes;
    let mut reports: Vec<String> = Vec::new();
    macro_rules! rows {
        ($suite:ident, $subject:ident, $planted:literal) => {{
            let mut row = |row: Row| {
                worst = worst.max(row.expected);
                reports.extend(row.report);
                table.add_row(row.cells);
            };
            let name = stringify!($suite);
            row(check::<Processes, $subject<Hardware>>(
                name,
                &$suite(),
                $planted,
            ));
            #[cfg(feature = "loom")]
            row(check::<Loom, $subject<LoomMemory>>(
                name,
                &$suite(),
                $planted,
            ));
        }};
    }
    rows!(one_shot, OneShotSubject, false);
    rows!(seq_lock, SeqLockSubject, false);
    rows!(early_publish, EarlyPublish, true);
    println!("{table}");
    for report in reports {
        println!("\n{report}");
    }
    match worst {
        Expected::Yes => println!(
            "\nall as expected: nothing found in the publications, and the planted bug found by each engine"
        ),
        Expected::No => println!("\nNOT as expected: see above"),
        Expected::CannotSay => println!("\nnot everything could be run: see above"),
    }
    worst.into()
}

/// How an outcome compares with what was to come; the worst comes last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Expected {
    Yes,
    CannotSay,
    No,
}

impl From<Expected> for ExitCode {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Yes => ExitCode::SUCCESS,
            Expected::No => ExitCode::from(1),
            Expected::CannotSay => ExitCode::from(2),
        }
    }
}

/// One subject on one engine.
struct Row {
    cells: [String; 7],
    report: Option<String>,
    expected: Expected,
}

fn check<E: Engine, S: Subject<E::Memory>>(
    name: &str,
    suite: &Suite<S::Spec>,
    planted: bool,
) -> Row {
    let terminal = std::io::stderr().is_terminal();
    if terminal {
        eprint!("{name} on {} ...", E::NAME);
    }
    let outcome = suite.check::<E, S>();
    if terminal {
        eprint!("\r\x1b[K");
    }
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let [none, no, nothing, never] = [const { String::new() }; 4];
            let cells = [
                name.into(),
                E::NAME.into(),
                "error".into(),
                none,
                no,
                nothing,
                never,
            ];
            return Row {
                cells,
                report: Some(error.to_string()),
                expected: Expected::CannotSay,
            };
        }
    };
    let (verdict, expected) = match (&outcome.verdict, planted) {
        (Verdict::Ok, false) => ("ok", Expected::Yes),
        (Verdict::Ok, true) => ("planted bug MISSED", Expected::No),
        (Verdict::Finding(_), true) => ("as planted", Expected::Yes),
        (Verdict::Finding(_), false) => ("FINDING", Expected::No),
        (Verdict::Unknown(_), _) => ("unknown", Expected::CannotSay),
        (Verdict::Unavailable(_), _) => ("unavailable", Expected::CannotSay),
    };
    let cells = [
        name.into(),
        E::NAME.into(),
        verdict.into(),
        outcome.covered.programs.to_string(),
        outcome.covered.executions.to_string(),
        covered(&outcome),
        format!("{:.1}", outcome.took.as_secs_f64()),
    ];
    Row {
        cells,
        report: (outcome.verdict != Verdict::Ok).then(|| suite.report(&outcome)),
        expected,
    }
}

fn covered<S: Spec>(outcome: &Outcome<S>) -> String {
    let covered = &outcome.covered;
    match (100 * covered.overlapping).checked_div(covered.could_overlap) {
        Some(percent) => format!("{percent} % overlap"),
        None => format!("{} of {} done", covered.exhausted, covered.programs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_expected_where_it_was_planted_and_nowhere_else() {
        let planted =
            |planted| check::<Processes, EarlyPublish<Hardware>>("", &early_publish(), planted);
        assert!(planted(true).expected == Expected::Yes);
        let unplanned = planted(false);
        assert!(unplanned.expected == Expected::No && unplanned.cells[2] == "FINDING");
        assert!(
            unplanned
                .report
                .is_some_and(|report| report.starts_with("NOT LINEARIZABLE"))
        );
    }

    #[test]
    fn a_planted_bug_that_is_missed_is_not_as_expected() {
        let missed = check::<Processes, SeqLockSubject<Hardware>>("", &seq_lock().cases(1), true);
        assert!(missed.expected == Expected::No && missed.cells[2] == "planted bug MISSED");
    }

    #[test]
    fn the_worst_of_all_rows_decides() {
        assert!(Expected::Yes < Expected::CannotSay && Expected::CannotSay < Expected::No);
    }
}
