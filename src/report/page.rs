//! A report as a page: one HTML file that needs no other. The template holds the style and the
//! script; this file adds the data of a report in the form that the script reads.

#[cfg(test)]
mod shown;
#[cfg(test)]
mod tests;

use super::covered::took;
use super::data::{Execution, Linearization, Operation, Process, Report};
use super::json::{ToJson, json, object};
use super::phrases::PASSES_STEPPED;
use super::rows::{Event, events, table};
use crate::case::{Access, Step};
use crate::source;
use std::collections::{BTreeMap, HashMap};

const TEMPLATE: &str = include_str!("page.html");
/// The number of source lines shown above and below that of a step.
const AROUND: u32 = 4;

/// Stands for "none" among the numbers of a row.
const NONE: i64 = -1;

/// A file, a line and a column.
type FileLine<File> = (File, u32, u32);

struct Page<'a> {
    /// The report, and that of the cross-check if there is one.
    reports: Vec<Part<'a>>,
    /// The lines around the steps of each file, each with its number.
    sources: Vec<(&'a str, Vec<(u32, String)>)>,
}

/// One report. Numbers that JavaScript cannot hold are texts.
struct Part<'a> {
    test: &'a str,
    engine: &'a str,
    verdict: &'a str,
    kind: Option<&'a str>,
    headline: &'a str,
    origin: Option<&'a str>,
    rate: Option<&'a str>,
    scope: Option<&'a str>,
    machine: &'a str,
    setup: Option<&'a str>,
    processes: Vec<Lane<'a>>,
    words: Vec<&'a str>,
    legend: Option<&'a str>,
    rows: Rows,
    linearization: Option<&'a Linearization>,
    /// The label of each access that matters, its row, and its file, line and column.
    excerpts: Vec<(&'a str, Option<usize>, FileLine<&'a str>)>,
    /// The words of each near miss, the row at which it differs, and its execution.
    near_misses: Vec<(&'a str, Option<usize>, Option<NearMissRun<'a>>)>,
    replay: Option<&'a str>,
    steps_by: Option<&'a str>,
    /// The sentence that the cross-check passed.
    passes: Option<&'static str>,
    saved: Option<&'a str>,
    not_saved: Option<&'a str>,
    coverage: String,
    seed: String,
    stale: &'a [String],
    unscheduled: Option<&'a str>,
    not_reached: &'a [String],
    not_checked: &'a [String],
    printed: &'a [String],
}

/// The rows of one execution.
struct Rows {
    kinds: Vec<&'static str>,
    /// The fields of each row: kind, process, operation, text, location, word, value found, value
    /// from now on, row of the later store.
    rows: Vec<[i64; 9]>,
    /// The texts and values of rows, each once.
    texts: Vec<String>,
    /// The file, line and column of steps, each once.
    places: Vec<FileLine<String>>,
    row_of_step: Vec<usize>,
    /// The number of each row in the table of the text, counted from 1.
    numbers: Vec<usize>,
}

/// An execution that passes.
struct NearMissRun<'a> {
    processes: Vec<Lane<'a>>,
    words: Vec<&'a str>,
    rows: Rows,
    /// The first row that the failing execution does not have, and the row that it has there.
    differs: Option<usize>,
    fails_at: Option<usize>,
}

struct Lane<'a> {
    name: &'a str,
    /// The call and result of each operation, and whether the process was killed in it.
    operations: Vec<(&'a str, Option<&'a str>, bool)>,
}

impl ToJson for Page<'_> {
    fn write(&self, to: &mut String) {
        object(
            to,
            &[("reports", &self.reports), ("sources", &self.sources)],
        );
    }
}

impl ToJson for Part<'_> {
    fn write(&self, to: &mut String) {
        object(
            to,
            &[
                ("test", &self.test),
                ("engine", &self.engine),
                ("verdict", &self.verdict),
                ("kind", &self.kind),
                ("headline", &self.headline),
                ("origin", &self.origin),
                ("rate", &self.rate),
                ("scope", &self.scope),
                ("machine", &self.machine),
                ("setup", &self.setup),
                ("processes", &self.processes),
                ("words", &self.words),
                ("legend", &self.legend),
                ("kinds", &self.rows.kinds),
                ("rows", &self.rows.rows),
                ("numbers", &self.rows.numbers),
                ("texts", &self.rows.texts),
                ("places", &self.rows.places),
                ("linearization", &self.linearization),
                ("excerpts", &self.excerpts),
                ("near_misses", &self.near_misses),
                ("replay", &self.replay),
                ("steps_by", &self.steps_by),
                ("passes", &self.passes),
                ("saved", &self.saved),
                ("not_saved", &self.not_saved),
                ("coverage", &self.coverage),
                ("seed", &self.seed),
                ("stale", &self.stale),
                ("unscheduled", &self.unscheduled),
                ("not_reached", &self.not_reached),
                ("not_checked", &self.not_checked),
                ("printed", &self.printed),
            ],
        );
    }
}

