//! The names of words, from the source lines that touch them: `self.tail.store(7, Release)` touches `tail`.
//!
//! Atomics are values without names; the caller's line is known, and the source is at hand where tests run. Where it is
//! not, a word has no name, and a report numbers it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

/// A file's lines; `None` where it cannot be read.
type Lines = Option<Rc<[String]>>;

thread_local! {
    static FILES: RefCell<HashMap<String, Lines>> = RefCell::new(HashMap::new());
}

/// The name of what the method call at this place is made on; line and column count from 1, as the compiler says them.
pub(crate) fn name(file: &str, line: u32, column: u32) -> Option<String> {
    let lines = FILES.with_borrow_mut(|files| {
        files
            .entry(file.to_owned())
            .or_insert_with(|| read(file))
            .clone()
    })?;
    receiver(&lines, line, column)
}

/// The file as the compiler named it: from the root of the workspace, which is at or above the package.
fn read(file: &str) -> Lines {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let places = package.iter().flat_map(|package| package.ancestors());
    let text = std::fs::read_to_string(file).ok().or_else(|| {
        places
            .take(8)
            .find_map(|place| std::fs::read_to_string(place.join(file)).ok())
    })?;
    Some(text.lines().map(str::to_owned).collect())
}

/// The last fields of the expression before the method: of `self.slots[i].data.store(x)` it is `slots.data`; of
/// `M::wait(&self.full, 0)` it is that of the argument.
fn receiver(lines: &[String], line: u32, column: u32) -> Option<String> {
    let mut at = (line as usize).checked_sub(1)?;
    let first = lines.get(at)?;
    let column = (column as usize).checked_sub(1)?;
    let mut before: String = first.chars().take(column).collect();
    let after: String = first.chars().skip(column).collect();
    if let Some((function, arguments)) = after.split_once('(')
        && matches!(function.rsplit("::").next(), Some("wait" | "wake"))
        && function.contains("::")
    {
        let word = arguments.split([',', ')']).next()?;
        return last_fields(word.trim().trim_start_matches('&'));
    }
    // A chain that goes over lines: take the ones above, as long as a line begins with its dot.
    while before.trim_start().starts_with('.') || before.trim().is_empty() {
        at = at.checked_sub(1)?;
        before = format!("{}{}", lines[at].trim_end(), before.trim_start());
    }
    last_fields(before.trim_end().strip_suffix('.')?.trim_end())
}

/// The last two names of a path of fields, without what says which one.
fn last_fields(mut rest: &str) -> Option<String> {
    let mut names = Vec::new();
    while names.len() < 2 {
        rest = without_brackets(rest)?;
        let start = rest
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |i| i + 1);
        let name = &rest[start..];
        if name.is_empty() || matches!(name, "self" | "Self") {
            break;
        }
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            names.push(name);
        }
        match rest[..start].strip_suffix('.') {
            Some(more) => rest = more,
            None => break,
        }
    }
    // A variable that holds the word says more than nothing; a field says more than the variable before it.
    names.reverse();
    (!names.is_empty()).then(|| names.join("."))
}

/// Without the `[...]`, `(...)` and `?` at the end, which say which one, not what.
fn without_brackets(mut text: &str) -> Option<&str> {
    loop {
        text = text.trim_end();
        let Some(last) = text.chars().next_back() else {
            return Some(text);
        };
        match last {
            '?' => text = &text[..text.len() - 1],
            ']' | ')' => {
                let mut depth = 0;
                let open = text.char_indices().rev().find(|&(_, c)| {
                    match c {
                        ']' | ')' => depth += 1,
                        '[' | '(' => depth -= 1,
                        _ => {}
                    }
                    depth == 0
                })?;
                text = &text[..open.0];
            }
            _ => return Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, method: &str) -> Option<String> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = lines.iter().rposition(|line| line.contains(method))?;
        let column = lines[line].find(method)? + 1;
        receiver(&lines, line as u32 + 1, column as u32)
    }

    #[test]
    fn a_word_is_called_what_its_line_calls_it() {
        let all = [
            ("M::wait(&wrong.sleepers, 0)", "M::wait", "wrong.sleepers"),
            ("self.tail.store(7, Release)", "store", "tail"),
            (
                "        let a = page.words[0].load(Relaxed);",
                "load",
                "page.words",
            ),
            ("seat.0.load(Acquire)", "load", "seat"),
            (
                "self.slots[Self::slot(tail)].data.store(value)",
                "store",
                "slots.data",
            ),
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
        ];
        for (text, method, name) in all {
            assert_eq!(of(text, method).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn where_there_is_no_receiver_or_no_source_there_is_no_name() {
        assert_eq!(of("fence(Release)", "fence"), None);
        assert_eq!(name("no/such/file.rs", 1, 1), None);
        assert_eq!(receiver(&["x".into()], 7, 1), None);
    }

    #[test]
    fn the_callers_line_is_found_in_this_very_file() {
        struct Word;
        impl Word {
            #[track_caller]
            fn touch(&self) -> Option<String> {
                let at = std::panic::Location::caller();
                name(at.file(), at.line(), at.column())
            }
        }
        let head = Word;
        assert_eq!(head.touch().as_deref(), Some("head"));
    }
}
