//! Which events happen before which, as clocks with a count for each process.

use super::THREADS;
use std::sync::atomic::Ordering;

/// The time of an event that did not come.
pub(super) const NEVER: u32 = u32::MAX;

/// Of each process the events that happen before a point.
pub(super) type Clock = [u32; THREADS];

/// Whether the event of a time happens before a point.
pub(super) fn precedes(at: &Clock, point: &Clock) -> bool {
    at.iter().zip(point).any(|(at, point)| at <= point)
}

pub(super) fn join(to: &mut Clock, from: &Clock) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = (*to).max(*from);
    }
}

pub(super) fn acquires(order: Ordering) -> bool {
    matches!(
        order,
        Ordering::Acquire | Ordering::AcqRel | Ordering::SeqCst
    )
}

pub(super) fn releases(order: Ordering) -> bool {
    matches!(
        order,
        Ordering::Release | Ordering::AcqRel | Ordering::SeqCst
    )
}

/// View of a process: events that it has seen, may acquire, and releases.
#[derive(Clone, Copy, Default)]
pub(super) struct View {
    /// Events that happen before the process's next.
    pub(super) seen: Clock,
    /// Events that an acquire fence would add.
    pub(super) acquirable: Clock,
    /// Events that the last release fence had seen.
    pub(super) released: Clock,
    /// Events that the SeqCst fences before its last one had seen: its loads and stores come after that, and what it releases
    /// says nothing of it.
    pub(super) fenced: Clock,
    /// When the process last took a turn of a spin, among all events and among its own; 0: never.
    pub(super) spun: u64,
    pub(super) own_spun: u32,
}

impl View {
    /// Events that its loads and stores come after.
    pub(super) fn bound(&self) -> Clock {
        let mut bound = self.seen;
        join(&mut bound, &self.fenced);
        bound
    }

    /// Events that an acquire load of its next store sees.
    pub(super) fn releases(&self, order: Ordering) -> Clock {
        if releases(order) {
            self.seen
        } else {
            self.released
        }
    }
}
