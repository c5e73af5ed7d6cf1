//! The `forkcheck` command as a user meets it, and README's failing case, which is what it prints.
#![cfg(feature = "loom")]
#![forbid(unsafe_code)]

mod article;
mod builtins;

use forkcheck::Report;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

fn forkcheck(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
    command
        .args(arguments)
        .env_remove("FORKCHECK_REPLAY")
        .env_remove("COLUMNS")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Masks the parts of a line that differ from run to run even with one seed: times, the profile, the machine.
fn masked(line: &str) -> String {
    let mut masked = String::new();
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        let volatile = word.parse::<f64>().is_ok()
            && matches!(words.peek(), Some(&"s" | &"s," | &"core)" | &"cores)"));
        let word = match word {
            "(debug," | "(release," => "(profile,",
            "x86_64," | "aarch64," => "machine,",
            word => word,
        };
        masked.push_str(if volatile { "N" } else { word });
        masked.push(' ');
    }
    masked.replace("cores", "core").trim_end().to_owned()
}

/// Returns the rest of a line after the name of the command, which differs.
fn uncalled(line: &str) -> String {
    let labels = [" replay: ", " step into: "];
    let label = labels.into_iter().find(|label| line.starts_with(label));
    match (label, line.split_once(" replay fk1:")) {
        (Some(label), Some((_, token))) => format!("{label}forkcheck replay fk1:{token}"),
        _ => masked(line),
    }
}

#[test]
fn the_readme_opens_with_what_the_command_prints() {
    // Without arguments it prints this report among others; ci/run-release.sh runs that.
    let arguments = ["check", "dead_writer", "--engine", "kills"];
    let output = forkcheck(&arguments, &[("FORKCHECK_SEED", "1")]);
    let printed = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{printed}\n{}",
        text(&output.stderr)
    );
    let readme = include_str!("../../README.md");
    let shown = readme
        .split("```text\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert!(shown.lines().count() > 20, "{shown}");
    let printed: Vec<String> = printed.lines().map(uncalled).collect();
    for line in shown.lines() {
        assert!(
            printed.contains(&uncalled(line)),
            "README has {line:?}\nand printed is\n{}",
            printed.join("\n")
        );
    }
}

/// All structures, and whether a bug was planted in them.
const STRUCTURES: [(&str, bool); 11] = [
    ("one_shot", false),
    ("early_flag", true),
    ("seq_lock", false),
    ("early_publish", true),
    ("dead_writer", true),
    ("latest", false),
    ("double_buffer", true),
    ("ring", false),
    ("early_index", true),
    ("event_count", false),
    ("lost_wake", true),
];
/// Returns whether this engine has to find something in a structure.
fn planted_for(structure: &str, planted: bool, engine: &str) -> bool {
    planted && (structure != "dead_writer" || engine == "kills")
}

const ENGINES: [&str; 4] = ["processes", "stepped", "kills", "loom"];

#[test]
fn the_table_says_what_was_expected_of_a_structure_on_each_engine() {
    // Some of the structures; ci/run-release.sh runs all.
    let named = ["one_shot", "early_flag", "dead_writer"];
    let output = forkcheck(
        &[&["check"], &named[..]].concat(),
        // Beside busy loops `processes` takes longer than its 30 s.
        &[
            ("FORKCHECK_EXECUTIONS", "200"),
            ("FORKCHECK_SECONDS", "300"),
        ],
    );
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for structure in named {
        let known = STRUCTURES.iter().find(|(known, _)| *known == structure);
        let planted = known.unwrap().1;
        for engine in ENGINES {
            let verdict = match (planted, planted_for(structure, planted, engine)) {
                (true, true) => "as",
                // This engine cannot see the bug.
                (true, false) => "not",
                (false, _) => "ok",
            };
            let row = printed.lines().find(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(structure)
                    && words.next() == Some(engine)
                    && words.next() == Some(verdict)
            });
            assert!(
                row.is_some(),
                "no row {structure} {engine} {verdict} in\n{printed}"
            );
        }
    }
    assert!(
        !text(&output.stderr).contains('\x1b'),
        "no progress where there is no terminal"
    );
}

