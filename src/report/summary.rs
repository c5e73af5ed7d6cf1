//! The line that a test leaves in `target/forkcheck/summary.json`: its verdict, what was covered,
//! and what was not checked.

use super::data::Report;
use super::json::{ToJson, object};
use super::site::Site;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Files by which a target directory is known: cargo writes the first into one that it makes, and the second into each.
const TAGS: [&str; 2] = ["CACHEDIR.TAG", ".rustc_info.json"];

/// Returns the file for the lines of the tests of this binary, in its target directory.
pub(crate) fn file() -> Option<PathBuf> {
    file_above(&std::env::current_exe().ok()?)
}

fn file_above(binary: &Path) -> Option<PathBuf> {
    // With a target that is named, cargo tags the directory of that one too.
    let target = binary
        .ancestors()
        .skip(1)
        .filter(|directory| TAGS.iter().any(|tag| directory.join(tag).is_file()))
        .last()?;
    Some(target.join("forkcheck/summary.json"))
}

/// Returns the line of a test that did not run, with the reason.
pub(crate) fn not_run(site: &Site, suite: &str, engine: &str, reason: &str) -> String {
    without_outcome(site, suite, engine, ("not run", reason))
}

/// Returns the line of a test that runs.
pub(crate) fn unfinished(site: &Site, suite: &str, engine: &str) -> String {
    without_outcome(site, suite, engine, ("unknown", "it did not finish"))
}

fn without_outcome(
    site: &Site,
    suite: &str,
    engine: &str,
    (verdict, reason): (&'static str, &str),
) -> String {
    let mut report = Report {
        test: format!("{suite}::{engine}"),
        suite: suite.to_owned(),
        engine: engine.to_owned(),
        headline: reason.to_owned(),
        ..Report::default()
    };
    report.verdict = verdict;
    line(site, &report)
}

/// Returns the part of a line that names its test: the fields before the suite. A text in JSON has no quotes without a backslash.
pub(crate) fn name_of(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(",\"suite\":")?;
    name.starts_with("{\"binary\":").then_some(name)
}

/// Returns a report as one line of JSON.
pub(crate) fn line(site: &Site, report: &Report) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    // These are texts, since a JSON number may be rounded by its reader.
    let seed = report.seed.to_string();
    let binary = site.binary_id();
    let reason = (!report.headline.is_empty()).then_some(&report.headline);
    let mut line = String::new();
    let fields: &[(&str, &dyn ToJson)] = &[
        ("binary", &binary),
        ("test", &report.test),
        ("suite", &report.suite),
        ("engine", &report.engine),
        ("verdict", &report.verdict),
        ("kind", &report.kind),
        ("reason", &reason),
        ("programs", &number(report.covered.programs)),
        ("executions", &number(report.covered.executions)),
        ("covered", &report.coverage),
        ("not_reached", &report.not_reached),
        ("unscheduled", &report.unscheduled),
        ("not_checked", &report.not_checked),
        ("milliseconds", &number((report.seconds * 1_000.0) as u64)),
        ("seed", &seed),
        ("at", &number(now.map_or(0, |now| now.as_secs()))),
    ];
    object(&mut line, fields);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Site = Site {
        package: "rings",
        manifest_directory: "/rings",
        module: "ring",
        file: "tests/ring.rs",
        integration: true,
        binary: None,
    };

    #[test]
    fn a_test_that_did_not_finish_is_unknown() {
        let line = unfinished(&SITE, "ring::spsc", "stepped");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["verdict"], "unknown");
        assert_eq!(line["reason"], "it did not finish");
    }

    #[test]
    fn a_line_is_json_and_has_what_was_covered_and_what_was_not() {
        let report = Report {
            test: "ring::spsc::stepped".into(),
            verdict: "ok",
            coverage: vec!["4 programs".into(), "900 executions".into()],
            not_reached: vec!["\"full\" (ring.rs:7)".into()],
            seed: u64::MAX,
            ..Report::default()
        };
        let line = line(&SITE, &report);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(read["binary"], "rings::ring");
        assert_eq!(
            name_of(&line),
            Some("{\"binary\":\"rings::ring\",\"test\":\"ring::spsc::stepped\"")
        );
        assert_eq!(name_of("{\"test\":\"ring\",\"suite\":\"ring\"}"), None);
        assert_eq!(read["test"], "ring::spsc::stepped");
        assert_eq!(read["covered"][1], "900 executions");
        assert_eq!(read["not_reached"][0], "\"full\" (ring.rs:7)");
        assert_eq!(read["reason"], serde_json::Value::Null);
        assert_eq!(read["seed"], u64::MAX.to_string());
        let not_run = not_run(&SITE, "ring::spsc", "loom", "it is C");
        let read: serde_json::Value = serde_json::from_str(&not_run).unwrap();
        assert_eq!(
            (&read["verdict"], &read["reason"]),
            (&"not run".into(), &"it is C".into())
        );
    }

    #[test]
    fn the_file_is_in_the_target_directory_above_the_binary_and_nowhere_without_one() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("target/debug/deps/ring-1");
        assert_eq!(file_above(&binary), None);
        std::fs::create_dir_all(binary.parent().unwrap()).unwrap();
        let file = directory.path().join("target/forkcheck/summary.json");
        for tag in TAGS {
            let tag = directory.path().join("target").join(tag);
            std::fs::write(&tag, "").unwrap();
            assert_eq!(file_above(&binary), Some(file.clone()));
            std::fs::remove_file(&tag).unwrap();
        }
    }
}
