//! The events of a failing execution as rows of a table: calls and returns, and the steps between them where the engine
//! saw them.

use super::data::{Operation, Process, Report};
use super::table::{Piece, Row};
use crate::case::{Access, Step};
use std::collections::HashMap;

impl Report {
    /// Returns the first step at or below a row of the table, counted from 1, whose process is that of the row, with the row.
    ///
    /// # Errors
    /// Returns what is wrong with the row, and the remedy.
    pub(crate) fn step_of_row(&self, row: usize) -> Result<(usize, usize), (String, String)> {
        let rows = table(self).rows;
        let Some(asked) = row.checked_sub(1).and_then(|row| rows.get(row)) else {
            return Err((
                format!("there is no row {row}"),
                format!("name one of the {} rows of the table", rows.len()),
            ));
        };
        let own = rows[row - 1..]
            .iter()
            .filter(|row| row.process == asked.process);
        let step = own.filter_map(|row| row.step).next().ok_or_else(|| {
            (
                format!("row {row} is a return, after which its process takes no step"),
                "name a row with an access".into(),
            )
        })?;
        Ok((row, step))
    }
}

/// The longest cycle of rows that is folded.
const CYCLE: usize = 12;

/// An event of an execution; an operation is named by its process and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Call(usize, usize),
    Step(usize),
    Return(usize, usize),
}

/// Returns the events of a report in the order in which they happened.
pub(super) fn events(report: &Report) -> Vec<Event> {
    if report.steps.is_empty() {
        return events_of_calls(&report.processes);
    }
    // The last step of each operation.
    let mut last = HashMap::new();
    for (number, step) in report.steps.iter().enumerate() {
        last.insert((step.process, step.operation), number);
    }
    let mut events = Vec::new();
    let mut shown = vec![0; report.processes.len()];
    // The prefix takes no steps.
    for event in events_of_calls(&report.processes) {
        if let Event::Call(process, number) = event
            && report.processes[process].operations[number].is_of_prefix
            && !last.contains_key(&(process, Some(number)))
        {
            events.extend([event, Event::Return(process, number)]);
            shown[process] = number + 1;
        }
    }
    for (number, step) in report.steps.iter().enumerate() {
        let Some(process) = report.processes.get(step.process) else {
            continue;
        };
        // A step between operations belongs to an attach or a detach.
        if let Some(operation) = step.operation {
            while shown[step.process] <= operation && shown[step.process] < process.operations.len()
            {
                events.push(Event::Call(step.process, shown[step.process]));
                shown[step.process] += 1;
            }
        }
        events.push(Event::Step(number));
        if let Some(operation) = step.operation
            && last[&(step.process, step.operation)] == number
            && let Some(returned) = process.operations.get(operation)
            && returned.result.is_some()
        {
            events.push(Event::Return(step.process, operation));
        }
    }
    events
}

fn events_of_calls(processes: &[Process]) -> Vec<Event> {
    let mut events = Vec::new();
    for (process, of_process) in processes.iter().enumerate() {
        for (number, operation) in of_process.operations.iter().enumerate() {
            let returned = operation.returned.unwrap_or(match operation.killed {
                true => u64::MAX - 1,
                false => u64::MAX,
            });
            events.push((operation.invoked, process, Event::Call(process, number)));
            events.push((returned, process, Event::Return(process, number)));
        }
    }
    // The sort is stable: calls of one process stay in their order.
    events.sort_by_key(|&(time, process, _)| (time, process));
    events.into_iter().map(|(_, _, event)| event).collect()
}

/// The rows of a table, and the row of each event.
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    /// The position of the row of each event of [`events`]: a return may stand with its call, and what was folded is in the rows
    /// that say so.
    pub(super) of_event: Vec<usize>,
    /// The position of the row of each step.
    of_step: Vec<Option<usize>>,
}

impl Table {
    /// Returns the position of the row of a step.
    pub(super) fn of_step(&self, step: usize) -> Option<usize> {
        *self.of_step.get(step)?
    }
}

/// Returns the table of a report: of the steps where the engine saw them, else of the calls and returns.
pub(super) fn table(report: &Report) -> Table {
    let events = events(report);
    if report.steps.is_empty() {
        let (rows, of_event) = rows_of(&report.processes, &events);
        return Table {
            rows,
            of_event,
            of_step: Vec::new(),
        };
    }
    let (rows, unfolded) = rows_of_steps(report, &events);
    let (rows, folded) = folded(rows);
    let of_event: Vec<usize> = unfolded.into_iter().map(|row| folded[row]).collect();
    let mut of_step = vec![None; report.steps.len()];
    for (event, &row) in events.iter().zip(&of_event) {
        if let Event::Step(step) = *event {
            of_step[step] = Some(row);
        }
    }
    let mut table = Table {
        rows,
        of_event,
        of_step,
    };
    note_stale(&report.steps, &mut table);
    table
}

/// Notes on loads that found an earlier value the row that stored the later one.
fn note_stale(steps: &[Step], table: &mut Table) {
    for row in 0..table.rows.len() {
        let later = table.rows[row].step.and_then(|step| steps[step].stale);
        let stored = |later: usize| {
            let value = steps.get(later)?.now?;
            Some((steps[later].form.shown(value), table.of_step(later)?))
        };
        if let Some((value, at)) = later.and_then(stored) {
            let marked = format!("  stale: {value} was stored in row {}", at + 1);
            table.rows[row].say(marked);
        }
    }
}

