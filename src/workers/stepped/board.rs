//! The shared page of a crew: whose turn it is, and the plan, which belongs to whoever has the turn.
#![allow(unsafe_code, reason = "the plan is lent to whoever has the turn")]

use super::decision::{Decision, Stop};
use super::plan::Plan;
use crate::error::Error;
use crate::memory::{Hardware, Memory};
use crate::process::die_with_parent;
use crate::region::Region;
use crate::schedule::MAX_PROCESSES;
use crate::workers::control::{Line, Seal};
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

/// Turns of waiting before a worker sleeps that has a processor for itself, and where it shares one. Whoever has the turn
/// gives it on within microseconds; if not, the supervisor may be at work, and needs a processor too.
const SPINS: u32 = 1_000;
const YIELDS: u32 = 100;

/// Of a worker: it waits, or sleeps, for the turn; was given it; has it.
const WAITS: u32 = 0;
const SLEEPS: u32 = 1;
const GOES: u32 = 2;
const HAS: u32 = 3;

/// A worker's own line.
#[repr(C)]
struct Turn {
    state: AtomicU32,
    /// Steps that it took, so that the supervisor sees that things move.
    steps: AtomicU32,
}

/// What whoever gets the turn without being a process of the execution has to do with it.
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
    turns: [Line<Turn>; MAX_PROCESSES],
    /// Counts cases; a change says that there is a new one to decode.
    pub(super) batch: AtomicU32,
    /// See [`duty`].
    pub(super) duty: AtomicU32,
    /// Why the batch or an execution stopped, see [`Stop::to_word`].
    stop: AtomicU32,
    /// 1: go on after a history that is not Ok, and count it.
    pub(super) keep_going: AtomicU32,
    /// 1: name each step, and note it.
    pub(super) traced: AtomicU32,
    /// 1: no other execution is to begin.
    pub(super) out_of_time: AtomicU32,
    /// 1: statics of a worker changed, which may point to the heap of that execution: no other is to begin with it.
    pub(super) dirty: AtomicU32,
    /// 1: a log of this batch was full.
    pub(super) full: AtomicU32,
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

    /// A number that changes while things move; for the supervisor, who has not the turn.
    pub(super) fn progress(&self) -> u64 {
        let steps = self.turns.iter().map(|turn| turn.steps.load(Relaxed));
        steps.fold(0, |sum, steps| sum.wrapping_add(steps.into()))
    }

    /// The worker that has the turn, if it is not on its way to one.
    pub(super) fn holder(&self) -> Option<usize> {
        let has = |turn: &Line<Turn>| turn.state.load(Relaxed) >= GOES;
        self.turns.iter().position(has)
    }

    /// What whoever has the turn has to do with it; asked once.
    pub(super) fn duty(&self) -> u32 {
        let duty = self.duty.load(Relaxed);
        // Written only where it changes: all processors have it in their caches.
        if duty != duty::NONE {
            self.duty.store(duty::NONE, Relaxed);
        }
        duty
    }

    /// This worker, who has the turn, moves.
    #[inline]
    pub(super) fn count_step(&self, worker: usize) {
        let steps = &self.turns[worker].steps;
        steps.store(steps.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The plan, for whoever has the turn: a worker from the moment at which `await_turn` returns until it passes the
    /// turn on; the supervisor before the first turn of a batch, and while the worker that had it is dead.
    #[inline]
    pub(super) fn plan<R>(&self, with: impl FnOnce(&mut Plan) -> R) -> R {
        // SAFETY: a unique reference to the plan, for the length of `with`.
        // 1. In this process: callers do not call this from within `with` (it is private to this module's few files).
        // 2. In others: only the holder of the turn calls it, and the turn goes from one to the next by a Release that
        //    the next Acquires, so their accesses do not overlap.
        // 3. Any integers are a `Plan`, so bytes that a stray write of the structure left are no invalid value.
        with(unsafe { &mut *self.plan.get() })
    }

    /// This worker has not the turn: the batch is over; or it is to be forked, and the one before it is gone.
    pub(super) fn lay_down(&self, worker: usize) {
        self.turns[worker].state.store(WAITS, Relaxed);
    }

    /// Says why it stops. Release: the supervisor, which may begin another batch from here on, sees the worker's earlier stores.
    pub(super) fn stop(&self, why: Stop) {
        self.stop.store(Stop::to_word(Some(why)), Release);
    }
    /// Nothing has stopped; for the supervisor, before it gives the turn away.
    pub(super) fn clear_stop(&self) {
        self.stop.store(Stop::to_word(None), Relaxed);
    }
    /// Why it stopped, if it did. Acquire: pairs with the Release in [`stop`](Self::stop).
    pub(super) fn stopped(&self) -> Option<Stop> {
        Stop::from_word(self.stop.load(Acquire))
    }

    /// Acts on a decision that is about another worker than the one that has the turn, `from`, or than none: gives the turn to
    /// the one that is to run or to die. Returns the reason to stop, if that was decided.
    pub(super) fn carry_out(&self, from: Option<usize>, decision: Decision) -> Option<Stop> {
        let worker = self.plan(|plan| match decision {
            Decision::Run(process) => Ok(plan.worker_of(process)),
            Decision::Kill(process) => {
                plan.schedule_kill(process);
                Ok(plan.worker_of(process))
            }
            Decision::Stop(why) => Err(why),
        });
        worker.map(|worker| self.pass(from, worker)).err()
    }

    /// Gives the turn from a worker, or from the supervisor, to a worker.
    #[inline]
    pub(super) fn pass(&self, from: Option<usize>, worker: usize) {
        if let Some(from) = from {
            self.turns[from].state.store(WAITS, Relaxed);
        }
        let turn = &self.turns[worker].state;
        // Release: pairs with the Acquire in `await_turn`; who gets the turn sees what we did. Acquire: nothing later
        // moves before it.
        if turn.swap(GOES, AcqRel) == SLEEPS {
            Hardware::wake(turn, 1);
        }
    }

    /// Waits until a worker gets the turn.
    pub(super) fn await_turn(&self, worker: usize, alone: bool) {
        let left = if alone { SPINS } else { YIELDS };
        self.await_turn_for(worker, alone, left);
    }

    /// Waits as [`await_turn`](Self::await_turn), for a worker that was just forked and may wait long.
    pub(super) fn await_first_turn(&self, worker: usize) {
        self.await_turn_for(worker, false, 0);
    }

    fn await_turn_for(&self, worker: usize, alone: bool, mut left: u32) {
        let turn = &self.turns[worker].state;
        loop {
            // Acquire: pairs with the Release in `pass`.
            let now = turn.load(Acquire);
            if now == GOES {
                break;
            }
            if left > 0 {
                left -= 1;
                if alone {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            } else if now == SLEEPS
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
