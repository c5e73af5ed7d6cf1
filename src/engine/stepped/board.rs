//! The shared page of a crew: which process may take the next step, and the plan, which that process alone accesses.
#![allow(unsafe_code, reason = "the plan is lent to the process that may step")]

use super::scheduler::Plan;
use super::scheduler::decision::{Decision, Stop};
use super::stop::Pause;
use crate::error::Error;
use crate::memory::{Hardware, Memory};
use crate::process::die_with_parent;
use crate::region::Region;
use crate::schedule::MAX_PROCESSES;
use crate::workers::seal::{Line, Seal};
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

/// The states of a worker: it waits or sleeps for the turn, was given it, or has it.
const WAITS: u32 = 0;
const SLEEPS: u32 = 1;
const GOES: u32 = 2;
const HAS: u32 = 3;

/// The cache line of one worker.
#[repr(C)]
struct WorkerLine {
    state: AtomicU32,
    /// Steps that it took; they show the supervisor that there is progress.
    steps: AtomicU32,
}

/// The task of a worker that gets the turn without being a process of the execution.
pub(super) mod duty {
    /// Go on as a process.
    pub(in super::super) const NONE: u32 = 0;
    /// Build the structure and begin the first execution.
    pub(in super::super) const BEGIN: u32 = 1;
    /// Judge the execution, which is over.
    pub(in super::super) const JUDGE: u32 = 2;
}

#[repr(C)]
pub(super) struct Board {
    turns: [Line<WorkerLine>; MAX_PROCESSES],
    /// The number of cases so far; a change means that there is a new one to decode.
    pub(super) batch: AtomicU32,
    /// See [`duty`].
    pub(super) duty: AtomicU32,
    /// The reason why the batch or an execution stopped, see [`Stop::to_word`].
    stop: AtomicU32,
    /// 1: go on after a history that is not Ok, and count it.
    pub(super) keep_going: AtomicU32,
    /// 1: name each step, and note it.
    pub(super) traced: AtomicU32,
    /// 1: no other execution is to begin.
    pub(super) out_of_time: AtomicU32,
    /// 1: a log of this batch was full.
    pub(super) full: AtomicU32,
    /// The step before which its process stops.
    pub(super) pause: Pause,
    before: Seal,
    plan: UnsafeCell<Plan>,
    behind: Seal,
}

/// A handle to the board in its region: the same address in all processes that inherit it.
#[derive(Clone)]
pub(super) struct BoardRef {
    board: NonNull<Board>,
    _region: Arc<Region>,
}

impl BoardRef {
    pub(super) fn new() -> Result<Self, Error> {
        let region = Arc::new(Region::anonymous(size_of::<Board>())?);
        let board = Self {
            board: region.slot::<Board>(0)?,
            _region: region,
        };
        board.seals().for_each(Seal::set);
        Ok(board)
    }
}

impl std::ops::Deref for BoardRef {
    type Target = Board;
    fn deref(&self) -> &Board {
        // SAFETY: as_ref.
        // 1. `slot` checked that the board lies in the region and is aligned; the region lives as long as `self`.
        // 2. Zeros are a board: it is made of integers; `UnsafeCell` and atomics allow that others write to it.
        unsafe { self.board.as_ref() }
    }
}

impl Board {
    /// Returns all seals: in each line, before the plan and behind it.
    pub(super) fn seals(&self) -> impl Iterator<Item = &Seal> {
        let lines = self.turns.iter().map(|turn| &turn.seal);
        lines.chain([&self.before, &self.behind])
    }

    /// Returns a number that changes with progress, for the supervisor, which does not have the
    /// turn.
    pub(super) fn progress(&self) -> u64 {
        let steps = self.turns.iter().map(|turn| turn.steps.load(Relaxed));
        steps.fold(0, |sum, steps| sum.wrapping_add(steps.into()))
    }

    /// Returns the worker that has the turn, or was given it.
    pub(super) fn holder(&self) -> Option<usize> {
        let has = |turn: &Line<WorkerLine>| turn.state.load(Relaxed) >= GOES;
        self.turns.iter().position(has)
    }