impl ToJson for NearMissRun<'_> {
    fn write(&self, to: &mut String) {
        object(
            to,
            &[
                ("processes", &self.processes),
                ("words", &self.words),
                ("kinds", &self.rows.kinds),
                ("rows", &self.rows.rows),
                ("numbers", &self.rows.numbers),
                ("texts", &self.rows.texts),
                ("places", &self.rows.places),
                ("differs", &self.differs),
                ("fails_at", &self.fails_at),
            ],
        );
    }
}

impl ToJson for Lane<'_> {
    fn write(&self, to: &mut String) {
        object(
            to,
            &[("name", &self.name), ("operations", &self.operations)],
        );
    }
}

impl ToJson for Linearization {
    fn write(&self, to: &mut String) {
        object(
            to,
            &[
                ("words", &self.reason.longest),
                ("state", &self.reason.state),
                ("breaks", &self.reason.blocked),
                ("before", &self.before),
                ("longest", &self.longest),
                ("blocked", &self.blocked),
            ],
        );
    }
}

/// Values that are numbered in the order in which they first occur.
struct Numbered<T>(HashMap<T, usize>);

impl<T: std::hash::Hash + Eq> Numbered<T> {
    fn number(&mut self, value: T) -> i64 {
        let next = self.0.len();
        *self.0.entry(value).or_insert(next) as i64
    }
    fn all(self) -> Vec<T> {
        let mut all: Vec<(T, usize)> = self.0.into_iter().collect();
        all.sort_unstable_by_key(|&(_, number)| number);
        all.into_iter().map(|(value, _)| value).collect()
    }
}

impl Report {
    /// Returns the report as a page: one HTML file that needs no network. It shows the failing execution step by step, with
    /// the words of the region, the source lines, and the order that the spec explains.
    ///
    /// ```
    /// let page = forkcheck::Report::default().html();
    /// assert!(page.starts_with("<!doctype html>"));
    /// ```
    #[must_use]
    pub fn html(&self) -> String {
        let parts: Vec<&Report> = std::iter::once(self)
            .chain(self.cross_check.as_deref())
            .collect();
        let mut sources: BTreeMap<&str, BTreeMap<u32, String>> = BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        let steps = parts.iter().flat_map(|part| &part.steps);
        let steps = steps.map(|step| (&step.file, step.line));
        // The second access of a race is no step.
        let excerpts = parts.iter().flat_map(|part| &part.excerpts);
        let excerpts = excerpts.map(|excerpt| (&excerpt.file, excerpt.line));
        for (file, line) in steps.chain(excerpts) {
            if seen.insert((file, line)) {
                let lines = source::around(file, line, AROUND);
                sources.entry(file).or_default().extend(lines);
            }
        }
        let page = Page {
            reports: parts.into_iter().map(part).collect(),
            sources: sources
                .into_iter()
                .map(|(file, lines)| (file, lines.into_iter().collect()))
                .collect(),
        };
        let title = self.kind.as_deref().unwrap_or(self.verdict);
        let title = format!("{title}  {}", self.test);
        filled(&[
            ("<!--TITLE-->", &escaped(&title)),
            ("<!--TEXT-->", &escaped(&self.to_string())),
            ("<!--DATA-->", &json(&page)),
        ])
    }
}

/// Returns the template with texts in place of its marks. A mark within one of the texts is left as
/// it is.
fn filled(texts: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = TEMPLATE;
    for (mark, text) in texts {
        let (before, after) = rest.split_once(mark).expect("the template has each mark");
        page.push_str(before);
        page.push_str(text);
        rest = after;
    }
    page + rest
}

/// Returns a text escaped for HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn rows(report: &Report) -> Rows {
    let mut texts = Numbered(HashMap::new());
    let mut places = Numbered(HashMap::new());
    let mut kinds = Numbered(HashMap::new());
    let events = events(report);
    let mut row_of_step = vec![0; report.steps.len()];
    for (row, event) in events.iter().enumerate() {
        if let Event::Step(step) = event {
            row_of_step[*step] = row;
        }
    }
    let row = |step: usize| row_of_step.get(step).copied();
    let rows = events.iter().map(|event| match *event {
        Event::Call(process, number) | Event::Return(process, number) => {
            let operation = &report.processes[process].operations[number];
            let (kind, text) = match event {
                Event::Call(..) if operation.is_of_prefix => {
                    ("call", format!("prefix: {}", operation.call))
                }
                Event::Call(..) => ("call", operation.call.clone()),
                _ => match &operation.result {
                    Some(result) => ("return", format!("→ {result}")),
                    None => ("pending", "never returned".into()),
                },
            };
            let (kind, text) = (kinds.number(kind), texts.number(text));
            let (process, number) = (process as i64, number as i64);
            [kind, process, number, text, NONE, NONE, NONE, NONE, NONE]
        }
        Event::Step(number) => {
            let step = &report.steps[number];
            let operation = step.operation.map_or(NONE, |operation| operation as i64);
            let place = places.number((step.file.clone(), step.line, step.column));
            // `loom` notes the value of each store, also where the word had it before.
            let now = step.now.filter(|_| report.engine != "loom");
            let now = now.map(|now| texts.number(step.form.shown(now)));
            [
                kinds.number(kind(step.access)),
                step.process as i64,
                operation,
                texts.number(report.access(step)),
                place,
                step.word.map_or(NONE, |word| word as i64),
                found(step).map_or(NONE, |found| texts.number(found)),
                now.unwrap_or(NONE),
                step.stale.and_then(row).map_or(NONE, |row| row as i64),
            ]
        }
    });
    Rows {
        rows: rows.collect(),
        kinds: kinds.all(),
        texts: texts.all(),
        places: places.all(),
        row_of_step,
        numbers: table(report).of_event.iter().map(|row| row + 1).collect(),
    }
}

