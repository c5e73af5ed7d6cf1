//! One worker of a crew: it is a process of one execution after another, and, if it is the last to finish, judges the
//! history and begins the next.
#![allow(
    unsafe_code,
    reason = "the subject is built in place in a shared region"
)]

use super::board::{BoardRef, duty};
use super::crew::Judge;
use super::plan::Next;
use super::states::State;
use super::stepper::{self, Sitting, ended};
use crate::case::{Call, Case, History, Schedule};
use crate::memory::Memory;
use crate::region::Region;
use crate::subject::{Role, Spec, Subject};
use crate::workers::bell::Sender;
use crate::workers::control::Seal;
use crate::workers::log::Log;
use crate::workers::original::{self, without_copies};
use std::cell::UnsafeCell;
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// Verdicts remembered by one worker.
const REMEMBERED: usize = 1 << 16;

/// The shared things, as every process of the crew sees them: forked, so at the same addresses.
pub(super) struct Shared<S: Spec> {
    pub(super) roles: Vec<String>,
    pub(super) board: BoardRef,
    pub(super) subject: Arc<Region>,
    pub(super) program: Arc<Region>,
    pub(super) logs: Vec<Region>,
    pub(super) notes: Arc<Region>,
    pub(super) bell: Arc<Sender>,
    pub(super) judge: Judge<S>,
    /// The processor of each worker.
    pub(super) processors: Vec<usize>,
}

/// One call in a log: its number, the times of call and return, and what it returned.
type Record<S> = (u32, u64, u64, <S as Spec>::Ret);

impl<S: Spec> Shared<S> {
    pub(super) fn log(&self, process: usize) -> &Log {
        self.logs[process]
            .get(0)
            .expect("the region was made for it")
    }
    pub(super) fn program(&self) -> &Log {
        self.program.get(0).expect("the region was made for it")
    }
    pub(super) fn notes(&self) -> &Log {
        self.notes.get(0).expect("the region was made for it")
    }

    /// Returns whether nothing wrote over the shared memory, as far as seals show it.
    pub(super) fn is_whole(&self) -> bool {
        let logs = (0..self.logs.len()).map(|process| self.log(process));
        let logs = logs.chain([self.program(), self.notes()]);
        let mut seals = logs.flat_map(Log::seals).chain(self.board.seals());
        seals.all(Seal::holds)
    }

    /// No other process of the case runs on this worker's processor. Asked without the turn too: a wrong answer costs time.
    fn alone(&self, slot: usize) -> bool {
        let mine = self.processors.get(slot);
        let processes = self.roles.len().min(self.processors.len());
        let on_mine = self.processors[..processes].iter();
        mine.is_some() && on_mine.filter(|&other| Some(other) == mine).count() <= 1
    }

    /// What the logs and the plan say; for whoever has the turn.
    pub(super) fn history(&self, case: &Case<S>) -> History<S> {
        let calls = case.program.iter().enumerate().map(|(process, ops)| {
            let records: Vec<Record<S>> = self.log(process).records();
            let mut returned: HashMap<usize, Record<S>> = records
                .into_iter()
                .map(|record| (record.0 as usize, record))
                .collect();
            let (deaths, now) = self
                .board
                .plan(|plan| (plan.deaths().to_vec(), *plan.of(process)));
            let dead = self.board.plan(|plan| plan.state(process)) == State::Dead;
            let died = |number: usize| {
                deaths.iter().find(|death| {
                    death.process as usize == process && death.operation as usize == number + 1
                })
            };
            let mut calls: Vec<Call<S>> = Vec::new();
            for (number, op) in ops.iter().enumerate() {
                let (invoked, back, ret) = match (returned.remove(&number), died(number)) {
                    (Some((_, invoked, back, ret)), _) => (invoked, back, Some(ret)),
                    (None, Some(death)) => (death.invoked, death.died, None),
                    (None, None)
                        if !dead && now.operation as usize == number + 1 && now.invoked > 0 =>
                    {
                        (now.invoked, Call::<S>::NEVER, None)
                    }
                    (None, None) => break,
                };
                calls.push(Call {
                    op: op.clone(),
                    ret,
                    invoked,
                    returned: back,
                });
            }
            // What a death left undone may take effect until the next life begins something, or at any time.
            let mut next = Call::<S>::DIED;
            for (number, call) in calls.iter_mut().enumerate().rev() {
                if call.ret.is_none() && died(number).is_some() {
                    call.returned = next;
                }
                next = call.invoked;
            }
            calls
        });
        History {
            calls: calls.collect(),
        }
    }
}

