//! The names of words, from the source lines that access them: `self.tail.store(7, Release)`
//! accesses `tail`.
//!
//! Atomics are values without names; the caller's line is known, and the source exists where tests
//! run. If it does not, a word has no name, and a report numbers it.

mod array;
mod expression;
mod path;
mod reference;

pub(crate) use array::{Element, element};
pub(crate) use path::Path;

use expression::parsed;
use path::PartKind;
use reference::followed;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

/// The lines of a file; `None` if it cannot be read.
type Lines = Option<Rc<[String]>>;

thread_local! {
    static FILES: RefCell<HashMap<String, Lines>> = RefCell::new(HashMap::new());
}

/// Returns the path of the word that the method call at this place accesses; line and column count
/// from 1, as in the compiler.
pub(crate) fn path(file: &str, line: u32, column: u32) -> Option<Path> {
    receiver(&lines(file)?, line, column)
}

/// Returns the name of the step at this place, which does not depend on the names of variables: the
/// last field of the path.
pub(crate) fn field(file: &str, line: u32, column: u32) -> Option<String> {
    let path = path(file, line, column)?;
    let fields = path.0.into_iter().rev();
    let mut fields = fields.filter(|part| part.kind == PartKind::Field);
    fields.next().map(|part| part.name)
}

/// Returns the lines of a file from `before` lines above this one to as many below it, each with
/// its number; none if the file cannot be read.
pub(crate) fn around(file: &str, line: u32, before: u32) -> Vec<(u32, String)> {
    let lines = lines(file).unwrap_or_default();
    let first = line.saturating_sub(before).max(1);
    let numbered = (first..=line.saturating_add(before)).filter_map(|number| {
        let text = lines.get(number as usize - 1)?;
        Some((number, text.clone()))
    });
    numbered.collect()
}

fn lines(file: &str) -> Lines {
    FILES.with_borrow_mut(|files| {
        files
            .entry(file.to_owned())
            .or_insert_with(|| read(file))
            .clone()
    })
}

/// Reads the file of this name. The compiler names it from the root of the workspace, which is at
/// or above the package.
fn read(file: &str) -> Lines {
    let text = places(file)
        .into_iter()
        .find_map(|place| std::fs::read_to_string(place).ok())?;
    Some(text.lines().map(str::to_owned).collect())
}

/// Returns the path of the file with this name from the compiler, if it exists.
pub(crate) fn found(file: &str) -> Option<PathBuf> {
    let place = places(file).into_iter().find(|place| place.is_file())?;
    std::path::absolute(place).ok()
}

/// The folders of the structures that come with this crate.
const OWN: [&str; 2] = ["src/builtin/", "src/publish/"];

/// Returns the paths at which the file may be.
fn places(file: &str) -> Vec<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let above = package.iter().flat_map(|package| package.ancestors());
    let above = above.take(8).map(|place| place.join(file));
    // The structures of this crate, which the command checks from any directory.
    let is_own = OWN.iter().any(|folder| file.starts_with(folder));
    let own = is_own.then(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
    std::iter::once(file.into())
        .chain(above)
        .chain(own)
        .collect()
}

/// Returns the path of the expression before the method, or of the argument of `M::wait(&self.full,
/// 0)`.
fn receiver(lines: &[String], line: u32, column: u32) -> Option<Path> {
    let mut at = (line as usize).checked_sub(1)?;
    let first = lines.get(at)?;
    let column = (column as usize).checked_sub(1)?;
    let mut before: String = first.chars().take(column).collect();
    let after: String = first.chars().skip(column).collect();
    if let Some((function, arguments)) = after.split_once('(')
        && matches!(
            function.rsplit("::").next(),
            Some("wait" | "wait_timeout" | "wake")
        )
        && function.contains("::")
    {
        return followed(parsed(first_argument(arguments))?, lines, at, &before);
    }
    // A chain over several lines: take the ones above, as long as a line begins with its dot.
    while before.trim_start().starts_with('.') || before.trim().is_empty() {
        at = at.checked_sub(1)?;
        before = format!("{}{}", lines[at].trim_end(), before.trim_start());
    }
    let path = parsed(before.trim_end().strip_suffix('.')?)?;
    followed(path, lines, at, &before)
}

