//! Finds the field that a variable refers to: `cells` of `let cell = &self.cells[i];`, where no other binding of that
//! name can be meant.

use super::expression::parsed;
use super::path::{PartKind, Path};

/// The most references that are followed one after the other: `let slot = &ring.slots[i]`, where
/// `let ring = &self.ring`.
const REFERENCES: usize = 4;

/// Returns the path with the field in place of a variable that refers to it: `let cell =
/// &self.cells[i];`, `for cell in &self.cells`. `before` is the text of line `at` before the call.
pub(super) fn followed(mut path: Path, lines: &[String], at: usize, before: &str) -> Option<Path> {
    let (mut at, mut before) = (at, before.to_owned());
    for _ in 0..REFERENCES {
        let first = path.0.first()?;
        if first.kind != PartKind::Variable || first.name == "self" {
            break;
        }
        let Some((line, expression)) = definition(&first.name, lines, at, &before) else {
            break;
        };
        let Some(Path(mut parts)) = parsed(&expression) else {
            break;
        };
        if let Some(last) = parts.last_mut()
            && let Some(index) = first.index.clone()
        {
            last.take_index(index);
        }
        parts.extend(path.0.drain(1..));
        path = Path(parts);
        (at, before) = (line, String::new());
    }
    Some(path)
}

/// Returns the expression that a variable refers to, if the nearest binding of its name in scope is
/// a plain one, and the line of that binding. None if it is a parameter or part of a pattern, or if
/// that cannot be decided.
fn definition(name: &str, lines: &[String], at: usize, before: &str) -> Option<(usize, String)> {
    // The number of blocks that are closed in between: their bindings are out of scope.
    let mut closed = 0i32;
    for number in (0..=at).rev() {
        let line = if number == at { before } else { &lines[number] };
        let line = line.split("//").next().unwrap_or_default();
        // From the end of the line to its begin. Where a closed block begins, the bindings of its
        // head are out of scope, except for `let word = if ...`.
        let right = closed;
        let mut lowest = closed;
        for c in line.chars().rev() {
            match c {
                '}' => closed += 1,
                '{' if closed > 0 => closed -= 1,
                _ => {}
            }
            lowest = lowest.min(closed);
        }
        if lowest > 0 {
            continue;
        }
        let words = words(line);
        if let Some(place) = words.iter().position(|&(_, word)| word == name) {
            let from = words[place].0 + name.len();
            let mut earlier = words[..place].iter().rev().map(|&(_, word)| word);
            let previous = earlier.find(|&word| word != "mut");
            let after = line[from..].trim_start();
            let initial = |after: &str| {
                let (_, value) = after.split_once('=')?;
                let value = value.trim();
                let whole = value.strip_suffix(';')?;
                // Anything else is a copy, or a call.
                let referred = whole.strip_prefix('&')?;
                Some(referred.trim_start_matches("mut ").to_owned())
            };
            let directly = |keyword: &str| {
                let gap = &line[..words[place].0];
                let gap = gap.trim_end().trim_end_matches("mut").trim_end();
                previous == Some(keyword) && gap.ends_with(keyword)
            };
            if directly("let") {
                return (right == 0)
                    .then(|| initial(after))
                    .flatten()
                    .map(|e| (number, e));
            }
            if right == 0 && directly("for") {
                let (_, all) = after.split_once("in ")?;
                let all = all.trim().strip_suffix('{')?.trim();
                let all = all.strip_suffix(".iter()").unwrap_or(all);
                let plain = !all.contains(['(', '{']);
                // The source does not say which element it is.
                return plain.then(|| (number, format!("{}[{name}]", all.trim_start_matches('&'))));
            }
            if right == 0 && binds(name, line) {
                return None;
            }
        }
        // A parameter, or a binding of another function.
        if right == 0 && words.iter().any(|&(_, word)| word == "fn") {
            return None;
        }
    }
    None
}

/// Returns whether a line may bind a name in a pattern, as a parameter or a closure's.
fn binds(name: &str, line: &str) -> bool {
    let within = |text: &str| words(text).iter().any(|&(_, word)| word == name);
    let pattern = |keyword: &str, end: &str| {
        let keyword = format!("{keyword} ");
        line.match_indices(&keyword).any(|(at, _)| {
            let rest = &line[at + keyword.len()..];
            within(rest.split(end).next().unwrap_or(rest))
        })
    };
    // The text between the bars of a closure.
    let bars: Vec<&str> = line.split('|').collect();
    let bars = bars.get(1..bars.len() - 1).unwrap_or_default();
    pattern("let", "=")
        || pattern("for", " in ")
        || line.split_once("=>").is_some_and(|(arm, _)| within(arm))
        || bars.iter().any(|text| within(text))
        || words(line).iter().any(|&(at, word)| {
            let rest = line[at + word.len()..].trim_start();
            word == name && rest.starts_with(':') && !rest.starts_with("::")
        })
}

/// Returns the names and keywords of a line, each with the place where it begins.
pub(super) fn words(line: &str) -> Vec<(usize, &str)> {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut from = None;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (from, letter(c)) {
            (None, true) => from = Some(at),
            (Some(start), false) => {
                words.push((start, &line[start..at]));
                from = None;
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use crate::source::tests::of;

    #[test]
    fn a_reference_is_followed_to_the_field_that_it_is_of() {
        let all = [
            ("let cell = &self.cells[3];\ncell.load(Relaxed)", "cells[3]"),
            (
                "let cell: &Word = &self.cells[i];\nif x {\n    cell.load(Relaxed)",
                "cells",
            ),
            (
                "let a = &ring.slots[1];\nlet b = &a.data;\nb.load(Relaxed)",
                "ring.slots[1].data",
            ),
            ("for cell in &self.cells {\n    cell.load(Relaxed)", "cells"),
            (
                "for cell in self.cells.iter() {\n    cell.load(Relaxed)",
                "cells",
            ),
            (
                "let cell = &self.a;\n{\n    let cell = &self.b;\n}\ncell.load(x)",
                "a",
            ),
            (
                "let cell = &self.a;\nfor cell in &self.b {\n}\ncell.load(x)",
                "a",
            ),
        ];
        for (text, name) in all {
            let path = of(text, "load").map(|path| path.full());
            assert_eq!(path.as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn a_variable_that_may_be_anything_is_not_followed() {
        for text in [
            "let cell = &self.a;\nself.b.iter().map(|cell| cell.load(x))",
            "let cell = &self.a;\nwith(|all, cell| {\n    cell.load(x)",
            "let cell = &self.a;\nif let Some(cell) = other {\n    cell.load(x)",
            "let cell = &self.a;\nmatch x {\n    Some(cell) => {\n        cell.load(x)",
            "let cell = &self.a;\nlet cell = if x {\n    &self.b\n} else {\n    &self.c\n};\ncell.load(x)",
            "let cell = &self.a;\nlet (cell, _) = both;\ncell.load(x)",
            "let cell = &self.a;\nlet cell = self.pick();\ncell.load(x)",
            "let cell =\n    &self.a;\ncell.load(x)",
            "fn other() { let cell = &self.a; }\nfn this(cell: &Word) {\n    cell.load(x)",
            "let cell = &self.a;\nfn this(\n    cell: &Word,\n) {\n    cell.load(x)",
            "for (i, cell) in self.cells.iter().enumerate() {\n    cell.load(x)",
        ] {
            let path = of(text, "load").map(|path| path.full());
            assert_eq!(path.as_deref(), Some("cell"), "{text}");
        }
    }
}
