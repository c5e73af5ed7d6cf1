//! The rules about single Rust files: length, header, tests left out, sleeping.

use crate::source::{Repository, Token};
use crate::{LONGEST_FILE, has, holds};

#[test]
fn no_source_file_is_too_long() {
    let long = "//! .\n".repeat(LONGEST_FILE + 1);
    let rule = |repository: &Repository| {
        let long = repository
            .under("src/")
            .filter(|(_, text)| text.lines().count() > LONGEST_FILE);
        long.map(|(path, _)| format!("{path}: over {LONGEST_FILE} lines; split it by what it does"))
            .collect()
    };
    holds(rule, &[("src/planted.rs", &long)]);
}

#[test]
fn every_rust_file_opens_by_saying_what_it_is() {
    let rule = |repository: &Repository| {
        let rust = repository
            .files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"));
        let silent = rust.filter(|(_, text)| {
            text.lines()
                .next()
                .is_none_or(|line| line.len() < 5 || !line.starts_with("//!"))
        });
        silent
            .map(|(path, _)| format!("{path}: its first line is no //! header"))
            .collect()
    };
    holds(
        rule,
        &[
            ("src/planted.rs", "use std::fmt;\n//! late"),
            ("examples/planted.rs", ""),
            ("src/a/mod.rs", "//!\n"),
        ],
    );
}

#[test]
fn a_doc_comment_opens_with_its_subject() {
    const OPENINGS: &[&str] = &[
        "What", "Where", "Who", "Whoever", "Whose", "Its", "Those", "Nobody", "The same", "...",
    ];
    let rule = |repository: &Repository| {
        let mut complaints = Vec::new();
        for (path, text) in repository.under("src/") {
            let mut before = false;
            for (number, line) in (1..).zip(text.lines()) {
                let doc = line.trim_start();
                let doc = doc.strip_prefix("///").or(doc.strip_prefix("//!"));
                let opens = doc.filter(|_| !before).map(str::trim_start);
                let is_banned = |banned: &&&str| {
                    let rest = opens.and_then(|text| text.strip_prefix(**banned));
                    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
                };
                if let Some(banned) = OPENINGS.iter().find(is_banned) {
                    complaints.push(format!(
                        "{path}:{number}: opens with {banned}; begin with what the item is or does"
                    ));
                }
                before = doc.is_some();
            }
        }
        complaints
    };
    holds(
        rule,
        &[
            ("src/planted.rs", "//! What there is.\n"),
            ("src/planted.rs", "//! .\n\n/// ... and more.\nstruct A;"),
            (
                "src/a/mod.rs",
                "//! .\n\nstruct A {\n    /// Its line.\n    a: u8,\n}",
            ),
        ],
    );
}

#[test]
fn a_test_that_is_left_out_says_why() {
    let rule = |repository: &Repository| {
        let mute = repository.rust().filter(|(_, tokens)| {
            has(tokens, &["[", "ignore", "]"])
                || has(tokens, &["ignore", "=", "\"\""])
                || has(tokens, &[",", "ignore", ")", "]"])
        });
        mute.map(|(path, _)| format!("{path}: #[ignore] without a reason"))
            .collect()
    };
    holds(
        rule,
        &[
            ("tests/planted.rs", "//! .\n#[test]\n#[ignore]\nfn f() {}"),
            ("src/planted.rs", "#[ignore = \"\"] fn f() {}"),
        ],
    );
}

#[test]
fn nothing_sleeps() {
    let rule = |repository: &Repository| {
        let sleeps = |t: &&Token| {
            [
                "sleep",
                "sleep_ms",
                "sleep_until",
                "usleep",
                "nanosleep",
                "clock_nanosleep",
            ]
            .contains(&&*t.text)
        };
        let found = repository
            .rust()
            .filter_map(|(path, tokens)| Some((path, tokens.iter().find(sleeps)?.line)));
        found
            .map(|(path, line)| format!("{path}:{line}: sleeps; wait for what it waits for"))
            .collect()
    };
    holds(
        rule,
        &[
            ("src/planted.rs", "use std::thread::{self, sleep};"),
            ("tests/planted.rs", "fn f() { thread::sleep(T) }"),
        ],
    );
}
