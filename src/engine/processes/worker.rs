//! One process of the pool: it waits for an execution and does its operations. The last to finish
//! judges the history and starts the next execution. There is no coordinator: a round trip to one
//! takes longer than a case.
#![allow(
    unsafe_code,
    reason = "the structure is built in place in a shared region"
)]

use super::code::Code;
use super::control::{Control, Phase};
use super::learnt::Learnt;
use super::point::{Others, Part};
use super::trap::pausing;
use crate::case::{Call, Case, History};
use crate::check::Judge;
use crate::heap;
use crate::memory::{Hardware, Memory};
use crate::process::die_with_parent;
use crate::region::Region;
use crate::spec::Spec;
use crate::structure::{Role, WithHandles};
use crate::workers::bell::Sender;
use crate::workers::judging::Judging;
use crate::workers::log::Log;
use crate::workers::original::{self, without_copies};
use crate::workers::seal::Seal;
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// The iterations for which a process with a processor for itself waits before it sleeps.
const SPINS: u32 = 20_000;
/// These iterations where several processes share a processor, and yield to each other.
const YIELDS: u32 = 200;
/// The most verdicts that one worker remembers.
const REMEMBERED: usize = 1 << 16;

/// The shared state, at the same addresses in every process of the pool, since they are forked.
pub(super) struct PoolState<S: WithHandles<Memory = Hardware>> {
    pub(super) roles: Vec<String>,
    pub(super) control: Region,
    pub(super) structure: Region,
    pub(super) program: Region,
    pub(super) logs: Vec<Region>,
    /// The bell of the supervisor, rung when a batch is over.
    pub(super) bell: Sender,
    pub(super) judge: Judge<S::Spec>,
    /// The processor of each process, and whether no other process shares it.
    pub(super) processors: Vec<(usize, bool)>,
    pub(super) code: Code,
    /// Outlives the pool: the processes of the next one, of the same zygote, have the same code.
    pub(super) learnt: Arc<Region>,
}

/// One call in a log.
pub(super) type PoolCall<S> = (u64, u64, <S as Spec>::Ret);

impl<S: WithHandles<Memory = Hardware>> PoolState<S> {
    pub(super) fn control(&self) -> &Control {
        self.control.get(0).expect("the region was made for it")
    }
    pub(super) fn learnt(&self) -> &Learnt {
        self.learnt.get(0).expect("the region was made for it")
    }
    pub(super) fn log(&self, process: usize) -> &Log {
        self.logs[process]
            .get(0)
            .expect("the region was made for it")
    }
    pub(super) fn program(&self) -> &Log {
        self.program.get(0).expect("the region was made for it")
    }
    /// Returns whether no stray write changed the shared state, as far as seals show it.
    pub(super) fn is_whole(&self) -> bool {
        let logs = (0..self.logs.len()).map(|process| self.log(process));
        let mut seals = logs.chain([self.program()]).flat_map(Log::seals);
        seals.all(Seal::holds) && self.control().seals().all(Seal::holds)
    }
    fn slot(&self) -> &UnsafeCell<MaybeUninit<S>> {
        let slot = self
            .structure
            .slot::<UnsafeCell<MaybeUninit<S>>>(0)
            .expect("the region was made for it");
        // SAFETY: a reference to the slot.
        // 1. `slot` checked that it lies within the region and is aligned; the region lives as long as `self`.
        // 2. Any bytes are a `MaybeUninit`, and `UnsafeCell` allows them to change behind the reference.
        unsafe { slot.as_ref() }
    }
    /// Makes the history of the logs: all calls that returned, and those that began and did not.
    pub(super) fn history(&self, case: &Case<S::Spec>) -> History<S::Spec> {
        let calls = case.program.iter().enumerate().map(|(process, ops)| {
            let records: Vec<PoolCall<S::Spec>> = self.log(process).records();
            let mut ops = ops.iter().cloned();
            let mut calls: Vec<_> = records
                .into_iter()
                .zip(&mut ops)
                .map(|((invoked, returned, ret), op)| Call {
                    op,
                    ret: Some(ret),
                    invoked,
                    returned,
                })
                .collect();
            if let Phase::Operation { number, invoked } = self.control().places[process].get()
                && number == calls.len()
                && let Some(op) = ops.next()
            {
                calls.push(Call {
                    op,
                    ret: None,
                    invoked,
                    returned: Call::<S::Spec>::NEVER,
                });
            }
            calls
        });
        History {
            calls: calls.collect(),
        }
    }
}

