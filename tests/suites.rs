//! `suite!` as users write it, in each of its forms, and the output of a failing test: the panic
//! message, the saved case, the command that replays it. The command is run.
#![forbid(unsafe_code)]

use forkcheck::prelude::*;
use forkcheck::publish::SeqLock;
use forkcheck::spec::{Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet};
use std::path::Path;
use std::process::{Command, Output};

/// A page of two words, published by a seqlock, or with `BROKEN` in the environment without one.
struct Page<M: Memory> {
    lock: SeqLock<[u64; 2], M>,
    words: [M::AtomicU64; 2],
    broken: bool,
}

const BROKEN: &str = "FORKCHECK_TESTS_BREAK_THE_PAGE";

impl<M: Memory> Structure for Page<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Page {
            lock: SeqLock::new_in([first, first]),
            words: [Atomic::new(first), Atomic::new(first)],
            broken: std::env::var_os(BROKEN).is_some(),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match (op, self.broken) {
            (RegisterOp::Write(value), false) => self.lock.writer().write([*value, *value]),
            (RegisterOp::Write(value), true) => {
                // A process that looks in between finds the old value in one word and the new one
                // in the other.
                self.words[0].store(*value, Ordering::Relaxed);
                (0..200).for_each(|_| M::fence(Ordering::SeqCst));
                self.words[1].store(*value, Ordering::Relaxed);
            }
            (RegisterOp::Read, false) => {
                let Ok([a, b]) = self.lock.read() else {
                    return RegisterRet::WriterGone;
                };
                assert_eq!(a, b);
                return RegisterRet::Value(a);
            }
            (RegisterOp::Read, true) => {
                let [a, b] = [0, 1].map(|word: usize| self.words[word].load(Ordering::Relaxed));
                return RegisterRet::Value(if a == b { a } else { 1_000 + a });
            }
        }
        RegisterRet::Written
    }
}

forkcheck::suite! {
    page: Page<_>,
    setup: Just(0),
    writer: 1..=3 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=3 ops of Just(RegisterOp::Read),
    with: .seed(3).cases(8).executions(1_000),
}

forkcheck::suite! {
    two_readers: Page<_>,
    setup: 0u64..3,
    writer: 1..=2 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 2 processes, 1..=2 ops of Just(RegisterOp::Read),
    with: .seed(77).cases(4).executions(1_000),
}

/// A mailbox of one place, on hardware only. With `BROKEN` in the environment, letters get lost.
struct Mailbox(std::sync::atomic::AtomicU64, bool);

impl Structure for Mailbox {
    type Memory = Hardware;
    type Spec = Queue<u64>;
    fn new(&capacity: &usize) -> Self {
        assert_eq!(capacity, 1);
        Mailbox(0.into(), std::env::var_os(BROKEN).is_some())
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(letter) => {
                match self
                    .0
                    .compare_exchange(0, *letter, Ordering::AcqRel, Ordering::Acquire)
                {
                    Ok(_) => QueueRet::Pushed,
                    Err(_) => QueueRet::Full,
                }
            }
            QueueOp::Pop if self.1 => QueueRet::Popped(9),
            QueueOp::Pop => match self.0.swap(0, Ordering::AcqRel) {
                0 => QueueRet::Empty,
                letter => QueueRet::Popped(letter),
            },
        }
    }
}

forkcheck::suite! {
    mailbox: Mailbox,
    setup: Just(1),
    sender: 1..=3 ops of (1u64..9).prop_map(QueueOp::Push),
    receiver: 1..=3 ops of Just(QueueOp::Pop),
    with: .cases(8).executions(500).regressions(None),
}

/// `processes` sees no steps of code over `std::sync::atomic`: its report names the command that shows them.
#[cfg(not(forkcheck_instrumented))]
#[test]
fn a_finding_in_code_that_is_not_written_for_memory_names_the_command_that_shows_steps() {
    let told = text(&run_test("mailbox::processes", &[(BROKEN, "1")]));
    let command = "cargo forkcheck test -p forkcheck --test suites mailbox::stepped -- --exact";
    let line = told.lines().find(|line| line.starts_with(" steps:"));
    assert!(line.is_some_and(|line| line.contains(command)), "{told}");
    let seen = text(&run_test("under_nextest::processes", &[(BROKEN, "1")]));
    assert!(
        seen.contains(" replay:") && !seen.contains(" steps:"),
        "{seen}"
    );
}

