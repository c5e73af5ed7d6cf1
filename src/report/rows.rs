//! The events of a run as rows: calls and returns, and the steps between them where the engine saw them.

use super::table::{Row, short};
use crate::case::{Access, History, Step};
use crate::engine::Run;
use crate::source::{self, Path};
use crate::spec::Spec;

/// Rows that repeat are looked for in cycles of at most so many.
const CYCLE: usize = 12;

/// The events of a run: its steps where the engine saw them, else its calls and returns; and what the names of words in
/// them mean, where that is not plain.
pub(super) fn rows<S: Spec>(run: &Run<S>) -> (Vec<Row>, Option<&'static str>) {
    if run.steps.is_empty() {
        return (rows_of_calls(&run.history), None);
    }
    let names = names(&run.steps);
    let rows = stale(&run.steps, folded(rows_of_steps(run, &names.of)));
    (rows, names.legend())
}

/// Loads that found an earlier value say which row stored the later one.
fn stale(steps: &[Step], mut rows: Vec<Row>) -> Vec<Row> {
    for row in 0..rows.len() {
        let later = rows[row].step.and_then(|step| steps[step].stale);
        // A store that was folded away is in the row that says so.
        let stored = |later: usize| {
            let shown = |row: &Row| row.step.is_some_and(|step| step <= later);
            Some((
                steps[later].form.shown(steps[later].now?),
                rows.iter().rposition(shown)?,
            ))
        };
        if let Some((value, at)) = later.and_then(stored) {
            let marked = format!("  stale: {value} was stored in row {}", at + 1);
            rows[row].text.push_str(&marked);
        }
    }
    rows
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

fn rows_of_steps<S: Spec>(run: &Run<S>, names: &[String]) -> Vec<Row> {
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
                .map(|now| format!("{name}={}", step.form.shown(now)))
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

/// The names of words, by their numbers.
struct Names {
    of: Vec<String>,
    /// Whether one of them says at which byte of the structure it is, or which of its name it is.
    bytes: bool,
    numbers: bool,
}

impl Names {
    fn legend(&self) -> Option<&'static str> {
        if self.bytes {
            Some(
                "@ and a number: the byte of the structure at which the word begins, where the source does not say which element it is",
            )
        } else if self.numbers {
            Some(
                "# and a number: the words of one name in the order in which they are first touched; no index",
            )
        } else {
            None
        }
    }
}

/// Names each word by the source lines that access it: by its last field, or by its whole path where another word has the same
/// last field. An index that is a number in the source is part of the name. Otherwise the start of the array is not known, so
/// the name has the byte offset in the structure, or, where the engine does not know that, the number of the word among those
/// of its name: never a number that could pass for an index.
fn names(steps: &[Step]) -> Names {
    struct Word {
        path: Option<Path>,
        /// Object that the name stands for: two parts of one payload are one.
        object: Result<usize, usize>,
        part: String,
    }
    let count = steps.iter().filter_map(|step| step.word).max();
    let mut words: Vec<Word> = (0..count.map_or(0, |last| last + 1))
        .map(|number| Word {
            path: None,
            object: Err(number),
            part: String::new(),
        })
        .collect();
    for step in steps {
        let Some(word) = step.word else {
            continue;
        };
        let word = &mut words[word];
        if let Some(offset) = step.offset {
            word.object = Ok(offset);
        }
        if let Some(part) = &step.part {
            word.part.clone_from(part);
        }
        // Of several lines the one that says most: a field, and which element of it.
        let path = source::path(&step.file, step.line, step.column);
        let path = path.map(|path| match step.element {
            Some(element) => path.at(element),
            None => path,
        });
        let unknown = |path: &Path| (path.is_variable(), path.unknown_indexes());
        if let Some(path) = path
            && word
                .path
                .as_ref()
                .is_none_or(|known| unknown(known) > unknown(&path))
        {
            word.path = Some(path);
        }
    }
    let paths: Vec<(String, String)> = words
        .iter()
        .filter_map(|word| word.path.as_ref())
        .map(|path| (path.full(), path.short()))
        .collect();
    // The last part says enough, where no other word ends so.
    let called = |path: &Path| {
        let (full, short) = (path.full(), path.short());
        let other = paths.iter().any(|(f, s)| *f != full && *s == short);
        if other { full } else { short }
    };
    let called: Vec<Option<String>> = words
        .iter()
        .map(|word| word.path.as_ref().map(called))
        .collect();
    let mut names = Names {
        of: Vec::new(),
        bytes: false,
        numbers: false,
    };
    for (number, (word, name)) in words.iter().zip(&called).enumerate() {
        let Some(name) = name else {
            names.of.push(format!("word {number}{}", word.part));
            continue;
        };
        let mut same: Vec<_> = words
            .iter()
            .zip(&called)
            .filter(|(_, other)| other.as_ref() == Some(name))
            .map(|(word, _)| word.object)
            .collect();
        same.sort_unstable();
        same.dedup();
        let unknown = word.path.as_ref().map_or(0, Path::unknown_indexes) > 0;
        let which = match word.object {
            Ok(offset) if unknown || same.len() > 1 => {
                names.bytes = true;
                format!("@{offset}")
            }
            Err(_) if same.len() > 1 => {
                names.numbers = true;
                let nth = same.binary_search(&word.object).unwrap_or_default();
                format!("#{}", nth + 1)
            }
            _ => String::new(),
        };
        names.of.push(format!("{name}{which}{}", word.part));
    }
    names
}

fn access(step: &Step, name: &str) -> String {
    let file = step.file.rsplit('/').next().unwrap_or(&step.file);
    let (value, shown) = (step.value, step.form.shown(step.value));
    let what = match step.access {
        Access::Load => format!("{name}.load -> {shown}"),
        Access::Store => format!("{name}.store {shown}"),
        Access::Update => format!("{name}.update, was {shown}"),
        Access::Read => format!("{name}: read"),
        Access::Write => format!("{name}: written"),
        Access::Refused => format!("{name}: write refused"),
        Access::Miss => format!("{name}.exchange missed, was {shown}"),
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
    use crate::case::Form;

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
                offset: None,
                element: None,
                part: None,
                value: 0,
                form: Form::Unsigned,
                now: None,
                stale: None,
                file: at.file().into(),
                line: at.line(),
                column: at.column(),
            }
        }
    }

    fn at(step: Step, offset: usize, part: Option<&str>) -> Step {
        Step {
            offset: Some(offset),
            part: part.map(Into::into),
            ..step
        }
    }

    #[test]
    fn a_word_whose_index_is_not_known_is_called_by_its_place_and_not_as_by_an_index() {
        let (cells, tail, last) = ([Word, Word, Word, Word], Word, 3);
        // The engine saw three words; the higher of the two that are called the same is touched first.
        let steps = [
            at(cells[last].touch(1), 24, None),
            at(tail.touch(2), 32, None),
            at(cells[last - 2].touch(0), 8, None),
        ];
        let told = names(&steps);
        assert_eq!(told.of, ["cells@8", "cells@24", "tail"]);
        assert!(told.bytes && !told.numbers);
        // One word alone could be any of them as well.
        assert_eq!(names(&steps[..2]).of[1..], ["cells@24", "tail"]);
        // loom knows no places.
        let steps = [
            cells[last].touch(0),
            tail.touch(2),
            cells[last - 2].touch(1),
        ];
        let told = names(&steps);
        assert_eq!(told.of, ["cells#1", "cells#2", "tail"]);
        assert!(told.numbers && !told.bytes);
    }

    #[test]
    fn an_index_in_a_line_is_told_although_other_lines_touch_the_word() {
        let (cells, last) = ([Word, Word, Word, Word], 3);
        let steps = [
            at(cells[last].touch(1), 24, None),
            at(cells[3].touch(1), 24, None),
            at(cells[last - 2].touch(0), 8, None),
        ];
        assert_eq!(names(&steps).of, ["cells@8", "cells[3]"]);
        // Two arrays of one name, each with an element of that number.
        let (one, other) = ([Word], [Word]);
        let cells = &one;
        let mut steps = vec![at(cells[0].touch(0), 0, None)];
        let cells = &other;
        steps.push(at(cells[0].touch(1), 8, None));
        assert_eq!(names(&steps).of, ["one[0]", "other[0]"]);
    }

    #[test]
    fn parts_of_a_payload_are_told_apart_by_what_the_memory_knows_of_them() {
        let (data, tail) = (Word, Word);
        let steps = [
            at(data.touch(0), 8, Some("[0]")),
            at(data.touch(1), 8, Some("[1]")),
            at(tail.touch(2), 24, None),
        ];
        assert_eq!(names(&steps).of, ["data[0]", "data[1]", "tail"]);
        // Two payloads of one name.
        let (slots, i) = ([Word], 0);
        let steps = [
            at(slots[i].touch(0), 8, Some("[0]")),
            at(slots[i].touch(1), 24, Some("[0]")),
        ];
        assert_eq!(names(&steps).of, ["slots@8[0]", "slots@24[0]"]);
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