/// Runs worker `me` until it is told to stop.
pub(super) fn work<S: WithHandles<Memory = Hardware>>(shared: &PoolState<S>, me: usize) {
    original::mark();
    #[cfg(target_arch = "x86_64")]
    super::disposition::use_alternate_stack();
    let mut alone = false;
    if let Some(&(processor, own)) = shared.processors.get(me) {
        let mut set = nix::sched::CpuSet::new();
        // If this is refused, the kernel chooses the processor; overlap is measured, not assumed.
        let _ = set.set(processor);
        let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set);
        alone = own;
    }
    let control = shared.control();
    let mut worker = PoolWorker {
        shared,
        me,
        alone,
        case: None,
        operations: Vec::new(),
        batch: 0,
        remembered: HashMap::new(),
        key: Vec::new(),
    };
    let mut seen = 0;
    loop {
        seen = worker.await_round(seen);
        if control.stop.load(Relaxed) == 1 {
            return;
        }
        if control.batch.load(Relaxed) != worker.batch {
            worker.take_batch();
        }
        if seen == control.handed_over.load(Relaxed) {
            if me == 0 {
                worker.start_execution();
            }
            continue;
        }
        worker.execute();
        // AcqRel: pairs with itself. The last process to finish has seen the logs of all others.
        if control.finished.fetch_add(1, AcqRel) + 1 == shared.roles.len() as u32 {
            worker.finish();
        }
    }
}

struct PoolWorker<'a, S: WithHandles<Memory = Hardware>> {
    shared: &'a PoolState<S>,
    me: usize,
    /// Whether it has its processor for itself, so that it may spin.
    alone: bool,
    case: Option<Case<S::Spec>>,
    /// The number of operations of each process without the prefix.
    operations: Vec<usize>,
    batch: u32,
    /// The bytes of the logs of histories that were Ok, and the first caller if no calls
    /// overlapped.
    remembered: HashMap<Box<[u8]>, Option<usize>>,
    key: Vec<u8>,
}

