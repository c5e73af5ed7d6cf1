//! The parts of a report that its page shows.

use super::super::data::Report;
use super::tests::{in_browser, read_back, report};
use crate::case::Schedule;

/// The words of a page by which a field is known.
enum Field {
    Shown(&'static str),
    Excused(&'static str),
}
use Field::{Excused, Shown};

/// All fields of a serialized report, in their order.
const FIELDS: &[(&str, Field)] = &[
    ("test", Shown("rings::ring::kills")),
    (
        "suite",
        Excused("it is the path of the test, and the engine"),
    ),
    ("engine", Shown("kills: not linearizable")),
    (
        "verdict",
        Excused("a kind is a finding; a_verdict_has_the_colour_that_it_has_in_a_terminal"),
    ),
    ("kind", Shown("NOT LINEARIZABLE")),
    ("headline", Shown("reader: Read returned 3, expected 7")),
    ("origin", Shown("a saved case")),
    ("rate", Shown("replayed 10 of 10 times")),
    ("scope", Shown("among threads only")),
    ("machine", Shown("release, of-a-machine")),
    ("setup", Shown("from setup [of-a-setup]")),
    ("processes", Shown("Write(7)")),
    ("steps", Shown("tail.store 7")),
    ("words", Shown("head 10")),
    ("legend", Shown("a legend of words")),
    ("schedule", Excused("it is the order of the rows")),
    ("kills", Excused("each is a row")),
    ("linearization", Shown("then the state is Register(7)")),
    ("excerpts", Shown("writer is killed before this")),
    ("near_misses", Shown("without the kill")),
    ("token", Excused("it is in the command that replays it")),
    ("replay", Shown("FORKCHECK_REPLAY=fk1:00 cargo test")),
    ("steps_by", Shown("cargo forkcheck test -p rings")),
    ("saved", Shown("Saved in regressions/ring.txt")),
    ("not_saved", Shown("no room for the case")),
    ("page", Excused("it is the name of this page")),
    ("no_page", Excused("there is no page then")),
    ("trace_file", Excused("it is written after the page")),
    ("no_trace", Excused("it is known after the page")),
    ("covered", Excused("the coverage says it in words")),
    ("coverage", Shown("5 programs, 41 kill points")),
    ("seconds", Shown("in 12.5 s")),
    ("waited", Shown("after 7.5 s of waiting for other suites")),
    ("seed", Shown("seed 8642097531")),
    ("stale", Shown("4 of 11 steps matched")),
    ("unscheduled", Shown("the structure changed without a step")),
    ("not_reached", Shown("a label, ring.rs:7")),
    ("not_checked", Shown("what the engine does not see")),
    ("printed", Shown("the last line that was printed")),
    (
        "cross_check",
        Shown(
            "The program of this case, step by step: it passes under `stepped`, so the failure needs something that `stepped` does \
             not check",
        ),
    ),
];

/// Returns a report with all fields.
fn full() -> Report {
    let text = |text: &str| Some(text.to_owned());
    Report {
        origin: text("a saved case"),
        rate: text("replayed 10 of 10 times"),
        scope: text("threads only"),
        machine: "release, of-a-machine".into(),
        setup: text("[of-a-setup]"),
        legend: Some("a legend of words"),
        schedule: Some(Schedule::Free),
        replay: text("FORKCHECK_REPLAY=fk1:00 cargo test"),
        steps_by: text("cargo forkcheck test -p rings"),
        saved: text("regressions/ring.txt"),
        not_saved: text("no room for the case"),
        coverage: vec!["5 programs".into(), "41 kill points".into()],
        seconds: 12.5,
        waited: 7.5,
        seed: 8_642_097_531,
        stale: vec!["4 of 11 steps matched".into()],
        unscheduled: text("the structure changed without a step"),
        not_reached: vec!["a label, ring.rs:7".into()],
        not_checked: vec!["what the engine does not see".into()],
        printed: vec!["the last line that was printed".into()],
        cross_check: Some(Box::new(Report {
            engine: "stepped".into(),
            verdict: "ok",
            ..Report::default()
        })),
        ..report(4)
    }
}

#[test]
fn each_field_of_a_report_is_on_its_page_or_is_excused() {
    let full = full();
    let fields = serde_json::to_value(&full).unwrap();
    let fields: Vec<&String> = fields.as_object().unwrap().keys().collect();
    let mut listed: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
    // serde_json has its keys in alphabetical order.
    listed.sort_unstable();
    assert_eq!(
        fields, listed,
        "list a new field here, and show it on the page or excuse it"
    );
    let page = full.html();
    assert!(read_back(&page).is_ok());
    let script = "return document.body.innerText.replace(/\\s+/g, ' ');";
    let Some(told) = in_browser(&page, script) else {
        return;
    };
    for (name, field) in FIELDS {
        match field {
            Shown(words) => assert!(told.contains(words), "{name}: {words}: {told}"),
            Excused(reason) => assert!(!reason.is_empty(), "{name}"),
        }
    }
    // The twin: each text is that of its own field.
    let Some(told) = in_browser(&Report::default().html(), script) else {
        return;
    };
    for (name, field) in FIELDS {
        if let Shown(words) = field {
            assert!(!told.contains(words), "{name}: {words}: {told}");
        }
    }
}

#[test]
fn a_verdict_has_the_colour_that_it_has_in_a_terminal() {
    let script = "const badge = document.getElementById('kind'), [r, g, b] = getComputedStyle(badge).color.match(/\\d+/g).map(Number);
        return badge.textContent + ' ' + (g > r ? 'green' : g > 1.5 * b && g > r / 2 ? 'yellow' : 'red');";
    for (verdict, kind, expected) in [
        ("finding", Some("DEADLOCK"), "DEADLOCK red"),
        ("unknown", None, "UNKNOWN yellow"),
        ("unavailable", None, "UNAVAILABLE yellow"),
        ("ok", None, "OK green"),
    ] {
        let report = Report {
            verdict,
            kind: kind.map(str::to_owned),
            ..Report::default()
        };
        let Some(told) = in_browser(&report.html(), script) else {
            return;
        };
        assert_eq!(told, expected);
    }
}
