//! The line that each test of a suite leaves, and the command that prints these lines.
#![cfg(feature = "cli")]
#![forbid(unsafe_code)]

use forkcheck::prelude::*;
use forkcheck::spec::{Counter, CounterOp, CounterRet};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BROKEN: &str = "FORKCHECK_TESTS_BREAK_THE_COUNTER";

/// A counter; with `BROKEN` in the environment it loses numbers that two processes add at the same
/// time.
struct Sum<M: Memory> {
    sum: M::AtomicU64,
    broken: bool,
}

impl<M: Memory> Structure for Sum<M> {
    type Memory = M;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Sum {
            sum: Atomic::new(first as u64),
            broken: std::env::var_os(BROKEN).is_some(),
        }
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        match op {
            CounterOp::Read => CounterRet::Value(self.sum.load(Ordering::Acquire) as i64),
            CounterOp::Add(more) if self.broken => {
                let sum = self.sum.load(Ordering::Acquire);
                self.sum.store(sum + *more as u64, Ordering::Release);
                CounterRet::Added
            }
            CounterOp::Add(more) => {
                self.sum.fetch_add(*more as u64, Ordering::AcqRel);
                CounterRet::Added
            }
        }
    }
}

/// Makes the suites that tests of this file run, one or more for each test.
macro_rules! sums {
    ($($name:ident)*) => {$(
        forkcheck::suite! {
            #[ignore = "a test of this file runs it"]
            $name: Sum<_>,
            setup: Just(0),
            adder: 2 processes, 1..=1 ops of Just(CounterOp::Add(1)),
            reader: 1..=1 ops of Just(CounterOp::Read),
            with: .cases(1).executions(300).seed(7).regressions(None).without("loom", "a second opinion is not needed here"),
        }
    )*};
}
sums! { passes replays fails at_once }

fn run(tests: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored"]).args(tests);
    for other in ["FORKCHECK_REPLAY", "GITHUB_ACTIONS", "RUST_BACKTRACE"] {
        command.env_remove(other);
    }
    command.envs(environment.iter().copied()).output().unwrap()
}

/// Returns the file of this binary's target directory.
fn file() -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    let marked = |directory: &&Path| directory.join(".rustc_info.json").is_file();
    let target = binary.ancestors().skip(1).find(marked);
    let target = target.expect("cargo writes this file into its target directory");
    target.join("forkcheck/summary.json")
}

/// Returns the only line of a test.
#[track_caller]
fn line(test: &str) -> Value {
    let text = std::fs::read_to_string(file()).unwrap();
    let lines = text.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line["test"] == test).collect();
    let [line] = &lines[..] else {
        panic!("{test}: {lines:?}");
    };
    line.clone()
}

fn summary(file: &Path, more: &[&str]) -> (Option<i32>, String) {
    summary_as_wide_as(Some("200"), file, more)
}

