//! The parts of a report that its page shows.

use super::super::data::{Excerpt, Operation, Report};
use super::tests::{SHOWN, in_browser, read_back, report};
use crate::case::{Access, Schedule};

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
    ("seconds", Shown("; 12.5 s")),
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

#[test]
fn a_page_opens_on_what_fails_with_its_source() {
    let script = format!(
        "{SHOWN}
        const here = document.querySelector('.source .here');
        return at() + ' ' + (here ? here.firstChild.textContent : 'no source');"
    );
    let opened = |report: &Report| in_browser(&report.html(), &script);
    let Some(told) = opened(&report(4)) else {
        return;
    };
    assert_eq!(told, "row-5|row 6 of 7 23");
    // An access of the same call that matters goes before its last step.
    let mut matters = report(6);
    matters.excerpts = vec![excerpt(Some(2), 22)];
    assert_eq!(opened(&matters).unwrap(), "row-4|row 5 of 9 22");
    // A race has no attempt: its first access, and not the last step.
    let mut race = report(6);
    race.linearization = None;
    race.steps[1].access = Access::Store;
    race.excerpts = vec![excerpt(Some(2), 22), excerpt(None, 30)];
    assert_eq!(opened(&race).unwrap(), "row-4|row 5 of 9 22");
    // Calls alone have no source.
    let calls = Report {
        steps: Vec::new(),
        excerpts: Vec::new(),
        near_misses: Vec::new(),
        ..report(4)
    };
    assert!(opened(&calls).unwrap().ends_with(" no source"));
}

/// Returns the excerpt of a line of the file that has the steps of [`report`].
fn excerpt(step: Option<usize>, line: u32) -> Excerpt {
    Excerpt {
        step,
        label: format!("of line {line}"),
        file: "src/report/page/tests.rs".into(),
        line,
        column: 1,
        text: String::new(),
        length: 1,
    }
}

#[test]
fn a_store_is_marked_as_a_change_only_where_the_earlier_value_is_known() {
    let script = "return [...document.querySelectorAll('#body td.changed, #body td.written')].map(td => td.textContent + td.className).join();";
    let told = |engine: &str, stores: [(u64, Option<u64>); 4]| {
        let mut report = report(4);
        report.engine = engine.into();
        for (step, (value, now)) in report.steps.iter_mut().zip(stores) {
            (step.access, step.word) = (Access::Store, Some(0));
            (step.value, step.now) = (value, now);
        }
        in_browser(&report.html(), script)
    };
    let Some(of_stepped) = told("stepped", [(0, None), (0, None), (5, Some(5)), (5, None)]) else {
        return;
    };
    assert_eq!(
        of_stepped,
        "0value written,0value written,5value changed,5value written"
    );
    // The engine knows that the first one is a change.
    let of_stepped = told(
        "stepped",
        [(7, Some(7)), (7, None), (0, Some(0)), (0, None)],
    );
    assert_eq!(
        of_stepped.unwrap(),
        "7value changed,7value written,0value changed,0value written"
    );
    // `loom` says of each store that the word has its value from then on.
    let of_loom = told(
        "loom",
        [(0, Some(0)), (0, Some(0)), (5, Some(5)), (5, Some(5))],
    );
    assert_eq!(
        of_loom.unwrap(),
        "0value written,0value written,5value changed,5value written"
    );
}

#[test]
fn the_source_of_an_access_that_is_no_step_is_on_the_page() {
    let lines: Vec<&str> = include_str!("tests.rs").lines().collect();
    // The text that comes back from the browser has characters of HTML escaped.
    let is_plain = |line: &usize| {
        let text = lines[line - 1];
        !text.trim().is_empty() && !text.contains(['&', '<', '>'])
    };
    let line = (150..).find(is_plain).unwrap();
    let mut race = report(4);
    race.excerpts = vec![excerpt(Some(0), 20), excerpt(None, line as u32)];
    let page = race.html();
    let data = read_back(&page).unwrap();
    let shown = data["sources"][0][1].as_array().unwrap();
    for line in line - 4..=line + 4 {
        assert!(
            shown.contains(&serde_json::json!([line, lines[line - 1]])),
            "{line}: {shown:?}"
        );
    }
    let script = "return [...document.querySelectorAll('.cards .source .here')].map(line => line.textContent).join('\\n');";
    let Some(told) = in_browser(&page, script) else {
        return;
    };
    assert_eq!(told, format!("{line}{}", lines[line - 1]));
}