impl<S: WithHandles<Memory = Hardware>> PoolWorker<'_, S> {
    fn await_round(&self, seen: u32) -> u32 {
        let round = &self.shared.control().round;
        let mut turns = if self.alone { SPINS } else { YIELDS };
        loop {
            // Acquire: pairs with the release of `next_round`; the setup before it is seen.
            let now = round.load(Acquire);
            if now != seen {
                return now;
            }
            if turns > 0 {
                turns -= 1;
                self.pause();
            } else {
                // An operation may have changed its user.
                die_with_parent();
                // SeqCst, as in `next_round`: either the count is seen there, or the kernel sees
                // the new round here.
                let asleep = &self.shared.control().asleep;
                asleep.fetch_add(1, SeqCst);
                Hardware::wait(round, seen);
                asleep.fetch_sub(1, SeqCst);
            }
        }
    }

    fn pause(&self) {
        if self.alone {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }

    fn take_batch(&mut self) {
        self.batch = self.shared.control().batch.load(Relaxed);
        self.case = self.shared.program().records().pop();
        self.operations = self
            .case
            .as_ref()
            .map_or_else(Vec::new, Case::own_operations);
        self.remembered.clear();
    }

    /// Drops the structure of the execution that has just ended: nothing that it holds outlives its
    /// execution.
    fn drop_structure(&self) {
        let place = &self.shared.control().places[self.me];
        place.set(Phase::Drop);
        // SAFETY: drop in place.
        // 1. The slot holds a structure: `start_execution` wrote it, and only this drops it, once an execution. 2. No process
        // uses it now: every worker has counted itself as finished, after dropping its handle, and waits for `round`.
        without_copies(|| unsafe { (*self.shared.slot().get()).assume_init_drop() });
        place.set(Phase::Idle);
    }

    /// Builds the structure again and lets all processes go.
    fn start_execution(&self) {
        let control = self.shared.control();
        let case = self.case.as_ref().expect("a batch was taken");
        control.places[self.me].set(Phase::Setup);
        let slot = self.shared.slot().get();
        heap::begin();
        let structure = without_copies(|| S::new(&case.setup));
        // SAFETY: the slot is a place for an `S` that is valid for writes and aligned, and this process's alone: the
        // other workers wait for `round`. What was in it has been dropped.
        unsafe { (*slot).write(structure) };
        for process in 0..case.program.len() {
            self.shared.log(process).clear();
        }
        self.do_prefix();
        control.clock.store(case.prefix.len() as u64, Relaxed);
        control.finished.store(0, Relaxed);
        control.places[self.me].set(Phase::Idle);
        control.draw_start_line(&self.operations, self.shared.learnt());
        control.next_round();
    }

    /// Does the prefix of the case on the structure that was just built.
    fn do_prefix(&self) {
        let case = self.case.as_ref().expect("a batch was taken");
        if case.prefix.is_empty() {
            return;
        }
        // SAFETY: a shared reference to the structure.
        // 1. `start_execution` has just written it. 2. It is dropped once an execution, after this. 3. `S: Sync`.
        let structure = unsafe { (*self.shared.slot().get()).assume_init_ref() };
        let mut time = 0;
        without_copies(|| {
            case.do_prefix(structure, &self.shared.roles, |process, _, ret| {
                let record: PoolCall<S::Spec> = (time, time, ret);
                time += 1;
                if self.shared.log(process).push(&record).is_err() {
                    self.shared.control().found.store(2, Relaxed);
                }
            });
        });
    }

    /// Does this process's part of one execution.
    fn execute(&mut self) {
        let control = self.shared.control();
        let case = self.case.as_ref().expect("a batch was taken");
        let place = &control.places[self.me];
        place.set(Phase::Attach);
        // SAFETY: a shared reference to the structure.
        // 1. `start_execution` wrote it before it moved `round`, which this worker has seen by Acquire.
        // 2. It is dropped only when all workers have finished, after this one's handle is gone. 3. `S: Sync`.
        let structure = unsafe { (*self.shared.slot().get()).assume_init_ref() };
        let role = Role::of(&self.shared.roles, self.me, 0);
        let only_reads = control.read_only.load(Relaxed) >> self.me & 1 == 1;
        if only_reads {
            self.may_write(false);
        }
        let mut handle = without_copies(|| structure.attach(role));
        let log = self.shared.log(self.me);
        let seed = control.drawn();
        let part = control.pauses.part(self.me, self.operations[self.me], seed);
        self.share_lines();
        control.await_start_line(self.me, self.alone);
        let of_prefix = case.prefix_of(self.me);
        for (own, op) in case.program[self.me][of_prefix..].iter().enumerate() {
            let number = of_prefix + own;
            // On one processor the paused process goes on between two calls of this one only if this one lets it. A bit of a number
            // that was drawn says whether it does.
            let lets_go_on = |first, longer: u64| {
                let shared = !self.alone || control.pauses.wait_for_calls();
                shared && first < own && longer >> (own % 7) & 1 == 1
            };
            match part {
                Part::Waits(first, longer) if first == own => {
                    control.pauses.progress.wait(self.alone, longer);
                }
                Part::Waits(first, longer) if lets_go_on(first, longer) => {
                    std::thread::yield_now();
                }
                _ => {}
            }
            // SeqCst read-modify-writes: all calls and returns are in one total order.
            let invoked = control.clock.fetch_add(1, SeqCst);
            place.set(Phase::Operation { number, invoked });
            let ret = if part == Part::Pauses(own) {
                // Beside other work the other processes may have no processor just now, although
                // each has one of its own.
                let shared = !self.alone || control.pauses.wait_for_calls();
                let others = shared.then(|| Others {
                    clock: &control.clock,
                    finished: &control.finished,
                    count: self.operations.len() as u32 - 1,
                });
                let learnt = self.shared.learnt();
                let code = (&self.shared.code, learnt);
                let point = control.pauses.point(code, others, seed);
                let (ret, paused) = pausing(point, || without_copies(|| S::apply(&mut handle, op)));
                control.pauses.learn(self.me, paused, learnt);
                ret
            } else {
                without_copies(|| S::apply(&mut handle, op))
            };
            let returned = control.clock.fetch_add(1, SeqCst);
            if log.push(&(invoked, returned, ret)).is_err() {
                control.found.store(2, Relaxed);
                break;
            }
        }
        place.set(Phase::Detach);
        without_copies(|| drop(handle));
        if only_reads {
            self.may_write(true);
        }
        place.set(Phase::Idle);
    }

    /// Sets whether this process's mapping of the structure may be written to.
    fn may_write(&self, may: bool) {
        let structure = &self.shared.structure;
        structure.may_write(may).expect("it is our own mapping");
    }

    /// Brings the structure into this processor's cache, so that all processors share it when the
    /// operations begin. Each first store then has to fetch its line, which takes longer than the
    /// operations of others. Without it one process owns all lines, and its stores follow each
    /// other so fast that no other process comes between.
    fn share_lines(&self) {
        #[cfg(target_arch = "x86_64")]
        for line in (0..size_of::<S>().min(64 * 64)).step_by(64) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch is no access: it cannot fault, and the address lies within the slot anyway.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.shared.slot().get().cast::<i8>().add(line)) };
        }
    }

    /// Judges the execution in the last process to finish, and starts the next one or notes that
    /// the batch is over.
    fn finish(&mut self) {
        let control = self.shared.control();
        let paused = control.pauses.ended(&control.start);
        // An execution with a pause says nothing about the others.
        if !paused {
            control.learn_from_start();
        }
        control.places[self.me].set(Phase::Check);
        let fine = control.found.load(Relaxed) == 0 && self.judge(paused);
        self.drop_structure();
        let executions = control.executions.fetch_add(1, Relaxed) + 1;
        let overlapping = control.overlapping.load(Relaxed);
        control.pauses.decide(executions, overlapping);
        let stop = !fine && {
            control.failing.fetch_add(1, Relaxed);
            control.pauses.failed();
            control.keep_going.load(Relaxed) == 0 || control.found.load(Relaxed) != 0
        };
        control.places[self.me].set(Phase::Idle);
        let last =
            control.remaining.fetch_sub(1, Relaxed) <= 1 || control.out_of_time.load(Relaxed) != 0;
        if stop || last {
            // The logs stay as they are.
            if !fine {
                let _ = control.found.compare_exchange(0, 1, Relaxed, Relaxed);
            }
            // Release: pairs with the Acquire of the supervisor, which sees the logs and counts, and may begin another batch.
            control.over.store(1, Release);
            self.shared.bell.ring();
        } else {
            self.start_execution();
        }
    }

    fn judge(&mut self, paused: bool) -> bool {
        let case = self.case.as_ref().expect("a batch was taken");
        let control = self.shared.control();
        self.key.clear();
        for process in 0..case.program.len() {
            self.shared.log(process).copy(&mut self.key);
        }
        let (fine, alone) = match self.remembered.get(&*self.key) {
            Some(&alone) => (true, alone),
            None => {
                let history = self.shared.history(case);
                let alone = if history.overlaps() {
                    None
                } else {
                    history.first()
                };
                let judging = Judging::begin();
                let watcher = || {
                    let steps = &control.spec_steps;
                    steps.store(steps.load(Relaxed).wrapping_add(1), Relaxed);
                    judging.goes_on()
                };
                let fine = (self.shared.judge)(case, &history, &watcher);
                if judging.is_over() {
                    control.found.store(3, Relaxed);
                }
                if fine && self.remembered.len() < REMEMBERED {
                    self.remembered.insert(self.key.as_slice().into(), alone);
                }
                (fine, alone)
            }
        };
        match alone {
            None => {
                control.overlapping.fetch_add(1, Relaxed);
                if !paused {
                    control.pauses.overlapped();
                }
            }
            Some(_) if paused => {}
            Some(first) => control.hold_back(first, self.shared.roles.len()),
        }
        fine
    }
}