/// Runs the command with this value of `COLUMNS`, or without the variable.
fn summary_as_wide_as(columns: Option<&str>, file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
    command.env_remove("COLUMNS");
    command.envs(columns.map(|columns| ("COLUMNS", columns)));
    let output = command
        .arg("summary")
        .arg(file)
        .args(more)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Makes a file with some of the lines of this binary's file.
fn with(tests: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("summary.json");
    let lines: Vec<String> = tests.iter().map(|test| line(test).to_string()).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    (directory, path)
}

#[test]
fn a_test_that_passes_leaves_what_was_covered_and_what_was_not_checked() {
    for _ in 0..2 {
        let output = run(&["passes::stepped", "passes::loom"], &[]);
        assert!(output.status.success(), "{output:?}");
    }
    let stepped = line("summary::passes::stepped");
    assert_eq!(stepped["verdict"], "ok");
    assert_eq!(stepped["programs"], 1);
    let covered = stepped["covered"].as_array().unwrap();
    assert!(
        covered.contains(&"1 explored to the end".into()),
        "{stepped}"
    );
    let not_checked = stepped["not_checked"].as_array().unwrap();
    assert!(not_checked.contains(&"kills".into()), "{stepped}");
    assert_eq!(line("summary::passes::loom")["verdict"], "not run");
    let (_kept, path) = with(&["summary::passes::stepped", "summary::passes::loom"]);
    let (code, text) = summary(&path, &[]);
    assert_eq!(code, Some(0), "{text}");
    let mut rows = text.lines();
    let row = rows.find(|row| row.contains("summary::passes::stepped"));
    let row = row.unwrap();
    assert!(
        row.contains(" ok ") && row.contains("explored to the end"),
        "{text}"
    );
    assert!(
        text.contains("summary::passes::loom: a second opinion is not needed here")
            && text.contains("not checked by stepped:\n")
            && !text.contains("checked by loom"),
        "{text}"
    );
    let junit = path.with_extension("xml");
    let (code, _) = summary(&path, &["--junit", junit.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let xml = std::fs::read_to_string(&junit).unwrap();
    for part in [
        "<testsuite name=\"forkcheck::summary\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"1\"",
        "<testcase name=\"passes::stepped\" classname=\"forkcheck::summary\"",
        "<property name=\"forkcheck programs\" value=\"1\"/>",
        "<skipped message=\"a second opinion is not needed here\"/>",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    let (code, text) = summary(&path, &["--junit", "/dev/null/junit.xml"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("name a file in a directory"), "{text}");
    let (_, json) = summary(&path, &["--json"]);
    let first = json.lines().next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(first).unwrap(), stepped);
}

#[test]
fn a_test_that_fails_takes_the_place_of_its_line_that_says_ok() {
    assert!(run(&["fails::stepped"], &[]).status.success());
    assert!(!run(&["fails::stepped"], &[(BROKEN, "1")]).status.success());
    let failing = line("summary::fails::stepped");
    assert_eq!(failing["verdict"], "finding");
    assert_eq!(failing["kind"], "NOT LINEARIZABLE");
    let (_kept, path) = with(&["summary::fails::stepped"]);
    let (code, text) = summary(&path, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("NOT LINEARIZABLE"), "{text}");
}

#[test]
fn a_replay_leaves_the_line_that_there_was() {
    let failed = run(&["replays::stepped"], &[(BROKEN, "1")]);
    let told = [failed.stdout, failed.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    let token = told.split("FORKCHECK_REPLAY=").nth(1).unwrap();
    let token = token.split(' ').next().unwrap();
    assert!(run(&["replays::stepped"], &[]).status.success());
    let before = line("summary::replays::stepped");
    let replay = [(BROKEN, "1"), ("FORKCHECK_REPLAY", token)];
    assert!(!run(&["replays::stepped"], &replay).status.success());
    assert_eq!(line("summary::replays::stepped"), before);
}

#[test]
fn tests_of_several_processes_at_the_same_time_leave_a_line_each() {
    let engines = ["processes", "stepped", "kills", "loom"];
    std::thread::scope(|scope| {
        for engine in engines {
            scope.spawn(move || {
                let output = run(&[&format!("at_once::{engine}")], &[]);
                assert!(output.status.success(), "{output:?}");
            });
        }
    });
    for engine in engines {
        let line = line(&format!("summary::at_once::{engine}"));
        assert_eq!(line["engine"], engine);
    }
}

#[test]
fn the_table_is_as_wide_as_the_output_and_cuts_no_number() {
    let sentence = "72 of them taken again by forked processes, with the same steps, 8 explored to the end, \
        120 of 120 kill points killed at, at most 3 steps an operation";
    let line = |test: &str, kind: Option<&str>| {
        let verdict = kind.map_or("ok", |_| "finding");
        let line = serde_json::json!({
            "binary": "rings", "test": test, "suite": "ring", "engine": "loom", "verdict": verdict, "kind": kind,
            "reason": null, "programs": 8, "executions": 1_234_567, "covered": ["8 programs", "1234567 executions", sentence],
            "not_reached": [], "unscheduled": null, "not_checked": [format!("first {}", sentence), "second"],
            "milliseconds": 1_150, "seed": "7", "at": 1,
        });
        line.to_string()
    };
    let short = "rings::a::kills";
    let long = "rings::a_queue_of_two_processes_with_a_long_name::loom";
    let inconsistent = Some("NOT SEQUENTIALLY CONSISTENT");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("summary.json");
    std::fs::write(
        &path,
        [line(short, None), line(long, inconsistent)].join("\n"),
    )
    .unwrap();
    let of_width = |columns: Option<&str>| {
        let (_, text) = summary_as_wide_as(columns, &path, &[]);
        let width = columns.map_or(usize::MAX, |columns| columns.parse().unwrap());
        assert!(text.lines().all(|line| line.len() <= width), "{text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        for whole in [&*format!("first {sentence}"), "1234567 1.1", sentence] {
            assert!(words.join(" ").contains(whole), "{whole}: {text}");
        }
        let rows = text.lines().skip_while(|row| !row.starts_with(short));
        let rows: Vec<String> = rows.map(|row| row.trim().to_owned()).collect();
        assert!(!rows.is_empty(), "{text}");
        rows
    };
    let words = |row: &str| row.split_whitespace().map(String::from).collect::<Vec<_>>();
    let numbers = ["8", "1234567", "1.1"];

    // The sentence is below its row, and a long name above it.
    let rows = of_width(Some("80"));
    assert_eq!(words(&rows[0]), [&[short, "ok"], &numbers[..]].concat());
    let name = rows.iter().position(|row| row == long).unwrap();
    assert_eq!(rows[1..name].join(" "), sentence);
    let row = words(&rows[name + 1]);
    assert_eq!(row[3..], numbers, "{rows:?}");

    // There is room beside the row, but for a few words only.
    let rows = of_width(Some("140"));
    let name = rows.iter().position(|row| row.starts_with(long)).unwrap();
    assert_eq!(rows[1..name].join(" "), sentence);

    // The sentence is beside its row, in a few lines.
    let rows = of_width(Some("160"));
    assert_eq!(
        words(&rows[0])[..5],
        [&[short, "ok"], &numbers[..]].concat()
    );
    assert!(rows[0].contains("  72 of them"), "{rows:?}");
    assert!(
        rows.iter()
            .any(|row| row.starts_with(long) && row.contains("72 of them")),
        "{rows:?}"
    );

    // Without a width each test has one line.
    let rows = of_width(None);
    assert!(
        rows[0].ends_with(sentence) && rows[1].starts_with(long) && rows[1].ends_with(sentence),
        "{rows:?}"
    );
}

#[test]
fn what_is_no_summary_is_reported_with_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let told = |path: &Path, words: &[&str]| {
        let (code, text) = summary(path, &[]);
        assert_eq!(code, Some(2), "{text}");
        assert!(words.iter().all(|words| text.contains(words)), "{text}");
    };
    told(directory.path(), &["not a file"]);
    let path = directory.path().join("summary.json");
    told(&path, &["No such file"]);
    std::fs::write(&path, "{\"test\": 1}\n").unwrap();
    told(&path, &["line 1", "run `cargo test` again"]);
    let nowhere = Command::new(env!("CARGO_BIN_EXE_forkcheck"))
        .arg("summary")
        .current_dir(directory.path())
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    let told = String::from_utf8(nowhere.stderr).unwrap();
    assert_eq!(nowhere.status.code(), Some(2), "{told}");
    assert!(told.contains("run `cargo test`"), "{told}");
}
