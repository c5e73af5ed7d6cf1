//! What is told of an execution that is to be told: each step with its name and place, each turn, each death.

use super::{Done, Stepper};
use crate::case::{Access, Kill, Place, Turn, Until};
use crate::source;
use crate::workers::log::Log;
use serde::{Deserialize, Serialize};
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
    pub(crate) value: u64,
    pub(crate) now: Option<u64>,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Stepper {
    /// Names the step that is about to be done, and says whether the case ends a turn or kills there.
    pub(super) fn name_pending(&mut self, kind: Access, at: &Location<'_>) {
        let place = self.place_of(kind, at);
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
                value: 0,
                now: None,
                file,
                line,
                column,
            }));
        }
    }

    /// How the step that is about to be done is named.
    fn place_of(&mut self, kind: Access, at: &Location<'_>) -> Place {
        let word = match kind {
            Access::Spin => "spin".to_owned(),
            Access::Alive => "alive".to_owned(),
            Access::Timeout => "timeout".to_owned(),
            _ => source::name(at.file(), at.line(), at.column()).unwrap_or_else(|| "word".into()),
        };
        let touched = match self.operation {
            Some(_) => &mut self.touched,
            None => &mut self.outside,
        };
        let nth = touched.entry(word.clone()).or_default();
        *nth += 1;
        Place {
            operation: self.operation.map(|number| number as u16),
            word,
            nth: *nth,
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
        self.write(&Note::Step(Noted {
            process: self.process,
            operation: self.operation,
            access: done.kind,
            word,
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