/// The life of a worker, until it is killed.
pub(super) fn work<M: Memory, S: Subject<M>>(shared: &Shared<S::Spec>, slot: usize) {
    original::mark();
    if let Some(&processor) = shared.processors.get(slot) {
        let mut set = nix::sched::CpuSet::new();
        let _ = set.set(processor);
        // Where it is refused, it runs where the kernel likes.
        let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set);
    }
    // Every process but the first has the subject at an address of its own: a stored address shows.
    let subject = match slot % shared.roles.len() {
        0 => Arc::clone(&shared.subject),
        _ => Arc::new(
            shared
                .subject
                .elsewhere()
                .expect("there is room for a few pages"),
        ),
    };
    stepper::install(
        (
            shared.board.clone(),
            Arc::clone(&shared.notes),
            Arc::clone(&shared.bell),
        ),
        (slot, shared.alone(slot)),
        (Arc::clone(&subject), shared.subject.address()),
    );
    let mut worker = Worker::<M, S> {
        shared,
        subject,
        slot,
        case: None,
        batch: 0,
        remembered: HashSet::new(),
        key: Vec::new(),
        scratch: Vec::new(),
        memory: PhantomData,
    };
    let alone = shared.alone(slot);
    shared.board.await_first_turn(slot);
    loop {
        worker.turn();
        shared.board.await_turn(slot, alone);
    }
}

struct Worker<'a, M: Memory, S: Subject<M>> {
    shared: &'a Shared<S::Spec>,
    /// Where this process sees the subject.
    subject: Arc<Region>,
    slot: usize,
    case: Option<Case<S::Spec>>,
    batch: u32,
    /// The logs' bytes of histories that were Ok.
    remembered: HashSet<Box<[u8]>>,
    key: Vec<u8>,
    scratch: Vec<u8>,
    memory: PhantomData<fn() -> M>,
}

