//! Saved cases: a file for each suite, as text that a person can read and edit.
//!
//! The file is RON, version 1. Cases are explicit (setup, program, schedule, kills), never a seed, so that they
//! survive a change of strategy. It is replaced as a whole, by rename, under a lock: a crash leaves the old one.

use super::file::{Kept, lock, replace_file, text_of};
use super::form::{VERSION, out_of_range};
use crate::case::{Case, Extent, Kill, Schedule};
use crate::error::Error;
use crate::spec::Spec;
use ron::value::RawValue;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const HEAD: &str = "\
// Saved by forkcheck: cases that failed once. They run before anything new is drawn.
// Commit this file. Delete a case when what it tests is gone.
";

#[derive(Deserialize)]
struct Head {
    forkcheck: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    forkcheck: u32,
    cases: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The finding in words; for the reader only.
    found: String,
    engine: String,
    case: Box<RawValue>,
}

impl Entry {
    /// Returns whether this is the case. A person may have written it, so values are compared and
    /// not text.
    fn is<S: Spec>(&self, engine: &str, case: &Case<S>) -> bool {
        let same = |read: Case<S>| read == *case;
        self.engine == engine && self.case.into_rust().is_ok_and(same)
    }
}

/// Returns the file of a suite.
pub(crate) fn file_of(directory: &Path, suite: &str) -> PathBuf {
    directory.join(format!("{}.ron", suite.replace("::", "-")))
}

/// A case as it was saved, each operation on its own: one that the suite no longer has does not
/// make the others unreadable.
#[derive(Deserialize)]
#[serde(rename = "Case", deny_unknown_fields)]
struct Raw {
    setup: Box<RawValue>,
    program: Vec<Vec<Box<RawValue>>>,
    #[serde(default)]
    schedule: Schedule,
    #[serde(default)]
    kills: Vec<Kill>,
    #[serde(default)]
    prefix: Vec<u16>,
}

/// A saved case as far as it still applies, and the part that does not, in words.
#[derive(Debug)]
pub(crate) struct Saved<S: Spec> {
    pub(crate) case: Option<Case<S>>,
    pub(crate) stale: Option<String>,
}

/// Reads the saved cases that `engine`, one of `engines`, found. `truncates`: it truncates programs to fit. A
/// file that does not exist holds none.
pub(crate) fn load<S: Spec>(
    file: &Path,
    engine: &str,
    engines: &[&str],
    extent: &Extent,
    truncates: bool,
) -> Result<Vec<Saved<S>>, Error> {
    let Some(contents) = read(file)? else {
        return Ok(Vec::new());
    };
    let mut all = contents.cases.iter().enumerate();
    if let Some((number, entry)) = all.find(|(_, entry)| !engines.contains(&&*entry.engine)) {
        return Err(Error::invalid(
            format!(
                "saved case {} of {} is of the engine {:?}, and there is none of that name",
                number + 1,
                file.display(),
                entry.engine
            ),
            format!(
                "name one of {}: nothing in it was changed",
                engines.join(", ")
            ),
        ));
    }
    let of_engine = contents
        .cases
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.engine == engine);
    of_engine
        .map(|(number, entry)| {
            let name = format!("saved case {} of {}", number + 1, file.display());
            let raw = entry.case.into_rust::<Raw>().map_err(|e| {
                let remedy = "edit it into the form of the others, or delete it";
                Error::system(format!("read {name}"), e, remedy)
            })?;
            let operations: Vec<usize> = raw.program.iter().map(Vec::len).collect();
            if let Some(slip) = out_of_range(&operations, &raw.schedule, &raw.kills, &raw.prefix) {
                let remedy = "correct it, or delete the case: nothing in it was changed";
                return Err(Error::invalid(format!("{name} says {slip}"), remedy));
            }
            Ok(matched(raw, extent, truncates, &name))
        })
        .collect()
}

/// Returns the part of a saved case that its suite can run: the case without operations that the
/// suite no longer has, if that is still a case of the suite.
fn matched<S: Spec>(raw: Raw, extent: &Extent, truncates: bool, name: &str) -> Saved<S> {
    let all: usize = raw.program.iter().map(Vec::len).sum();
    let mut whys: Vec<String> = Vec::new();
    // An operation that does not apply is left out of the prefix too.
    let (mut next, mut prefix) = (vec![0; raw.program.len()], Vec::new());
    for &process in &raw.prefix {
        let at = usize::from(process);
        let op = raw.program[at][next[at]].trim();
        if op.into_rust::<S::Op>().is_ok() {
            prefix.push(process);
        }
        next[at] += 1;
    }
    let mut read = |op: &RawValue| {
        let op = op.trim();
        op.into_rust::<S::Op>()
            .map_err(|e| whys.push(format!("{}: {e}", op.get_ron())))
            .ok()
    };
    let program = raw.program.iter();
    let mut program: Vec<Vec<S::Op>> = program
        .map(|ops| ops.iter().filter_map(|op| read(op)).collect())
        .collect();
    // A process that is new in the suite does nothing, if it may.
    let processes = extent.operations.len().max(program.len());
    program.resize(processes, Vec::new());
    let setup = raw.setup.into_rust::<S::Setup>().map_err(|e| {
        whys.push(format!("its setup {}: {e}", raw.setup.trim().get_ron()));
    });
    let case = setup.ok().map(|setup| Case {
        setup,
        program,
        schedule: raw.schedule,
        kills: raw.kills,
        prefix,
    });
    let excluded = case
        .as_ref()
        .and_then(|case| extent.excludes(case, truncates));
    let does = |case: &Case<S>| {
        case.own_operations()
            .iter()
            .any(|operations| *operations > 0)
    };
    let case = case.filter(|case| does(case) && excluded.is_none());
    let apply = case.as_ref().map_or(0, Case::operations);
    whys.extend(excluded);
    Saved {
        case,
        stale: (!whys.is_empty()).then(|| {
            format!(
                "{apply} of {all} operations of {name} applied; edit it, or delete it ({})",
                whys.join("; ")
            )
        }),
    }
}

