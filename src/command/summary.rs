//! `forkcheck summary`: what the tests of a package covered when they ran last, and what was not checked.

mod junit;
mod line;
mod table;

use super::print::{complain, say};
use super::standing::Standing;
use forkcheck::builtin::columns_of_output;
use line::Line;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use table::{table, wrapped};

/// Prints the lines of a file, or of the target directory of this package.
pub(super) fn summary(file: Option<&Path>, junit: Option<&Path>, json: bool) -> Standing {
    let Some(file) = file.map(Path::to_owned).or_else(found) else {
        complain!(
            "error: there is no target/forkcheck/summary.json here or above: run `cargo test`, whose suites leave it, or give its path"
        );
        return Standing::CannotSay;
    };
    match lines(&file) {
        Ok((text, lines)) => {
            if let Some(junit) = junit
                && let Err(error) = std::fs::write(junit, junit::xml(&lines))
            {
                complain!(
                    "error: cannot write {}: {error}; name a file in a directory that is there and can be written",
                    junit.display()
                );
                return Standing::CannotSay;
            }
            match json {
                true => say!("{}", text.trim_end()),
                false => say!("{}", rendered(&lines, columns_of_output())),
            }
            standing(&lines)
        }
        Err(error) => {
            complain!("error: {}: {error}", file.display());
            Standing::CannotSay
        }
    }
}

/// Returns the file of the nearest directory, from this one upwards.
fn found() -> Option<PathBuf> {
    let file =
        |target: PathBuf| Some(target.join("forkcheck/summary.json")).filter(|f| f.is_file());
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        return file(target.into());
    }
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .find_map(|directory| file(directory.join("target")))
}

fn lines(file: &Path) -> Result<(String, Vec<Line>), String> {
    let about = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("not a file".into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line).map_err(|error| {
            format!(
                "line {}: {error}; remove the file, and run `cargo test` again",
                number + 1
            )
        })?;
        lines.push(line);
    }
    lines.sort_by(|a, b| (&a.test, &a.binary).cmp(&(&b.test, &b.binary)));
    name_apart(&mut lines);
    Ok((text, lines))
}

/// Names the binary too of tests that have the same name.
fn name_apart(lines: &mut [Line]) {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for line in &*lines {
        *times.entry(line.test.clone()).or_default() += 1;
    }
    for line in lines {
        line.shown = match times[&line.test] {
            1 => line.test.clone(),
            _ => format!("{} {}", line.binary, line.test),
        };
    }
}

fn standing(lines: &[Line]) -> Standing {
    let of = |line: &Line| match &*line.verdict {
        "ok" | "not run" => Standing::AsExpected,
        "finding" => Standing::NotAsExpected,
        _ => Standing::CannotSay,
    };
    lines.iter().map(of).max().unwrap_or(Standing::CannotSay)
}

/// Returns the text for an output of this width, or of an unlimited one.
fn rendered(lines: &[Line], width: Option<usize>) -> String {
    let mut text = table(lines, width);
    let width = width.unwrap_or(usize::MAX);
    let mut add = |heading: String, items: Vec<String>| {
        if !items.is_empty() {
            text += &format!("\n\n{heading}");
        }
        for item in items {
            // The lines of an item that does not fit are indented further.
            text += &format!(
                "\n  {}",
                wrapped(&item, width.saturating_sub(4)).join("\n    ")
            );
        }
    };
    let of_each = |of: fn(&Line) -> String| {
        let items = lines.iter().map(|line| (line, of(line)));
        let items = items.filter(|(_, item)| !item.is_empty());
        items
            .map(|(line, item)| format!("{}: {item}", line.shown))
            .collect()
    };
    let reason = |line: &Line| line.reason.clone().unwrap_or_default();
    add("reasons:".into(), of_each(reason));
    add(
        "not reached:".into(),
        of_each(|line| line.not_reached.join(", ")),
    );
    let unscheduled = |line: &Line| line.unscheduled.clone().unwrap_or_default();
    add("unscheduled:".into(), of_each(unscheduled));
    for (engine, of_engine) in by_engine(lines) {
        // Items that no test of the engine checked come first, then those that some did not.
        let in_all = |item: &String| of_engine.iter().all(|line| line.not_checked.contains(item));
        let first = of_engine.first().map_or(&[][..], |line| &line.not_checked);
        let mut items: Vec<String> = first.iter().filter(|item| in_all(item)).cloned().collect();
        for line in &of_engine {
            let more = line.not_checked.iter().filter(|item| !in_all(item));
            items.extend(more.map(|item| format!("{}: {item}", line.shown)));
        }
        add(format!("not checked by {engine}:"), items);
    }
    text
}

/// Returns the tests that ran, by engine.
fn by_engine(lines: &[Line]) -> BTreeMap<&str, Vec<&Line>> {
    let mut engines: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.verdict != "not run") {
        engines.entry(&line.engine).or_default().push(line);
    }
    engines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(test: &str, verdict: &str, not_checked: &[&str]) -> Line {
        let object = serde_json::json!({
            "binary": "rings::ring", "test": test, "suite": "ring", "engine": "stepped", "verdict": verdict, "kind": null, "reason": null, "programs": 4,
            "executions": 900, "covered": ["4 programs", "900 executions", "4 explored to the end"], "not_reached": [],
            "unscheduled": null, "not_checked": not_checked, "milliseconds": 1200, "seed": "7", "at": 1,
        });
        let mut line: Line = serde_json::from_value(object).unwrap();
        line.shown = test.to_owned();
        line
    }

    #[test]
    fn what_no_test_of_an_engine_checked_is_reported_once() {
        let lines = [
            line("a", "ok", &["weak memory", "kills"]),
            line("b", "ok", &["weak memory", "kills", "kills of reader"]),
            line("c", "not run", &[]),
        ];
        let text = rendered(&lines, None);
        assert_eq!(text.matches("weak memory").count(), 1, "{text}");
        assert!(
            text.ends_with("not checked by stepped:\n  weak memory\n  kills\n  b: kills of reader"),
            "{text}"
        );
        assert!(text.contains("4 explored to the end"), "{text}");
        assert_eq!(standing(&lines), Standing::AsExpected);
    }

    #[test]
    fn tests_of_one_name_are_reported_with_their_binaries() {
        let mut lines = ["a", "a", "b"].map(|test| line(test, "ok", &[]));
        lines[1].binary = "other::ring".into();
        name_apart(&mut lines);
        let shown = lines.each_ref().map(|line| &*line.shown);
        assert_eq!(shown, ["rings::ring a", "other::ring a", "b"]);
    }

    #[test]
    fn the_worst_verdict_is_the_exit_code_and_nothing_is_not_ok() {
        let ok = || line("a", "ok", &[]);
        assert_eq!(
            standing(&[ok(), line("b", "unknown", &[])]),
            Standing::CannotSay
        );
        assert_eq!(
            standing(&[ok(), line("b", "finding", &[])]),
            Standing::NotAsExpected
        );
        assert_eq!(standing(&[]), Standing::CannotSay);
    }
}
