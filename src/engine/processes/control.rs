//! The shared words by which workers start together, take the time and report their state.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use super::pause::Pauses;
use crate::memory::{Hardware, Memory, Resident};
use crate::schedule::MAX_PROCESSES;
use crate::workers::seal::{Line, Seal};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

#[repr(C)]
pub(super) struct Control {
    first: Seal,
    /// The count of executions; a change starts one. Workers sleep on its low half.
    pub(super) round: Line<AtomicU32>,
    /// The number of workers that sleep on `round`, or are about to.
    pub(super) asleep: Line<AtomicU32>,
    /// The number of processes that are done with this execution. AcqRel: the last one has seen all
    /// others' logs.
    pub(super) finished: Line<AtomicU32>,
    /// The order of calls and returns. Taken by a `SeqCst` read-modify-write, which drains store buffers.
    pub(super) clock: Line<AtomicU64>,
    /// The monotonic time at which this execution starts, and the time that executions take from
    /// there.
    pub(super) start: AtomicU64,
    pub(super) length: AtomicU64,
    /// The time between drawing the start line and the start, and whether a process came too late
    /// to it.
    pub(super) margin: AtomicU64,
    pub(super) late: AtomicU32,
    /// The delay of each process's start, so that none is always done before another begins.
    pub(super) held_back: [AtomicU64; MAX_PROCESSES],
    pub(super) seed: AtomicU64,
    pub(super) pauses: Pauses,
    /// The count of programs; a change means that there is a new one to decode.
    pub(super) batch: AtomicU32,
    /// The round at which the program was handed over: not an execution.
    pub(super) handed_over: AtomicU32,
    /// 1: the workers end.
    pub(super) stop: AtomicU32,
    /// 1: continue after a history that is not Ok, and count it.
    pub(super) keep_going: AtomicU32,
    /// The processes whose mapping of the structure is read-only while they are in it, as bits.
    pub(super) read_only: AtomicU32,
    pub(super) remaining: AtomicU64,
    /// 1: the batch ends with the current execution.
    pub(super) out_of_time: AtomicU64,
    pub(super) executions: AtomicU64,
    pub(super) overlapping: AtomicU64,
    pub(super) failing: AtomicU64,
    /// The steps of the spec that the check of histories has taken.
    pub(super) spec_steps: AtomicU64,
    /// 1: the logs hold a history that is not Ok. 2: a log was full. 3: the check of a history took too long.
    pub(super) found: AtomicU32,
    /// 1: the batch is over. Stored with Release: the supervisor sees the logs and counts.
    pub(super) over: AtomicU32,
    middle: Seal,
    pub(super) places: [Line<WorkerPosition>; MAX_PROCESSES],
}

// SAFETY: Resident. 1. and 2. Only atomics. 3. No word is used as an index unchecked. 4. No Drop.
unsafe impl Resident for Control {}

impl Control {
    /// Returns all seals: at the start, in each line, and behind the other words.
    pub(super) fn seals(&self) -> impl Iterator<Item = &Seal> {
        let lines = [
            &self.round.seal,
            &self.asleep.seal,
            &self.finished.seal,
            &self.clock.seal,
        ];
        let places = self.places.iter().map(|place| &place.seal);
        lines
            .into_iter()
            .chain([&self.first, &self.middle])
            .chain(places)
    }

    /// Starts the next round for all workers. A worker that sees the new round sees all that was
    /// set up before.
    pub(super) fn next_round(&self) {
        // SeqCst: a release, and ordered with the count of sleeping workers: see
        // `PoolWorker::await_round`. A system call that wakes none would cost as much as an execution.
        self.round.fetch_add(1, SeqCst);
        if self.asleep.load(SeqCst) > 0 {
            Hardware::wake(&self.round, u32::MAX);
        }
    }
}

/// The position of a worker.
#[repr(C)]
pub(super) struct WorkerPosition {
    phase: AtomicU32,
    operation: AtomicU32,
    invoked: AtomicU64,
}

/// The activity of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waiting for the next execution.
    Idle,
    /// In `WithHandles::new`.
    Setup,
    /// Dropping the structure, and with it the last assertions of a scenario.
    Drop,
    /// In `WithHandles::attach`.
    Attach,
    /// Dropping the handle.
    Detach,
    /// In `WithHandles::apply`, for the operation of this number, called at this time.
    Operation { number: usize, invoked: u64 },
    /// Judging a history, in the user's spec.
    Check,
}

impl WorkerPosition {
    pub(super) fn set(&self, phase: Phase) {
        let code = match phase {
            Phase::Idle => 0,
            Phase::Setup => 1,
            Phase::Drop => 5,
            Phase::Attach => 2,
            Phase::Detach => 6,
            Phase::Operation { number, invoked } => {
                self.operation.store(number as u32, Relaxed);
                self.invoked.store(invoked, Relaxed);
                3
            }
            Phase::Check => 4,
        };
        self.phase.store(code, Relaxed);
    }
    pub(super) fn get(&self) -> Phase {
        match self.phase.load(Relaxed) {
            1 => Phase::Setup,
            5 => Phase::Drop,
            2 => Phase::Attach,
            6 => Phase::Detach,
            3 => Phase::Operation {
                number: self.operation.load(Relaxed) as usize,
                invoked: self.invoked.load(Relaxed),
            },
            4 => Phase::Check,
            _ => Phase::Idle,
        }
    }
}
