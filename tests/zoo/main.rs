//! A zoo of real bugs: each occurred in real shared-memory code, and is here as a few lines of the
//! project's own, named for its class. Each is found, shrunk and replayed ten times of ten, and its
//! fix passes the same suite.
//!
//! `cargo test --test zoo -- --nocapture` prints a row for each suite: the engine, the verdict, the
//! number of executions, the number that forked processes repeated, the number of programs that
//! these searched alone, and milliseconds. For each bug that `stepped` finds it prints the number
//! of executions that each strategy takes in the shrunk program.

mod aba;
mod absolute_address;
mod cycle;
mod flag_before_data;
mod full_when_not;
mod half_moved;
mod index_not_wrapped;
mod lock;
mod plain_copy;
mod popper_spins;
mod private_mapping;
mod reader_writes;
mod sequence_wraps;
mod slot_before_content;
mod spins_when_full;
#[path = "../support/mod.rs"]
mod support;
mod two_writers;
mod unlinked_by_a_child;

use forkcheck::Outcome;
use forkcheck::case::Case;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Budget, Engine, Kills, Known, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::structure::Progress;
use forkcheck::suite::Rate;
use std::time::{Duration, Instant};
use support::is_reproduced;

/// Returns a suite with the settings of this test: the same each time, and no saved cases.
fn suite<S: Spec>(name: &str) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .seed(7)
        .cases(8)
        .executions(1_000)
        .regressions(None)
}

/// Asserts that the bug is found with this kind, shrinks to this many operations, and is reproduced
/// ten times of ten. Returns the report.
#[track_caller]
fn caught<E: Engine<Memory = SteppedMemory>, T: WithHandles<Memory = SteppedMemory>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
    operations: usize,
) -> String {
    let started = Instant::now();
    let outcome = check::<E, T>(suite);
    let report = suite.report(&outcome);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("not found: {report}")
    };
    assert_eq!(finding.kind, kind, "{report}");
    let found = outcome.found.as_ref().expect("a finding is told");
    is_reproduced(&outcome, &report);
    assert!(found.run.case.operations() <= operations, "{report}");
    row::<T, _>(&outcome, started);
    // A broken promise (`lock_free`, `read_only`) is no finding without the promise.
    if E::NAME == Stepped::NAME && kind == Kind::NotLinearizable {
        let strategies = strategies::<T>(suite, &found.run.case);
        println!("| {} | strategies | {strategies} |", file_of::<T>());
    }
    // By the token alone, as from the log of a machine that no longer exists.
    let again = suite.clone().replay(&found.token).check::<E, T>().unwrap();
    let Verdict::Finding(told) = &again.verdict else {
        panic!("not found again: {report}")
    };
    // The kernel assigns other pids each time.
    let without_numbers = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(told.kind, finding.kind, "{report}");
    assert_eq!(told.explanation, finding.explanation, "{report}");
    assert_eq!(
        without_numbers(&told.detail),
        without_numbers(&finding.detail),
        "{report}"
    );
    assert_eq!(
        again.found.as_ref().expect("it fails again").run.case,
        found.run.case,
        "{report}"
    );
    report
}

/// Asserts the same under `processes`: the report tells the rate of failure, and the token
/// reproduces it.
#[track_caller]
fn side_by_side<T: WithHandles<Memory = Hardware>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
    operations: usize,
) -> String {
    let started = Instant::now();
    let outcome = suite.check::<Processes, T>().unwrap();
    let report = suite.report(&outcome);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("not found: {report}")
    };
    assert_eq!(finding.kind, kind, "{report}");
    let found = outcome.found.as_ref().expect("a finding is told");
    assert!(
        matches!(found.rate, Rate::Executions(failed, _) | Rate::Reproduced { times: failed, .. } if failed > 0),
        "{report}"
    );
    assert!(found.run.case.operations() <= operations, "{report}");
    row::<T, _>(&outcome, started);
    let again = suite.clone().replay(&found.token);
    let again = again.check::<Processes, T>().unwrap();
    let found_again = again.found.expect("it fails again");
    assert_eq!(found_again.run.case, found.run.case, "{report}");
    report
}

/// Returns the number of executions after which each strategy finds the bug in this program.
fn strategies<T: WithHandles<Memory = SteppedMemory>>(
    suite: &Suite<T::Spec>,
    case: &Case<T::Spec>,
) -> String {
    const EXECUTIONS: u64 = 1_000;
    let case = Case::free(case.setup.clone(), case.program.clone());
    let found = [
        ("bounds", forkcheck::engine::Strategy::Bounded),
        ("PCT", forkcheck::engine::Strategy::Pct),
        ("random", forkcheck::engine::Strategy::Random),
    ]
    .map(|(name, strategy)| {
        let budget = Budget {
            executions: EXECUTIONS,
            time: Duration::from_secs(600),
            seed: 7,
            keep_going: false,
            without_kills: true,
            progress: Progress::Any,
            read_only: 0,
            killable: 0,
            strategy,
            known: Known::default(),
            watchdog: Duration::from_secs(2),
            backtraces: false,
            shows_passing: false,
            stop: None,
            threads_only: false,
        };
        let searched = Stepped::default().search::<T>(&case, &suite.process_roles(), &budget);
        let (covered, run) = searched.unwrap();
        assert!(covered.executions > 0, "{name} ran nothing");
        match run {
            Some(_) => format!("{name} {}", covered.executions),
            None => format!("{name} not in {}", covered.executions),
        }
    });
    found.join(" | ")
}

fn file_of<T>() -> &'static str {
    std::any::type_name::<T>()
        .split("::")
        .nth(1)
        .unwrap_or_default()
}

/// Prints a row of the table: the file, the engine, executions and milliseconds.
fn row<T, S: Spec>(outcome: &Outcome<S>, started: Instant) {
    let covered = outcome.covered;
    println!(
        "| {} | {} | {} | {} | {} | {} of {} | {} |",
        file_of::<T>(),
        outcome.engine,
        if outcome.found.is_some() {
            "found"
        } else {
            "ok"
        },
        covered.executions,
        covered.samples,
        covered.by_processes,
        covered.programs,
        started.elapsed().as_millis()
    );
}

/// Asserts that the fix passes, and that all of it was tried.
#[track_caller]
fn passes<E: Engine<Memory = SteppedMemory>, T: WithHandles<Memory = SteppedMemory>>(
    suite: &Suite<T::Spec>,
) {
    let started = Instant::now();
    let outcome = check::<E, T>(suite);
    assert_eq!(outcome.verdict, Verdict::Ok, "{}", suite.report(&outcome));
    row::<T, _>(&outcome, started);
    // Forked processes did the same as coroutines, even where an operation takes no step (aba).
    assert_eq!(
        outcome.covered.by_processes,
        0,
        "{}",
        suite.report(&outcome)
    );
    assert!(
        outcome.covered.executions >= 20,
        "{}",
        suite.report(&outcome)
    );
    if E::NAME == Kills::NAME {
        assert!(outcome.covered.killed > 0, "{}", suite.report(&outcome));
        assert_eq!(
            outcome.covered.killed,
            outcome.covered.kill_points,
            "{}",
            suite.report(&outcome)
        );
    }
}

fn check<E: Engine<Memory = SteppedMemory>, T: WithHandles<Memory = SteppedMemory>>(
    suite: &Suite<T::Spec>,
) -> Outcome<T::Spec> {
    suite.check::<E, T>().unwrap()
}