/// Runs this test binary for one of its tests with this environment.
fn run_test(name: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env_remove("FORKCHECK_REPLAY")
        .env_remove("GITHUB_ACTIONS")
        .env_remove("NEXTEST")
        .env_remove("RUST_BACKTRACE");
    command.envs(environment.iter().copied()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The saved cases of a failing suite, removed however the test ends.
struct Saved(std::path::PathBuf);
impl Drop for Saved {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn failure_is_reported_saved_and_replayed(engine: &str) {
    let test = format!("{engine}_only::{engine}");
    let saved = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("proptest-regressions/suites-{engine}_only.ron"));
    let saved = Saved(saved);
    let passing = run_test(&test, &[]);
    assert!(
        passing.status.success() && text(&passing).contains("1 passed"),
        "{}",
        text(&passing)
    );
    assert!(!saved.0.exists(), "what passes is not saved");

    let failing = run_test(&test, &[(BROKEN, "1")]);
    let told = text(&failing);
    assert!(!failing.status.success(), "{told}");
    let head = told
        .lines()
        .skip_while(|line| !line.starts_with("NOT "))
        .take_while(|line| !line.starts_with("shrunk "));
    let first = head.map(str::trim).collect::<Vec<_>>().join(" ");
    assert!(
        first.contains(&format!("suites::{test}  reader: Read returned Value(")),
        "{told}"
    );
    assert!(first.contains(", expected Value("), "{told}");
    for part in [
        "shrunk from ",
        "writer",
        "why:",
        "cannot come next",
        "not checked: ",
    ] {
        assert!(told.contains(part), "no {part:?}: {told}");
    }
    assert!(
        told.contains(&format!(
            "saved:       proptest-regressions/suites-{engine}_only.ron"
        )),
        "{told}"
    );
    let kept = std::fs::read_to_string(&saved.0).unwrap();
    assert!(
        kept.contains("forkcheck: 1") && kept.contains("Write("),
        "{kept}"
    );

    // The printed command fails while the structure is broken, with exactly that case.
    let replay = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("replay: "))
        .map(str::trim)
        .unwrap_or_else(|| panic!("{told}"));
    assert!(
        replay.ends_with(&format!(
            "cargo test -p forkcheck --test suites {test} -- --exact"
        )),
        "{replay}"
    );
    let run = |broken: bool| {
        let mut command = Command::new("sh");
        command
            .args(["-c", replay])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        command
            .env_remove(BROKEN)
            .envs(broken.then_some((BROKEN, "1")))
            .output()
            .unwrap()
    };
    let again = run(true);
    let retold = text(&again);
    assert!(
        !again.status.success() && retold.contains("replayed from its token"),
        "{retold}"
    );
    let table = |text: &str| {
        text.lines()
            .filter(|line| line.contains("Write("))
            .map(str::to_owned)
            .next()
    };
    assert!(
        table(&told).is_some() && table(&retold).is_some(),
        "{retold}"
    );
    let mended = run(false);
    assert!(
        mended.status.success() && text(&mended).contains("1 passed"),
        "{}",
        text(&mended)
    );

    // The saved case runs first: it fails without any drawn case, and passes when the structure is
    // fixed.
    let red = run_test(&test, &[(BROKEN, "1")]);
    assert!(
        !red.status.success() && text(&red).contains("a saved case"),
        "{}",
        text(&red)
    );
    let green = run_test(&test, &[]);
    assert!(
        green.status.success() && text(&green).contains("1 saved case first"),
        "{}",
        text(&green)
    );
}

forkcheck::suite! {
    processes_only: Page<_>,
    setup: Just(0),
    writer: 1..=3 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=3 ops of Just(RegisterOp::Read),
    with: .cases(8).executions(1_000),
}

#[test]
fn a_failure_in_processes_is_reported_saved_and_replayed_by_the_command_it_prints() {
    failure_is_reported_saved_and_replayed("processes");
}

/// A unit that has to fail: its message is what `expected` looks for.
mod panics {
    use super::*;
    use forkcheck::engine::{Stepped, SteppedMemory};

    #[test]
    #[should_panic(expected = "reader: Read returned Value(")]
    fn with_the_report_as_its_message() {
        if std::env::var_os(BROKEN).is_none() {
            panic!("reader: Read returned Value( only where it is broken");
        }
        stepped();
    }

    #[test]
    fn stepped() {
        let suite = page::suite().seed(7).regressions(None);
        suite.test::<Stepped, Page<SteppedMemory>>();
    }
}

#[test]
fn a_failing_suite_prints_its_report_once_at_the_users_line_and_without_a_backtrace() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "panics::stepped"])
        .env_remove("FORKCHECK_REPLAY")
        .env_remove("GITHUB_ACTIONS")
        .envs([(BROKEN, "1"), ("RUST_BACKTRACE", "1"), ("NEXTEST", "1")]);
    let output = command.output().unwrap();
    let told = text(&output);
    assert!(!output.status.success(), "{told}");
    let head = told.lines().position(|line| line.contains("panicked at "));
    let lines: Vec<&str> = told.lines().skip(head.unwrap()).collect();
    assert!(
        lines[0].starts_with("thread 'panics::stepped' panicked at tests/suites.rs:"),
        "{told}"
    );
    assert!(
        lines[1].starts_with("NOT LINEARIZABLE  suites::page::stepped  reader: "),
        "{told}"
    );
    assert_eq!(told.matches("NOT LINEARIZABLE").count(), 1, "{told}");
    assert_eq!(told.matches("panicked at").count(), 1, "{told}");
    assert!(!told.contains("stack backtrace"), "{told}");
    // Under nextest the report prints a command of nextest.
    let replay = " cargo nextest run -p forkcheck --test suites -E 'test(=page::stepped)'\n";
    assert!(told.contains(replay), "{told}");
    let expected = run_test(
        "panics::with_the_report_as_its_message",
        &[(BROKEN, "1"), ("RUST_BACKTRACE", "1")],
    );
    assert!(expected.status.success(), "{}", text(&expected));
    assert!(text(&expected).contains("1 passed"), "{}", text(&expected));
}

