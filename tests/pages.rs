//! Reports as data, and as pages, which a failing test writes if `FORKCHECK_HTML` names a
//! directory.
#![forbid(unsafe_code)]

use forkcheck::Report;
use forkcheck::builtin::{DeadWriter, dead_writer};
use forkcheck::case::Access;
use forkcheck::engine::{Kills, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Counter, CounterOp, CounterRet};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// A counter; with `BROKEN` in the environment it loses additions of two processes at the same
/// time.
struct Sum<M: Memory> {
    total: M::AtomicU64,
    broken: bool,
}

const BROKEN: &str = "FORKCHECK_TESTS_LOSE_A_NUMBER";

impl<M: Memory> Structure for Sum<M> {
    type Memory = M;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Sum {
            total: Atomic::new(first as u64),
            broken: std::env::var_os(BROKEN).is_some(),
        }
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        match op {
            CounterOp::Add(more) if self.broken => {
                let total = self.total.load(Ordering::SeqCst);
                (0..200).for_each(|_| std::hint::spin_loop());
                self.total.store(total + *more as u64, Ordering::SeqCst);
                CounterRet::Added
            }
            CounterOp::Add(more) => {
                self.total.fetch_add(*more as u64, Ordering::SeqCst);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.total.load(Ordering::SeqCst) as i64),
        }
    }
}

forkcheck::suite! {
    sum: Sum<_>,
    setup: Just(0),
    adder: 2 processes, 1..=1 ops of Just(CounterOp::Add(1)),
    reader: 1..=2 ops of Just(CounterOp::Read),
    with: .seed(1).cases(16).regressions(None),
}

/// A lossy counter as a structure that needs no environment.
struct Lossy<M: Memory>(Sum<M>);

impl<M: Memory> Structure for Lossy<M> {
    type Memory = M;
    type Spec = Counter;
    fn new(first: &i64) -> Self {
        let broken = true;
        Lossy(Sum {
            broken,
            ..Structure::new(first)
        })
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        Structure::apply(&self.0, op)
    }
}

#[test]
fn a_report_is_data_whose_fields_can_be_compared() {
    let suite = sum::suite();
    let outcome = suite.check::<Stepped, Lossy<SteppedMemory>>().unwrap();
    let report: Report = suite.report_data(&outcome);
    assert_eq!(report.verdict, "finding");
    assert_eq!(report.kind.as_deref(), Some("NOT LINEARIZABLE"));
    assert_eq!(report.suite, "pages::sum");
    assert_eq!((&*report.engine, report.seed), ("stepped", 1));
    assert!(
        report.headline.starts_with("reader: Read returned Value("),
        "{}",
        report.headline
    );
    let processes = report.processes.iter();
    let processes: Vec<(&str, &str, usize)> = processes
        .map(|process| (&*process.name, &*process.role, process.operations.len()))
        .collect();
    assert_eq!(
        processes,
        [
            ("adder 1", "adder", 1),
            ("adder 2", "adder", 1),
            ("reader", "reader", 1)
        ]
    );
    let operation = &report.processes[0].operations[0];
    assert_eq!(operation.call, "Add(1)");
    assert_eq!(operation.result.as_deref(), Some("Added"));
    assert!(operation.returned > Some(operation.invoked) && !operation.killed);
    let names: Vec<&str> = report.words.iter().map(|word| &*word.name).collect();
    assert_eq!(names, ["total"]);
    let stores = report.steps.iter();
    let stores = stores.filter(|step| step.access == Access::Store);
    let stores: Vec<(Option<usize>, u64)> = stores.map(|step| (step.word, step.value)).collect();
    assert_eq!(stores, [(Some(0), 1), (Some(0), 1)]);
    assert!(report.steps.iter().all(|step| step.file == file!()));
    let attempt = report.linearization.as_ref().unwrap();
    assert_eq!(attempt.longest.len(), attempt.reason.longest.len());
    assert!(attempt.blocked.contains(&(2, 0)), "{attempt:?}");
    assert!(!report.near_misses.is_empty());
    assert_eq!(
        report.token.as_ref(),
        outcome.found.as_ref().map(|f| &f.token)
    );
    let replay = report.replay.as_deref().unwrap();
    assert!(replay.starts_with("FORKCHECK_REPLAY=fk1:"), "{replay}");
    assert!(report.not_checked.contains(&"kills".to_owned()));
    // The text is made from the data, and so is the JSON.
    assert_eq!(report.to_string(), suite.report(&outcome));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["processes"][2]["role"], "reader");
    assert_eq!(json["steps"].as_array().unwrap().len(), report.steps.len());

    let passing = suite.check::<Stepped, Sum<SteppedMemory>>().unwrap();
    let report = suite.report_data(&passing);
    assert_eq!((report.verdict, report.kind), ("ok", None));
    assert!(report.steps.is_empty() && report.processes[0].operations.is_empty());
}

