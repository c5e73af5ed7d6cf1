//! The events of a run as rows: calls and returns, and the steps between them where the engine saw them.

use super::table::{Row, short};
use crate::case::{Access, History, Step};
use crate::engine::Run;
use crate::source;
use crate::subject::Spec;

/// Rows that repeat are looked for in cycles of at most so many.
const CYCLE: usize = 12;

/// The events of a run: its steps where the engine saw them, else its calls and returns.
pub(super) fn rows<S: Spec>(run: &Run<S>) -> Vec<Row> {
    if run.steps.is_empty() {
        rows_of_calls(&run.history)
    } else {
        folded(rows_of_steps(run))
    }
}

pub(super) fn rows_of_calls<S: Spec>(history: &History<S>) -> Vec<Row> {
    let mut events = Vec::new();
    for (process, calls) in history.calls.iter().enumerate() {
        for call in calls {
            events.push((call.invoked, process, call, true));
            events.push((call.returned, process, call, false));
        }
    }
    events.sort_by_key(|&(time, process, _, _)| (time, process));
    let mut rows: Vec<Row> = Vec::new();
    let mut open = None;
    for (_, process, call, is_call) in events {
        let text = if is_call {
            short(&call.op)
        } else {
            let ret = call.ret.as_ref().map_or("…never returned".into(), |ret| {
                format!("-> {}", short(ret))
            });
            // A return right after its own call stands on the same line.
            match rows.last_mut() {
                Some(last) if open == Some(process) => {
                    last.text = format!("{} {ret}", last.text);
                    open = None;
                    continue;
                }
                _ => ret,
            }
        };
        open = is_call.then_some(process);
        rows.push(Row::end(process, text));
    }
    rows
}

fn rows_of_steps<S: Spec>(run: &Run<S>) -> Vec<Row> {
    let names = names(&run.steps);
    let mut rows: Vec<Row> = Vec::new();
    let mut shown = vec![0; run.history.calls.len()];
    for (number, step) in run.steps.iter().enumerate() {
        let Some(calls) = run.history.calls.get(step.process) else {
            continue;
        };
        // A step between operations is of sitting down, or of getting up.
        if let Some(operation) = step.operation {
            while shown[step.process] <= operation
                && let Some(call) = calls.get(shown[step.process])
            {
                shown[step.process] += 1;
                rows.push(Row::end(step.process, short(&call.op)));
            }
        }
        let name = step.word.map_or("", |word| &names[word]);
        rows.push(Row {
            process: step.process,
            kept: step.access == Access::Killed,
            step: Some(number),
            text: format!("  {}", access(step, name)),
            region: step
                .now
                .map(|now| format!("{name}={now}"))
                .unwrap_or_default(),
        });
        let mut later = run.steps[number + 1..].iter();
        if let Some(operation) = step.operation
            && !later
                .any(|other| other.process == step.process && other.operation == Some(operation))
            && let Some(ret) = calls.get(operation).and_then(|call| call.ret.as_ref())
        {
            rows.push(Row::end(step.process, format!("-> {}", short(ret))));
        }
    }
    rows
}

/// What each word is called: after the source line that first touches it, and where several are called the same, with a
/// number from 1 in the order of their addresses.
fn names(steps: &[Step]) -> Vec<String> {
    let mut names: Vec<Option<String>> = Vec::new();
    for step in steps {
        if let Some(word) = step.word {
            if names.len() <= word {
                names.resize(word + 1, None);
            }
            if names[word].is_none() {
                names[word] = source::name(&step.file, step.line, step.column);
            }
        }
    }
    // The last part says enough, where no other word ends so.
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let full: Vec<String> = names.iter().flatten().cloned().collect();
    for name in names.iter_mut().flatten() {
        if full
            .iter()
            .all(|other| other == name || last(other) != last(name))
        {
            *name = last(name);
        }
    }
    let same = |name: &Option<String>, among: &[Option<String>]| {
        among.iter().filter(|other| *other == name).count()
    };
    let called = names.iter().enumerate().map(|(word, name)| match name {
        None => format!("word {word}"),
        Some(called) if same(name, &names) > 1 => {
            // Not as an index, which nobody knows here: of an array only some words may have been touched.
            format!("{called}#{}", same(name, &names[..word]) + 1)
        }
        Some(called) => called.clone(),
    });
    called.collect()
}

fn access(step: &Step, name: &str) -> String {
    let file = step.file.rsplit('/').next().unwrap_or(&step.file);
    let value = step.value;
    let what = match step.access {
        Access::Load => format!("{name}.load -> {value}"),
        Access::Store => format!("{name}.store {value}"),
        Access::Update => format!("{name}.update, was {value}"),
        Access::Read => format!("{name}: read"),
        Access::Write => format!("{name}: written"),
        Access::Refused => format!("{name}: write refused"),
        Access::Miss => format!("{name}.exchange missed, was {value}"),
        Access::Fence => "fence".into(),
        Access::Spin => "spin".into(),
        Access::Wait => format!("{name}.wait, was {value}"),
        Access::Timeout if value == 0 => format!("{name}: time is up"),
        Access::Timeout => format!("{name}: woken"),
        Access::Wake => format!("{name}.wake {value}"),
        Access::Alive => format!("alive? -> {}", if value == 0 { "no" } else { "yes" }),
        Access::Killed => return format!("x SIGKILL before {file}:{}", step.line),
    };
    format!("{what}  {file}:{}", step.line)
}

/// Rows that come again and again in the same order, once, with the number of times.
fn folded(rows: Vec<Row>) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::new();
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
        kept.extend(rows[at..at + cycle].iter().cloned());
        if times > 1
            && let Some(last) = kept.last_mut()
        {
            let rows = if cycle > 1 {
                format!("these {cycle} rows ")
            } else {
                String::new()
            };
            last.text = format!("{}  ({rows}{times} times)", last.text);
        }
        at += cycle * times;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Word;
    impl Word {
        #[track_caller]
        fn touch(&self, word: usize) -> Step {
            let at = std::panic::Location::caller();
            Step {
                process: 0,
                operation: Some(0),
                access: Access::Load,
                word: Some(word),
                value: 0,
                now: None,
                file: at.file().into(),
                line: at.line(),
                column: at.column(),
            }
        }
    }

    #[test]
    fn words_of_one_name_are_numbered_by_address_and_not_as_by_an_index() {
        let (cells, tail) = ([Word, Word, Word, Word], Word);
        // The engine saw three words; the higher of the two that are called the same is touched first.
        let steps = [cells[3].touch(1), tail.touch(2), cells[1].touch(0)];
        assert_eq!(names(&steps), ["cells#1", "cells#2", "tail"]);
    }

    fn texts(rows: &[&str]) -> Vec<String> {
        let rows = rows
            .iter()
            .map(|text| Row::of(0, (*text).to_owned()))
            .collect();
        folded(rows).into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn what_comes_again_is_told_once_with_the_number_of_times() {
        assert_eq!(texts(&["a", "b"]), ["a", "b"]);
        assert_eq!(texts(&["a", "a", "a", "b"]), ["a  (3 times)", "b"]);
        assert_eq!(
            texts(&["x", "a", "b", "a", "b", "a", "c"]),
            ["x", "a", "b  (these 2 rows 2 times)", "a", "c"]
        );
    }
}
