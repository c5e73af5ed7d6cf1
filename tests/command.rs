//! The `forkcheck` command as a user meets it, and README's failing case, which is what it prints.
#![cfg(feature = "loom")]
#![forbid(unsafe_code)]

use std::process::{Command, Output};

fn forkcheck(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
    command
        .args(arguments)
        .env_remove("FORKCHECK_REPLAY")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What differs from run to run even with one seed: times, the profile, the machine.
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

#[test]
fn the_readme_opens_with_what_the_command_prints() {
    let output = forkcheck(&[], &[("FORKCHECK_SEED", "1")]);
    let printed = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{printed}\n{}",
        text(&output.stderr)
    );
    let readme = include_str!("../README.md");
    let shown = readme
        .split("```text\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert!(shown.lines().count() > 20, "{shown}");
    let printed: Vec<String> = printed.lines().map(masked).collect();
    for line in shown.lines() {
        assert!(
            printed.contains(&masked(line)),
            "README has {line:?}\nand printed is\n{}",
            printed.join("\n")
        );
    }
}

#[test]
fn the_table_says_what_was_expected_of_each_subject_on_each_engine() {
    let output = forkcheck(&[], &[("FORKCHECK_CASES", "8")]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for (subject, engine, verdict) in [
        ("one_shot", "processes", "ok"),
        ("one_shot", "loom", "ok"),
        ("seq_lock", "processes", "ok"),
        ("seq_lock", "loom", "ok"),
        ("early_publish", "processes", "as"),
        ("early_publish", "loom", "as"),
    ] {
        let row = printed.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(subject)
                && words.next() == Some(engine)
                && words.next() == Some(verdict)
        });
        assert!(
            row.is_some(),
            "no row {subject} {engine} {verdict} in\n{printed}"
        );
    }
    assert!(
        !text(&output.stderr).contains('\x1b'),
        "no progress where there is no terminal"
    );
}

#[test]
fn wrong_use_is_told_and_exits_with_2() {
    let output = forkcheck(&["--frobnicate"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--frobnicate"),
        "{}",
        text(&output.stderr)
    );
    let output = forkcheck(&[], &[("FORKCHECK_CASES", "several")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stdout).contains("FORKCHECK_CASES is \"several\""),
        "{}",
        text(&output.stdout)
    );
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
fn the_readmes_own_structure_is_the_test_that_runs() {
    let readme = include_str!("../README.md");
    let sample = readme
        .split("```rust,test_harness\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert!(sample.contains("forkcheck::suite!"));
    assert!(
        include_str!("mailbox.rs").ends_with(sample),
        "README and tests/mailbox.rs differ"
    );
}
