//! Steps of code that is not written over the engine's memory: it is known by the instruction, and says only when it is about to
//! access memory.

#[cfg(forkcheck_instrumented)]
use super::{Done, here};
#[cfg(forkcheck_instrumented)]
use crate::{
    case::Access,
    workers::instrumented,
    workers::stepped::{decision::Stop, states::State},
};
use std::borrow::Cow;
use std::panic::Location;

/// The place of a step: a line of the source, or an instruction, whose line is looked up only where steps are named.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Source(&'a Location<'a>),
    #[cfg(forkcheck_instrumented)]
    Code(u32),
}

impl<'a> From<&'a Location<'a>> for At<'a> {
    fn from(at: &'a Location<'a>) -> Self {
        Self::Source(at)
    }
}

impl<'a> At<'a> {
    /// File, line and column.
    pub(super) fn place(self) -> (Cow<'a, str>, u32, u32) {
        match self {
            Self::Source(at) => (at.file().into(), at.line(), at.column()),
            #[cfg(forkcheck_instrumented)]
            Self::Code(code) => {
                let place = instrumented::site(code);
                (place.file.into(), place.line, place.column)
            }
        }
    }

    /// A number that tells it from others, the same in each process and each run.
    #[inline]
    pub(in super::super) fn number(self) -> u64 {
        match self {
            Self::Source(at) => {
                u64::from(at.line()) << 32 | u64::from(at.column()) << 16 | at.file().len() as u64
            }
            #[cfg(forkcheck_instrumented)]
            Self::Code(code) => code.into(),
        }
    }
}

/// One access, as [`step`](super::step). Its word conflicts with others by the eight bytes that it is in, since code may access
/// a part of them.
#[cfg(forkcheck_instrumented)]
#[inline]
pub(crate) fn access<R>(
    kind: Access,
    word: u64,
    at: At<'_>,
    access: impl FnOnce() -> (R, Done),
) -> R {
    let Some(me) = here() else {
        return access().0;
    };
    me.point(kind, word & !7, at);
    if me.read_only.get() && matches!(kind, Access::Store | Access::Update | Access::Write) {
        me.may_not_write(word, at);
    }
    let (result, done) = access();
    if done.now.is_some() {
        me.board.plan(|plan| plan.changed());
    }
    me.note(word, &done, at);
    result
}

/// Memory has changed by what is no step, or will have when the process goes on.
#[cfg(forkcheck_instrumented)]
pub(crate) fn changed() {
    if let Some(me) = here() {
        me.board.plan(|plan| plan.changed());
    }
}

/// A number that changes with memory, and with the operation that this process is in: what it looked at in another one says
/// nothing of a spin.
#[cfg(forkcheck_instrumented)]
pub(crate) fn version() -> u64 {
    here().map_or(0, |me| {
        let operation = me.operation.get().map_or(0, |number| number as u64 + 1);
        me.board.plan(|plan| plan.version()) << 16 | operation
    })
}

/// Two accesses that nothing orders, each in words, or one of freed memory: that ends the execution, if the other process still
/// lives.
#[cfg(forkcheck_instrumented)]
pub(crate) fn clash(mine: (usize, String), other: Option<(usize, String)>, freed: bool) {
    let Some(me) = here() else { return };
    let is_dead =
        |&(process, _): &(usize, String)| me.board.plan(|plan| plan.state(process)) == State::Dead;
    if !other.as_ref().is_some_and(is_dead) {
        me.write(&super::Note::Clash { mine, other });
        me.end(if freed { Stop::Freed } else { Stop::Race });
    }
}

/// The execution goes beyond what is followed: that ends it.
#[cfg(forkcheck_instrumented)]
pub(crate) fn beyond() {
    if let Some(me) = here() {
        me.end(Stop::Beyond);
    }
}

/// The last parts of a path: the file, and the release of the crate that it is of.
#[cfg(forkcheck_instrumented)]
pub(crate) fn short(file: &str) -> &str {
    let registry = file.find("/registry/src/");
    let below = registry.and_then(|at| file[at + "/registry/src/".len()..].split_once('/'));
    below.map_or(file, |(_, below)| below)
}