    /// Takes the task of the worker that has the turn.
    pub(super) fn duty(&self) -> u32 {
        let duty = self.duty.load(Relaxed);
        // Written only where it changes: all processors have it in their caches.
        if duty != duty::NONE {
            self.duty.store(duty::NONE, Relaxed);
        }
        duty
    }

    /// Counts a step of this worker, which has the turn.
    #[inline]
    pub(super) fn count_step(&self, worker: usize) {
        let steps = &self.turns[worker].steps;
        steps.store(steps.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Lends the plan to the holder of the turn: a worker, from the return of `await_turn` until it
    /// passes the turn on; or the supervisor, before the first turn of a batch and while the worker
    /// that had it is dead.
    #[inline]
    pub(super) fn plan<R>(&self, with: impl FnOnce(&mut Plan) -> R) -> R {
        // SAFETY: a unique reference to the plan, for the length of `with`.
        // 1. In this process: callers do not call this from within `with` (it is private to this module's few files).
        // 2. In others: only the holder of the turn calls it, and the turn goes from one to the next by a Release that
        //    the next Acquires, so their accesses do not overlap.
        // 3. Any integers are a `Plan`, so bytes that a stray write of the structure left are no invalid value.
        with(unsafe { &mut *self.plan.get() })
    }

    /// Takes the turn away from this worker: the batch is over, or the worker is about to be forked
    /// in place of an earlier one.
    pub(super) fn lay_down(&self, worker: usize) {
        self.turns[worker].state.store(WAITS, Relaxed);
    }

    /// Notes the reason to stop. Release: the supervisor, which may begin another batch from here
    /// on, sees the worker's earlier stores.
    pub(super) fn stop(&self, why: Stop) {
        self.stop.store(Stop::to_word(Some(why)), Release);
    }
    /// Removes the reason to stop, for the supervisor, before it passes the turn on.
    pub(super) fn clear_stop(&self) {
        self.stop.store(Stop::to_word(None), Relaxed);
    }
    /// Returns the reason to stop, if there is one. Acquire: pairs with the Release in
    /// [`stop`](Self::stop).
    pub(super) fn stopped(&self) -> Option<Stop> {
        Stop::from_word(self.stop.load(Acquire))
    }

    /// Acts on a decision about another worker than `from`, which has the turn, if any has: passes
    /// the turn to the worker that is to run or to die. Returns the reason to stop, if that was
    /// decided.
    pub(super) fn carry_out(&self, from: Option<usize>, decision: Decision) -> Option<Stop> {
        let worker = self.plan(|plan| match decision {
            Decision::Run(process) => Ok(plan.worker_of(process.into())),
            Decision::Kill(process) => {
                plan.schedule_kill(process.into());
                Ok(plan.worker_of(process.into()))
            }
            Decision::Stop(why) => Err(why),
        });
        worker.map(|worker| self.pass(from, worker)).err()
    }

    /// Passes the turn from a worker, or from the supervisor, to a worker.
    #[inline]
    pub(super) fn pass(&self, from: Option<usize>, worker: usize) {
        if let Some(from) = from {
            self.turns[from].state.store(WAITS, Relaxed);
        }
        let turn = &self.turns[worker].state;
        // Release: pairs with the Acquire in `await_turn`; the next holder sees all earlier
        // accesses. Acquire: no later access moves before it.
        if turn.swap(GOES, AcqRel) == SLEEPS {
            Hardware::wake(turn, 1);
        }
    }

    /// Waits until a worker gets the turn. It sleeps at once: the process that has the turn needs its processor.
    pub(super) fn await_turn(&self, worker: usize) {
        let turn = &self.turns[worker].state;
        loop {
            // Acquire: pairs with the Release in `pass`.
            let now = turn.load(Acquire);
            if now == GOES {
                break;
            }
            if now == SLEEPS
                || turn
                    .compare_exchange(WAITS, SLEEPS, AcqRel, Acquire)
                    .is_ok()
            {
                // An operation may have changed the user of this process.
                die_with_parent();
                Hardware::wait(turn, SLEEPS);
            }
        }
        turn.store(HAS, Relaxed);
    }
}
