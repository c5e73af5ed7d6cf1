//! The happens-before order of events, as clocks with a count for each process.

use std::sync::atomic::Ordering;

/// Threads of one model; loom's own limit, with its main thread.
pub(super) const THREADS: usize = 4;
/// The time of an event that has not happened.
pub(super) const NEVER: u32 = u32::MAX;

/// For each process, the number of its events that happen before a point.
pub(super) type Clock = [u32; THREADS];

/// Returns whether the event of a time happens before a point.
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

/// The view of a process: events that it has seen, may acquire, and releases.
#[derive(Clone, Copy, Default)]
pub(super) struct View {
    /// The events that happen before the process's next one.
    pub(super) seen: Clock,
    /// The events that an acquire fence would add.
    pub(super) acquirable: Clock,
    /// The events that the last release fence had seen.
    pub(super) released: Clock,
    /// The events that the SeqCst fences before its last one had seen: its loads and stores come
    /// after them, but what it releases does not say so.
    pub(super) fenced: Clock,
    /// The time of the process's last spin, among all events and among its own; 0 if there was
    /// none.
    pub(super) spun: u64,
    pub(super) own_spun: u32,
}

impl View {
    /// Returns the events that its loads and stores come after.
    pub(super) fn bound(&self) -> Clock {
        let mut bound = self.seen;
        join(&mut bound, &self.fenced);
        bound
    }

    /// Returns the events that an acquire load of its next store sees.
    pub(super) fn releases(&self, order: Ordering) -> Clock {
        if releases(order) {
            self.seen
        } else {
            self.released
        }
    }
}