#[cfg(feature = "loom")]
forkcheck::suite! {
    loom_only: Page<_>,
    setup: Just(0),
    writer: 1..=1 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=2 ops of Just(RegisterOp::Read),
    with: .cases(8).executions(1_000),
}

#[cfg(feature = "loom")]
#[test]
fn a_failure_in_loom_is_reported_saved_and_replayed_by_the_command_it_prints() {
    failure_is_reported_saved_and_replayed("loom");
}

forkcheck::suite! {
    under_nextest: Page<_>,
    setup: Just(0),
    writer: 1..=1 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=1 ops of Just(RegisterOp::Read),
    with: .cases(8).executions(200).regressions(None),
}

/// Under nextest (which sets `NEXTEST` for its tests) the report prints a command of nextest; if
/// that is installed it is run.
#[test]
fn under_nextest_the_printed_command_is_one_of_nextest() {
    let told = text(&run_test(
        "under_nextest::stepped",
        &[(BROKEN, "1"), ("NEXTEST", "1")],
    ));
    let replay = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("replay: "))
        .map(str::trim)
        .unwrap_or_else(|| panic!("{told}"));
    assert!(
        replay.ends_with(
            " cargo nextest run -p forkcheck --test suites -E 'test(=under_nextest::stepped)'"
        ),
        "{replay}"
    );
    let run = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env(BROKEN, "1");
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap()
    };
    if !run("cargo nextest --version").status.success() {
        println!("cargo-nextest is not installed: its command was not run");
        return;
    }
    let again = run(replay);
    let retold = text(&again);
    assert!(
        !again.status.success()
            && retold.contains("replayed from its token")
            && retold.contains("1 test run"),
        "{retold}"
    );
}

