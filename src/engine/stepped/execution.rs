//! The structure of one execution after another: built, used, judged and dropped in place.
#![allow(
    unsafe_code,
    reason = "the structure is built in place in a shared region"
)]

use super::scheduler::decision::Stop;
use super::shared::CrewState;
use super::stepper::{self, AsProcess};
use crate::case::{Case, Schedule};
use crate::check::Watcher;
use crate::engine::stepped::instrumented::{self, under_test};
use crate::memory::Memory;
use crate::region::Region;
use crate::structure::{Role, WithHandles};
use crate::workers::judging::Judging;
use crate::workers::original::without_copies;
use std::cell::UnsafeCell;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The most verdicts that one process remembers.
const REMEMBERED: usize = 1 << 16;

/// The state with which a process builds and judges executions.
pub(super) struct Execution<M: Memory, S: WithHandles<Memory = M>> {
    shared: Arc<CrewState<S::Spec>>,
    /// The mapping of the structure in this process.
    structure: Arc<Region>,
    /// Number of the worker.
    slot: usize,
    case: Option<Rc<Case<S::Spec>>>,
    batch: u32,
    /// The bytes of logs, deaths and waits of histories that were Ok.
    remembered: HashSet<Box<[u8]>, BuildHasherDefault<Mixed>>,
    key: Vec<u8>,
    /// Whether the check of the last history took too long.
    is_unjudged: bool,
    memory: PhantomData<fn() -> (M, S)>,
}

impl<M: Memory, S: WithHandles<Memory = M>> Execution<M, S> {
    pub(super) fn new(
        shared: Arc<CrewState<S::Spec>>,
        structure: Arc<Region>,
        slot: usize,
    ) -> Self {
        Self {
            shared,
            structure,
            slot,
            case: None,
            batch: 0,
            remembered: HashSet::default(),
            key: Vec::new(),
            is_unjudged: false,
            memory: PhantomData,
        }
    }

    pub(super) fn shared(&self) -> &Arc<CrewState<S::Spec>> {
        &self.shared
    }

    /// Returns the case that is run.
    pub(super) fn case(&self) -> &Rc<Case<S::Spec>> {
        self.case.as_ref().expect("a batch was taken")
    }

    /// Takes the case in shared memory, and returns whether it is a new one.
    pub(super) fn take(&mut self) -> bool {
        let batch = self.shared.board.batch.load(Relaxed);
        if batch == self.batch {
            return false;
        }
        self.batch = batch;
        self.case = self.shared.program().records().pop().map(Rc::new);
        self.remembered.clear();
        true
    }

    /// Builds the structure again, and forgets the last execution.
    pub(super) fn begin(&self) {
        let case = self.case();
        if self.shared.instrumented {
            instrumented::begin(case.program.len(), size_of::<S>());
        }
        let structure = self.under_test(|| S::new(&case.setup));
        // SAFETY: the slot is a place for an `S`, valid for writes and aligned, and no other process uses it: this one has
        // the turn, and no process of an execution is in the structure. What was in it has been dropped.
        unsafe { (*slot::<M, S>(&self.structure).get()).write(structure) };
        for process in 0..case.program.len() {
            self.shared.log(process).clear();
        }
        self.shared.board.plan(|plan| {
            plan.watched = S::INVARIANT.is_some().into();
            plan.begin();
        });
        self.do_prefix();
        if self.shared.board.traced.load(Relaxed) != 0 {
            let bytes = self.structure.fingerprint();
            self.shared
                .board
                .plan(|plan| (plan.bytes, plan.unscheduled) = (bytes, 0));
        }
    }

    /// Does the prefix of the case, without steps, on the structure that was just built.
    fn do_prefix(&self) {
        let case = self.case();
        if case.prefix.is_empty() {
            return;
        }
        // SAFETY: a shared reference to the structure.
        // 1. `begin` has just written it. 2. It is dropped once an execution, after this. 3. `S: Sync`.
        let structure = unsafe { (*slot::<M, S>(&self.structure).get()).assume_init_ref() };
        let board = &self.shared.board;
        let mut time = 0;
        self.under_test(|| {
            case.do_prefix(structure, &self.shared.roles, |process, number, ret| {
                let record = (number as u32, time, time, ret);
                time += 1;
                if self.shared.log(process).push(&record).is_err() {
                    board.full.store(1, Relaxed);
                }
                board.plan(|plan| plan.skip(process, time));
            });
        });
    }