#[test]
fn a_killed_operation_is_marked_and_has_no_result() {
    let suite = dead_writer::suite().seed(1).cases(8).regressions(None);
    let outcome = suite.check::<Kills, DeadWriter<SteppedMemory>>().unwrap();
    let report = suite.report_data(&outcome);
    assert_eq!(report.kind.as_deref(), Some("NOT CRASH-TOLERANT"));
    let steps = report.steps.iter();
    let killed = steps.filter(|step| step.access == Access::Killed).count();
    assert_eq!((killed, report.kills.len()), (1, 1));
    let operation = |process: usize| &report.processes[process].operations[0];
    assert!(operation(0).killed && operation(0).result.is_none());
    // The reader waits for it.
    assert!(!operation(1).killed && operation(1).result.is_none());
    assert_eq!(operation(1).returned, None);
}

/// Runs this test binary for one of its tests with this environment.
fn run_test(name: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env_remove("FORKCHECK_REPLAY")
        .env_remove("FORKCHECK_HTML")
        .env_remove("GITHUB_ACTIONS")
        .env_remove("COLUMNS")
        .env_remove("RUST_BACKTRACE");
    command.envs(environment.iter().copied()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_job_of_github_actions_gets_an_annotation_of_the_line_and_no_other_run_does() {
    let annotations = |output: &Output| {
        let text = text(output);
        let lines = text.lines().filter(|line| line.starts_with("::"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let job = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_WORKSPACE", env!("CARGO_MANIFEST_DIR")),
        (BROKEN, "1"),
    ];
    let failing = run_test("sum::stepped", &job);
    // The late store.
    let line = include_str!("pages.rs").lines();
    let line = line
        .take_while(|line| !line.contains("store(total +"))
        .count()
        + 1;
    let expected = format!(
        "::error file=tests/pages.rs,line={line},title=NOT LINEARIZABLE pages%3A%3Asum%3A%3Astepped::reader: Read returned Value("
    );
    let lines = annotations(&failing);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with(&expected), "{lines:?}");
    assert!(
        lines[0].contains("%0Areplay: FORKCHECK_REPLAY=fk1:"),
        "{lines:?}"
    );
    assert!(annotations(&run_test("sum::stepped", &job[2..])).is_empty());
    let passing = run_test("sum::stepped", &job[..2]);
    assert!(passing.status.success() && annotations(&passing).is_empty());
}

#[test]
fn the_table_is_as_wide_as_the_environment_says() {
    let head = |columns: &[(&str, &str)]| {
        let environment = [columns, &[(BROKEN, "1")]].concat();
        let told = text(&run_test("sum::stepped", &environment));
        let found = told.lines().position(|line| line.starts_with("shrunk "));
        let head = told.lines().nth(found.unwrap() + 4);
        (head.unwrap().to_owned(), told)
    };
    let (narrow, told) = head(&[("COLUMNS", "70")]);
    assert!(narrow.starts_with("    1  adder 1: Add(1)"), "{told}");
    let unseen = told
        .lines()
        .skip_while(|line| !line.starts_with(" not checked:"));
    let wrapped = unseen.take_while(|line| line.starts_with(' '));
    assert!(
        wrapped.map(|line| line.chars().count()).max() <= Some(70),
        "{told}"
    );
    let (wide, told) = head(&[("COLUMNS", "160")]);
    let words: Vec<&str> = wide.split_whitespace().collect();
    assert_eq!(
        words,
        ["adder", "1", "adder", "2", "reader", "region"],
        "{told}"
    );
    assert_eq!(head(&[]).0, head(&[("COLUMNS", "100")]).0);
}

/// Returns the data in a page.
fn data(page: &Path) -> Value {
    let page = std::fs::read_to_string(page).unwrap();
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script").unwrap().0).unwrap()
}

#[test]
fn a_failing_test_writes_its_page_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("not/there/yet");
    let html = ("FORKCHECK_HTML", pages.to_str().unwrap());
    let passing = run_test("sum::stepped", &[html]);
    assert!(passing.status.success(), "{}", text(&passing));
    assert!(!pages.exists(), "what passes has no page");

    let failing = run_test("sum::stepped", &[html, (BROKEN, "1")]);
    let told = text(&failing);
    assert!(!failing.status.success(), "{told}");
    let page = pages.join("pages-sum-stepped.html");
    assert!(
        told.contains(&format!("\n page:        {}\n", page.display())),
        "{told}"
    );
    let of_page = data(&page);
    let headline = of_page["reports"][0]["headline"].as_str().unwrap();
    assert!(
        told.contains(&format!("sum::stepped  {headline}\n")),
        "{told}"
    );
    let lines = &of_page["sources"][0];
    assert_eq!(lines[0], file!());
    assert!(lines[1].as_array().unwrap().len() > 4, "{lines}");
    let names = std::fs::read_dir(&pages).unwrap();
    assert_eq!(names.count(), 1, "no draft is left");

    // A finding of forked processes also has the steps of the same program.
    let forked = run_test("sum::processes", &[html, (BROKEN, "1")]);
    assert!(!forked.status.success(), "{}", text(&forked));
    let of_page = data(&pages.join("pages-sum-processes.html"));
    let reports = of_page["reports"].as_array().unwrap();
    let engines: Vec<&Value> = reports.iter().map(|report| &report["engine"]).collect();
    assert_eq!(engines, ["processes", "stepped"]);
}

#[test]
fn a_page_that_cannot_be_written_is_told_beside_the_report_and_changes_no_verdict() {
    let told = |html: &str, broken: bool| {
        let broken = broken.then_some((BROKEN, "1"));
        let environment: Vec<_> = [("FORKCHECK_HTML", html)]
            .into_iter()
            .chain(broken)
            .collect();
        run_test("sum::stepped", &environment)
    };
    let passing = told("/dev/null/pages", false);
    assert!(passing.status.success(), "{}", text(&passing));
    let failing = told("/dev/null/pages", true);
    let words = text(&failing);
    assert_eq!(failing.status.code(), Some(101), "{words}");
    assert!(
        words.contains("NOT LINEARIZABLE  pages::sum::stepped  "),
        "{words}"
    );
    assert!(
        words.contains(" no page:     cannot make the directory /dev/null/pages: ")
            && words.contains("name a directory"),
        "{words}"
    );
    assert!(
        words.contains(" ran:  ") && words.contains(" not checked: "),
        "{words}"
    );

    // A file system without room, if one may be mounted here.
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=8k none \"$1\" || exit 77; exec \"$2\" --exact sum::stepped --nocapture";
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    command
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap());
    command
        .env(BROKEN, "1")
        .env("FORKCHECK_HTML", directory.path());
    match command.output() {
        Ok(full) if full.status.code() == Some(101) => {
            let words = text(&full);
            assert!(
                words.contains(" no page:     cannot write the page "),
                "{words}"
            );
            assert!(words.contains("make room there"), "{words}");
        }
        Ok(other) if !matches!(other.status.code(), Some(1 | 77)) => panic!("{}", text(&other)),
        _ => eprintln!("not run: a full file system cannot be mounted here"),
    }
}
