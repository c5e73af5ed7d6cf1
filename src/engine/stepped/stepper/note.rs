//! Notes on an execution: the result of an access, and, where steps are traced, each step with its name and location.

use crate::case::{Access, Form, Kill, Names, Place, Turn};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// A note on a traced execution.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Note {
    /// A process took this step.
    Step(Noted),
    /// A turn ended in this way.
    Turn(Turn),
    /// A process died here.
    Kill(Kill),
    /// The invariant does not hold after the last step, which this process took: the panic in words.
    Invariant { process: usize, words: String },
    /// Two processes used a cell at once.
    Race { process: usize, other: usize },
    /// A process waits on a futex that no other process wakes.
    PrivateFutex { process: usize },
    /// Code outside of any process has made a mistake, in words.
    Outside(String),
    /// Two accesses that happens-before does not order, or one of freed memory: by which process,
    /// in words.
    Clash {
        mine: (usize, String),
        other: Option<(usize, String)>,
    },
}

/// One step in the form in which it is noted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) process: usize,
    pub(crate) operation: Option<usize>,
    pub(crate) access: Access,
    pub(crate) word: u64,
    pub(crate) offset: Option<usize>,
    pub(crate) part: Option<String>,
    pub(crate) value: u64,
    pub(crate) form: Form,
    pub(crate) now: Option<u64>,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Bytes of a payload that one step copies.
pub(crate) struct Part {
    pub(crate) bytes: Range<usize>,
    /// The payload's type.
    pub(crate) of: &'static str,
}

/// Writes an index range as Rust does for an array of integers; the bytes of any other type are
/// counted.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.bytes;
        let array = self.of.strip_prefix('[').and_then(|of| of.split_once(';'));
        let size = match array.map(|(element, _)| element) {
            Some("u8" | "i8") => 1,
            Some("u16" | "i16") => 2,
            Some("u32" | "i32" | "f32") => 4,
            Some("u64" | "i64" | "f64") => 8,
            Some("usize" | "isize") => size_of::<usize>(),
            _ => 0,
        };
        let element = |byte: usize| byte.checked_div(size).filter(|n| n * size == byte);
        match element(start).zip(element(end)) {
            Some((first, end)) if end == first + 1 => write!(f, "[{first}]"),
            Some((first, end)) => write!(f, "[{first}..{end}]"),
            None if end == start + 1 => write!(f, "[byte {start}]"),
            None => write!(f, "[bytes {start}..{end}]"),
        }
    }
}

/// The result of an access.
pub(crate) struct Done {
    /// The kind that it turned out to be.
    pub(crate) kind: Access,
    /// The value to note.
    pub(crate) value: u64,
    /// The form in which the value is written.
    pub(crate) form: Form,
    /// The new value of the word, if it changed.
    pub(crate) now: Option<u64>,
    /// Index of the part, if it is one of a payload that is copied in several steps.
    pub(crate) part: Option<Part>,
}

impl Done {
    /// Makes the result of an access that changed nothing.
    pub(crate) fn seen(kind: Access, value: u64) -> Self {
        Self {
            kind,
            value,
            form: Form::Unsigned,
            now: None,
            part: None,
        }
    }
}

/// Names of the steps of an incarnation, and the turns and kills of the case at them.
#[derive(Default)]
pub(in super::super) struct Trace {
    pub(super) turns: Vec<Turn>,
    pub(super) kills: Vec<Kill>,
    pub(super) names: Names,
    /// The pending step, and its location in the source.
    pub(super) place: Option<Place>,
    pub(super) at: Option<(String, u32, u32)>,
}

impl Trace {
    pub(in super::super) fn of(turns: Vec<Turn>, kills: Vec<Kill>) -> Self {
        Self {
            turns,
            kills,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_payload_is_an_element_only_where_the_payload_is_an_array_of_integers() {
        let part = |bytes, of| Part { bytes, of }.to_string();
        assert_eq!(part(8..16, "[u64; 2]"), "[1]");
        assert_eq!(part(8..16, "[u32; 4]"), "[2..4]");
        assert_eq!(part(8..9, "[u8; 12]"), "[8]");
        assert_eq!(part(9..10, "[u16; 5]"), "[byte 9]");
        assert_eq!(part(8..16, "[u128; 2]"), "[bytes 8..16]");
        assert_eq!(part(8..16, "[[u64; 2]; 2]"), "[bytes 8..16]");
        assert_eq!(part(0..8, "crate::Config"), "[bytes 0..8]");
    }
}
