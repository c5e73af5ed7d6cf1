//! The guide's structures: the pages show these files, and the reports that engines print of them.

mod accounts;
mod bank;
mod fixed;
mod full_ring;
mod indices;
mod machine;
mod ported;
mod queue;
mod robust;
mod scenario;
mod spin_lock;
mod spsc;
mod tickets;
mod word;

use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Engine;
use forkcheck::{Suite, WithHandles};

/// Returns a page, a file that it shows, and the text of both.
macro_rules! shown {
    ($page:literal, $file:literal) => {
        (
            include_str!(concat!("../../docs/src/", $page)),
            $file,
            include_str!($file),
        )
    };
}

const SHOWN: [(&str, &str, &str); 13] = [
    shown!("tutorial.md", "tickets.rs"),
    shown!("suites.md", "word.rs"),
    shown!("suites.md", "queue.rs"),
    shown!("suites.md", "spin_lock.rs"),
    shown!("suites.md", "full_ring.rs"),
    shown!("suites.md", "indices.rs"),
    shown!("specs.md", "accounts.rs"),
    shown!("loom.md", "scenario.rs"),
    shown!("loom.md", "ported.rs"),
    shown!("loom.md", "robust.rs"),
    shown!("state_machines.md", "machine.rs"),
    shown!("recovery.md", "bank.rs"),
    shown!("foreign.md", "spsc.rs"),
];

/// Asserts that an engine finds this in a suite, with these words in its report, which it returns.
#[track_caller]
fn assert_finds<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: &Suite<T::Spec>,
    kind: Kind,
    words: &str,
) -> String {
    let outcome = suite.check::<E, T>().expect("it runs here");
    let report = suite.report(&outcome);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("{report}")
    };
    assert_eq!(finding.kind, kind, "{report}");
    assert!(report.contains(words), "{report}");
    report
}

/// Lines before and after each, which mdBook hides. Without them rustdoc compiles each sample as a program of its own, and not all as one.
const HIDDEN: [&str; 2] = ["# mod tests {\n", "# }\n# fn main() {}\n"];

/// Returns the blocks of a language on a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let rest = page.split(&*fence).skip(1);
    rest.map(|rest| rest.split("```").next().unwrap_or(rest))
        .collect()
}

