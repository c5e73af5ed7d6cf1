//! The file in which each test of a suite leaves one line. Only the last line of each test stays.

use crate::regression::{self, Kept, replace_file};
use crate::report::summary::name_of;
use std::io::{Error, ErrorKind};
use std::path::Path;

/// Leaves the line of a test. Tests of several binaries may do so at the same time: each replaces
/// the file as a whole, under a lock. Where that is not possible there is no line; the test's own
/// output has all of it.
pub(super) fn leave(line: &str) {
    if let Some(file) = crate::report::summary::file() {
        let _ = leave_in(&file, line);
    }
}

fn leave_in(file: &Path, line: &str) -> Result<(), Error> {
    let directory = file.parent().ok_or(ErrorKind::NotFound)?;
    std::fs::create_dir_all(directory)?;
    let _lock = regression::lock(directory)?;
    let before = match regression::text_of(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    // Each line begins with the names of its binary and its test; those of earlier versions do not, and go.
    let own = name_of(line);
    let is_other = |other: &&str| name_of(other).is_some_and(|name| Some(name) != own);
    let others = before.lines().filter(is_other);
    let mut lines: Vec<&str> = others.collect();
    lines.push(line);
    let text = format!("{}\n", lines.join("\n"));
    replace_file(file, &text, Kept::WhileItRuns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(test: &str, verdict: &str) -> String {
        of_binary("rings", test, verdict)
    }

    fn of_binary(binary: &str, test: &str, verdict: &str) -> String {
        format!(
            "{{\"binary\":\"{binary}\",\"test\":\"{test}\",\"suite\":\"s\",\"verdict\":\"{verdict}\"}}"
        )
    }

    #[test]
    fn tests_of_one_name_in_two_packages_both_stay_and_lines_of_earlier_versions_go() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("summary.json");
        std::fs::write(
            &file,
            "{\"test\":\"a\",\"suite\":\"s\",\"verdict\":\"ok\"}\n",
        )
        .unwrap();
        let lines = [
            of_binary("one::ring", "a", "ok"),
            of_binary("two::ring", "a", "unknown"),
        ];
        for line in &lines {
            leave_in(&file, line).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{}\n", lines.join("\n")));
    }

    #[test]
    fn the_last_line_of_each_test_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("forkcheck/summary.json");
        for (test, verdict) in [("a", "ok"), ("b", "ok"), ("a", "unknown")] {
            leave_in(&file, &line(test, verdict)).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            text,
            format!("{}\n{}\n", line("b", "ok"), line("a", "unknown"))
        );
    }

    #[test]
    fn tests_that_leave_lines_at_the_same_time_lose_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("summary.json");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    for n in 0..10 {
                        let test = format!("t{thread}::{n}");
                        leave_in(file, &line(&test, "ok")).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 40, "{text}");
        assert!(text.lines().all(|line| line.ends_with("\"ok\"}")), "{text}");
    }
}