    /// Calls code of the suite outside of any process.
    fn under_test<R>(&self, call: impl FnOnce() -> R) -> R {
        without_copies(|| under_test(self.shared.instrumented, call))
    }

    /// Drops the structure after an execution in which every process is done or dead.
    /// Returns the reason to end the execution there, if code outside of any process has made a mistake.
    pub(super) fn drop_structure(&self) -> Option<Stop> {
        // SAFETY: drop in place.
        // 1. The slot holds a structure: `begin` wrote it, and only this drops it, once an execution. 2. No other process
        // uses it: every process is done, after dropping its handle, or dead.
        self.under_test(|| unsafe { (*slot::<M, S>(&self.structure).get()).assume_init_drop() });
        if !self.shared.instrumented {
            return None;
        }
        let Some(mistake) = instrumented::mistake() else {
            if self.shared.board.plan(|plan| plan.deaths().is_empty()) {
                instrumented::note_left_over(self.case().operations());
            }
            return None;
        };
        if self.shared.board.traced.load(Relaxed) != 0 {
            let note = stepper::Note::Outside(mistake.words);
            let _ = self.shared.notes().push(&note);
        }
        Some(if mistake.starts_thread {
            Stop::Thread
        } else {
            Stop::Freed
        })
    }

    /// Begins the execution after one that was `fine` or not, or notes that the batch is over, or
    /// what is to be done `first`. A structure in which a process still waits is overwritten.
    pub(super) fn next(&mut self, fine: bool, first: Option<Stop>) -> bool {
        let board = &self.shared.board;
        // An execution may have no step.
        board.count_step(self.slot);
        let more = board.plan(|plan| plan.end_execution(!fine));
        let remaining = board.plan(|plan| plan.tally.remaining);
        let why = if self.is_unjudged {
            Stop::Unjudged
        } else if board.full.load(Relaxed) != 0 {
            Stop::Full
        } else if !fine && board.keep_going.load(Relaxed) == 0 {
            Stop::Judged
        } else if !more {
            Stop::Exhausted
        } else if remaining == 0 || board.out_of_time.load(Relaxed) != 0 {
            Stop::Done
        } else if let Some(first) = first {
            first
        } else {
            self.begin();
            return true;
        };
        self.end(why);
        false
    }

    /// Notes that the batch is over, and why.
    pub(super) fn end(&self, why: Stop) {
        let board = &self.shared.board;
        board.lay_down(self.slot);
        board.stop(why);
        self.shared.bell.ring();
    }

    /// Returns whether the history of the execution is right.
    pub(super) fn judge(&mut self) -> bool {
        self.key.clear();
        self.add_logs();
        let judge = self.shared.judge;
        self.remembered(|shared, case, watcher| judge(case, &shared.history(case), watcher))
    }

    /// Returns whether every waiting process may wait indefinitely, and all results are right.
    pub(super) fn rests(&mut self) -> bool {
        self.key.clear();
        // No log begins with this byte: the number of a call is smaller.
        self.key.push(0xff);
        self.add_logs();
        for process in 0..self.shared.roles.len() {
            let (state, now) =
                (self.shared.board).plan(|plan| (plan.state(process), *plan.of(process)));
            self.key.push(state as u8);
            self.key.extend(now.operation.to_le_bytes());
            self.key.extend(now.invoked.to_le_bytes());
        }
        let rests = self.shared.rests;
        self.remembered(|shared, case, watcher| rests(case, &shared.history(case), watcher))
    }

    /// Returns whether the check of the last history took too long.
    pub(super) fn is_unjudged(&self) -> bool {
        self.is_unjudged
    }

    fn add_logs(&mut self) {
        for process in 0..self.shared.roles.len() {
            self.shared.log(process).copy(&mut self.key);
        }
        self.shared.board.plan(|plan| {
            for death in plan.deaths() {
                self.key.extend(death.process.to_le_bytes());
                self.key.extend(death.operation.to_le_bytes());
                self.key.extend(death.invoked.to_le_bytes());
                self.key.extend(death.died.to_le_bytes());
            }
        });
    }

