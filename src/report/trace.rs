//! A report as a trace in the Trace Event Format (JSON), which ui.perfetto.dev and chrome://tracing open: a lane for each
//! process with its operations as slices, steps within as instants, and the words of the region as counters.
//!
//! Each call, step and return is a microsecond: they have an order, and no duration. A step has the number of its row in the
//! table, which folds loops.

use super::data::Report;
use super::json::{ToJson, json, list, object};
use super::rows::{Event, events, table};
use crate::case::{Access, Form, Step};

/// The process of the trace, which has the processes of the case as threads.
const PROCESS: u32 = 1;

/// A value among the arguments of an event.
enum Argument {
    Text(String),
    Number(i64),
}

impl ToJson for Argument {
    fn write(&self, to: &mut String) {
        match self {
            Argument::Text(text) => text.write(to),
            Argument::Number(number) => number.write(to),
        }
    }
}

struct Arguments(Vec<(&'static str, Argument)>);

impl ToJson for Arguments {
    fn write(&self, to: &mut String) {
        let fields = self
            .0
            .iter()
            .map(|(name, value)| (*name, value as &dyn ToJson));
        object(to, &fields.collect::<Vec<_>>());
    }
}

/// An event of the format: the beginning (`B`) or end (`E`) of a slice, an instant (`i`), a counter (`C`), or a name (`M`).
struct Traced {
    phase: &'static str,
    name: String,
    at: usize,
    lane: usize,
    arguments: Arguments,
}

impl ToJson for Traced {
    fn write(&self, to: &mut String) {
        let (lane, category) = (self.lane + 1, "forkcheck");
        let mut fields: Vec<(&str, &dyn ToJson)> = vec![
            ("name", &self.name),
            ("ph", &self.phase),
            ("ts", &self.at),
            ("pid", &PROCESS),
            ("tid", &lane),
            ("cat", &category),
            ("args", &self.arguments),
        ];
        // The scope of an instant: its lane.
        if self.phase == "i" {
            fields.push(("s", &"t"));
        }
        object(to, &fields);
    }
}

struct File<'a> {
    events: Vec<Traced>,
    headline: &'a str,
    test: &'a str,
    replay: Option<&'a str>,
}

impl ToJson for File<'_> {
    fn write(&self, to: &mut String) {
        let mut events = String::new();
        list(&mut events, &self.events);
        to.push_str("{\"displayTimeUnit\":\"ns\",\"traceEvents\":");
        to.push_str(&events);
        to.push_str(",\"otherData\":");
        let fields: &[(&str, &dyn ToJson)] = &[
            ("test", &self.test),
            ("headline", &self.headline),
            ("replay", &self.replay),
        ];
        object(to, fields);
        to.push('}');
    }
}

impl Report {
    /// Returns the failing execution as a trace in the Trace Event Format (JSON), for ui.perfetto.dev: a lane for each process,
    /// with its operations as slices and their steps as instants, and the words of the region as counters. Each call, step and
    /// return is a microsecond; the argument `row` of a step is its row in the table, which folds loops.
    ///
    /// ```
    /// let trace = forkcheck::Report::default().trace();
    /// assert!(trace.starts_with("{\"displayTimeUnit\":\"ns\",\"traceEvents\":["));
    /// ```
    #[must_use]
    pub fn trace(&self) -> String {
        // The steps of a finding of forked processes are in the report of `stepped`.
        let report = match &self.cross_check {
            Some(stepped) if self.steps.is_empty() && !stepped.steps.is_empty() => stepped,
            _ => self,
        };
        json(&File {
            events: traced(report),
            headline: &self.headline,
            test: &self.test,
            replay: self.replay.as_deref(),
        })
    }
}

fn traced(report: &Report) -> Vec<Traced> {
    let (events, table) = (events(report), table(report));
    let named = |phase, name: &str, lane| Traced {
        phase: "M",
        name: phase,
        at: 0,
        lane,
        arguments: Arguments(vec![("name", Argument::Text(name.to_owned()))]),
    };
    let mut all = vec![named("process_name".into(), &report.test, 0)];
    for (lane, process) in report.processes.iter().enumerate() {
        all.push(named("thread_name".into(), &process.name, lane));
    }
    // The operation that each process is in.
    let mut open: Vec<Option<usize>> = vec![None; report.processes.len()];
    let result = |process: usize, number: usize| {
        let operation = &report.processes[process].operations[number];
        let result = match &operation.result {
            Some(result) => result.clone(),
            None if operation.killed => "killed in it".into(),
            None => "never returned".into(),
        };
        Arguments(vec![("result", Argument::Text(result))])
    };
    let ends = |process: usize, number: usize, at: usize| Traced {
        phase: "E",
        name: report.processes[process].operations[number].call.clone(),
        at,
        lane: process,
        arguments: result(process, number),
    };
    for (at, event) in events.iter().enumerate() {
        match *event {
            Event::Call(process, number) => {
                // A killed operation ends where the next incarnation calls.
                if let Some(before) = open[process].replace(number) {
                    all.push(ends(process, before, at));
                }
                all.push(Traced {
                    phase: "B",
                    name: report.processes[process].operations[number].call.clone(),
                    at,
                    lane: process,
                    arguments: Arguments(Vec::new()),
                });
            }
            Event::Return(process, number) => {
                let returned = report.processes[process].operations[number]
                    .result
                    .is_some();
                if returned && open[process].take_if(|open| *open == number).is_some() {
                    all.push(ends(process, number, at));
                }
            }
            Event::Step(number) => {
                let step = &report.steps[number];
                let place = format!("{}:{}:{}", step.file, step.line, step.column);
                all.push(Traced {
                    phase: "i",
                    name: report.access(step),
                    at,
                    lane: step.process,
                    arguments: Arguments(vec![
                        ("step", Argument::Number(number as i64 + 1)),
                        ("row", Argument::Number(table.of_event[at] as i64 + 1)),
                        ("source", Argument::Text(place)),
                    ]),
                });
                all.extend(counter(report, step, at));
                if step.access == Access::Killed
                    && let Some(operation) = open[step.process].take()
                {
                    all.push(ends(step.process, operation, at));
                }
            }
        }
    }
    let end = events.len();
    for (process, open) in open.into_iter().enumerate() {
        all.extend(open.map(|number| ends(process, number, end)));
    }
    all
}

/// Returns the value that a step left in a word, where it is a number that JavaScript holds.
fn counter(report: &Report, step: &Step, at: usize) -> Option<Traced> {
    let now = step.now?;
    let value = match step.form {
        Form::Unsigned => i64::try_from(now).ok()?,
        Form::Signed => now.cast_signed(),
        _ => i64::try_from(now)
            .ok()
            .filter(|now| (0..=1).contains(now))?,
    };
    if value.unsigned_abs() > 1 << 53 {
        return None;
    }
    Some(Traced {
        phase: "C",
        name: report.name(step).to_owned(),
        at,
        lane: 0,
        arguments: Arguments(vec![("value", Argument::Number(value))]),
    })
}

#[cfg(test)]
mod tests;
