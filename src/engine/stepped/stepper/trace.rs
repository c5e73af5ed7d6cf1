//! The notes on a traced execution: each step with its name and location, each turn, each death.

use super::code::address_if_private;
use super::note::{Done, Note, Noted};
use super::{Executor, Stepper};
use crate::case::{Access, Form, Kill, Turn, Until};
use crate::engine::stepped::location::At;
use crate::workers::log::Log;

/// Adds a step, by a number for its process, access and word, to a number for all steps of an execution. It is the same for
/// the same steps, wherever the structure lies.
#[inline]
fn summed(sum: u64, step: u64, value: u64) -> u64 {
    let part = step ^ value.rotate_left(32);
    (sum.rotate_left(5) ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Stepper {
    /// Names the pending step, and returns whether the case ends a turn or kills there.
    #[cold]
    pub(super) fn name_pending(&self, kind: Access, at: At<'_>) {
        let (file, line, column) = at.place();
        let mut trace = self.trace.borrow_mut();
        let place = trace
            .names
            .next(self.operation.get(), kind, (&file, line, column));
        let (process, incarnation) = (self.process.get(), self.incarnation.get());
        self.board.plan(|plan| {
            let script = &mut plan.scheduler.turns;
            let ends = script.turn_of(process).filter(|&turn| {
                matches!(trace.turns.get(turn), Some(Turn { until: Until::Before(before), .. }) if *before == place)
            });
            let dies = trace.kills.iter().any(|kill| {
                (usize::from(kill.process), kill.incarnation) == (process, incarnation) && kill.before == place
            });
            script.pending(process, ends, dies);
        });
        trace.place = Some(place);
        trace.at = Some((file.into_owned(), line, column));
    }

    /// Notes the structure's bytes after the last step. Only steps change them, or there are
    /// accesses that are not seen.
    #[inline]
    pub(super) fn remember(&self) {
        if self.traced.get() && !self.instrumented {
            let bytes = self.structure.fingerprint();
            self.board.plan(|plan| plan.bytes = bytes);
        }
    }
    #[inline]
    pub(super) fn look(&self) {
        if self.traced.get() && !self.instrumented {
            let bytes = self.structure.fingerprint();
            self.board.plan(|plan| plan.look(bytes));
        }
    }

    /// Notes the end of a turn. The plan knows whether this process can go on; where it cannot, its
    /// turn ended by itself.
    pub(super) fn note_turn(&self) {
        let process = self.process.get();
        let ready = self.board.plan(|plan| plan.can_go_on(process));
        let place = self.trace.borrow().place.clone();
        let until = place.filter(|_| ready).map_or(Until::End, Until::Before);
        self.write(&Note::Turn(Turn {
            process: process as u16,
            until,
        }));
    }

    /// Notes a wait on a futex that no other process wakes, if it is one.
    pub(super) fn note_private(&self, word: u64) {
        if address_if_private(word).is_some() && self.traced.get() {
            let process = self.process.get();
            self.write(&Note::PrivateFutex { process });
        }
    }

    /// Stops this process, if a debugger is to be attached before the step that is noted next. A spin is noted before its point.
    #[inline]
    pub(super) fn pause_before(&self, kind: Access) {
        if self.traced.get() && kind != Access::Spin {
            self.board.pause.before_step();
        }
    }

    pub(in super::super) fn note_death(&self) {
        if !self.traced.get() {
            return;
        }
        let process = self.process.get();
        self.write(&Note::Turn(Turn {
            process: process as u16,
            until: Until::End,
        }));
        let (place, at) = {
            let mut trace = self.trace.borrow_mut();
            (trace.place.clone(), trace.at.take())
        };
        if let Some(place) = place {
            self.write(&Note::Kill(Kill {
                process: process as u16,
                incarnation: self.incarnation.get(),
                before: place,
            }));
        }
        let (file, line, column) = at.unwrap_or_default();
        self.board.pause.count();
        self.write(&Note::Step(Noted {
            process,
            operation: self.operation.get(),
            access: Access::Killed,
            word: 0,
            offset: None,
            part: None,
            value: 0,
            form: Form::Unsigned,
            now: None,
            file,
            line,
            column,
        }));
    }

    #[inline(always)]
    pub(super) fn note(&self, word: u64, done: Done, at: At<'_>) {
        let word = address_if_private(word).unwrap_or(word);
        self.count(word, done.kind, done.value, at);
        if self.traced.get() {
            self.write_step(word, done, at);
        }
    }

    /// Returns the position of a word in the structure, if it is there.
    #[inline]
    fn offset(&self, word: u64) -> Option<usize> {
        let within = (word as usize).checked_sub(self.named_as);
        within.filter(|&offset| offset < self.len)
    }

    /// Adds a step to those of this execution, and to the kinds of steps of the case.
    #[inline]
    fn count(&self, word: u64, kind: Access, value: u64, at: At<'_>) {
        let word = self.offset(word).map_or(u64::MAX, |offset| offset as u64);
        let step = word << 12 ^ (kind as u64) << 4 ^ self.process.get() as u64;
        self.board
            .plan(|plan| plan.sum = summed(plan.sum, step, value));
        if let Executor::Coroutine { novelty, .. } = &self.executor {
            novelty.note(step, at);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_step(&self, word: u64, done: Done, at: At<'_>) {
        let (offset, (file, line, column)) = (self.offset(word), at.place());
        self.board.pause.count();
        let begins = done.part.as_ref().map_or(0, |part| part.bytes.start);
        self.write(&Note::Step(Noted {
            process: self.process.get(),
            operation: self.operation.get(),
            access: done.kind,
            word,
            offset: offset.and_then(|offset| offset.checked_sub(begins)),
            part: done.part.as_ref().map(ToString::to_string),
            value: done.value,
            form: done.form,
            now: done.now,
            file: file.into_owned(),
            line,
            column,
        }));
    }

    /// Writes a note. Notes that no longer fit are left out: the first steps of a long execution
    /// are the ones to read.
    pub(super) fn write(&self, note: &Note) {
        let log: &Log = self.notes.get(0).expect("the region was made for it");
        let _ = log.push(note);
    }
}
