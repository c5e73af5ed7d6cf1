//! The names of words, from the source lines that access them.

use super::data::Word;
use crate::case::{Form, Step};
use crate::source::{self, Path};

/// The words of a run by their numbers, and the meaning of their names, where that is not obvious.
pub(super) struct Words {
    pub(super) all: Vec<Word>,
    /// Whether a name gives the byte of the structure at which its word is, or its number among
    /// those of its name.
    bytes: bool,
    numbers: bool,
}

impl Words {
    pub(super) fn legend(&self) -> Option<&'static str> {
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

/// Names each word by the source lines that access it: by its last field, or by its whole path
/// where another word has the same last field. An index that is a number in the source is part of
/// the name. Otherwise the start of the array is not known, so the name has the byte offset in the
/// structure. If the engine does not know that either, the name has the number of the word among
/// those of its name: never a number that could be taken for an index.
pub(super) fn words(steps: &[Step]) -> Words {
    struct Known {
        path: Option<Path>,
        /// The object that the name stands for: two parts of one payload are one.
        object: Result<usize, usize>,
        part: String,
        form: Form,
    }
    let count = steps.iter().filter_map(|step| step.word).max();
    let mut words: Vec<Known> = (0..count.map_or(0, |last| last + 1))
        .map(|number| Known {
            path: None,
            object: Err(number),
            part: String::new(),
            form: Form::default(),
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
        word.form = step.form;
        // Of several lines, the one that says most: a field, and its element.
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
    // The last part is enough, where no other word ends with it.
    let called = |path: &Path| {
        let (full, short) = (path.full(), path.short());
        let other = paths.iter().any(|(f, s)| *f != full && *s == short);
        if other { full } else { short }
    };
    let called: Vec<Option<String>> = words
        .iter()
        .map(|word| word.path.as_ref().map(called))
        .collect();
    let mut names = Words {
        all: Vec::new(),
        bytes: false,
        numbers: false,
    };
    for (number, (word, name)) in words.iter().zip(&called).enumerate() {
        let take = |name: String| Word {
            name,
            offset: word.object.ok(),
            form: word.form,
        };
        let Some(name) = name else {
            names.all.push(take(format!("word {number}{}", word.part)));
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
        names.all.push(take(format!("{name}{which}{}", word.part)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Access;

    fn called(words: &Words) -> Vec<&str> {
        words.all.iter().map(|word| &*word.name).collect()
    }

    struct Cell;
    impl Cell {
        #[track_caller]
        fn touch(&self, word: usize) -> Step {
            let at = std::panic::Location::caller();
            Step {
                word: Some(word),
                ..Step::at(0, Access::Load, (at.file(), at.line(), at.column()))
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
        let (cells, tail, last) = ([Cell, Cell, Cell, Cell], Cell, 3);
        // The engine saw three words; the higher of the two with the same name is accessed first.
        let steps = [
            at(cells[last].touch(1), 24, None),
            at(tail.touch(2), 32, None),
            at(cells[last - 2].touch(0), 8, None),
        ];
        let told = words(&steps);
        assert_eq!(called(&told), ["cells@8", "cells@24", "tail"]);
        assert!(told.bytes && !told.numbers);
        // A single word could be any of them as well.
        assert_eq!(called(&words(&steps[..2]))[1..], ["cells@24", "tail"]);
        // loom knows no offsets.
        let steps = [
            cells[last].touch(0),
            tail.touch(2),
            cells[last - 2].touch(1),
        ];
        let told = words(&steps);
        assert_eq!(called(&told), ["cells#1", "cells#2", "tail"]);
        assert!(told.numbers && !told.bytes);
    }

    #[test]
    fn an_index_in_a_line_is_reported_although_other_lines_touch_the_word() {
        let (cells, last) = ([Cell, Cell, Cell, Cell], 3);
        let steps = [
            at(cells[last].touch(1), 24, None),
            at(cells[3].touch(1), 24, None),
            at(cells[last - 2].touch(0), 8, None),
        ];
        assert_eq!(called(&words(&steps)), ["cells@8", "cells[3]"]);
        // Two arrays of one name, each with an element of that number.
        let (one, other) = ([Cell], [Cell]);
        let cells = &one;
        let mut steps = vec![at(cells[0].touch(0), 0, None)];
        let cells = &other;
        steps.push(at(cells[0].touch(1), 8, None));
        assert_eq!(called(&words(&steps)), ["one[0]", "other[0]"]);
    }

    #[test]
    fn parts_of_a_payload_are_told_apart_by_what_the_memory_knows_of_them() {
        let (data, tail) = (Cell, Cell);
        let steps = [
            at(data.touch(0), 8, Some("[0]")),
            at(data.touch(1), 8, Some("[1]")),
            at(tail.touch(2), 24, None),
        ];
        assert_eq!(called(&words(&steps)), ["data[0]", "data[1]", "tail"]);
        // Two payloads of one name.
        let (slots, i) = ([Cell], 0);
        let steps = [
            at(slots[i].touch(0), 8, Some("[0]")),
            at(slots[i].touch(1), 24, Some("[0]")),
        ];
        assert_eq!(called(&words(&steps)), ["slots@8[0]", "slots@24[0]"]);
    }
}