#[test]
fn a_wrong_environment_fails_the_test_with_the_remedy() {
    for (name, value, remedy) in [
        (
            "FORKCHECK_CASES",
            "many",
            "set it to a whole number from 1, such as 500, or unset it",
        ),
        (
            "FORKCHECK_EXECUTIONS",
            "0",
            "set it to a whole number from 1, such as 2000, or unset it",
        ),
        (
            concat!("FORKCHECK", "_SEEDS"),
            "7",
            "set FORKCHECK_SEED, if that is what it should be, or unset it",
        ),
        ("FORKCHECK_SECONDS", "-1", "set it to a number above 0"),
        (
            "FORKCHECK_REPLAY",
            "what I had in mind",
            "paste the whole token",
        ),
        (
            "FORKCHECK_REPLAY",
            "fk9:00",
            "this forkcheck reads version 1",
        ),
    ] {
        let output = run_test("page::processes", &[(name, value)]);
        assert!(
            !output.status.success() && text(&output).contains(remedy),
            "{name}={value}: {}",
            text(&output)
        );
    }
}

#[test]
fn settings_of_the_environment_are_obeyed() {
    let output = run_test(
        "page::processes",
        &[
            ("FORKCHECK_CASES", "3"),
            ("FORKCHECK_EXECUTIONS", "2000"),
            ("FORKCHECK_SEED", "77"),
        ],
    );
    // A hundred executions of each program, then two thousand.
    assert!(
        text(&output).contains("ok  suites::page::processes  3 programs, 6300 executions"),
        "{}",
        text(&output)
    );
    assert!(text(&output).contains("seed 77"), "{}", text(&output));
}

#[test]
fn an_engine_that_explores_draws_all_programs_while_its_executions_last() {
    let ample = [
        ("FORKCHECK_CASES", "3"),
        ("FORKCHECK_SECONDS", "400"),
        ("FORKCHECK_SEED", "77"),
    ];
    let output = text(&run_test("page::stepped", &ample));
    assert!(
        output.contains("ok  suites::page::stepped  3 programs,"),
        "{output}"
    );
}

#[test]
fn a_name_of_no_engine_is_an_error_where_it_allows_something() {
    let output = run_test("page::processes", &[("FORKCHECK_ALLOW_MISSING", "stpped")]);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("\"stpped\"") && text(&output).contains("stepped, kills"),
        "{}",
        text(&output)
    );
}

#[test]
fn a_token_of_another_test_says_which_test_it_is_of() {
    let saved = Saved(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("proptest-regressions/suites-two_readers.ron"),
    );
    let told = text(&run_test("two_readers::processes", &[(BROKEN, "1")]));
    let token = told
        .split("FORKCHECK_REPLAY=")
        .nth(1)
        .unwrap_or_else(|| panic!("{told}"))
        .split(' ')
        .next()
        .unwrap();
    assert!(saved.0.exists(), "{told}");
    let output = run_test("page::processes", &[("FORKCHECK_REPLAY", token)]);
    assert!(!output.status.success());
    assert!(
        text(&output).contains(
            "holds a case of suites::two_readers::processes, and this is suites::page::processes"
        ),
        "{}",
        text(&output)
    );
    // Cut where a terminal would break the line.
    let output = run_test(
        "two_readers::processes",
        &[("FORKCHECK_REPLAY", &token[..token.len() - 3])],
    );
    assert!(
        !output.status.success() && text(&output).contains("was cut"),
        "{}",
        text(&output)
    );
}

#[cfg(feature = "loom")]
#[test]
fn a_model_that_is_cut_off_is_unknown_and_fails_unless_that_is_allowed_by_name() {
    let no_time = ("FORKCHECK_SECONDS", "0.000000001");
    let output = run_test("page::loom", &[no_time]);
    assert!(!output.status.success(), "{}", text(&output));
    for part in [
        "UNKNOWN  suites::page::loom  the time limit of 0.0 s ended this after 0 of 8 programs",
        "FORKCHECK_ALLOW_MISSING=loom",
    ] {
        assert!(
            text(&output).contains(part),
            "no {part:?}: {}",
            text(&output)
        );
    }
    let other = run_test(
        "page::loom",
        &[no_time, ("FORKCHECK_ALLOW_MISSING", "processes")],
    );
    assert!(
        !other.status.success(),
        "another engine's name allows nothing: {}",
        text(&other)
    );
    let allowed = run_test(
        "page::loom",
        &[no_time, ("FORKCHECK_ALLOW_MISSING", "processes, loom")],
    );
    assert!(allowed.status.success(), "{}", text(&allowed));
    assert!(
        text(&allowed).contains("allowed by FORKCHECK_ALLOW_MISSING"),
        "and never silently: {}",
        text(&allowed)
    );
}