/// Returns the cases of a file as they are, each with the engine that found it.
pub(crate) fn entries(file: &Path) -> Result<Vec<(String, Box<RawValue>)>, Error> {
    let contents = read(file)?.ok_or_else(|| {
        Error::invalid(
            format!("there is no file {}, and it is no token either", file.display()),
            "give a token from a report (fk1:...), or a file of saved cases (proptest-regressions/*.ron)",
        )
    })?;
    let entries = contents.cases.into_iter();
    Ok(entries.map(|entry| (entry.engine, entry.case)).collect())
}

/// Reads a case of a known spec.
pub(crate) fn from_text<S: Spec>(case: &RawValue) -> Result<Case<S>, Error> {
    case.into_rust::<Case<S>>().map_err(|e| {
        let remedy = "edit it to match the suite's setup and operations";
        Error::system(
            format!("read the case {}", case.trim().get_ron()),
            e,
            remedy,
        )
    })
}

/// Adds a case, unless it is there already.
pub(crate) fn save<S: Spec>(
    file: &Path,
    engine: &str,
    found: &str,
    case: &Case<S>,
) -> Result<(), Error> {
    let text = readable(case).map_err(|e| unwritten(file, e))?;
    change(file, |cases| {
        if !cases.iter().any(|entry| entry.is(engine, case)) {
            cases.push(Entry {
                found: found.to_owned(),
                engine: engine.to_owned(),
                case: text.clone(),
            });
        }
    })
}

/// Replaces a case by another.
pub(crate) fn replace<S: Spec>(
    file: &Path,
    engine: &str,
    old: &Case<S>,
    new: &Case<S>,
) -> Result<(), Error> {
    let text = readable(new).map_err(|e| unwritten(file, e))?;
    change(file, |cases| {
        for entry in cases.iter_mut().filter(|entry| entry.is(engine, old)) {
            entry.case = text.clone();
        }
    })
}

/// Returns a case with a line for each turn and kill, indented as in the file.
fn readable<S: Spec>(case: &Case<S>) -> Result<Box<RawValue>, ron::Error> {
    let pretty = ron::ser::PrettyConfig::new().depth_limit(3);
    let text = ron::ser::to_string_pretty(case, pretty)?;
    let text = text.replace('\n', "\n            ");
    RawValue::from_boxed_ron(text.into_boxed_str()).map_err(ron::Error::from)
}

fn unwritten(file: &Path, e: ron::Error) -> Error {
    Error::system(
        format!("write {} as text", file.display()),
        e,
        "keep the token above: it holds the same case",
    )
}

/// Reads the file, changes its cases, and replaces it as a whole, under a lock.
fn change(file: &Path, with: impl FnOnce(&mut Vec<Entry>)) -> Result<(), Error> {
    let failed = |what: &str, e: std::io::Error| {
        Error::system(
            format!("{what} {}", file.display()),
            e,
            "keep the token above: it holds the same case",
        )
    };
    let directory = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(|e| failed("make the directory of", e))?;
    let _lock = lock(directory).map_err(|e| failed("lock the directory of", e))?;
    let mut contents = read(file)?.unwrap_or(Contents {
        forkcheck: VERSION,
        cases: Vec::new(),
    });
    with(&mut contents.cases);
    let pretty = ron::ser::PrettyConfig::new().depth_limit(3);
    let text = ron::ser::to_string_pretty(&contents, pretty).map_err(|e| unwritten(file, e))?;
    let text = format!("{HEAD}{text}\n");
    replace_file(file, &text, Kept::ThroughACrash).map_err(|e| failed("write", e))
}

fn read(file: &Path) -> Result<Option<Contents>, Error> {
    let text = match text_of(file) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => {
            return Err(Error::system(
                format!("read the saved cases in {}", file.display()),
                e,
                "make it readable, as UTF-8, or give the path of a file that is",
            ));
        }
    };
    let remedy = "mend it, or move it away: nothing in it was changed";
    let broken = |e| {
        Error::system(
            format!("read the saved cases in {}", file.display()),
            e,
            remedy,
        )
    };
    let head: Head = ron::from_str(&text).map_err(broken)?;
    if head.forkcheck != VERSION {
        return Err(Error::invalid(
            format!(
                "{} has version {}, and this forkcheck reads version {VERSION}",
                file.display(),
                head.forkcheck
            ),
            "use the forkcheck that wrote it, or move it away: nothing in it was changed",
        ));
    }
    ron::from_str(&text).map(Some).map_err(broken)
}
