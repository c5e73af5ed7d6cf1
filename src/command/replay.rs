//! `forkcheck replay`: saved cases, from a token or a file.

use super::builtins::{self, Builtin};
use super::json;
use super::options::called;
use super::print::{complain, report_text, say};
use super::standing::Standing;
use forkcheck::builtin::{Html, Overrides, SavedCase, known};
use std::path::{Path, PathBuf};

/// The files for the report of a case, beside the terminal.
pub(super) struct Files {
    pub(super) html: Option<PathBuf>,
    pub(super) trace: Option<PathBuf>,
}

/// Runs all cases of the target that are of built-in structures, and says how to run the others.
pub(super) fn replay(target: &str, files: &Files, gdb_row: Option<usize>, json: bool) -> Standing {
    let all = builtins::all();
    let suites: Vec<&str> = all.iter().map(|builtin| &*builtin.suite).collect();
    let known = match known(target, &suites) {
        Ok(known) => known,
        Err(error) => {
            complain!("error: {error}");
            return Standing::CannotSay;
        }
    };
    let cases = known.into_iter().zip(1..);
    let cases = cases.map(|(known, number)| {
        let file = |file: &Option<PathBuf>| file.as_deref().map(|file| numbered(file, number));
        let limits = Overrides {
            replay: Some(known.clone()),
            command: called(),
            html: file(&files.html).map_or(Html::Nowhere, Html::File),
            trace: file(&files.trace),
            gdb_row,
            ..Overrides::default()
        };
        one(&all, &known, &limits, json)
    });
    let standings: Vec<Standing> = cases.collect();
    let Some(worst) = standings.into_iter().max() else {
        complain!("error: {target} holds no case");
        return Standing::CannotSay;
    };
    worst
}

/// Returns the file of this case's page, counted from 1: `page.html`, `page-2.html`.
fn numbered(file: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return file.to_owned();
    }
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

fn one(all: &[Builtin], known: &SavedCase, limits: &Overrides, json: bool) -> Standing {
    let Some(builtin) = all
        .iter()
        .find(|builtin| known.suite.as_ref() == Some(&builtin.suite))
    else {
        complain!(
            "error: it is not of a built-in structure: run it in the package that it is from, where `suite!` gave its test this name:\n  {}",
            known.command
        );
        return Standing::CannotSay;
    };
    match outcome(builtin, known, limits, json) {
        Ok(standing) => standing,
        Err(error) => {
            complain!("error: {error}");
            Standing::CannotSay
        }
    }
}

fn outcome(
    builtin: &Builtin,
    known: &SavedCase,
    limits: &Overrides,
    json: bool,
) -> Result<Standing, String> {
    let engine = &known.engine;
    let check = builtin.engines.iter().find(|(name, _)| name == engine);
    let (engine, check) = check.ok_or_else(|| {
        format!("this forkcheck has no engine {engine:?}: build it with the feature of that name")
    })?;
    let outcome = check(limits).map_err(|error| error.to_string())?;
    let standing = match outcome.verdict {
        "finding" => Standing::NotAsExpected,
        "ok" => Standing::AsExpected,
        _ => Standing::CannotSay,
    };
    if json {
        say!("{}", json::outcome(builtin, engine, &Ok(outcome)));
    } else {
        say!("{}", report_text(&outcome));
        if standing == Standing::AsExpected {
            say!(
                "it did not fail again, in {} executions",
                outcome.covered.executions
            );
        }
    }
    Ok(standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_of_a_file_has_a_page_of_its_own() {
        let page = |file: &str, number| numbered(Path::new(file), number);
        assert_eq!(page("a/page.html", 1), Path::new("a/page.html"));
        assert_eq!(page("a/page.html", 2), Path::new("a/page-2.html"));
        assert_eq!(page("page", 3), Path::new("page-3"));
    }
}
