//! Steps of code that is not written for the engine's memory. A step is known by its instruction,
//! and announced just before its access to memory.

#[cfg(forkcheck_instrumented)]
use super::note::{Done, Note};
#[cfg(forkcheck_instrumented)]
use super::{Executor, here};
#[cfg(forkcheck_instrumented)]
use crate::{
    case::Access,
    engine::stepped::location::At,
    engine::stepped::scheduler::{decision::Stop, states::State},
};

/// Takes one access as [`step`](super::step) does. It conflicts with others by the eight bytes that
/// hold it, since code may access a part of them.
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
    me.note(word, done, at);
    result
}

/// The bits of a word that are an address.
const ADDRESS: u64 = (1 << 48) - 1;

/// Returns the word of a private futex: each forked process has one of its own at an address, and threads share it.
#[cfg(forkcheck_instrumented)]
pub(crate) fn private_word(word: u64) -> u64 {
    match here() {
        Some(me) if matches!(me.executor, Executor::Worker { .. }) => {
            word | (me.process.get() as u64 + 1) << ADDRESS.count_ones()
        }
        _ => word,
    }
}

/// Returns the address of a word, if it is the one of a private futex that only this process has.
pub(super) fn address_if_private(word: u64) -> Option<u64> {
    (word > ADDRESS).then_some(word & ADDRESS)
}

/// Notes a change of memory that is no step, or that follows when the process goes on.
#[cfg(forkcheck_instrumented)]
pub(crate) fn changed() {
    if let Some(me) = here() {
        me.board.plan(|plan| plan.changed());
    }
}

/// Returns a number that changes with memory, and with the operation of this process: reads in
/// another operation are no sign of a spin.
#[cfg(forkcheck_instrumented)]
pub(crate) fn version() -> u64 {
    here().map_or(0, |me| {
        let operation = me.operation.get().map_or(0, |number| number as u64 + 1);
        me.board.plan(|plan| plan.version()) << 16 | operation
    })
}

/// Ends the execution for two accesses that happens-before does not order, each in words, or for
/// one of freed memory, if the other process still lives.
#[cfg(forkcheck_instrumented)]
pub(crate) fn clash(mine: (usize, String), other: Option<(usize, String)>, freed: bool) {
    let Some(me) = here() else { return };
    let is_dead =
        |&(process, _): &(usize, String)| me.board.plan(|plan| plan.state(process)) == State::Dead;
    if !other.as_ref().is_some_and(is_dead) {
        me.write(&Note::Clash { mine, other });
        me.end(if freed { Stop::Freed } else { Stop::Race });
    }
}

/// Ends the execution for a thread that a process starts, with the process and words for it.
#[cfg(forkcheck_instrumented)]
pub(crate) fn starts_thread(process: usize, words: String) {
    if let Some(me) = here() {
        me.write(&super::Note::Clash {
            mine: (process, words),
            other: None,
        });
        me.end(Stop::Thread);
    }
}

/// Ends the execution, which goes beyond what the engine follows.
#[cfg(forkcheck_instrumented)]
pub(crate) fn beyond() {
    if let Some(me) = here() {
        me.end(Stop::Beyond);
    }
}

/// Returns the last parts of a path: the file, and the crate with its release.
#[cfg(forkcheck_instrumented)]
pub(crate) fn short(file: &str) -> &str {
    let registry = file.find("/registry/src/");
    let below = registry.and_then(|at| file[at + "/registry/src/".len()..].split_once('/'));
    below.map_or(file, |(_, below)| below)
}
