//! The `forkcheck` command: checks the built-in subjects on every engine there is, and then shows a planted bug
//! being found, since a harness that was never seen to fail proves nothing.

use clap::Parser;
use comfy_table::{ContentArrangement, Table, presets};
use forkcheck::builtin::{
    EarlyPublish, OneShotSubject, SeqLockSubject, early_publish, one_shot, seq_lock,
};
use forkcheck::check::Verdict;
use forkcheck::engine::{Engine, Processes};
use forkcheck::{Error, Hardware, Outcome, Spec, Subject, Suite};
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
    let mut worst = Expected::Yes;
    let mut reports = Vec::new();
    macro_rules! row {
        ($suite:expr, $($subject:ident)::+, $planted:expr) => {{
            let name = stringify!($($subject)::+);
            worst = worst.max(row::<Processes, $($subject)::+<Hardware>>(&mut table, &mut reports, name, &$suite, $planted));
            #[cfg(feature = "loom")]
            {
                use forkcheck::engine::loom::{Loom, LoomMemory};
                worst = worst.max(row::<Loom, $($subject)::+<LoomMemory>>(&mut table, &mut reports, name, &$suite, $planted));
            }
        }};
    }
    row!(one_shot(), OneShotSubject, false);
    row!(seq_lock(), SeqLockSubject, false);
    row!(early_publish(), EarlyPublish, true);
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

fn row<E: Engine, S: Subject<E::Memory>>(
    table: &mut Table,
    reports: &mut Vec<String>,
    name: &str,
    suite: &Suite<S::Spec>,
    planted: bool,
) -> Expected {
    eprint!("{name} on {} ...\r", E::NAME);
    let outcome: Result<Outcome<S::Spec>, Error> = suite.check::<E, S>();
    eprint!("{:60}\r", "");
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            reports.push(error.to_string());
            return Expected::CannotSay;
        }
    };
    let (verdict, expected) = match (&outcome.verdict, planted) {
        (Verdict::Ok, false) => ("ok", Expected::Yes),
        (Verdict::Ok, true) => ("ok: planted bug MISSED", Expected::No),
        (Verdict::Finding(_), true) => ("finding, as planted", Expected::Yes),
        (Verdict::Finding(_), false) => ("FINDING", Expected::No),
        (Verdict::Unknown(_), _) => ("unknown", Expected::CannotSay),
        (Verdict::Unavailable(_), _) => ("unavailable", Expected::CannotSay),
    };
    if outcome.verdict != Verdict::Ok {
        reports.push(suite.report(&outcome));
    }
    table.add_row([
        name,
        E::NAME,
        verdict,
        &outcome.covered.programs.to_string(),
        &outcome.covered.executions.to_string(),
        &covered(&outcome),
        &format!("{:.1}", outcome.took.as_secs_f64()),
    ]);
    expected
}

fn covered<S: Spec>(outcome: &Outcome<S>) -> String {
    let covered = &outcome.covered;
    match (100 * covered.overlapping).checked_div(covered.could_overlap) {
        Some(percent) => format!("{percent} % of executions overlapped"),
        None => format!(
            "{} of {} programs to the end",
            covered.exhausted, covered.programs
        ),
    }
}
