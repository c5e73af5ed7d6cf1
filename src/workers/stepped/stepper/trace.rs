//! What is told of an execution that is to be told: each step with its name and place, each turn, each death.

use super::{Done, Stepper};
use crate::case::{Access, Kill, Turn, Until};
use crate::workers::log::Log;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::panic::Location;

/// What is noted of a traced execution.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Note {
    /// A process did this.
    Step(Noted),
    /// A turn ended so.
    Turn(Turn),
    /// A process died here.
    Kill(Kill),
    /// A cell was used by two processes at once; who, and what was done.
    Race { process: usize, other: usize },
}

/// One step as it is noted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) process: usize,
    pub(crate) operation: Option<usize>,
    pub(crate) access: Access,
    pub(crate) word: u64,
    pub(crate) offset: Option<usize>,
    pub(crate) part: Option<String>,
    pub(crate) value: u64,
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

/// As Rust would say it of an array of integers; any other type's bytes are counted.
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

impl Stepper {
    /// Names the step that is about to be done, and says whether the case ends a turn or kills there.
    pub(super) fn name_pending(&mut self, kind: Access, at: &Location<'_>) {
        let source = (at.file(), at.line(), at.column());
        let place = self.names.next(self.operation, kind, source);
        self.board.plan(|plan| {
            let script = &mut plan.scheduler.turns;
            let ends = script.turn_of(self.process).filter(|&turn| {
                matches!(self.turns.get(turn), Some(Turn { until: Until::Before(before), .. }) if *before == place)
            });
            let dies = self.kills.iter().any(|kill| {
                (usize::from(kill.process), kill.life) == (self.process, self.life) && kill.before == place
            });
            script.pending(self.process, ends, dies);
        });
        self.place = Some(place);
        self.at = Some((at.file().to_owned(), at.line(), at.column()));
    }

    /// What the subject's bytes were after the last step; they change by steps alone, or there are accesses that nobody sees.
    #[inline]
    pub(super) fn remember(&self) {
        if self.traced {
            let bytes = self.subject.fingerprint();
            self.board.plan(|plan| plan.bytes = bytes);
        }
    }
    #[inline]
    pub(super) fn look(&self) {
        if self.traced {
            let bytes = self.subject.fingerprint();
            self.board.plan(|plan| plan.look(bytes));
        }
    }

    /// Whether this process can go on is known to the plan: where it cannot, its turn has ended by itself.
    pub(super) fn note_turn(&mut self) {
        let ready = self.board.plan(|plan| plan.can_go_on(self.process));
        let until = match &self.place {
            Some(place) if ready => Until::Before(place.clone()),
            _ => Until::End,
        };
        self.write(&Note::Turn(Turn {
            process: self.process as u16,
            until,
        }));
    }

    pub(super) fn note_death(&mut self) {
        if self.traced {
            self.write(&Note::Turn(Turn {
                process: self.process as u16,
                until: Until::End,
            }));
            if let Some(place) = self.place.clone() {
                self.write(&Note::Kill(Kill {
                    process: self.process as u16,
                    life: self.life,
                    before: place,
                }));
            }
            let (file, line, column) = self.at.take().unwrap_or_default();
            self.write(&Note::Step(Noted {
                process: self.process,
                operation: self.operation,
                access: Access::Killed,
                word: 0,
                offset: None,
                part: None,
                value: 0,
                now: None,
                file,
                line,
                column,
            }));
        }
    }

    #[inline]
    pub(super) fn note(&mut self, word: u64, done: &Done, at: &Location<'_>) {
        if self.traced {
            self.write_step(word, done, at);
        }
    }

    #[cold]
    fn write_step(&mut self, word: u64, done: &Done, at: &Location<'_>) {
        let within = (word as usize).checked_sub(self.named_as);
        let begins = done.part.as_ref().map_or(0, |part| part.bytes.start);
        let offset = within.filter(|&offset| offset < self.subject.len());
        self.write(&Note::Step(Noted {
            process: self.process,
            operation: self.operation,
            access: done.kind,
            word,
            offset: offset.and_then(|offset| offset.checked_sub(begins)),
            part: done.part.as_ref().map(ToString::to_string),
            value: done.value,
            now: done.now,
            file: at.file().to_owned(),
            line: at.line(),
            column: at.column(),
        }));
    }

    /// What does not fit any more is left out: the first steps of a long execution are the ones to read.
    pub(super) fn write(&mut self, note: &Note) {
        let log: &Log = self.notes.get(0).expect("the region was made for it");
        let _ = log.push(note, &mut self.scratch);
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
