//! Tests of the settings from the environment.

use super::*;

fn with(name: &'static str, value: &'static str) -> Result<Settings, Error> {
    Settings::default().overruled_by(|asked| (asked == name).then(|| value.to_owned()))
}

#[test]
fn the_environment_wins() {
    assert_eq!(with("FORKCHECK_CASES", " 7 ").unwrap().cases, 7);
    assert_eq!(with("FORKCHECK_EXECUTIONS", "12").unwrap().executions, 12);
    assert_eq!(with("FORKCHECK_SEED", "9").unwrap().seed(), 9);
    let html = with("FORKCHECK_HTML", "pages").unwrap().html;
    assert_eq!(html, Some("pages".into()));
    assert_eq!(with("FORKCHECK_HTML", "").unwrap().html, None);
    let trace = with("FORKCHECK_TRACE", "traces").unwrap().trace;
    assert_eq!(trace, Some("traces".into()));
    assert_eq!(with("COLUMNS", "160").unwrap().columns, Some(160));
    assert_eq!(with("COLUMNS", "wide").unwrap().columns, None);
    let checkout = |value| with("GITHUB_ACTIONS", value).unwrap().checkout;
    assert_eq!(checkout("true"), Some(PathBuf::new()));
    assert_eq!(checkout("false"), None);
    assert_eq!(
        with("FORKCHECK_SECONDS", "0.5").unwrap().time,
        Some(Duration::from_millis(500))
    );
    assert_eq!(
        with("FORKCHECK_WATCHDOG", "0.5").unwrap().watchdog,
        Some(Duration::from_millis(500))
    );
    assert_eq!(
        with("FORKCHECK_ALLOW_MISSING", "loom, stepped")
            .unwrap()
            .allow_missing,
        ["loom", "stepped"]
    );
}

#[test]
fn the_environment_gives_more_time_to_a_watchdog_and_never_less_than_the_suite_asks_for() {
    let watchdog = |own, value: &str| {
        let settings = Settings {
            watchdog: Some(Duration::from_secs(own)),
            ..Settings::default()
        };
        let settings = settings
            .overruled_by(|asked| (asked == "FORKCHECK_WATCHDOG").then(|| value.to_owned()));
        settings.unwrap().watchdog
    };
    assert_eq!(watchdog(5, "10"), Some(Duration::from_secs(10)));
    assert_eq!(watchdog(5, "0.5"), Some(Duration::from_secs(5)));
}

#[test]
fn nonsense_is_an_error_that_names_the_variable_and_the_remedy() {
    let wrong = [
        ("FORKCHECK_CASES", "many"),
        ("FORKCHECK_CASES", "0"),
        ("FORKCHECK_CASES", "-1"),
        ("FORKCHECK_JOBS", "0"),
        ("FORKCHECK_JOBS", "all"),
        ("FORKCHECK_EXECUTIONS", "0"),
        ("FORKCHECK_EXECUTIONS", "1e6"),
        ("FORKCHECK_SEED", "1.5"),
        ("FORKCHECK_SECONDS", "0"),
        ("FORKCHECK_SECONDS", "-3"),
        ("FORKCHECK_SECONDS", "NaN"),
        ("FORKCHECK_WATCHDOG", "0"),
        ("FORKCHECK_WATCHDOG", "never"),
        ("FORKCHECK_REFRESH", "yes"),
        ("FORKCHECK_REQUIRE_REACHED", "all"),
        ("FORKCHECK_VERBOSE", "yes"),
        ("FORKCHECK_LOCK", "/no/such/file"),
        ("FORKCHECK_LOCK", "/dev/null"),
        ("FORKCHECK_ALLOW_MISSING", "loom,stpped"),
    ];
    for (name, value) in wrong {
        let text = with(name, value).unwrap_err().to_string();
        assert!(
            text.contains(name) && text.contains("or unset it"),
            "{text}"
        );
    }
}

#[test]
fn seeds_that_are_not_set_differ() {
    assert_ne!(Settings::default().seed(), Settings::default().seed());
}

#[test]
fn a_variable_that_nothing_reads_is_refused_with_the_nearest_that_there_is() {
    let names = |names: &[&str]| no_unknown(names.iter().map(|name| (*name).to_owned()));
    for (mistyped, meant) in [
        ("FORKCHECK_SEEDS", "set FORKCHECK_SEED,"),
        ("FORKCHECK_SECOND", "set FORKCHECK_SECONDS,"),
        ("FORKCHECK_CASE", "set FORKCHECK_CASES,"),
        ("FORKCHECK_EXECUTION", "set FORKCHECK_EXECUTIONS,"),
        ("FORKCHECK_ALLOWMISSING", "set FORKCHECK_ALLOW_MISSING,"),
        ("FORKCHECK_replay", "or unset it"),
        ("FORKCHECK_", "or unset it"),
    ] {
        let error = names(&["PATH", "FORKCHECK_SEED", mistyped]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(mistyped) && text.contains(meant), "{text}");
    }
    assert!(names(&VARIABLES).is_ok() && names(&OF_OUR_TESTS).is_ok());
    assert!(
        names(&[
            "FORKCHECK_ZYGOTE_9.0.0",
            "PATH",
            "FORKCHECKS",
            "MY_FORKCHECK_X"
        ])
        .is_ok()
    );
}

#[test]
fn the_docs_have_a_row_for_each_variable_that_is_read_and_for_no_other() {
    let row = |line: &str| {
        let row = line
            .trim_start_matches("//! ")
            .strip_prefix("| `FORKCHECK_")?;
        Some(format!("FORKCHECK_{}", row.split_once('`')?.0))
    };
    let mut known = VARIABLES.to_vec();
    known.sort_unstable();
    for text in [
        include_str!("../settings.rs"),
        include_str!("../../docs/src/ci.md"),
    ] {
        let mut rows: Vec<String> = text.lines().filter_map(row).collect();
        rows.sort_unstable();
        assert_eq!(rows, known);
    }
    // Each variable has its own reader.
    for name in VARIABLES {
        let asked = std::cell::Cell::new(false);
        let _ = Settings::default().overruled_by(|variable| {
            asked.set(asked.get() || variable == name);
            None
        });
        assert!(asked.get(), "{name} is never read");
    }
}

#[test]
fn every_variable_that_this_repository_names_is_known() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut left: Vec<_> = ["src", "tests", "benches", "ci", "docs", "README.md"]
        .map(|name| root.join(name))
        .into();
    let mut named = std::collections::BTreeSet::new();
    while let Some(path) = left.pop() {
        if path.ends_with("src/settings.rs") || path.ends_with("src/settings/tests.rs") {
            continue;
        }
        if let Ok(entries) = std::fs::read_dir(&path) {
            left.extend(entries.map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            for (at, _) in text.match_indices("FORKCHECK_") {
                // A variable of cargo forkcheck, which no test reads.
                if text[..at].ends_with("CARGO_") {
                    continue;
                }
                let rest = &text[at + "FORKCHECK_".len()..];
                let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_'));
                named.insert(format!("FORKCHECK_{}", &rest[..end.unwrap_or(rest.len())]));
            }
        }
    }
    assert!(named.contains("FORKCHECK_SEED"), "{named:?}");
    // Names that tests mistype on purpose are written in pieces.
    no_unknown(named.into_iter().filter(|name| name != "FORKCHECK_")).unwrap();
}
