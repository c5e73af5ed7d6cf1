//! The form of a trace, by the rules of the Trace Event Format.

use super::*;
use crate::report::data::{Operation, Process, Word};
use serde_json::Value;
use std::collections::HashMap;

fn operation(call: &str, result: Option<&str>, killed: bool, time: u64) -> Operation {
    Operation {
        call: call.into(),
        result: result.map(Into::into),
        invoked: time,
        returned: result.map(|_| time + 1),
        killed,
        is_of_prefix: false,
    }
}

fn report() -> Report {
    let process = |name: &str, operations| Process {
        name: name.into(),
        role: name.into(),
        operations,
    };
    let step = |process, operation, access, now| Step {
        operation: Some(operation),
        word: (access != Access::Killed).then_some(0),
        value: 1,
        now,
        ..Step::at(process, access, ("ring.rs", 12, 9))
    };
    Report {
        test: "rings::ring::kills".into(),
        verdict: "finding",
        processes: vec![
            process(
                "writer",
                vec![
                    operation("Write(\"</script>\")", None, true, 0),
                    operation("Write(8)", Some("Written"), false, 4),
                ],
            ),
            process("reader", vec![operation("Read", None, false, 2)]),
        ],
        steps: vec![
            step(0, 0, Access::Store, Some(7)),
            step(0, 0, Access::Killed, None),
            step(1, 0, Access::Load, None),
            step(0, 1, Access::Store, Some(u64::MAX)),
            step(1, 0, Access::Spin, None),
        ],
        words: vec![Word {
            name: "tail".into(),
            offset: None,
            form: Form::Unsigned,
        }],
        ..Report::default()
    }
}

/// Returns what the format forbids in a trace, if anything: each event has the fields of its phase, times of a lane do not go
/// back, and each end is that of the innermost slice that has begun.
fn wrong(trace: &str) -> Option<String> {
    let trace: Value = serde_json::from_str(trace)
        .map_err(|error| error.to_string())
        .ok()?;
    if !matches!(trace["displayTimeUnit"].as_str(), Some("ns" | "ms")) {
        return Some("displayTimeUnit".into());
    }
    let mut open: HashMap<u64, Vec<String>> = HashMap::new();
    let mut last: HashMap<u64, f64> = HashMap::new();
    for event in trace["traceEvents"].as_array()? {
        let (Some(phase), Some(name), Some(lane), Some(_)) = (
            event["ph"].as_str(),
            event["name"].as_str(),
            event["tid"].as_u64(),
            event["pid"].as_u64(),
        ) else {
            return Some(format!("a field is missing: {event}"));
        };
        let Some(at) = event["ts"].as_f64() else {
            return Some(format!("no time: {event}"));
        };
        if last.insert(lane, at).is_some_and(|before| before > at) {
            return Some(format!("a time goes back: {event}"));
        }
        let lane = open.entry(lane).or_default();
        match phase {
            "B" => lane.push(name.into()),
            "E" if lane.pop().as_deref() == Some(name) => {}
            "i" if event["s"] == "t" => {}
            "C" if event["args"]
                .as_object()
                .is_some_and(|args| args.values().all(Value::is_number)) => {}
            "M" if event["args"]["name"].is_string() => {}
            _ => return Some(format!("not an event: {event}")),
        }
    }
    open.values()
        .any(|open| !open.is_empty())
        .then(|| "a slice has no end".into())
}

#[test]
fn a_trace_keeps_the_rules_of_its_format() {
    let report = report();
    let trace = report.trace();
    assert_eq!(wrong(&trace), None, "{trace}");
    let read: Value = serde_json::from_str(&trace).unwrap();
    let events = read["traceEvents"].as_array().unwrap();
    let of = |phase: &str| {
        events
            .iter()
            .filter(|event| event["ph"] == phase)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("B").len(), 3);
    let results: Vec<&Value> = of("E")
        .iter()
        .map(|event| &event["args"]["result"])
        .collect();
    assert_eq!(results, ["killed in it", "Written", "never returned"]);
    let instants: Vec<&Value> = of("i").iter().map(|event| &event["name"]).collect();
    assert_eq!(
        instants,
        [
            "tail.store 1",
            "x SIGKILL",
            "tail.load -> 1",
            "tail.store 1",
            "spin"
        ]
    );
    assert_eq!(of("i")[0]["args"]["source"], "ring.rs:12:9");
    // The second value is no number that JavaScript holds.
    assert_eq!(of("C").len(), 1);
    assert_eq!(
        (&of("C")[0]["name"], &of("C")[0]["args"]["value"]),
        (&"tail".into(), &7.into())
    );
    let names: Vec<&Value> = of("M").iter().map(|event| &event["args"]["name"]).collect();
    assert_eq!(names, ["rings::ring::kills", "writer", "reader"]);
    // Without steps the calls and returns are left.
    let calls = Report {
        steps: Vec::new(),
        ..report
    };
    let trace = calls.trace();
    assert_eq!(wrong(&trace), None, "{trace}");
    assert_eq!(trace.matches("\"ph\":\"B\"").count(), 3);
}

#[test]
fn a_step_of_a_trace_has_its_row_in_the_table() {
    let mut report = report();
    let prefix = Operation {
        is_of_prefix: true,
        ..operation("Write(1)", Some("Written"), false, 0)
    };
    report.processes[0].operations.insert(0, prefix);
    let of_writer = report.steps.iter_mut().filter(|step| step.process == 0);
    of_writer.for_each(|step| step.operation = step.operation.map(|number| number + 1));
    for _ in 0..3 {
        report.steps.extend_from_within(4..5);
    }
    let trace: Value = serde_json::from_str(&report.trace()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let instants = events.iter().filter(|event| event["ph"] == "i");
    let rows: Vec<&Value> = instants.map(|event| &event["args"]["row"]).collect();
    // The prefix is row 1, and the operations begin in rows 2, 5 and 7.
    assert_eq!(rows, [3, 4, 6, 8, 10, 10, 10, 10]);
    let text = report.to_string();
    let folded = text.lines().find(|line| line.starts_with("   10 "));
    assert!(
        folded.is_some_and(|line| line.contains("spin") && line.ends_with("(4 times)")),
        "{text}"
    );
}

#[test]
fn a_trace_that_breaks_a_rule_is_noticed() {
    let trace = report().trace();
    for (right, broken) in [
        ("\"ph\":\"E\"", "\"ph\":\"i\",\"s\":\"t\""),
        ("\"s\":\"t\"", "\"s\":\"x\""),
        ("\"ts\":1,", "\"ts\":90,"),
        ("\"ts\":2,", ""),
        ("\"ph\":\"B\"", "\"ph\":\"X\""),
        ("\"tid\":2,", ""),
        ("{\"value\":7}", "{\"value\":\"7\"}"),
    ] {
        assert!(trace.contains(right), "{right}: {trace}");
        assert!(wrong(&trace.replace(right, broken)).is_some(), "{right}");
    }
}

#[test]
fn a_trace_that_cannot_be_written_is_reported_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = report().trace_in(directory.path());
    let written = report().with_trace(&file);
    assert_eq!(written.trace_file.as_deref(), file.to_str());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), report().trace());
    assert!(
        written
            .to_string()
            .contains(&format!(" trace:       {}", file.display()))
    );
    let failed = report().with_trace(&file.join("below"));
    let error = failed.no_trace.as_deref().unwrap();
    assert!(error.contains("name a directory"), "{error}");
    assert!(failed.to_string().contains(" no trace:    "), "{failed}");
}