/// A report whose table has a row for both events of a prefix, and folds a loop of two steps.
fn folded() -> Report {
    let mut report = report(12);
    for step in &mut report.steps[4..] {
        let is_spin = step.line % 2 == 1;
        (step.line, step.value) = (60, 1);
        (step.access, step.word) = match is_spin {
            true => (Access::Spin, None),
            false => (Access::Load, Some(0)),
        };
    }
    let prefix = Operation {
        call: "Write(1)".into(),
        result: Some("Written".into()),
        killed: false,
        is_of_prefix: true,
        ..report.processes[0].operations[0].clone()
    };
    report.processes[0].operations.insert(0, prefix);
    for step in &mut report.steps[..2] {
        step.operation = Some(1);
    }
    report.excerpts = report.find_excerpts();
    report
}

#[test]
fn a_row_of_a_page_has_the_number_that_it_has_in_the_table() {
    let mut report = folded();
    let numbers = |report: &Report| {
        let data = read_back(&report.html()).unwrap();
        let numbers = data["reports"][0]["numbers"].as_array().cloned();
        let numbers = numbers.unwrap_or_default().into_iter();
        numbers
            .map(|number| number.as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        numbers(&report),
        [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 9, 8, 9, 8, 9, 10]
    );
    let text = report.to_string();
    for row in [
        " 1  prefix: Write(1) -> Written",
        " 4    x SIGKILL",
        " 8 ",
        " 9 ",
        "10 ",
    ] {
        assert!(
            text.lines().any(|line| line.trim_end().contains(row)),
            "{row}: {text}"
        );
    }
    let script = format!(
        "{SHOWN}
        const shown = [...document.querySelectorAll('#body tr:not(.gap)')];
        lines.push(shown.map(tr => tr.children[0].textContent).join());
        lines.push(shown.filter(tr => tr.querySelector('.again')).map(tr => tr.id.slice(4)).join());
        shown[12].click(); lines.push(at(), document.getElementById('step-title').textContent);
        shown[14].click(); lines.push(at());
        shown[16].click(); lines.push(at());
        lines.push([...document.querySelectorAll('.cards button')].map(button => button.textContent).join());
        return lines.join('\\n');"
    );
    report.linearization = None;
    let Some(told) = in_browser(&report.html(), &script) else {
        return;
    };
    assert_eq!(
        told,
        "1,1,2,3,4,5,6,7,8,9,8,9,8,9,8,9,10\n10,11,12,13,14,15\nrow-12|row 8 of 10, time 3 of 4\nRow 8 · reader\n\
         row-14|row 8 of 10, time 4 of 4\nrow-16|row 10 of 10\nrow 4,row 8,row 4"
    );
}

#[test]
fn a_call_and_its_return_in_one_row_of_the_table_have_one_number() {
    let mut report = report(0);
    report.excerpts.clear();
    report.near_misses.clear();
    report.processes[1].operations[0].invoked = 1;
    report.processes[1].operations[0].returned = Some(2);
    let data = read_back(&report.html()).unwrap();
    assert_eq!(
        data["reports"][0]["numbers"],
        serde_json::json!([1, 2, 2, 3])
    );
    let text = report.to_string();
    let is_row = |line: &str| line.starts_with("    2  ") && line.ends_with("Read -> 3");
    assert!(text.lines().any(is_row), "{text}");
}
