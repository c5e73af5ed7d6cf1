//! The point of an instruction-level pause, and the waits of the processes that take part in it.

use super::clock;
use super::code::{Code, Instruction};
use super::learnt::Learnt;
use crate::schedule::split_mix;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// In nanoseconds: the longest pause is 2 to this power, the shortest a 64th of it; all magnitudes
/// are as likely.
const PAUSE: u32 = 13;

/// The point of a pause: its place, and its length.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) target: Target,
    pub(super) pause: Pause<'a>,
    /// The counter that shows progress.
    pub(super) progress: &'a Progress,
    /// The code in which breakpoints may be set, and the table for instructions that are taken one by one.
    pub(super) code: Option<(&'a Code, &'a Learnt)>,
}

/// The instruction of an operation at which a process pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// After this many instructions, taken one by one, or before a system call that comes first.
    After(u32),
    /// Before this one, where a breakpoint stops the process once it was there this many times.
    Before(Instruction, u32),
}

/// The part of one process in an execution with a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// None: no process pauses.
    None,
    /// Pauses in this operation.
    Pauses(usize),
    /// Begins this operation this many nanoseconds after the other process has paused.
    Waits(usize, u64),
}

/// The length of a pause.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause<'a> {
    /// At least this long: a signal takes its time, too.
    Nanoseconds(u64),
    /// Until the other processes, which need this processor, began and ended that many calls, are done, or make no
    /// progress.
    Events(u64, Others<'a>),
}

/// Counters of the progress of the other processes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others<'a> {
    /// Incremented by each call that begins or returns.
    pub(super) clock: &'a AtomicU64,
    /// The number of processes that have done all their operations, and the number of processes.
    pub(super) finished: &'a AtomicU32,
    pub(super) count: u32,
}

/// In nanoseconds: a wait may end after this time without an instruction of the process that should
/// pause, or without a call of the others, since they may wait for each other.
pub(super) const LONGEST_WAIT: u64 = 2_000_000;

/// A wait ends only after it has offered the processor to others that many times: beside other work a process may have none for
/// longer than [`LONGEST_WAIT`].
const OFFERS: u32 = 16;

/// How long a wait has gone on without progress.
#[derive(Debug)]
pub(super) struct Patience {
    /// The progress that was seen last, the time when it was seen first, and the offers since.
    seen: u64,
    since: u64,
    offers: u32,
}

impl Patience {
    pub(super) fn new(progress: u64) -> Self {
        let (since, offers) = (clock::now(), 0);
        Self {
            seen: progress,
            since,
            offers,
        }
    }

    /// Returns whether a wait ends that sees this progress. Offers the processor where time alone would end it. Async-signal-safe.
    pub(super) fn is_over(&mut self, progress: u64) -> bool {
        if progress != self.seen {
            *self = Self::new(progress);
        } else if clock::now() > self.since + LONGEST_WAIT {
            self.offers += 1;
            std::thread::yield_now();
        }
        self.offers > OFFERS
    }
}

/// The progress of a process, for others to see.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The instructions taken.
    pub(super) taken: AtomicU32,
    /// 1: it was ended by a trap of the code's own.
    pub(super) own_trap: AtomicU32,
    /// The time when it paused, or ended without, by the monotonic clock; 0 before.
    pub(super) when: AtomicU64,
}

impl Progress {
    pub(super) fn reset(&self) {
        self.taken.store(0, Relaxed);
        self.own_trap.store(0, Relaxed);
        self.when.store(0, Relaxed);
    }

    /// Waits in another process until this one has paused, and then for a while.
    pub(super) fn wait(&self, alone: bool, longer: u64) {
        let mut patience = Patience::new(0);
        loop {
            let (now, when) = (clock::now(), self.when.load(Relaxed));
            let taken = self.taken.load(Relaxed).into();
            if when > 0 && now >= when.saturating_add(longer)
                || when == 0 && patience.is_over(taken)
            {
                return;
            }
            if !alone {
                std::thread::yield_now();
            }
        }
    }
}

/// Returns nanoseconds: all magnitudes are as likely.
pub(super) fn magnitude(seed: &mut u64) -> u64 {
    let drawn = split_mix(seed);
    let most = 1u64 << (PAUSE - (drawn % 6) as u32);
    most / 2 + (drawn >> 8) % (most / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_after_the_pause_or_when_nothing_moves_any_more() {
        let progress = Progress::default();
        let began = clock::now();
        progress.when.store(began, Relaxed);
        progress.wait(false, 3_000_000);
        assert!(
            clock::now() >= began + 3_000_000,
            "it has paused, and that is not long ago"
        );
        // No process pauses, ever: it takes its instructions, and then none.
        progress.when.store(0, Relaxed);
        let began = clock::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while clock::now() < began + 3 * LONGEST_WAIT {
                    progress.taken.fetch_add(1, Relaxed);
                    std::thread::yield_now();
                }
            });
            progress.wait(false, 0);
        });
        assert!(clock::now() >= began + LONGEST_WAIT);
    }
}
