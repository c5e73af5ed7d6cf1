//! The length of an array of a structure, from its definition in the source.

use super::path::{PartKind, Path};
use super::reference::words;
use super::{lines, receiver};

/// An element of an array that is a field of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) field: String,
    /// The number of elements of the array.
    pub(crate) len: usize,
    /// The bytes from one element to the next, where they are plain words.
    pub(crate) stride: Option<usize>,
    /// The index of the element, where the source has it as a number.
    pub(crate) index: Option<usize>,
}

/// Returns the array whose element is accessed at this place, or `None` in any doubt. It must be a
/// field of `structure` (a type's name with its path). That must be the only structure of its file
/// with a field of that name, and the access must be within an `impl` of it.
pub(crate) fn element(file: &str, line: u32, column: u32, structure: &str) -> Option<Element> {
    let lines = lines(file)?;
    let path = receiver(&lines, line, column)?;
    let name = structure.split('<').next()?.rsplit("::").next()?;
    let implementation = lines[..line as usize]
        .iter()
        .rfind(|line| line.trim_start().starts_with("impl"))?;
    words(implementation)
        .iter()
        .find(|(_, word)| *word == name)?;
    of(&path, &lines, name)
}

fn of(Path(parts): &Path, lines: &[String], structure: &str) -> Option<Element> {
    let [variable, field] = parts.as_slice() else {
        return None;
    };
    if variable.kind != PartKind::Variable
        || variable.index.is_some()
        || field.kind != PartKind::Field
    {
        return None;
    }
    let index = field.index.as_ref().filter(|index| !index.contains("]["))?;
    let index = index.parse().ok();
    let text: String = lines
        .iter()
        .map(|line| format!("{}\n", line.split("//").next().unwrap_or_default()))
        .collect();
    let mut declared = structures(&text).filter_map(|(name, head, body)| {
        let type_of = type_of(body, &field.name)?;
        Some((name, head, type_of))
    });
    let (Some((name, head, array)), None) = (declared.next(), declared.next()) else {
        return None;
    };
    if name != structure {
        return None;
    }
    let (each, len) = array
        .strip_prefix('[')?
        .strip_suffix(']')?
        .rsplit_once(';')?;
    let stride = match each.trim().split_once("::")?.1 {
        "AtomicU32" => Some(4),
        "AtomicU64" => Some(8),
        "AtomicUsize" => Some(size_of::<usize>()),
        payload if payload.starts_with("Words<") => None,
        // An element of these may be several words.
        _ => return None,
    };
    Some(Element {
        field: field.name.clone(),
        len: number(len, head, &text)?,
        stride,
        index,
    })
}

/// Returns the structures with named fields that a text defines: the name, the text before the
/// fields, and the fields.
fn structures(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.match_indices("struct ").filter_map(|(at, keyword)| {
        let rest = &text[at + keyword.len()..];
        let (_, name) = *words(rest.lines().next()?).first()?;
        let open = rest.find(['{', ';'])?;
        let head = &rest[..open];
        let body = rest[open..].strip_prefix('{')?;
        Some((name, head, &body[..body.find('}')?]))
    })
}

/// Returns the type of a field of this name.
fn type_of<'a>(body: &'a str, field: &str) -> Option<&'a str> {
    let mut from = words(body).into_iter().filter_map(|(at, word)| {
        let rest = body[at + word.len()..].trim_start().strip_prefix(':')?;
        (word == field && !rest.starts_with(':')).then_some(rest)
    });
    let rest = from.next()?.trim_start();
    let mut depth = 0;
    let end = rest.find(|c: char| {
        match c {
            '[' | '(' | '<' => depth += 1,
            ']' | ')' | '>' => depth -= 1,
            _ => {}
        }
        depth == 0 && c == ','
    });
    Some(rest[..end.unwrap_or(rest.len())].trim())
}

/// Returns a number, or the value of a constant of the file.
fn number(text: &str, head: &str, file: &str) -> Option<usize> {
    let text = text.trim();
    let text = text.strip_suffix("as usize").unwrap_or(text).trim();
    let literal = |text: &str| text.trim().replace('_', "").parse::<usize>().ok();
    if let Some(number) = literal(text) {
        return Some(number);
    }
    let constant = format!("const {text}:");
    // A parameter of the structure differs each time.
    if head.contains(&constant) {
        return None;
    }
    let mut definitions = file.match_indices(&constant);
    let (Some((at, _)), None) = (definitions.next(), definitions.next()) else {
        return None;
    };
    let (_, value) = file[at..].split(';').next()?.split_once('=')?;
    literal(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: &str = "\
const SLOTS: u32 = 1_0;
struct Ring<M: Memory, const N: usize> {
    // all: [M::AtomicU64; 3],
    head: M::AtomicU32,
    items: [M::AtomicU64; SLOTS as usize],
    pub bells: [M::AtomicU32; 2],
    any: [M::AtomicU64; N],
    lines: [Line<M::AtomicU64>; 4],
    slots: [M::Words<[u64; 2]>; 4],
    twice: [M::AtomicU64; 4],
}
struct Side { twice: [AtomicU64; 4] }
";

    fn array(call: &str) -> Option<(usize, Option<usize>, Option<usize>)> {
        let text = format!("{RING}{call}.load(x)");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let column = call.chars().count() as u32 + 2;
        let path = receiver(&lines, lines.len() as u32, column)?;
        of(&path, &lines, "Ring").map(|element| (element.len, element.stride, element.index))
    }

    #[test]
    fn an_array_has_the_length_that_its_definition_says() {
        assert_eq!(array("self.items[at(i)]"), Some((10, Some(8), None)));
        assert_eq!(array("ring.bells[1]"), Some((2, Some(4), Some(1))));
        assert_eq!(array("self.slots[i]"), Some((4, None, None)));
    }

    #[test]
    fn in_any_doubt_it_has_none() {
        for call in [
            "self.any[i]",
            "self.all[i]",
            "self.head",
            "self.twice[i]",
            "self.side.items[i]",
            "self.all[j].items[i]",
            "self.items[i].data",
            "self.items[i][0]",
            "self.lines[i]",
        ] {
            assert_eq!(array(call), None, "{call}");
        }
        let path = |text: &str| receiver(&[format!("{text}.load(x)")], 1, text.len() as u32 + 2);
        let lines: Vec<String> = RING.lines().map(str::to_owned).collect();
        let items = path("self.items[i]").unwrap();
        assert_eq!(of(&items, &lines, "Side"), None, "another structure's");
    }
}
