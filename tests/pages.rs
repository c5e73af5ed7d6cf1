//! Reports as data, and as pages, which a failing test writes if `FORKCHECK_HTML` names a
//! directory.
#![forbid(unsafe_code)]

use forkcheck::Report;
use forkcheck::builtin::{DeadWriter, dead_writer};
use forkcheck::case::Access;
use forkcheck::engine::{Kills, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Counter, CounterOp, CounterRet, Register, RegisterOp, RegisterRet};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    // The execution without the kill has all results, and differs from the step that was a kill on.
    let passing = report.near_misses[0].execution.as_ref().unwrap();
    let mut operations = passing.operations.iter().flatten();
    assert!(operations.all(|operation| operation.result.is_some() && !operation.killed));
    let kill = report
        .steps
        .iter()
        .position(|step| step.access == Access::Killed);
    assert_eq!(passing.differs, kill);
    assert_eq!(passing.steps[kill.unwrap()].access, Access::Store);
    // The reader waits for it.
    assert!(!operation(1).killed && operation(1).result.is_none());
    assert_eq!(operation(1).returned, None);
}

/// Runs this test binary for one of its tests with this environment.
fn run_test(name: &str, environment: &[(&str, &str)]) -> Output {
    this_test(name, environment).output().unwrap()
}