/// Returns the objects that a run prints, one a line and nothing else.
fn objects(output: &Output) -> Vec<Value> {
    let printed = text(&output.stdout);
    let lines = printed.lines();
    let objects: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert!(!objects.is_empty(), "{}", text(&output.stderr));
    objects
}

#[test]
fn json_is_an_object_a_line_for_each_structure_on_each_engine() {
    // A correct one, one with a bug that only kills show, and one with a bug for all engines.
    let named = ["seq_lock", "dead_writer", "early_index"];
    let arguments = [
        &["check"],
        &named[..],
        &["--cases", "6", "--seed", "5", "--json"],
    ]
    .concat();
    let output = forkcheck(&arguments, &[("FORKCHECK_EXECUTIONS", "400")]);
    assert_eq!(output.status.code(), Some(0));
    let objects = objects(&output);
    assert_eq!(objects.len(), named.len() * ENGINES.len());
    let names = |object: &Value| -> BTreeSet<String> {
        object.as_object().unwrap().keys().cloned().collect()
    };
    let mut of_report = names(&serde_json::to_value(Report::default()).unwrap());
    of_report.extend(["structure", "expected"].map(String::from));
    let expected = STRUCTURES
        .iter()
        .filter(|(structure, _)| named.contains(structure))
        .flat_map(|structure| ENGINES.map(|engine| (structure, engine)));
    for (object, ((structure, planted), engine)) in objects.iter().zip(expected) {
        assert_eq!(
            (&object["structure"], &object["engine"]),
            (&json!(structure), &json!(engine))
        );
        assert_eq!(names(object), of_report);
        let planted = planted_for(structure, *planted, engine);
        let verdict = if planted { "finding" } else { "ok" };
        assert_eq!(object["verdict"], verdict, "{object}");
        assert_eq!(object["expected"], verdict);
        assert_eq!(object["kind"].is_string(), planted);
        assert_eq!(object["token"].is_string(), planted);
        assert_eq!(object["headline"] != "", planted, "{object}");
        for words in ["origin", "rate", "setup", "replay"] {
            assert_eq!(object[words].is_string(), planted, "{words}: {object}");
        }
        let reason = &object["linearization"]["reason"];
        assert_eq!(reason["state"].is_string(), planted, "{object}");
        assert_eq!(reason["longest"].is_array(), planted, "{object}");
        let blocked = reason["blocked"].as_array().map_or(0, Vec::len);
        assert_eq!(blocked > 0, planted, "{object}");
        let call = &object["processes"][0]["operations"][0]["call"];
        assert_eq!(call.is_string(), planted, "{object}");
        let covered = &object["covered"];
        assert!(covered["programs"].as_u64().unwrap() > 0);
        assert!(covered["executions"].as_u64().unwrap() > 0);
        assert!(object["seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(object["seed"], "5");
        assert!(!object["not_checked"].as_array().unwrap().is_empty());
        // A finding of `stepped` and `kills` has its steps, their words, and the turns that lead to it.
        let placed = planted && matches!(engine, "stepped" | "kills");
        let step = &object["steps"][0];
        assert_eq!(placed, object["schedule"]["Turns"].is_array(), "{object}");
        assert!(
            !placed
                || step["file"].as_str().unwrap().ends_with(".rs")
                    && step["line"].is_u64()
                    && object["words"][0]["name"].is_string(),
            "{step}"
        );
        if *structure == "dead_writer" && planted {
            let kill = &object["kills"][0];
            assert_eq!(
                (&kill["process"], &kill["incarnation"]),
                (&json!(0), &json!(0))
            );
            assert_eq!(kill["before"]["word"], "sequence");
            assert_eq!(kill.as_object().unwrap().len(), 3, "{kill}");
        }
        let pauses = engine == "processes" && !planted && cfg!(target_arch = "x86_64");
        assert!(!pauses || covered["paused"].as_u64() > Some(0), "{object}");
        assert!(
            engine != "kills" || planted || covered["killed"].as_u64() > Some(0),
            "{object}"
        );
    }
}

#[test]
fn only_the_structures_and_the_engine_that_were_named_are_checked_and_options_win_over_the_environment()
 {
    let arguments = [
        "check",
        "ring",
        "latest",
        "--engine",
        "processes",
        "--cases",
        "3",
        "--json",
    ];
    let output = forkcheck(
        &arguments,
        &[
            ("FORKCHECK_CASES", "7"),
            ("FORKCHECK_SEED", "9"),
            ("FORKCHECK_EXECUTIONS", "200"),
        ],
    );
    let objects = objects(&output);
    let rows: Vec<_> = objects
        .iter()
        .map(|row| {
            (
                row["structure"].as_str().unwrap(),
                row["engine"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(rows, [("latest", "processes"), ("ring", "processes")]);
    for row in &objects {
        let programs = &row["covered"]["programs"];
        assert_eq!((programs, &row["seed"]), (&json!(3), &json!("9")));
    }
}

#[test]
fn engines_that_are_named_are_run_and_no_others() {
    let arguments = [
        "check", "seq_lock", "--cases", "1", "--json", "--engine", "stepped", "--engine", "loom",
    ];
    let output = forkcheck(&arguments, &[]);
    let engines: Vec<Value> = objects(&output)
        .iter()
        .map(|object| object["engine"].clone())
        .collect();
    assert_eq!(engines, ["stepped", "loom"], "{}", text(&output.stderr));
}

#[test]
fn a_verdict_and_a_limitation_are_explained_as_the_guide_does() {
    let page = include_str!("../../docs/src/verdicts.md");
    for name in [
        &["DEADLOCK"][..],
        &["weak", "memory"],
        &["not linearizable"],
    ] {
        let output = forkcheck(&[&["explain"], name].concat(), &[]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        let (heading, body) = told
            .split_once(
                "

",
            )
            .unwrap();
        let section = format!(
            "### {heading}

{}",
            body.trim_end()
        );
        assert!(page.contains(&section), "{told}");
    }
    let all = text(&forkcheck(&["explain"], &[]).stdout);
    assert!(
        all.lines().any(|line| line == "UNKNOWN") && all.lines().count() > 30,
        "{all}"
    );
    for (name, words) in [
        ("nonsense", "lists what there is"),
        ("token", "lists what there is"),
        ("not", "NOT LINEARIZABLE"),
    ] {
        let output = forkcheck(&["explain", name], &[]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn the_list_names_all_and_what_is_expected_of_them() {
    let listed = forkcheck(&["list", "--json"], &[]);
    assert_eq!(listed.status.code(), Some(0));
    let listed = objects(&listed);
    let table = text(&forkcheck(&["list"], &[]).stdout);
    assert!(table.trim_start().starts_with("structure "), "{table}");
    assert_eq!(listed.len(), STRUCTURES.len());
    for (object, (structure, planted)) in listed.iter().zip(STRUCTURES) {
        assert_eq!(object["structure"], structure);
        assert_eq!(object["expected"], if planted { "finding" } else { "ok" });
        assert_eq!(object["engines"], json!(ENGINES));
        assert!(table.contains(structure), "{table}");
        // The sound structure that it is the twin of is one of the list.
        let about = object["about"].as_str().unwrap();
        let twin = about.strip_prefix("twin of ");
        let twin = twin.and_then(|twin| twin.split_once(": "));
        let sound = twin.map(|(sound, _)| sound);
        assert_eq!(sound.is_some(), planted, "{about}");
        let is_sound = |sound| STRUCTURES.contains(&(sound, false));
        assert!(sound.is_none_or(is_sound), "{about}");
    }
}

#[test]
fn tables_are_as_wide_as_the_output_and_cut_no_name_and_no_header_of_numbers() {
    let check = ["check", "dead_writer", "early_publish", "--engine", "kills"];
    for (columns, arguments, header) in [
        (80, &["list"][..], "structure expected engines what it is"),
        (
            75,
            &check,
            "structure engine verdict programs executions covered seconds",
        ),
    ] {
        let narrow = [("COLUMNS", &*columns.to_string()), ("FORKCHECK_SEED", "1")];
        let printed = text(&forkcheck(arguments, &narrow).stdout);
        let table: Vec<&str> = printed
            .lines()
            .take_while(|line| !line.is_empty())
            .collect();
        let words: Vec<&str> = table[0].split_whitespace().collect();
        assert_eq!(words.join(" "), header, "{printed}");
        assert!(
            table.iter().all(|line| line.trim_end().len() <= columns),
            "{printed}"
        );
        for name in ["dead_writer", "early_publish"] {
            let row = |line: &&str| line.split_whitespace().next() == Some(name);
            assert!(table.iter().any(row), "{printed}");
        }
    }
}

#[test]
fn a_token_that_the_command_printed_fails_again_with_the_line_that_it_printed() {
    for engine in ENGINES {
        let found = forkcheck(&["check", "early_publish", "--engine", engine], &[]);
        let printed = text(&found.stdout);
        let line = printed
            .lines()
            .find_map(|line| line.trim().strip_prefix("replay: "))
            .map(str::trim)
            .unwrap_or_else(|| panic!("{printed}"));
        let again = Command::new("sh").args(["-c", line]).output().unwrap();
        assert_eq!(again.status.code(), Some(1), "{}", text(&again.stderr));
        assert!(text(&again.stdout).contains("replayed from its token"));
    }
}

#[test]
fn a_token_and_the_source_lines_are_the_same_from_any_directory() {
    let arguments = ["check", "early_publish", "--engine", "stepped", "--json"];
    let found = |directory: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
        command.args(arguments).current_dir(directory);
        command.env_remove("CARGO_MANIFEST_DIR");
        let output = command.env("FORKCHECK_SEED", "3").output().unwrap();
        let report = objects(&output).remove(0);
        assert_eq!(report["verdict"], "finding", "{report}");
        assert_eq!(report["excerpts"].as_array().unwrap().len(), 2, "{report}");
        report["token"].clone()
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let token = found(elsewhere.path());
    assert_eq!(token, found(Path::new(env!("CARGO_MANIFEST_DIR"))));
}

#[test]
fn a_token_in_json_replays_as_json() {
    let found = forkcheck(&["check", "early_index", "--engine", "loom", "--json"], &[]);
    let token = objects(&found)[0]["token"].as_str().unwrap().to_owned();
    let again = forkcheck(&["replay", &token, "--json"], &[]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(objects(&again)[0]["token"], token);
}

/// Returns a file of saved cases for the suite of this name.
fn saved(suite: &str, case: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("{suite}.ron"));
    let text = format!("(forkcheck: 1, cases: [(found: \"\", engine: \"loom\", case: {case})])");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (directory, file)
}

#[test]
fn a_file_of_saved_cases_is_replayed_and_what_passes_says_so() {
    let case = "(setup: (0, 0), program: [[Write((1, 145))], [Read]])";
    let (_directory, sound) = saved("forkcheck-builtin-seq_lock", case);
    let output = forkcheck(&["replay", &sound], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("it did not fail again, in "));
    let (_directory, broken) = saved("forkcheck-builtin-early_publish", case);
    let output = forkcheck(&["replay", &broken], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
fn of_other_structures_it_prints_the_line_that_replays_them() {
    let (_directory, foreign) = saved("mycrate-page", "(setup: (), program: [[Get]])");
    let output = forkcheck(&["replay", &foreign], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("cargo test"),
        "{}",
        text(&output.stderr)
    );
    // A token of tests/mailbox.rs: the suite `mailbox::mailbox`, the engine `loom`, and a case.
    let bytes: Vec<u8> = [&b"\x10mailbox::mailbox\x04loom"[..], &[0, 0, 0]].concat();
    let sum = bytes.iter().fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("fk1:{digits}{sum:08x}");
    let output = forkcheck(&["replay", &token], &[]);
    assert_eq!(output.status.code(), Some(2));
    let line = format!("FORKCHECK_REPLAY={token} cargo test mailbox::loom -- --exact");
    assert!(
        text(&output.stderr).contains(&line),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn what_cannot_be_replayed_is_reported_and_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    for (target, words) in [
        ("fk1:21666f", "was cut"),
        ("fk9:00", "has version"),
        ("no such file", "there is no file"),
        (directory, "read the saved cases in"),
        (
            env!("CARGO_BIN_EXE_forkcheck"),
            "did not contain valid UTF-8",
        ),
        (
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "mend it, or move it away",
        ),
    ] {
        let output = forkcheck(&["replay", target], &[]);
        assert_eq!(output.status.code(), Some(2), "{target}");
        let told = text(&output.stderr);
        assert!(
            told.contains(words) && told.starts_with("error: "),
            "{told}"
        );
    }
}

#[test]
fn wrong_use_is_reported_and_exits_with_2() {
    for (arguments, words) in [
        (&["--frobnicate"][..], "--frobnicate"),
        (&["check", "rnig"], "a similar value exists: 'ring'"),
        (&["check", "rnig"], "one_shot, early_flag, seq_lock"),
        (
            &["check", "--engine", "lom"],
            "a similar value exists: 'loom'",
        ),
        (&["chekc"], "a similar subcommand exists: 'check'"),
        (&["--cases", "0"], "0 is not in 1.."),
        (&["--cases", "-4"], "-4 is not in 1.."),
        (&["--seconds", "NaN"], "a number above 0 is wanted"),
        (&["--seconds", "-1"], "a number above 0 is wanted"),
        (&["--seed", "blue"], "blue"),
        (&["replay"], "FILE-or-token"),
    ] {
        let output = forkcheck(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = text(&output.stderr);
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
    let output = forkcheck(&[], &[("FORKCHECK_CASES", "several")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stdout).contains("FORKCHECK_CASES is \"several\""),
        "{}",
        text(&output.stdout)
    );
    let output = forkcheck(&["--json"], &[("FORKCHECK_CASES", "several")]);
    assert_eq!(output.status.code(), Some(2));
    for object in objects(&output) {
        assert_eq!(object["verdict"], "unavailable");
        let (suite, engine) = (&object["suite"], &object["engine"]);
        let suite = suite.as_str().unwrap();
        assert_eq!(
            object["test"],
            format!("{suite}::{}", engine.as_str().unwrap())
        );
        let headline = object["headline"].as_str().unwrap();
        assert!(headline.contains("FORKCHECK_CASES"), "{object}");
    }
}

#[test]
fn help_names_the_exit_codes() {
    let output = forkcheck(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stdout).contains("Exit code: 0"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn help_calls_the_code_under_test_a_structure() {
    for command in ["check", "list", "replay", "summary", "explain", "history"] {
        let help = text(&forkcheck(&[command, "--help"], &[]).stdout);
        assert!(!help.to_lowercase().contains("subject"), "{help}");
        let checks = matches!(command, "check" | "list");
        assert!(!checks || help.contains("structures"), "{help}");
    }
}

#[test]
fn the_readmes_own_structure_is_the_test_that_runs() {
    let readme = include_str!("../../README.md");
    let sample = readme
        .split("```rust,no_run,test_harness\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert!(sample.contains("forkcheck::suite!"));
    assert!(
        include_str!("../mailbox.rs").ends_with(sample),
        "README and tests/mailbox.rs differ"
    );
}

/// Runs the command with its output and errors redirected, for at most a minute.
fn ended(arguments: &[&str], out: Stdio, errors: Stdio) -> (ExitStatus, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_forkcheck"))
        .args(arguments)
        .stdout(out)
        .stderr(errors)
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{arguments:?} does not end");
        }
        std::thread::yield_now();
    };
    let mut told = String::new();
    if let Some(mut errors) = child.stderr {
        errors.read_to_string(&mut told).unwrap();
    }
    (status, told)
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command_as_it_ends_others() {
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &[
            "check", "ring", "--engine", "stepped", "--cases", "1", "--json",
        ],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (status, told) = ended(arguments, writer.into(), Stdio::piped());
        assert_eq!(status.signal(), Some(libc::SIGPIPE), "{status}: {told}");
        assert_eq!(told, "");
    }
}

#[test]
fn output_that_cannot_be_written_is_reported_with_code_2() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["check", "ring", "--engine", "stepped", "--cases", "1"],
    ] {
        let (status, told) = ended(arguments, full(), Stdio::piped());
        assert_eq!(status.code(), Some(2), "{told}");
        assert!(
            told.contains("cannot write to the standard output"),
            "{told}"
        );
        assert!(!told.contains("panicked"), "{told}");
    }
    let (status, _) = ended(&["replay", "no-such-file"], Stdio::null(), full());
    assert_eq!(status.code(), Some(2), "errors too");
}

#[test]
fn a_replay_of_what_is_no_file_is_refused_and_not_waited_on() {
    let path = std::env::temp_dir().join(format!("forkcheck-fifo-{}", std::process::id()));
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = path.to_str().unwrap();
    let (status, told) = ended(&["replay", fifo], Stdio::null(), Stdio::piped());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(status.code(), Some(2), "{told}");
    assert!(told.contains("not a file"), "{told}");
    let (status, told) = ended(&["replay", "/dev/zero"], Stdio::null(), Stdio::piped());
    assert_eq!(status.code(), Some(2), "{told}");
}

#[test]
fn a_page_is_written_where_it_was_asked_for_and_json_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("pages");
    let check = ["check", "early_flag", "--engine", "stepped", "--json"];
    let named = [&check[..], &["--html", pages.to_str().unwrap()]].concat();
    let found = &objects(&forkcheck(&named, &[]))[0];
    let page = pages.join("forkcheck-builtin-early_flag-stepped.html");
    assert_eq!(found["page"], page.to_str().unwrap());
    assert!(page.exists());
    assert!(objects(&forkcheck(&check, &[]))[0]["page"].is_null());
    // The environment names the directory where no option does.
    std::fs::remove_file(&page).unwrap();
    forkcheck(&check, &[("FORKCHECK_HTML", pages.to_str().unwrap())]);
    assert!(page.exists());

    let file = directory.path().join("replay.html");
    let token = found["token"].as_str().unwrap();
    let trace = directory.path().join("replay.trace.json");
    let replay = [
        "replay",
        token,
        "--html",
        file.to_str().unwrap(),
        "--trace",
        trace.to_str().unwrap(),
    ];
    let output = forkcheck(&replay, &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(
        printed.contains(&format!("\n page:        {}\n", file.display())),
        "{printed}"
    );
    assert!(std::fs::read_to_string(&file).unwrap().contains(token));
    assert!(
        printed.contains(&format!("\n trace:       {}\n", trace.display())),
        "{printed}"
    );
    let events: Value = serde_json::from_slice(&std::fs::read(&trace).unwrap()).unwrap();
    assert!(
        events["traceEvents"].as_array().unwrap().len() > 5,
        "{events}"
    );
    // A row that is not there, and gdb without a case that has rows.
    let output = forkcheck(&["replay", token, "--gdb", "--to-row", "99"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.contains("there is no row 99; name one of the"),
        "{told}"
    );
    // A page that cannot be written changes neither the verdict nor the exit code.
    let output = forkcheck(&["replay", token, "--html", "/dev/null/page.html"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(printed.starts_with("NOT LINEARIZABLE"), "{printed}");
    assert!(printed.contains("\n no page:     cannot "), "{printed}");
}