impl<M: Memory, S: Subject<M>> Worker<'_, M, S> {
    fn board(&self) -> &BoardRef {
        &self.shared.board
    }

    /// This worker has the turn: does what it says, and gives it on.
    fn turn(&mut self) {
        if self.board().batch.load(Relaxed) != self.batch {
            self.batch = self.board().batch.load(Relaxed);
            self.case = self.shared.program().records().pop();
            self.remembered.clear();
        }
        let board = self.board();
        match board.duty() {
            duty::BEGIN => self.begin(),
            duty::JUDGE => {
                if !self.finish() {
                    return;
                }
            }
            _ => {
                let me = board.plan(|plan| {
                    (0..self.shared.roles.len()).find(|&process| {
                        plan.worker_of(process) == self.slot && plan.state(process) == State::Fresh
                    })
                });
                if let Some(me) = me {
                    self.be(me);
                }
            }
        }
        loop {
            let next = self.board().plan(|plan| plan.decide());
            match next {
                Next::Turn(process) => {
                    let slot = self.slot;
                    let worker = self.board().plan(|plan| plan.worker_for(process, slot));
                    if worker != slot {
                        return self.board().pass(Some(self.slot), worker);
                    }
                    self.be(process);
                }
                Next::Die(process) => {
                    let worker = self.board().plan(|plan| {
                        plan.condemn(process);
                        plan.worker_of(process)
                    });
                    return self.board().pass(Some(self.slot), worker);
                }
                Next::Over => {
                    if !self.finish() {
                        return;
                    }
                }
                Next::Stuck => return self.end(ended::STUCK),
                Next::TooLong => return self.end(ended::TOO_LONG),
                Next::Waits => return self.end(ended::WAITS),
            }
        }
    }

    fn end(&self, how: u32) {
        self.board().lay_down(self.slot);
        // Release: pairs with the Acquire of the supervisor, which may begin another batch from here on.
        self.board().ended.store(how, Release);
        self.shared.bell.ring();
    }

    fn slot(&self) -> &UnsafeCell<MaybeUninit<S>> {
        let slot = self
            .subject
            .slot::<UnsafeCell<MaybeUninit<S>>>(0)
            .expect("the region was made for it");
        // SAFETY: a reference to the slot.
        // 1. `slot` checked that it lies within the region and is aligned; the region lives as long as `self`.
        // 2. Any bytes are a `MaybeUninit`, and `UnsafeCell` allows them to change behind the reference.
        unsafe { slot.as_ref() }
    }

    /// Builds the subject anew, and forgets the last execution.
    fn begin(&self) {
        let case = self.case.as_ref().expect("a batch was taken");
        let subject = without_copies(|| S::new(&case.setup));
        // SAFETY: the slot is a place for an `S`, valid for writes and aligned, and nobody's but ours: this worker has
        // the turn, and no process of an execution is in the subject. What was in it has been dropped.
        unsafe { (*self.slot().get()).write(subject) };
        for process in 0..case.program.len() {
            self.shared.log(process).clear();
        }
        self.board().plan(|plan| plan.begin());
        if self.board().traced.load(Relaxed) != 0 {
            let bytes = self.subject.fingerprint();
            self.board()
                .plan(|plan| (plan.bytes, plan.unseen) = (bytes, 0));
        }
    }

    /// One life of one process, from its first step to its last.
    fn be(&mut self, me: usize) {
        let case = self.case.as_ref().expect("a batch was taken");
        let (life, first) = self
            .board()
            .plan(|plan| (plan.of(me).life, plan.of(me).operation as usize));
        let traced = (self.board().traced.load(Relaxed) != 0).then(|| {
            let turns = match &case.schedule {
                Schedule::Turns(turns) => turns.clone(),
                Schedule::Free => Vec::new(),
            };
            (turns, case.kills.clone())
        });
        let sitting = Sitting {
            process: me,
            life,
            traced,
        };
        // SAFETY: a shared reference to the subject.
        // 1. `begin` wrote it before it gave the turn on, and this worker has had the turn since.
        // 2. It is dropped only when every process is done or dead, after this one's seat is gone. 3. `S: Sync`.
        let subject = unsafe { (*self.slot().get()).assume_init_ref() };
        let role = Role {
            name: &self.shared.roles[me],
            process: me,
            life,
        };
        let (log, scratch) = (self.shared.log(me), &mut self.scratch);
        let only_reads = self.shared.board.plan(|plan| plan.read_only) >> me & 1 == 1;
        let may_write = |may| {
            if only_reads {
                self.subject.may_write(may).expect("it is our own mapping");
            }
        };
        may_write(false);
        let full = stepper::on(sitting, || {
            let mut seat = without_copies(|| subject.attach(role));
            let mut full = false;
            for (number, op) in case.program[me].iter().enumerate().skip(first) {
                stepper::enter(number);
                let ret = without_copies(|| S::apply(&mut seat, op));
                let (invoked, returned) = stepper::leave();
                full |= log
                    .push(&(number as u32, invoked, returned, ret), scratch)
                    .is_err();
            }
            without_copies(|| drop(seat));
            stepper::done();
            full
        });
        may_write(true);
        if full {
            self.board().full.store(1, Relaxed);
        }
        self.board().plan(|plan| plan.done(me));
    }

    /// The execution is over: judges it, and begins the next, or says that the batch is over.
    fn finish(&mut self) -> bool {
        let fine = self.judge();
        // SAFETY: drop in place.
        // 1. The slot holds a subject: `begin` wrote it, and only this drops it, once an execution. 2. Nobody else uses
        // it: every process is done, after dropping its seat, or dead.
        without_copies(|| unsafe { (*self.slot().get()).assume_init_drop() });
        let board = self.board();
        // An execution may have no step.
        board.count_step(self.slot);
        let more = board.plan(|plan| plan.end_execution(!fine));
        let remaining = board.plan(|plan| plan.tally.remaining);
        let how = if board.full.load(Relaxed) != 0 {
            ended::FULL
        } else if !fine && board.keep_going.load(Relaxed) == 0 {
            ended::JUDGED
        } else if !more {
            ended::EXHAUSTED
        } else if remaining == 0 || board.out_of_time.load(Relaxed) != 0 {
            ended::DONE
        } else {
            self.begin();
            return true;
        };
        self.end(how);
        false
    }

    fn judge(&mut self) -> bool {
        let case = self.case.as_ref().expect("a batch was taken");
        self.key.clear();
        for process in 0..case.program.len() {
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
        if self.remembered.contains(&*self.key) {
            return true;
        }
        let history = self.shared.history(case);
        let fine = (self.shared.judge)(case, &history);
        if fine && self.remembered.len() < REMEMBERED {
            self.remembered.insert(self.key.as_slice().into());
        }
        fine
    }
}
