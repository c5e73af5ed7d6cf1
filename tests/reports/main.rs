//! The whole text of some reports, compared with the files beside this one, in a narrow and in a wide terminal.
//!
//! `FORKCHECK_TESTS_GOLDEN=write cargo test --test reports` writes the files again.
#![cfg(feature = "loom")]
#![forbid(unsafe_code)]

use forkcheck::Report;
use forkcheck::builtin::{
    CheckedSeqLock, DeadWriter, EarlyFlag, Overrides, check, dead_writer, early_flag, seq_lock,
};
use forkcheck::case::{Call, History};
use forkcheck::engine::loom::{Loom, LoomMemory};
use forkcheck::engine::{Kills, Stepped, SteppedMemory};
use forkcheck::recorded::judge;
use forkcheck::spec::{Queue, QueueOp, QueueRet};
use std::path::Path;
use std::time::Duration;

/// Returns overrides within which a check does the same on each machine.
fn overrides(cases: u32) -> Overrides {
    Overrides {
        cases: Some(cases),
        seed: Some(1),
        command: "forkcheck".into(),
        time: Some(Duration::from_secs(300)),
        ..Overrides::default()
    }
}

/// Returns a report without what differs from run to run: times, the machine, and whether other suites ran.
fn lasting(mut report: Report) -> Report {
    report.machine = "release, x86_64, 2 cores".into();
    (report.seconds, report.waited) = (0.5, 0.0);
    report.coverage.retain(|part| !part.starts_with("beside "));
    if let Some(origin) = &report.origin
        && let Some((before, rest)) = origin.split_once(" in ")
        && let Some((_, behind)) = rest.split_once(" s (")
    {
        report.origin = Some(format!("{before} in 0.5 s ({behind}"));
    }
    report
}

/// Returns the differences of a report from its files, which are written again where `writes` says so.
fn differences(name: &str, report: &Report, writes: bool) -> Vec<String> {
    let mut differences = Vec::new();
    for columns in [80, 160] {
        let file = format!("tests/reports/{name}-{columns}.txt");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        let text = report.text(columns) + "\n";
        if writes {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept != text {
            differences.push(format!("{file} has\n{kept}\nand printed is\n{text}"));
        }
    }
    differences
}

/// Asserts that a report is that of its files, and that a report with another word is not.
#[track_caller]
fn is_as_kept(name: &str, report: Report) {
    let report = lasting(report);
    let writes = std::env::var("FORKCHECK_TESTS_GOLDEN").is_ok_and(|wish| wish == "write");
    let differences = differences(name, &report, writes);
    assert!(
        differences.is_empty(),
        "{}\nIf that is what it should be: FORKCHECK_TESTS_GOLDEN=write cargo test --test reports",
        differences.join("\n")
    );
    let mut other = report;
    other.test.push('s');
    assert_eq!(self::differences(name, &other, false).len(), 2);
}

#[test]
fn a_finding_of_stepped() {
    let suite = early_flag::suite();
    let report = check::<Stepped, EarlyFlag<SteppedMemory>>(suite, &overrides(8)).unwrap();
    assert_eq!(report.verdict, "finding");
    is_as_kept("stepped", report);
}

#[test]
fn a_finding_of_kills() {
    let suite = dead_writer::suite();
    let report = check::<Kills, DeadWriter<SteppedMemory>>(suite, &overrides(8)).unwrap();
    assert_eq!(report.verdict, "finding");
    is_as_kept("kills", report);
}

#[test]
fn a_finding_of_loom() {
    let suite = early_flag::suite();
    let report = check::<Loom, EarlyFlag<LoomMemory>>(suite, &overrides(8)).unwrap();
    assert_eq!(report.verdict, "finding");
    is_as_kept("loom", report);
}

#[test]
fn an_illegal_history() {
    let call = |op, ret, invoked, returned| Call {
        op,
        ret: Some(ret),
        invoked,
        returned,
    };
    let pushes = (0..20).map(|n| call(QueueOp::Push(n), QueueRet::Pushed, 10 * n, 10 * n + 5));
    let pops = (0..20).map(|n| {
        let item = if n == 18 { 19 } else { n };
        let (from, to) = (10 * n + 7, 10 * n + 9);
        call(QueueOp::Pop, QueueRet::Popped(item), from, to)
    });
    let history = History::<Queue<u64>> {
        calls: vec![pushes.collect(), pops.collect()],
    };
    let names = ["producer".to_owned(), "consumer".to_owned()];
    let judged = judge("calls.jsonl", &names, &100, &history, Default::default());
    is_as_kept("history", judged.report);
}

#[test]
fn an_unknown_verdict() {
    let overrides = Overrides {
        time: Some(Duration::from_nanos(1)),
        ..overrides(8)
    };
    let suite = seq_lock::suite();
    let report = check::<Stepped, CheckedSeqLock<SteppedMemory>>(suite, &overrides).unwrap();
    assert_eq!(report.verdict, "unknown");
    is_as_kept("unknown", report);
}

#[test]
fn an_ok() {
    let suite = seq_lock::suite();
    let report = check::<Stepped, CheckedSeqLock<SteppedMemory>>(suite, &overrides(2)).unwrap();
    assert_eq!(report.verdict, "ok");
    is_as_kept("ok", report);
}