/// Returns the rows of calls and returns in the order of their times, and the position of the row of each. A return right after its
/// own call is on its row.
fn rows_of(processes: &[Process], events: &[Event]) -> (Vec<Row>, Vec<usize>) {
    let mut rows: Vec<Row> = Vec::new();
    let mut of_event = Vec::new();
    let mut open = None;
    for &event in events {
        let (process, number, is_call) = match event {
            Event::Call(process, number) => (process, number, true),
            Event::Return(process, number) => (process, number, false),
            Event::Step(_) => continue,
        };
        let operation = &processes[process].operations[number];
        let text = match is_call {
            true => called(operation),
            false => returned(operation),
        };
        match rows.last_mut() {
            Some(last) if !is_call && open == Some(process) => {
                last.say(" ".into());
                last.text.extend(text);
            }
            _ => rows.push(Row::end(process, text)),
        }
        open = is_call.then_some(process);
        of_event.push(rows.len() - 1);
    }
    (rows, of_event)
}

/// Returns an operation as it stands in its row.
fn called(operation: &Operation) -> Vec<Piece> {
    let prefix = operation.is_of_prefix.then(|| "prefix: ".to_owned());
    let call = Piece::Value(operation.call.clone());
    prefix.map(Piece::Words).into_iter().chain([call]).collect()
}

/// Returns the result of an operation as it stands in its row.
fn returned(operation: &Operation) -> Vec<Piece> {
    match &operation.result {
        Some(result) => vec![Piece::Words("-> ".into()), Piece::Value(result.clone())],
        None => vec![Piece::Words("…never returned".into())],
    }
}

/// Returns the rows of all events, and the position of the row of each.
fn rows_of_steps(report: &Report, events: &[Event]) -> (Vec<Row>, Vec<usize>) {
    let mut rows: Vec<Row> = Vec::new();
    let mut of_event = Vec::new();
    for &event in events {
        match event {
            Event::Call(process, number) => {
                let operation = &report.processes[process].operations[number];
                let mut row = Row::end(process, called(operation));
                if operation.is_of_prefix {
                    row.say(" ".into());
                    row.text.extend(returned(operation));
                }
                rows.push(row);
            }
            Event::Return(process, number) => {
                let operation = &report.processes[process].operations[number];
                // A result of the prefix stands with its call.
                if !operation.is_of_prefix {
                    rows.push(Row::end(process, returned(operation)));
                }
            }
            Event::Step(number) => {
                let step = &report.steps[number];
                let name = report.name(step);
                let now = step.now.map(|now| step.form.shown(now));
                rows.push(Row {
                    process: step.process,
                    kept: step.access == Access::Killed,
                    step: Some(number),
                    tone: None,
                    text: vec![Piece::Words(format!("  {}", report.step(step)))],
                    region: now.map_or(String::new(), |now| format!("{name}={now}")),
                });
            }
        }
        of_event.push(rows.len().saturating_sub(1));
    }
    (rows, of_event)
}

/// Folds rows that repeat in the same order into one copy, with the number of times. Returns also the position that each row has
/// from then on.
fn folded(rows: Vec<Row>) -> (Vec<Row>, Vec<usize>) {
    let mut kept: Vec<Row> = Vec::new();
    let mut positions = Vec::with_capacity(rows.len());
    let mut at = 0;
    while at < rows.len() {
        let times = |cycle: usize| {
            let first = &rows[at..at + cycle];
            let again = rows[at + cycle..].chunks_exact(cycle);
            let alike = |next: &&[Row]| next.iter().zip(first).all(|(a, b)| a.is_like(b));
            1 + again.take_while(alike).count()
        };
        let longest = CYCLE.min((rows.len() - at) / 2);
        let best = (1..=longest)
            .map(|cycle| (cycle, times(cycle)))
            .find(|&(_, times)| times > 1);
        let (cycle, times) = best.unwrap_or((1, 1));
        positions.extend((0..cycle * times).map(|row| kept.len() + row % cycle));
        kept.extend(rows[at..at + cycle].iter().cloned());
        if times > 1
            && let Some(last) = kept.last_mut()
        {
            let rows = if cycle > 1 {
                format!("these {cycle} rows ")
            } else {
                String::new()
            };
            last.say(format!("  ({rows}{times} times)"));
        }
        at += cycle * times;
    }
    (kept, positions)
}

#[cfg(test)]
mod tests {
    use super::super::screen::Room;
    use super::*;

    fn texts(rows: &[&str]) -> Vec<String> {
        let rows = rows
            .iter()
            .map(|text| Row::of(0, vec![Piece::Words((*text).to_owned())]))
            .collect();
        let (rows, positions) = folded(rows);
        assert!(positions.iter().all(|&row| row < rows.len()));
        rows.iter().map(|row| row.text(Room::USUAL)).collect()
    }

    #[test]
    fn what_comes_again_is_reported_once_with_the_number_of_times() {
        assert_eq!(texts(&["a", "b"]), ["a", "b"]);
        assert_eq!(texts(&["a", "a", "a", "b"]), ["a  (3 times)", "b"]);
        assert_eq!(
            texts(&["x", "a", "b", "a", "b", "a", "c"]),
            ["x", "a", "b  (these 2 rows 2 times)", "a", "c"]
        );
    }

    #[test]
    fn values_that_look_the_same_once_cut_are_two_rows() {
        let call = |last: &str| vec![Piece::Value("0".repeat(80) + last)];
        let rows = |calls: [&str; 2]| calls.map(|last| Row::end(0, call(last))).to_vec();
        assert_eq!(folded(rows(["1", "2"])).0.len(), 2);
        assert_eq!(folded(rows(["1", "1"])).0.len(), 1);
    }
}
