//! One worker of a crew: it is a process of one execution after another. The last to finish judges
//! the history and begins the next execution.

use super::board::{BoardRef, duty};
use super::execution::{Execution, live};
use super::scheduler::decision::{Decision, Stop};
use super::scheduler::states::State;
use super::shared::CrewState;
use super::stepper::{self, Executor};
use crate::engine::stepped::instrumented::{self, Globals};
use crate::memory::Memory;
use crate::region::Region;
use crate::structure::WithHandles;
use crate::workers::original;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Runs a worker until it is killed.
pub(super) fn work<M: Memory, S: WithHandles<Memory = M>>(
    shared: &Arc<CrewState<S::Spec>>,
    slot: usize,
) {
    original::mark();
    // Every process but the first has the structure at an address of its own, so that a stored
    // address shows. Code that is not written for `Memory` has a heap beside its structure, and may
    // store addresses in it.
    let structure = match slot {
        0 => Arc::clone(&shared.structure),
        _ if shared.instrumented => Arc::clone(&shared.structure),
        _ => Arc::new(
            shared
                .structure
                .relocate()
                .expect("there is room for a few pages"),
        ),
    };
    let executor = Executor::Worker {
        bell: Arc::clone(&shared.bell),
    };
    stepper::become_process(Some(stepper::install(
        (shared.board.clone(), Arc::clone(&shared.notes), executor),
        slot,
        (Arc::clone(&structure), shared.structure.address()),
        shared.instrumented,
    )));
    let mut worker = Worker::<M, S> {
        execution: Execution::new(Arc::clone(shared), Arc::clone(&structure), slot),
        structure,
        slot,
        globals: shared.instrumented.then(Globals::of_this_thread),
    };
    loop {
        shared.board.await_turn(slot);
        worker.turn();
    }
}

struct Worker<M: Memory, S: WithHandles<Memory = M>> {
    execution: Execution<M, S>,
    /// The mapping of the structure in this process.
    structure: Arc<Region>,
    slot: usize,
    /// The statics of code that is not written for `Memory`, which are put back after each execution.
    globals: Option<Globals>,
}

impl<M: Memory, S: WithHandles<Memory = M>> Worker<M, S> {
    fn shared(&self) -> &CrewState<S::Spec> {
        self.execution.shared()
    }
    fn board(&self) -> &BoardRef {
        &self.shared().board
    }

    /// Does the task of the worker that has the turn, and passes it on.
    fn turn(&mut self) {
        self.execution.take();
        match self.board().duty() {
            duty::BEGIN => {
                if let Some(globals) = &self.globals {
                    globals.put_back();
                }
                self.execution.begin();
                self.stay();
            }
            duty::JUDGE => {
                if !self.finish() {
                    return;
                }
            }
            _ => {
                let me = self.board().plan(|plan| {
                    (0..self.shared().roles.len()).find(|&process| {
                        plan.worker_of(process) == self.slot && plan.state(process) == State::Fresh
                    })
                });
                if let Some(me) = me {
                    self.be(me);
                }
            }
        }
        loop {
            let decision = self.board().plan(|plan| plan.decide());
            if let Decision::Run(process) = decision
                && self.board().plan(|plan| plan.worker_of(process.into())) == self.slot
            {
                self.be(process.into());
                continue;
            }
            match self.board().carry_out(Some(self.slot), decision) {
                None => return,
                Some(Stop::Over) => {
                    if !self.finish() {
                        return;
                    }
                }
                Some(why) => return self.execution.end(why),
            }
        }
    }

    /// Begins the next execution, or notes that the batch is over.
    fn finish(&mut self) -> bool {
        let Some(globals) = &mut self.globals else {
            let fine = self.execution.judge();
            let _ = self.execution.drop_structure();
            return self.execution.next(fine, None);
        };
        globals.enter(instrumented::execution());
        if let Some(why) = self.execution.drop_structure() {
            self.execution.end(why);
            return false;
        }
        globals.put_back();
        let fine = self.execution.judge();
        globals.keep();
        let goes_on = self.execution.next(fine, None);
        self.stay();
        goes_on
    }

    /// Notes that code of the execution that runs now has run here.
    fn stay(&mut self) {
        if let Some(globals) = &mut self.globals {
            globals.stay(instrumented::execution());
        }
    }

    /// Runs one incarnation of one process.
    fn be(&mut self, me: usize) {
        // Where steps are seen by instruction, so are writes, and a process that only reads may
        // have a heap.
        let only_reads =
            self.board().plan(|plan| plan.read_only) >> me & 1 == 1 && !self.shared().instrumented;
        let may_write = |may| {
            if only_reads {
                self.structure
                    .may_write(may)
                    .expect("it is our own mapping");
            }
        };
        may_write(false);
        if let Some(globals) = &mut self.globals {
            globals.enter(instrumented::execution());
        }
        let execution = &self.execution;
        let (shared, case) = (execution.shared(), execution.case());
        let full = live::<M, S>(shared, &self.structure, case, me);
        may_write(true);
        if full {
            self.board().full.store(1, Relaxed);
        }
        self.board().plan(|plan| plan.done(me));
    }
}
