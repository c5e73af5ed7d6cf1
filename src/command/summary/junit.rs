//! The summary as JUnit XML, in the form that nextest writes: a suite for each test binary, a case for each test, and what was
//! covered as properties of the case. nextest itself has no way for a test to add properties.

use super::line::Line;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The verdict of a test in the terms of JUnit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failure,
    Error,
    Skipped,
}

impl Outcome {
    fn of(line: &Line) -> Self {
        match &*line.verdict {
            "ok" => Outcome::Passed,
            "finding" => Outcome::Failure,
            "not run" => Outcome::Skipped,
            _ => Outcome::Error,
        }
    }
}

/// Returns the lines of a summary as XML.
pub(super) fn xml(lines: &[Line]) -> String {
    let mut binaries: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        binaries.entry(&line.binary).or_default().push(line);
    }
    let all: Vec<&Line> = lines.iter().collect();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "<testsuites name=\"forkcheck\" {}>", counts(&all));
    for (binary, lines) in binaries {
        let name = escaped(binary);
        let _ = writeln!(text, "  <testsuite name=\"{name}\" {}>", counts(&lines));
        lines
            .into_iter()
            .for_each(|line| case(&mut text, &name, line));
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>\n"
}

fn counts(lines: &[&Line]) -> String {
    let of = |outcome| {
        lines
            .iter()
            .filter(|line| Outcome::of(line) == outcome)
            .count()
    };
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\"",
        lines.len(),
        of(Outcome::Failure),
        of(Outcome::Error),
        of(Outcome::Skipped),
        seconds(lines.iter().map(|line| line.milliseconds).sum())
    )
}

fn case(to: &mut String, binary: &str, line: &Line) {
    // nextest names a test without its crate.
    let test = line
        .test
        .split_once("::")
        .map_or(&*line.test, |(_, test)| test);
    let (test, time) = (escaped(test), seconds(line.milliseconds));
    let mut add = |text: String| to.push_str(&text);
    add(format!(
        "    <testcase name=\"{test}\" classname=\"{binary}\" time=\"{time}\">\n      <properties>\n"
    ));
    let none = String::new();
    let (programs, executions) = (line.programs.to_string(), line.executions.to_string());
    let properties = [
        ("engine", &line.engine),
        ("verdict", &line.verdict),
        ("programs", &programs),
        ("executions", &executions),
        ("covered", &line.covered.join(", ")),
        ("not reached", &line.not_reached.join(", ")),
        ("unscheduled", line.unscheduled.as_ref().unwrap_or(&none)),
        ("not checked", &line.not_checked.join("; ")),
    ];
    for (name, value) in properties {
        if !value.is_empty() {
            let value = escaped(value);
            add(format!(
                "        <property name=\"forkcheck {name}\" value=\"{value}\"/>\n"
            ));
        }
    }
    add("      </properties>\n".into());
    let kind = escaped(line.kind.as_ref().unwrap_or(&line.verdict));
    let reason = escaped(line.reason.as_ref().unwrap_or(&none));
    let with = |element: &str| format!("      <{element} type=\"{kind}\" message=\"{reason}\"/>\n");
    match Outcome::of(line) {
        Outcome::Passed => {}
        Outcome::Failure => add(with("failure")),
        Outcome::Error => add(with("error")),
        Outcome::Skipped => add(format!("      <skipped message=\"{reason}\"/>\n")),
    }
    add("    </testcase>\n".into());
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

/// Returns a text as the value of an attribute, without the characters that XML cannot hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(binary: &str, test: &str, verdict: &str, reason: Option<&str>) -> Line {
        let object = serde_json::json!({
            "binary": binary, "test": test, "suite": "ring", "engine": "stepped", "verdict": verdict, "kind": null,
            "reason": reason, "programs": 4, "executions": 900, "covered": ["4 programs", "900 executions"],
            "not_reached": [], "unscheduled": null, "not_checked": ["weak memory", "kills"], "milliseconds": 1205,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_a_passing_test_covered_is_in_its_properties() {
        let text = xml(&[
            line("rings::ring", "ring::queue::stepped", "ok", None),
            line(
                "rings",
                "rings::queue::stepped",
                "finding",
                Some("<1> & \"2\"\n\u{1}"),
            ),
            line("rings", "rings::queue::kills", "unknown", Some("spent")),
            line("rings", "rings::queue::loom", "not run", Some("it is C")),
        ]);
        for part in [
            "<testsuites name=\"forkcheck\" tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\" time=\"4.820\">",
            "<testsuite name=\"rings\" tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"1\" time=\"3.615\">",
            "<testcase name=\"queue::stepped\" classname=\"rings::ring\" time=\"1.205\">",
            "<property name=\"forkcheck executions\" value=\"900\"/>",
            "<property name=\"forkcheck not checked\" value=\"weak memory; kills\"/>",
            "<failure type=\"finding\" message=\"&lt;1&gt; &amp; &quot;2&quot;&#10;\u{fffd}\"/>",
            "<error type=\"unknown\" message=\"spent\"/>",
            "<skipped message=\"it is C\"/>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Each element that is opened is closed.
        for name in ["testsuites", "testsuite", "testcase", "properties"] {
            let opened = text.matches(&format!("<{name} ")).count()
                + text.matches(&format!("<{name}>")).count();
            assert_eq!(
                opened,
                text.matches(&format!("</{name}>")).count(),
                "{name}: {text}"
            );
        }
    }
}