/// Returns the part of a file that its page shows: without the lines marked as the test's alone,
/// and the part below.
fn on_the_page(file: &str) -> String {
    let above = file.split("\n// Not on the page.\n").next();
    let lines = above.expect("split yields one").lines();
    let lines = lines.filter(|line| !line.ends_with("// of the test alone"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_guide_shows_each_structure_as_it_is_tested() {
    for (page, name, file) in SHOWN {
        let text = on_the_page(file);
        let has_tests = text.contains("forkcheck::suite!") || text.contains("forkcheck::scenario!");
        assert!(has_tests, "{name}:\n{text}");
        assert!(
            blocks(page, "rust,no_run").contains(&&*HIDDEN.join(&text)),
            "no page of the guide has tests/guide/{name}:\n{text}"
        );
    }
}

/// Returns the lines of the suite that a text shows, without comments and attributes.
fn suite_of(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    let lines = lines
        .map(str::trim)
        .skip_while(|line| !line.starts_with("forkcheck::suite!"));
    let lines = lines.filter(|line| !line.starts_with("#["));
    lines.take_while(|line| *line != "}").collect()
}

#[test]
fn the_page_on_unmodified_code_has_the_suite_of_the_published_crate() {
    let page = include_str!("../../docs/src/unmodified.md");
    let file = on_the_page(include_str!("spsc.rs"));
    assert!(suite_of(page).len() > 3, "{page}");
    assert_eq!(suite_of(page), suite_of(&file));
}

#[test]
fn the_fix_of_the_tutorial_makes_the_one_file_of_the_other() {
    let diff = blocks(include_str!("../../docs/src/tutorial.md"), "diff");
    let with = |sign: char| {
        let lines = diff[0].lines();
        let lines = lines.filter_map(move |line| line.strip_prefix([' ', sign]));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let (broken, fixed) = (with('-'), with('+'));
    let (before, after) = (
        on_the_page(include_str!("tickets.rs")),
        on_the_page(include_str!("fixed.rs")),
    );
    assert!(broken != fixed && before.contains(&broken), "{broken}");
    assert_eq!(before.replace(&broken, &fixed), after);
}

/// Returns the lines of a report that do not depend on the machine, the crate, or the time that it
/// took.
fn lasting(report: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut goes_on = true;
    for (number, line) in report.trim_end().lines().enumerate() {
        let is_label = line.starts_with(' ') && !line.starts_with("  ");
        if is_label {
            goes_on = !["replay:", "saved:", "ran:"]
                .iter()
                .any(|label| line.trim_start().starts_with(label));
        }
        // The second line has the time, the profile and the processors.
        if goes_on && number != 1 {
            // Of a command the token is another one.
            let line = match line.starts_with(" step into:") {
                true => line.split(" FORKCHECK_REPLAY=").next().unwrap(),
                false => line,
            };
            // A reader's tests are not in a folder.
            kept.push(
                line.replace("guide::", "")
                    .replace("tests/guide/", "tests/"),
            );
        }
    }
    kept
}

/// Asserts that the page has the report as it is printed.
#[track_caller]
fn shows(page: &str, report: &str) {
    let shown = blocks(page, "text");
    let headline = lasting(report)[0].clone();
    let shown = shown.iter().find(|block| block.starts_with(&headline));
    let shown = shown.unwrap_or_else(|| panic!("the page has no block of this report:\n{report}"));
    let (shown, printed) = (lasting(shown), lasting(report));
    assert!(printed.len() > 10, "{report}");
    assert_eq!(shown, printed, "printed is now\n{report}");
}

#[test]
fn the_tutorial_shows_what_is_printed() {
    shows(
        include_str!("../../docs/src/tutorial.md"),
        &tickets::report(),
    );
}

/// A page with one wrong row, label or line is noticed.
#[test]
fn a_page_that_shows_something_else_is_noticed() {
    let (page, report) = (
        include_str!("../../docs/src/tutorial.md"),
        tickets::report(),
    );
    let others = [
        ("last.load -> 0", "last.load -> 1"),
        (" why: ", " reason: "),
        ("row 7: where", "row 6: where"),
        ("   -> 1\n", ""),
    ];
    for (shown, other) in others {
        let page = page.replace(shown, other);
        assert_ne!(page, include_str!("../../docs/src/tutorial.md"), "{shown}");
        let noticed = std::panic::catch_unwind(|| shows(&page, &report)).is_err();
        assert!(noticed, "{shown} and {other}");
    }
}

#[test]
fn the_port_shows_what_is_printed() {
    shows(include_str!("../../docs/src/loom.md"), &ported::report());
}

#[test]
fn the_recovery_shows_what_is_printed() {
    shows(include_str!("../../docs/src/recovery.md"), &bank::report());
}

/// Each label that the page on reports explains is one that reports have.
#[test]
fn the_page_on_reports_explains_labels_that_there_are() {
    let page = include_str!("../../docs/src/reports.md");
    let table = page
        .split("## The lines below")
        .nth(1)
        .expect("there is one");
    let rows = table.split("\n## ").next().expect("split yields one");
    let labels = rows.lines().filter_map(|row| {
        let label = row.strip_prefix("| `")?.split('`').next()?;
        label.ends_with(':').then_some(label)
    });
    let labels: Vec<&str> = labels.collect();
    assert!(labels.len() > 8, "{labels:?}");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report");
    let sources: String = std::fs::read_dir(root)
        .expect("src/report is there")
        .filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok())
        .collect();
    for label in labels {
        // Where labels are aligned, the source has the word alone.
        let word = format!("\"{}\"", label.trim_end_matches(':'));
        assert!(
            sources.contains(&format!(" {label}")) || sources.contains(&word),
            "no report has the label {label}"
        );
    }
}