    /// Judges an execution, unless an earlier one with the same key was right.
    fn remembered(
        &mut self,
        judge: impl FnOnce(&CrewState<S::Spec>, &Case<S::Spec>, Watcher<'_>) -> bool,
    ) -> bool {
        self.is_unjudged = false;
        if self.remembered.contains(&*self.key) {
            return true;
        }
        let judging = Judging::begin();
        let watcher = || {
            self.shared.board.count_step(self.slot);
            judging.goes_on()
        };
        let fine = judge(&self.shared, self.case(), &watcher);
        self.is_unjudged = judging.is_over();
        if fine && self.remembered.len() < REMEMBERED {
            self.remembered.insert(self.key.as_slice().into());
        }
        fine
    }
}

/// A fast hash of what a history is remembered by: the keys are not adversarial.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let mixed = (self.0.rotate_left(5) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            // The top bits depend on all, and the table takes both ends.
            self.0 = mixed ^ mixed >> 32;
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Returns the slot of the structure in a mapping of its region.
fn slot<M: Memory, S: WithHandles<Memory = M>>(structure: &Region) -> &UnsafeCell<MaybeUninit<S>> {
    let slot = structure
        .slot::<UnsafeCell<MaybeUninit<S>>>(0)
        .expect("the region was made for it");
    // SAFETY: a reference to the slot.
    // 1. `slot` checked that it lies within the region and is aligned; the region lives as long as the reference.
    // 2. Any bytes are a `MaybeUninit`, and `UnsafeCell` allows them to change behind the reference.
    unsafe { slot.as_ref() }
}

/// Panics if the invariant of the structure in a region does not hold.
fn check_invariant<M: Memory, S: WithHandles<Memory = M>>(structure: &Region) {
    if let Some(holds) = S::INVARIANT {
        // SAFETY: a shared reference to the structure.
        // 1. A process of the execution calls this between two of its steps: it has the turn, so the structure was built and not
        //    dropped, as in `live`. 2. `S: Sync`.
        holds(unsafe { (*slot::<M, S>(structure).get()).assume_init_ref() });
    }
}

/// Runs one incarnation of a process, from its first step to its last. Returns whether its log was
/// full.
pub(super) fn live<M: Memory, S: WithHandles<Memory = M>>(
    shared: &CrewState<S::Spec>,
    structure: &Region,
    case: &Case<S::Spec>,
    me: usize,
) -> bool {
    let (incarnation, first) = shared
        .board
        .plan(|plan| (plan.of(me).incarnation, plan.of(me).operation as usize));
    let traced = (shared.board.traced.load(Relaxed) != 0).then(|| {
        let turns = match &case.schedule {
            Schedule::Turns(turns) => turns.clone(),
            Schedule::Free => Vec::new(),
        };
        Box::new(stepper::Trace::of(turns, case.kills.clone()))
    });
    let code = shared.instrumented;
    let process = AsProcess {
        number: me,
        incarnation,
        traced,
        // Code that is not written for `Memory` is about to write where its step is seen.
        invariant: S::INVARIANT
            .filter(|_| !code)
            .map(|_| check_invariant::<M, S> as fn(&Region)),
    };
    // SAFETY: a shared reference to the structure.
    // 1. `begin` wrote it before it gave the turn on, and this process has had the turn since.
    // 2. It is dropped only when every process is done or dead, after this one's handle is gone. 3. `S: Sync`.
    let structure = unsafe { (*slot::<M, S>(structure).get()).assume_init_ref() };
    let role = Role::of(&shared.roles, me, incarnation);
    let log = shared.log(me);
    stepper::on(process, || {
        let mut handle = without_copies(|| under_test(code, || structure.attach(role)));
        let mut full = false;
        for (number, op) in case.program[me].iter().enumerate().skip(first) {
            stepper::enter(number);
            let ret = without_copies(|| under_test(code, || S::apply(&mut handle, op)));
            let (invoked, returned) = stepper::leave();
            full |= log.push(&(number as u32, invoked, returned, ret)).is_err();
        }
        without_copies(|| under_test(code, || drop(handle)));
        stepper::done();
        full
    })
}
