//! `forkcheck history`: each ready spec with a history that it allows and one that it does not, and
//! invalid input.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn history(file: &Path, arguments: &[&str]) -> Output {
    history_with(file, arguments, &[])
}

fn history_with(file: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_forkcheck"))
        .arg("history")
        .arg(file)
        .args(arguments)
        .env_remove("COLUMNS")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Returns a file with these lines, in a directory that is removed with the first of the pair.
fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("calls.jsonl");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

/// Returns calls one after the other, by processes that alternate: operation and result as JSON
/// fields.
fn sequence(calls: &[&str]) -> String {
    let line = |(n, call): (usize, &&str)| {
        let (process, from, to) = (n % 2, 10 * n, 10 * n + 5);
        format!("{{\"process\": {process}, \"call\": {from}, \"return\": {to}, {call}}}\n")
    };
    calls.iter().enumerate().map(line).collect()
}

/// Returns the exit code and the JSON object of a history.
#[track_caller]
fn judged(spec: &str, text: &str) -> (i32, Value) {
    let (_kept, path) = file(text);
    let output = history(&path, &["--spec", spec, "--json"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let object = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}{errors}"));
    (output.status.code().unwrap(), object)
}

/// Asserts that the calls are allowed, and that with `wrong` in place of the last of them they are
/// not, and `wrong` is blamed.
#[track_caller]
fn told_apart(spec: &str, calls: &[&str], wrong: &str) {
    let (code, object) = judged(spec, &sequence(calls));
    assert_eq!((code, &object["verdict"]), (0, &"ok".into()), "{object}");
    assert_eq!(object["calls"], calls.len(), "{object}");
    let mut calls = calls.to_vec();
    *calls.last_mut().unwrap() = wrong;
    let (code, object) = judged(spec, &sequence(&calls));
    assert_eq!(
        (code, &object["verdict"]),
        (1, &"finding".into()),
        "{object}"
    );
    assert_eq!(object["kind"], "NOT LINEARIZABLE", "{object}");
    assert_eq!(object["line"], calls.len(), "{object}");
    let reason = &object["linearization"]["reason"];
    assert!(reason["state"].is_string(), "{object}");
}

#[test]
fn a_register() {
    told_apart(
        "register",
        &[
            r#""op": "read", "result": null"#,
            r#""op": "write", "value": {"b": 1, "a": [2]}"#,
            r#""op": "read", "result": {"a": [2], "b": 1}"#,
        ],
        r#""op": "read", "result": null"#,
    );
}

#[test]
fn a_register_with_compare_and_swap() {
    told_apart(
        "cas",
        &[
            r#""op": "cas", "expected": null, "value": 1, "result": true"#,
            r#""op": "cas", "expected": 2, "value": 3, "result": false"#,
            r#""op": "write", "value": 4"#,
            r#""op": "read", "result": 4"#,
        ],
        r#""op": "cas", "expected": 1, "value": 5, "result": true"#,
    );
}

#[test]
fn a_queue_and_a_stack() {
    let pushes = [
        r#""op": "push", "value": "x""#,
        r#""op": "push", "value": 2"#,
    ];
    let popped = |item: &str| format!("\"op\": \"pop\", \"result\": {item}");
    let (first, last, none) = (popped("\"x\""), popped("2"), popped("null"));
    let calls = |a, b| [pushes[0], pushes[1], a, b, none.as_str()];
    told_apart("queue", &calls(&first, &last), &first);
    told_apart("stack", &calls(&last, &first), &last);
    // Each spec refuses the other's order.
    assert_eq!(judged("stack", &sequence(&calls(&first, &last))).0, 1);
    assert_eq!(judged("queue", &sequence(&calls(&last, &first))).0, 1);
}

#[test]
fn a_set() {
    told_apart(
        "set",
        &[
            r#""op": "add", "value": 1, "result": true"#,
            r#""op": "add", "value": 1, "result": false"#,
            r#""op": "remove", "value": 2, "result": false"#,
            r#""op": "contains", "value": 1, "result": true"#,
        ],
        r#""op": "contains", "value": 1, "result": false"#,
    );
}

#[test]
fn a_map() {
    told_apart(
        "map",
        &[
            r#""op": "put", "key": "a", "value": 1"#,
            r#""op": "put", "key": "b", "value": 2"#,
            r#""op": "remove", "key": "a""#,
            r#""op": "get", "key": "a", "result": null"#,
            r#""op": "get", "key": "b", "result": 2"#,
        ],
        r#""op": "get", "key": "b", "result": 1"#,
    );
}

#[test]
fn a_counter() {
    told_apart(
        "counter",
        &[
            r#""op": "add", "value": 3"#,
            r#""op": "add", "value": -1"#,
            r#""op": "read", "result": 2"#,
        ],
        r#""op": "read", "result": 3"#,
    );
}

#[test]
fn a_lock() {
    told_apart(
        "lock",
        &[
            r#""op": "lock""#,
            r#""op": "try_lock", "result": false"#,
            r#""op": "unlock""#,
            r#""op": "lock""#,
            r#""op": "unlock", "result": false"#,
            r#""op": "unlock""#,
            r#""op": "try_lock", "result": true"#,
        ],
        r#""op": "try_lock", "result": false"#,
    );
    let (code, object) = judged("lock", &sequence(&[r#""op": "lock""#, r#""op": "lock""#]));
    assert_eq!(code, 1, "{object}");
    assert!(
        object["headline"]
            .as_str()
            .unwrap()
            .ends_with("expected that it waits"),
        "{object}"
    );
}

#[test]
fn a_relaxed_queue() {
    let push = |process, from, to, value| {
        format!(
            "{{\"process\": {process}, \"call\": {from}, \"return\": {to}, \"op\": \"push\", \"value\": {value}}}\n"
        )
    };
    let empty = "{\"process\": 3, \"call\": 4, \"return\": 5, \"op\": \"pop\", \"result\": null}\n";
    let beside = format!("{}{}{empty}", push(1, 0, 9, 1), push(2, 2, 3, 2));
    let alone = format!("{}{}{empty}", push(1, 0, 1, 1), push(2, 2, 3, 2));
    assert_eq!(judged("relaxed-queue", &beside).0, 0);
    assert_eq!(judged("relaxed-queue", &alone).0, 1);
    assert_eq!(judged("queue", &beside).0, 1, "which is exact");
}

#[test]
fn a_semaphore() {
    told_apart(
        "semaphore",
        &[
            r#""op": "try_acquire", "result": false"#,
            r#""op": "release""#,
            r#""op": "acquire""#,
            r#""op": "release""#,
            r#""op": "try_acquire", "result": true"#,
        ],
        r#""op": "try_acquire", "result": false"#,
    );
}

#[test]
fn a_barrier() {
    // The parties are the two processes that alternate.
    let arrive = r#""op": "arrive""#;
    told_apart("barrier", &[arrive, arrive, r#""op": "leave""#], arrive);
}

#[test]
fn an_event() {
    told_apart(
        "event",
        &[
            r#""op": "is_set", "result": false"#,
            r#""op": "set""#,
            r#""op": "wait""#,
            r#""op": "reset""#,
            r#""op": "is_set", "result": false"#,
        ],
        r#""op": "wait""#,
    );
}

#[test]
fn a_call_that_never_returned_took_effect_or_did_not() {
    let lines = |read: &str| {
        format!(
            "{{\"process\": \"a\", \"call\": 1, \"op\": \"write\", \"value\": 5}}\n\n\
             {{\"process\": \"b\", \"call\": 2, \"return\": 3, \"op\": \"read\", \"result\": {read}}}\n\
             {{\"process\": \"c\", \"call\": 0, \"return\": null, \"op\": \"read\"}}\n"
        )
    };
    for (read, code) in [("null", 0), ("5", 0), ("6", 1)] {
        let (came, object) = judged("register", &lines(read));
        assert_eq!(came, code, "{object}");
        assert_eq!(object["pending"], 2, "{object}");
    }
}

#[test]
fn the_report_names_the_key_the_line_and_the_calls_around_it() {
    let mut lines: Vec<String> = Vec::new();
    for n in 0..500 {
        let (key, from) = (n % 5, 10 * n);
        let value = if n == 321 { 0 } else { n };
        lines.push(format!(
            "{{\"process\": \"client {key}\", \"call\": {from}, \"return\": {}, \"op\": \"put\", \"key\": {key}, \"value\": {n}}}",
            from + 2
        ));
        lines.push(format!(
            "{{\"process\": \"client {key}\", \"call\": {}, \"return\": {}, \"op\": \"get\", \"key\": {key}, \"result\": {value}}}",
            from + 3,
            from + 5
        ));
    }
    let text = lines.join("\n");
    let (code, object) = judged("map", &text);
    assert_eq!((code, &object["line"]), (1, &644.into()), "{object}");
    assert_eq!(
        object["headline"],
        "client 1: Get(1) returned Value(Some(0)), expected Value(Some(321))"
    );
    let linearization = &object["linearization"];
    assert_eq!(linearization["reason"]["state"], "Map({1: 321})");
    let longest = linearization["reason"]["longest"].as_array().unwrap();
    assert_eq!(longest.len(), 12, "{object}");
    assert_eq!(*longest.last().unwrap(), "client 1 Put(1, 321) -> Done");
    let shown = |object: &Value| {
        let processes = object["processes"].as_array().unwrap().iter();
        let calls = processes.map(|process| process["operations"].as_array().unwrap().len());
        calls.sum::<usize>()
    };
    assert_eq!(object["origin"], "13 of 1000 calls, those around it");
    assert_eq!((shown(&object), &object["calls"]), (13, &1000.into()));
    // All of them, where that is asked for.
    let (_kept, path) = file(&text);
    let arguments = ["--spec", "map", "--json"];
    let output = history_with(&path, &arguments, &[("FORKCHECK_VERBOSE", "1")]);
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((shown(&whole), &whole["origin"]), (1000, &Value::Null));
    assert_eq!(
        whole["linearization"]["reason"]["longest"]
            .as_array()
            .unwrap()
            .len(),
        linearization["before"].as_u64().unwrap() as usize + 12
    );
}

/// The fields of an outcome that the command adds to those of a report.
const OF_HISTORY: [&str; 4] = ["spec", "calls", "pending", "line"];
const OF_SUITE: [&str; 2] = ["structure", "expected"];

#[test]
fn the_outcome_of_a_history_has_the_fields_of_that_of_a_suite() {
    let suite = Command::new(env!("CARGO_BIN_EXE_forkcheck"))
        .args(["check", "dead_writer", "--engine", "kills", "--json"])
        .env("FORKCHECK_SEED", "1")
        .output()
        .unwrap();
    let suite: Value = serde_json::from_slice(&suite.stdout).unwrap();
    let push = r#""op": "push", "value": 2"#;
    let (_, history) = judged("queue", &sequence(&[push, r#""op": "pop", "result": 3"#]));
    let fields = |outcome: &Value, but: &[&str]| {
        let fields = outcome.as_object().unwrap().keys();
        fields
            .filter(|field| !but.contains(&&***field))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(&history, &OF_HISTORY), fields(&suite, &OF_SUITE));
    assert!(fields(&history, &[]).len() > 30, "{history}");
    assert_eq!(
        (&history["spec"], &history["engine"], &history["suite"]),
        (&"queue".into(), &"history".into(), &history["test"])
    );
    let operation = |outcome: &Value| fields(&outcome["processes"][0]["operations"][0], &[]);
    assert_eq!(operation(&history), operation(&suite));
    let of =
        |process: usize, field: &str| history["processes"][process]["operations"][0][field].clone();
    assert_eq!(
        (of(0, "call"), of(0, "result")),
        ("Push(2)".into(), "Pushed".into())
    );
    assert_eq!(
        (of(1, "call"), of(1, "result")),
        ("Pop".into(), "Popped(3)".into())
    );
    assert_eq!(
        (of(1, "invoked"), of(1, "returned")),
        (10.into(), 15.into())
    );
    assert_eq!(
        history["linearization"]["blocked"],
        serde_json::json!([[1, 0]])
    );
}

#[test]
fn a_verbose_report_of_a_history_cuts_no_value() {
    let long = format!("\"{}\"", "v".repeat(200));
    let write = format!("\"op\": \"write\", \"value\": {long}");
    let (_kept, path) = file(sequence(&[&write, r#""op": "read", "result": 1"#]));
    let told = |environment: &[(&str, &str)]| {
        let output = history_with(&path, &["--spec", "register"], environment);
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = told(&[("FORKCHECK_VERBOSE", "1"), ("COLUMNS", "2000")]);
    assert!(!whole.contains('…'), "{whole}");
    // It is in the headline, in the table, in the order, in the state, and as what is expected.
    assert_eq!(whole.matches(&long).count(), 5, "{whole}");
    let cut = told(&[("COLUMNS", "2000")]);
    assert!(cut.contains('…') && !cut.contains(&long), "{cut}");
    let refused = history_with(
        &path,
        &["--spec", "register"],
        &[("FORKCHECK_VERBOSE", "yes")],
    );
    assert_eq!(refused.status.code(), Some(2));
}

/// Calls of a case's prefix also have one time for call and return. Calls of a file are never of a
/// prefix.
#[test]
fn a_call_that_returned_at_the_time_of_its_call_is_shown_as_any_other() {
    let text = "{\"process\": 0, \"call\": 1, \"return\": 1, \"op\": \"write\", \"value\": 5}\n\
                {\"process\": 1, \"call\": 2, \"return\": 2, \"op\": \"read\", \"result\": 6}\n";
    let (_kept, path) = file(text);
    let output = history(&path, &["--spec", "register"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("NOT LINEARIZABLE"), "{told}");
    assert!(
        told.contains("Write(5) -> Written") && !told.contains("prefix"),
        "{told}"
    );
}

#[test]
fn limits_that_are_spent_are_unknown_and_name_the_option() {
    let line = |n: u64| {
        format!(
            "{{\"process\": {n}, \"call\": 0, \"return\": 99, \"op\": \"write\", \"value\": {n}}}\n"
        )
    };
    let read = r#"{"process": 99, "call": 0, "return": 99, "op": "read", "result": 99}"#;
    let text: String = (0..9).map(line).chain([read.into()]).collect();
    let (_kept, path) = file(text);
    for (option, limit) in [("--steps", "50"), ("--states", "20")] {
        let output = history(&path, &["--spec", "register", option, limit]);
        let report = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(2), "{report}");
        assert!(report.starts_with("UNKNOWN  "), "{report}");
        assert!(report.contains(&format!("raise {option}")), "{report}");
    }
    assert_eq!(
        history(&path, &["--spec", "register"]).status.code(),
        Some(1)
    );
}

/// Asserts that a file is refused with exactly these words.
#[track_caller]
fn refused(path: &Path, words: &[&str]) {
    let output = history(path, &["--spec", "register"]);
    let (said, told) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(2), "{said}{told}");
    assert!(
        said.is_empty() && told.starts_with("error: "),
        "{said}{told}"
    );
    for word in words {
        assert!(told.contains(word), "{word:?} is not in: {told}");
    }
}

#[test]
fn input_that_is_no_history_is_refused_in_words() {
    let good = r#"{"process": 0, "call": 1, "return": 2, "op": "read", "result": null}"#;
    let cases: &[(&str, &[&str])] = &[
        ("", &["holds no call", "give one a line"]),
        ("\n  \n", &["holds no call"]),
        ("no json", &["line 2: expected", "a call is {"]),
        ("[1, 2]", &["line 2:"]),
        ("{}", &["line 2: missing field `process`"]),
        (
            r#"{"process": 0, "call": 3, "retrun": 4, "op": "read"}"#,
            &["line 2: unknown field `retrun`", "`return`"],
        ),
        (
            r#"{"process": 0, "call": -3, "op": "read"}"#,
            &["line 2: invalid value"],
        ),
        (
            r#"{"process": 0, "call": 3.5, "op": "read"}"#,
            &["line 2: invalid type"],
        ),
        (
            r#"{"process": 0, "call": 3, "op": "write", "value": [18446744073709551616]}"#,
            &[
                "line 2: 18446744073709552000 is rounded",
                "give it as a string",
            ],
        ),
        (
            r#"{"process": [], "call": 3, "op": "read"}"#,
            &["line 2: the process is []", "a number or a name"],
        ),
        (
            r#"{"process": 0, "call": 3, "return": 4, "op": "frob"}"#,
            &["line 2: no operation \"frob\"", "write and read"],
        ),
        (
            r#"{"process": 0, "call": 4, "return": 3, "op": "read", "result": 1}"#,
            &["line 2: it returned at 3, and was called at 4"],
        ),
        (
            r#"{"process": 0, "call": 3, "return": 18446744073709551615, "op": "read", "result": 1}"#,
            &["line 2: it returned at", "below 2^64 - 2"],
        ),
        (
            r#"{"process": 0, "call": 3, "return": 4, "op": "read"}"#,
            &["line 2: read has no \"result\""],
        ),
        (
            r#"{"process": 0, "call": 3, "op": "read", "result": 1}"#,
            &["line 2: a result without a return"],
        ),
        (
            r#"{"process": 0, "call": 3, "return": 4, "op": "write"}"#,
            &["line 2: write has no \"value\""],
        ),
        (
            r#"{"process": 0, "call": 3, "return": 4, "op": "write", "value": 1, "result": 7}"#,
            &["line 2: the result of write is 7", "leave it out"],
        ),
        (
            r#"{"process": 0, "call": 3, "return": 4, "op": "write", "value": 1, "key": 7}"#,
            &["line 2: write takes no \"key\""],
        ),
        (
            r#"{"process": 0, "call": 1, "return": 4, "op": "read", "result": null}"#,
            &[
                "line 2: process 0 called at 1 after line 1",
                "one call after the other",
            ],
        ),
        (
            "{\"process\": 1, \"call\": 1, \"op\": \"read\"}\n{\"process\": 1, \"call\": 2, \"op\": \"read\"}",
            &[
                "line 3: process 1 called at 2 after line 2, which never returned",
                "another process",
            ],
        ),
    ];
    for (line, words) in cases {
        let first = if words[0].starts_with("holds") {
            ""
        } else {
            good
        };
        let (_kept, path) = file(format!("{first}\n{line}\n"));
        refused(&path, words);
    }
    let (_kept, path) = file([good.as_bytes(), b"\n\xff\xfe\n"].concat());
    refused(&path, &["line 2: not UTF-8"]);
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_on() {
    let directory = tempfile::tempdir().unwrap();
    refused(&directory.path().join("gone"), &["No such file"]);
    refused(directory.path(), &["not a file"]);
    refused(Path::new("/dev/zero"), &["not a file"]);
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&fifo, &["not a file"]);
}

#[test]
fn a_line_without_an_end_is_refused_before_it_is_read() {
    let (_kept, path) = file("");
    // A sparse file of one gibibyte.
    let long = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    long.set_len(1 << 30).unwrap();
    refused(
        &path,
        &["line 1: longer than 1048576 bytes", "one call a line"],
    );
}

#[test]
fn the_guide_shows_what_the_command_prints() {
    let page = include_str!("../../docs/src/histories.md");
    let block = |language: &str| {
        let rest = page.split(&format!("```{language}\n")).nth(1).unwrap();
        rest.split("```").next().unwrap()
    };
    let (_kept, path) = file(block("json"));
    let output = Command::new(env!("CARGO_BIN_EXE_forkcheck"))
        .args(["history", "calls.jsonl", "--spec", "map"])
        .current_dir(path.parent().unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), block("text"));
}