fn part(report: &Report) -> Part<'_> {
    let rows = rows(report);
    let row = |step: usize| rows.row_of_step.get(step).copied();
    let near_misses = report.near_misses.iter();
    let near_misses = near_misses.map(|near_miss| {
        let passing = near_miss.execution.as_ref();
        let passing = passing.map(|execution| passing_of(report, execution, row));
        (&*near_miss.words, near_miss.step.and_then(row), passing)
    });
    let near_misses = near_misses.collect();
    let excerpts = report.excerpts.iter().map(|excerpt| {
        let place = (&*excerpt.file, excerpt.line, excerpt.column);
        (&*excerpt.label, excerpt.step.and_then(row), place)
    });
    Part {
        test: &report.test,
        engine: &report.engine,
        verdict: report.verdict,
        kind: report.kind.as_deref(),
        headline: &report.headline,
        origin: report.origin.as_deref(),
        rate: report.rate.as_deref(),
        scope: report.scope.as_deref(),
        machine: &report.machine,
        setup: report.setup.as_deref(),
        processes: lanes(report, report.processes.iter().map(|p| &*p.operations)),
        words: report.words.iter().map(|word| &*word.name).collect(),
        legend: report.legend,
        excerpts: excerpts.collect(),
        near_misses,
        rows,
        linearization: report.linearization.as_ref(),
        replay: report.replay.as_deref(),
        steps_by: report.steps_by.as_deref(),
        passes: report.cross_check_passes().then_some(PASSES_STEPPED),
        saved: report.saved.as_deref(),
        not_saved: report.not_saved.as_deref(),
        coverage: took(report),
        seed: report.seed.to_string(),
        stale: &report.stale,
        unscheduled: report.unscheduled.as_deref(),
        not_reached: &report.not_reached,
        not_checked: &report.not_checked,
        printed: &report.printed,
    }
}

/// Returns an execution that passes, of the processes of a report. `row` is the row of a step of the report.
fn passing_of<'a>(
    report: &'a Report,
    execution: &'a Execution,
    row: impl Fn(usize) -> Option<usize>,
) -> NearMissRun<'a> {
    let of_each = report.processes.iter().zip(&execution.operations);
    let processes = of_each.map(|(process, operations)| Process {
        operations: operations.clone(),
        ..process.clone()
    });
    let passing = Report {
        processes: processes.collect(),
        steps: execution.steps.clone(),
        words: execution.words.clone(),
        ..Report::default()
    };
    let rows = rows(&passing);
    let own = |step: usize| rows.row_of_step.get(step).copied();
    NearMissRun {
        processes: lanes(
            report,
            execution.operations.iter().map(|of_process| &**of_process),
        ),
        words: execution.words.iter().map(|word| &*word.name).collect(),
        differs: execution.differs.and_then(own),
        fails_at: execution.differs.and_then(row),
        rows,
    }
}

fn lanes<'a>(
    report: &'a Report,
    operations: impl Iterator<Item = &'a [Operation]>,
) -> Vec<Lane<'a>> {
    let of_each = report.processes.iter().zip(operations);
    let lanes = of_each.map(|(process, operations)| Lane {
        name: &process.name,
        operations: operations
            .iter()
            .map(|o| (&*o.call, o.result.as_deref(), o.killed))
            .collect(),
    });
    lanes.collect()
}

/// Returns the value that an access found in its word, if it read it.
fn found(step: &Step) -> Option<String> {
    matches!(
        step.access,
        Access::Load | Access::Update | Access::Miss | Access::Store
    )
    .then(|| step.form.shown(step.value))
}

fn kind(access: Access) -> &'static str {
    match access {
        Access::Load => "load",
        Access::Store => "store",
        Access::Update => "update",
        Access::Miss => "miss",
        Access::Read => "read",
        Access::Write => "write",
        Access::Refused => "refused",
        Access::Fence => "fence",
        Access::Spin => "spin",
        Access::Wait => "wait",
        Access::Timeout => "timeout",
        Access::Wake => "wake",
        Access::Alive => "alive",
        Access::Killed => "killed",
    }
}
