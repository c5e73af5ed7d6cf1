//! The identity of a process for its memory.

use super::{Done, alone, here};
use crate::case::Access;
use crate::memory::Incarnation;
use std::panic::Location;

/// The first pid that processes have for their memory. It is the same for each incarnation, as if
/// the kernel had used it again.
const FIRST_PID: u32 = 1_000;

fn of(process: usize, number: u32) -> Incarnation {
    let pid = u64::from(FIRST_PID) + process as u64;
    Incarnation::from_bits(u64::from(number + 1) << 32 | pid)
}

/// Returns the identity of this process for its memory.
pub(crate) fn me() -> Option<Incarnation> {
    match here() {
        Some(me) => Some(of(me.process.get(), me.incarnation.get())),
        None => alone::process().map(|process| of(process, 0)),
    }
}

/// Returns whether an incarnation still runs.
pub(crate) fn alive(incarnation: Incarnation, at: &Location<'_>) -> Option<bool> {
    let Some(me) = here() else {
        // No process dies while operations run one after the other.
        return alone::process().map(|_| true);
    };
    let at = at.into();
    me.point(Access::Alive, 0, at);
    let bits = incarnation.to_bits();
    let process = (bits as u32).checked_sub(FIRST_PID);
    let number = ((bits >> 32) as u32).checked_sub(1);
    let alive = process.zip(number).is_some_and(|(process, number)| {
        me.board.plan(|plan| plan.alive(process as usize, number))
    });
    me.note(0, Done::seen(Access::Alive, alive.into()), at);
    Some(alive)
}