fn this_test(name: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    for other in [
        "FORKCHECK_REPLAY",
        "FORKCHECK_HTML",
        "FORKCHECK_TRACE",
        "GITHUB_ACTIONS",
        "COLUMNS",
        "RUST_BACKTRACE",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "CI",
    ] {
        command.env_remove(other);
    }
    command.envs(environment.iter().copied());
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_job_of_github_actions_gets_an_annotation_of_each_line_that_matters_and_no_other_run_does() {
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
    let number = |part: &str| {
        let lines = include_str!("pages.rs").lines();
        lines.take_while(|line| !line.contains(part)).count() + 1
    };
    // The late store, and the load that shows it.
    let (store, load) = (number("store(total +"), number("=> CounterRet::Value(self"));
    let title = "title=NOT LINEARIZABLE pages%3A%3Asum%3A%3Astepped";
    let lines = annotations(&failing);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (shown, expected) in lines.iter().zip([
        format!("::error file=tests/pages.rs,line={store},{title}::reader: Read returned Value("),
        format!("::notice file=tests/pages.rs,line={load},{title}::reader: total.load -> "),
    ]) {
        assert!(shown.starts_with(&expected), "{lines:?}");
    }
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
        // The line may be wrapped; a setup and the table follow.
        let mut below = told.lines().skip(found.unwrap());
        let mut blocks = below.by_ref().filter(|line| line.is_empty());
        blocks.nth(1);
        (below.next().unwrap().to_owned(), told)
    };
    let (narrow, told) = head(&[("COLUMNS", "70")]);
    assert!(narrow.starts_with("    1  adder 1: Add(1)"), "{told}");
    let first_lines = told
        .lines()
        .skip_while(|line| !line.starts_with("NOT "))
        .take_while(|line| !line.is_empty());
    let first_lines: Vec<usize> = first_lines.map(|line| line.chars().count()).collect();
    assert!(
        first_lines.len() > 2 && first_lines.iter().all(|&columns| columns <= 70),
        "{told}"
    );
    let not_checked = told
        .lines()
        .skip_while(|line| !line.starts_with(" not checked:"));
    let wrapped = not_checked.take_while(|line| line.starts_with(' '));
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

/// A register of long values, which loses what is written where it is broken.
struct Long<M: Memory>(M::AtomicU64);

/// A value of which a report shows the first half.
type Many = [u64; 32];

impl<M: Memory> Structure for Long<M> {
    type Memory = M;
    type Spec = Register<Many>;
    fn new(first: &Many) -> Self {
        Long(Atomic::new(first[0]))
    }
    fn apply(&self, op: &RegisterOp<Many>) -> RegisterRet<Many> {
        match op {
            RegisterOp::Write(value) => {
                let lost = std::env::var_os(BROKEN).is_some();
                let kept = self.0.load(Ordering::SeqCst);
                self.0
                    .store(if lost { kept } else { value[0] }, Ordering::SeqCst);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value([self.0.load(Ordering::SeqCst); 32]),
        }
    }
}

forkcheck::suite! {
    long: Long<_>,
    setup: Just([1; 32]),
    writer: 1..=1 ops of Just(RegisterOp::Write([7; 32])),
    reader: 1..=1 ops of Just(RegisterOp::Read),
    with: .seed(1).cases(4).regressions(None),
}

#[test]
fn a_verbose_report_cuts_no_value_in_headline_table_and_order() {
    let (written, read) = (format!("{:?}", [7; 32]), format!("{:?}", [1; 32]));
    let parts = |environment: &[(&str, &str)]| {
        let broken = [(BROKEN, "1"), ("COLUMNS", "2000")];
        let told = text(&run_test("long::stepped", &[&broken, environment].concat()));
        let (_, report) = told.split_once("\nNOT LINEARIZABLE").expect("a report");
        let (headline, rest) = report.split_once("\n").unwrap();
        let (table, order) = rest.split_once(" why: ").unwrap();
        let order = order.split(" ran: ").next().unwrap();
        // Words of an order that are longer than a line are wrapped.
        let order = order.split_whitespace().collect::<Vec<_>>().join(" ");
        [headline.to_owned(), table.to_owned(), order]
    };
    for part in parts(&[("FORKCHECK_VERBOSE", "1")]) {
        assert!(part.contains(&written) && part.contains(&read), "{part}");
        assert!(!part.contains('…'), "{part}");
    }
    // The twin: without the variable each of them is cut.
    for part in parts(&[]) {
        assert!(part.contains('…'), "{part}");
    }
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
fn a_page_that_cannot_be_written_is_reported_beside_the_report_and_changes_no_verdict() {
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

#[test]
fn a_terminal_gets_colours_and_nothing_else_does_unless_it_is_forced() {
    let red = "\x1b[1;31mNOT LINEARIZABLE\x1b[0m  pages::sum::stepped";
    let told = |set: &[(&str, &str)]| {
        text(&run_test(
            "sum::stepped",
            &[&[(BROKEN, "1"), ("TERM", "xterm")], set].concat(),
        ))
    };
    let plain = told(&[]);
    assert!(
        !plain.contains('\x1b') && plain.contains("NOT LINEARIZABLE  "),
        "{plain}"
    );
    let forced = told(&[("CLICOLOR_FORCE", "1")]);
    assert!(
        forced.contains(red) && forced.contains("\x1b[1mreplay:\x1b[0m "),
        "{forced}"
    );
    assert!(!told(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\x1b'));

    match in_terminal("true", &[]) {
        Some(shown) => {
            assert!(shown.contains(red), "{shown}");
            let refused = in_terminal("true", &[("NO_COLOR", "1")]).unwrap();
            assert!(!refused.contains("\x1b[1;31m"), "{refused}");
        }
        None => eprintln!("not run: `script`, which makes a terminal, is not installed"),
    }
}

#[test]
fn a_report_has_the_width_of_the_terminal_and_of_the_variable_where_that_is_set() {
    let plain = [("NO_COLOR", "1")];
    let Some(narrow) = in_terminal("stty cols 70", &plain) else {
        return eprintln!("not run: `script`, which makes a terminal, is not installed");
    };
    let wide = in_terminal("stty cols 160", &plain).unwrap();
    let said = [("NO_COLOR", "1"), ("COLUMNS", "160")];
    let said = in_terminal("stty cols 70", &said).unwrap();
    let is_beside = |told: &str| {
        let head = ["adder", "1", "adder", "2", "reader", "region"];
        told.lines()
            .any(|line| line.split_whitespace().eq(head.iter().copied()))
    };
    assert!(!is_beside(&narrow), "{narrow}");
    assert!(is_beside(&wide), "{wide}");
    assert!(is_beside(&said), "{said}");
}

/// Returns the output of a failing test in a terminal, which `script` makes, after this command: the terminal shows what libtest
/// captured and prints at the end. Returns nothing if there is no `script` here.
fn in_terminal(first: &str, set: &[(&str, &str)]) -> Option<String> {
    let binary = std::env::current_exe().unwrap();
    let shown = {
        let mut command = this_test("sum::stepped", &[(BROKEN, "1"), ("TERM", "xterm")]);
        let environment: Vec<_> = command
            .get_envs()
            .map(|(n, v)| (n.to_owned(), v.map(ToOwned::to_owned)))
            .collect();
        command = Command::new("script");
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let test = format!(
            "{first}; {} --exact sum::stepped --color never",
            binary.display()
        );
        command
            .args(["-qec", &test, "/dev/null"])
            .stdin(Stdio::null());
        command.envs(set.iter().copied()).output().ok()?
    };
    (!shown.stdout.is_empty()).then(|| text(&shown))
}

#[test]
fn a_failing_test_shows_the_source_lines_of_the_accesses_that_matter() {
    let told = text(&run_test("sum::stepped", &[(BROKEN, "1")]));
    let source = include_str!("pages.rs");
    let number = |part: &str| {
        source
            .lines()
            .take_while(|line| !line.contains(part))
            .count()
            + 1
    };
    let (store, load) = (number("store(total +"), number("=> CounterRet::Value(self"));
    let column =
        |line: usize, name: &str| source.lines().nth(line - 1).unwrap().find(name).unwrap() + 1;
    for (line, name) in [(store, "store(total"), (load, "load(Ordering")] {
        let place = format!("--> {}:{line}:{}\n", file!(), column(line, name));
        assert!(told.contains(&place), "{place}: {told}");
    }
    let mark = told
        .split("self.total.store(total + *more as u64, Ordering::SeqCst);\n")
        .nth(1);
    let mark = mark.unwrap().lines().next().unwrap();
    assert!(mark.contains("|            ^^^^^ row "), "{told}");
}

#[test]
fn a_failing_test_writes_its_trace_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let traces = directory.path().join("traces");
    let environment = [("FORKCHECK_TRACE", traces.to_str().unwrap()), (BROKEN, "1")];
    let passing = run_test("sum::stepped", &environment[..1]);
    assert!(
        passing.status.success() && !traces.exists(),
        "{}",
        text(&passing)
    );
    let told = text(&run_test("sum::stepped", &environment));
    let file = traces.join("pages-sum-stepped.trace.json");
    assert!(
        told.contains(&format!("\n trace:       {}\n", file.display())),
        "{told}"
    );
    let trace: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let instants = events.iter().filter(|event| event["ph"] == "i").count();
    assert!(instants >= 5, "{trace}");
}

/// Returns the token in a report.
fn token(told: &str) -> String {
    let token = told
        .split("FORKCHECK_REPLAY=")
        .nth(1)
        .expect("a report has one");
    token.split(' ').next().unwrap().to_owned()
}

/// Makes a program that is called gdb, and returns the `PATH` that has it in front.
fn as_gdb(directory: &Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let file = directory.join("gdb");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

/// Returns whether a process runs.
fn runs(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}

#[test]
fn gdb_gets_the_process_of_a_row_which_stands_there_and_goes_on_when_gdb_ends() {
    let told = text(&run_test("sum::stepped", &[(BROKEN, "1")]));
    let token = token(&told);
    let hint = " step into:   ";
    let command = told.lines().find_map(|line| line.strip_prefix(hint));
    let command = command.unwrap();
    let row = command.strip_prefix("FORKCHECK_GDB_ROW=").unwrap();
    let row = row.split(' ').next().unwrap();
    let is_row = |line: &&str| line.trim_start().starts_with(&format!("{row}  "));
    let line = told.lines().find(is_row).unwrap().to_owned();
    assert!(line.contains("total.load -> 1  pages.rs:"), "{line}");
    let line = line
        .split("pages.rs:")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();

    let directory = tempfile::tempdir().unwrap();
    let noted = directory.path().join("noted");
    let script = format!(
        "for argument in \"$@\"; do printf '%s\\n' \"$argument\"; done > {0}; cat /proc/$5/stat > {0}.stat; exit 0",
        noted.display()
    );
    let path = as_gdb(directory.path(), &script);
    let replay = [
        (BROKEN, "1"),
        ("FORKCHECK_REPLAY", &*token),
        ("FORKCHECK_GDB_ROW", row),
        ("PATH", &*path),
    ];
    let output = run_test("sum::stepped", &replay);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(101), "{told}");
    assert!(
        told.contains("NOT LINEARIZABLE  pages::sum::stepped"),
        "{told}"
    );
    let noted_text =
        std::fs::read_to_string(&noted).unwrap_or_else(|error| panic!("{error}: {told}"));
    let arguments: Vec<&str> = noted_text.lines().collect();
    let id = arguments[4];
    assert!(id.parse::<u32>().is_ok(), "{arguments:?}");
    assert_eq!(
        arguments[..4],
        ["-q", "-iex", "set debuginfod enabled off", "-p"]
    );
    let select = format!("place.line == {line} and place.symtab.filename.endswith('pages.rs')");
    assert!(
        arguments[5..8] == ["-ex", "handle SIGSTOP nostop noprint nopass", "-ex"]
            && arguments[8].contains(&select),
        "{arguments:?}"
    );
    let stat = std::fs::read_to_string(noted.with_extension("stat")).unwrap();
    assert!(stat.contains(") T "), "{stat}");
    let stands = format!(
        "reader (process {id}) stands before row {row}: total.load -> 1  {}:{line}",
        file!()
    );
    assert!(told.contains(&stands), "{stands}: {told}");
    assert!(!runs(id), "nothing is left of it");

    // The command runs in a shell as it is printed; `cargo` stands for this program.
    let cargo = directory.path().join("cargo");
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\ntest \"$1 $2 $3 $4 $5\" = 'test -p forkcheck --test pages' && exec {} \"$6\" \"$8\" --nocapture\n",
        this.display()
    );
    std::fs::write(&cargo, script).unwrap();
    std::fs::set_permissions(
        &cargo,
        std::fs::metadata(directory.path().join("gdb"))
            .unwrap()
            .permissions(),
    )
    .unwrap();
    let pasted = Command::new("sh")
        .args(["-c", command])
        .env(BROKEN, "1")
        .env("PATH", &path)
        .output()
        .unwrap();
    assert!(
        text(&pasted).contains(&format!(" stands before row {row}: ")),
        "{}",
        text(&pasted)
    );

    // The twin: another row is another line, of another process.
    let other = [("FORKCHECK_GDB_ROW", "1")];
    let told = text(&run_test("sum::stepped", &[&replay[..], &other].concat()));
    assert!(
        told.contains(" stands before row 1: ") && !told.contains(&stands),
        "{told}"
    );

    for (set, words) in [
        (
            &[("FORKCHECK_GDB_ROW", "99")][..],
            "there is no row 99; name one of the ",
        ),
        (
            &[("PATH", "/nowhere")],
            "gdb is not installed: no directory of PATH has it; install it",
        ),
        (
            &[("FORKCHECK_REPLAY", "")],
            "FORKCHECK_GDB_ROW is set without FORKCHECK_REPLAY; set FORKCHECK_REPLAY",
        ),
    ] {
        let told = text(&run_test("sum::stepped", &[&replay[..], set].concat()));
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn gdb_and_the_process_that_stands_end_with_the_test_that_is_killed() {
    let token = token(&text(&run_test("sum::stepped", &[(BROKEN, "1")])));
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let script = format!("echo $$ $5 > {}; exec sleep 600", fifo.display());
    let path = as_gdb(directory.path(), &script);
    let replay = [
        (BROKEN, "1"),
        ("FORKCHECK_REPLAY", &*token),
        ("FORKCHECK_GDB_ROW", "4"),
        ("PATH", &*path),
    ];
    let mut test = this_test("sum::stepped", &replay);
    let mut test = test
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It waits until gdb has written.
    let noted = std::fs::read_to_string(&fifo).unwrap();
    let ids: Vec<&str> = noted.split_whitespace().collect();
    assert_eq!(ids.len(), 2, "{noted}");
    assert!(ids.iter().all(|id| runs(id)), "{noted}");
    test.kill().unwrap();
    test.wait().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ids.iter().any(|id| runs(id)) {
        assert!(std::time::Instant::now() < until, "one is left of {noted}");
        std::thread::yield_now();
    }
}

#[test]
fn the_real_gdb_shows_the_source_line_of_the_row() {
    let is_installed = Command::new("gdb").arg("--version").output();
    if !is_installed.is_ok_and(|output| output.status.success()) {
        eprintln!("not run: gdb is not installed");
        return;
    }
    let token = token(&text(&run_test("sum::stepped", &[(BROKEN, "1")])));
    let directory = tempfile::tempdir().unwrap();
    let told = directory.path().join("told");
    let replay = [
        (BROKEN, "1"),
        ("FORKCHECK_REPLAY", &*token),
        ("FORKCHECK_GDB_ROW", "4"),
    ];
    let mut test = this_test("sum::stepped", &replay);
    // It has no terminal, and so ends with its input.
    test.stdin(Stdio::null())
        .stderr(std::fs::File::create(&told).unwrap());
    let output = test.output().unwrap();
    let shown = text(&output) + &std::fs::read_to_string(&told).unwrap();
    if shown.contains("ptrace: Operation not permitted") {
        eprintln!("not run: ptrace is not permitted here");
        return;
    }
    assert!(shown.contains(" stands before row 4: "), "{shown}");
    let program = std::env::current_exe().unwrap();
    let program = program.file_name().unwrap().to_str().unwrap();
    let has_none =
        |line: &str| line.contains("(No debugging symbols found in ") && line.contains(program);
    if shown.lines().any(has_none) {
        // Only there it has a line to show: see the profiles in Cargo.toml.
        eprintln!("not run: build the tests with CARGO_PROFILE_DEV_DEBUG=line-tables-only");
        return;
    }
    let place = shown
        .split(" stands before row 4: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let line = place.rsplit(':').next().unwrap();
    let source = include_str!("pages.rs")
        .lines()
        .nth(line.parse::<usize>().unwrap() - 1);
    // gdb prints the number of the line, a tab, and the line.
    assert!(
        shown.contains(&format!("{line}\t{}", source.unwrap())),
        "{shown}"
    );
}
