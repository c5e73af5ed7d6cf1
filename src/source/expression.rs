//! The path of fields that a piece of source text ends with.

use super::path::{Part, PartKind, Path};

/// Returns the path that a text ends with.
pub(super) fn parsed(text: &str) -> Option<Path> {
    let mut parts = Vec::new();
    let mut rest = text;
    // The index of `self.cells.iter()[i]` belongs to the part before the call.
    let mut carried = None;
    loop {
        let (before, brackets) = without_brackets(rest)?;
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |at| {
                at + before[at..].chars().next().map_or(1, char::len_utf8)
            });
        let name = Some(&before[start..]);
        let keyword = |name: &&str| matches!(*name, "if" | "while" | "match" | "return" | "in");
        let name = name.filter(|name| !keyword(name)).unwrap_or_default();
        let of_kind = |open: char| brackets.iter().filter(move |text| text.starts_with(open));
        let inside = |bracket: &str| bracket[1..bracket.len() - 1].trim().to_owned();
        let call = of_kind('(').next();
        // In an array of arrays one index alone would name another element.
        let indexes: Vec<String> = of_kind('[').rev().map(|index| inside(index)).collect();
        let index = (!indexes.is_empty()).then(|| indexes.join("]["));
        let index = index.or_else(|| carried.take());
        if name.is_empty() {
            // This is `(*cell).load()`, and not `all.get::<Cell>(0)`.
            let inner = inside(call.filter(|_| !before.ends_with('>'))?);
            if inner.contains([',', '{', ';', '+']) {
                return None;
            }
            parts.extend(parsed(&inner)?.0.into_iter().rev());
            break;
        }
        let more = before[..start].trim_end().strip_suffix('.');
        let part = Part {
            name: name.to_owned(),
            kind: match more {
                Some(_) if name.starts_with(|c: char| c.is_ascii_digit()) => PartKind::Number,
                Some(_) => PartKind::Field,
                None => PartKind::Variable,
            },
            index,
        };
        match (name, call) {
            // Another way to access an element.
            ("get" | "get_unchecked", Some(call)) if more.is_some() => {
                let Path(mut element) = parsed(more?)?;
                element.last_mut()?.take_index(inside(call));
                parts.extend(element.into_iter().rev());
                break;
            }
            // A call that returns the same word.
            ("unwrap" | "expect" | "as_ref" | "deref" | "iter" | "borrow", Some(_))
                if more.is_some() =>
            {
                carried = part.index;
            }
            // A function that is no method may return anything.
            (_, Some(_)) if more.is_none() => break,
            _ => parts.push(part),
        }
        match more {
            Some(more) => rest = more,
            None => break,
        }
    }
    parts.reverse();
    (!parts.is_empty()).then_some(Path(parts))
}

/// Returns a text without the `[...]`, `(...)` and `?` at its end, and those.
fn without_brackets(mut text: &str) -> Option<(&str, Vec<&str>)> {
    let mut brackets = Vec::new();
    loop {
        text = text.trim_end();
        match text.chars().next_back() {
            Some('?') => text = &text[..text.len() - 1],
            Some(']' | ')') => {
                let mut depth = 0;
                let open = text.char_indices().rev().find(|&(_, c)| {
                    match c {
                        ']' | ')' => depth += 1,
                        '[' | '(' => depth -= 1,
                        _ => {}
                    }
                    depth == 0
                })?;
                brackets.push(&text[open.0..]);
                text = &text[..open.0];
            }
            _ => return Some((text, brackets)),
        }
    }
}