/// Returns the text up to the comma or bracket that ends the first argument.
fn first_argument(arguments: &str) -> &str {
    let mut depth = 0;
    let end = arguments.find(|c: char| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        depth < 0 || depth == 0 && c == ','
    });
    &arguments[..end.unwrap_or(arguments.len())]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns the path of the last call of `method` in a text.
    pub(super) fn of(text: &str, method: &str) -> Option<Path> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = lines.iter().rposition(|line| line.contains(method))?;
        let column = lines[line].rfind(method)? + 1;
        receiver(&lines, line as u32 + 1, column as u32)
    }

    #[test]
    fn a_word_is_called_what_its_line_calls_it() {
        let all = [
            ("M::wait(&wrong.sleepers, 0)", "M::wait", "wrong.sleepers"),
            (
                "M::wake(&self.all[at(a, b)].bell, 1)",
                "M::wake",
                "all.bell",
            ),
            ("self.tail.store(7, Release)", "store", "tail"),
            (
                "let a = page.words[0].load(Relaxed);",
                "load",
                "page.words[0]",
            ),
            ("page.words[at].load(Relaxed);", "load", "words"),
            ("handle.0.load(Acquire)", "load", "handle.0"),
            ("self.1.load(Acquire)", "load", "self.1"),
            (
                "self.slots[Self::slot(tail)].data.store(value)",
                "store",
                "slots.data",
            ),
            (
                "self.slots.get(2)?.data.store(value)",
                "store",
                "slots[2].data",
            ),
            ("self.slots.get(i).unwrap().store(value)", "store", "slots"),
            (
                "if self\n            .state\n            .compare_exchange(EMPTY",
                "compare_exchange",
                "state",
            ),
            (
                "producer.next.store(Self::after(tail), Release)",
                "store",
                "producer.next",
            ),
            ("self.side(a, [b]).next.load(Relaxed)", "load", "side.next"),
            ("(*cell).load(Relaxed)", "load", "cell"),
            ("if (&self.a).load(Relaxed) == 0", "load", "a"),
        ];
        for (text, method, name) in all {
            let path = of(text, method).map(|path| path.full());
            assert_eq!(path.as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn the_index_is_known_where_it_is_a_number() {
        let unknown = |text| of(text, "load").unwrap().unknown_indexes();
        assert_eq!(unknown("self.words[4].load(x)"), 0);
        assert_eq!(unknown("self.words[FIRST].load(x)"), 1);
        // In rows it would be another one.
        assert_eq!(unknown("self.rows[i][0].load(x)"), 1);
        assert_eq!(unknown("self.rows[i].get(0).load(x)"), 1);
        assert_eq!(unknown("let row = &self.rows[i];\nrow[0].load(x)"), 1);
        assert_eq!(unknown("self.slots[i].words[j].load(x)"), 2);
        assert_eq!(unknown("self.slots.iter()[i].load(x)"), 1);
    }

    #[test]
    fn where_there_is_no_receiver_or_no_source_there_is_no_name() {
        assert_eq!(of("fence(Release)", "fence"), None);
        assert_eq!(of("word(self.a).load(x)", "load"), None);
        assert_eq!(of("(a, self.b).load(x)", "load"), None);
        assert_eq!(of("region.get::<Word>(0).load(x)", "load"), None);
        assert_eq!(field("no/such/file.rs", 1, 1), None);
        assert_eq!(receiver(&["x".into()], 7, 1), None);
    }

    #[test]
    fn the_lines_around_one_end_where_the_file_does() {
        let around = |line| around(file!(), line, 2);
        assert_eq!(around(1).len(), 3);
        assert_eq!(around(1)[0].0, 1);
        assert!(around(1)[0].1.starts_with("//! The names of words"));
        assert_eq!(around(3).len(), 5);
        assert!(around(1_000_000).is_empty() && around(u32::MAX).is_empty());
        assert!(super::around("no/such/file.rs", 1, 2).is_empty());
    }

    struct Word;
    impl Word {
        #[track_caller]
        fn touch(&self) -> Option<String> {
            let at = std::panic::Location::caller();
            field(at.file(), at.line(), at.column())
        }
    }

    #[test]
    fn the_callers_line_is_found_in_this_very_file_and_variables_are_no_part_of_a_steps_name() {
        struct Pair {
            head: Word,
            all: [Word; 2],
        }
        let pair = Pair {
            head: Word,
            all: [Word, Word],
        };
        let (last, word) = (&pair.all[1], Word);
        let first = &pair.all[0];
        assert_eq!(pair.head.touch().as_deref(), Some("head"));
        assert_eq!(first.touch().as_deref(), Some("all"));
        assert_eq!((last.touch(), word.touch()), (None, None));
    }
}
