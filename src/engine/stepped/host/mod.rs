//! The host: all processes of a case in one forked process, for searches. Each is a coroutine that
//! sees the structure at an address of its own. It asks the same plan as workers do, and a switch
//! takes nanoseconds. A killed process is a coroutine that is never resumed: its stack goes to the
//! next incarnation without being unwound, so only the stores that it made remain.
//!
//! Each execution that ends a batch here is run again by workers, which are processes of their own,
//! before it is reported. Coroutines share statics, thread-locals, descriptors and the pid, which
//! processes do not. [`Statics`] compares them, and workers repeat some executions step by step.
#![allow(
    unsafe_code,
    reason = "coroutines that are reset and the way back out of them"
)]

mod room;
mod statics;

use super::board::duty;
use super::coroutine::{Ask, Process, Resumed};
use super::execution::{Execution, live};
use super::instrumented;
use super::novelty::Novelty;
use super::scheduler::decision::{Decision, Stop};
use super::shared::CrewState;
use super::stepper::{self, Executor, Stepper};
use crate::case::Case;
use crate::engine::stepped::instrumented::{Block, Globals};
use crate::error::Error;
use crate::memory::Memory;
use crate::region::Region;
use crate::structure::WithHandles;
use crate::workers::original;
use corosensei::CoroutineResult;
use corosensei::stack::DefaultStack;
use room::Room;
use statics::Statics;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Sizes of the stack of a process, in bytes. The first is the usual one of a main thread, of which
/// only touched pages use memory. The smaller ones are for a limit on addresses (RLIMIT_AS), or
/// where all of it counts (`vm.overcommit_memory=2`). An operation that needs more ends the host,
/// and forked processes search. Below each stack is an inaccessible guard page.
const STACKS: [usize; 3] = [8 << 20, 1 << 20, 256 << 10];
/// The first executions of a case that are compared for changes of statics, and the interval of
/// later ones.
const LOOKS: u64 = 8;
const EVERY: u64 = 1 << 12;

/// One process of the case, as the host keeps it.
struct Hosted {
    structure: Arc<Region>,
    stepper: &'static Stepper,
    read_only: bool,
    coroutine: Option<Process>,
    /// The thread-locals of code that is not written for `Memory`.
    block: Option<Block>,
    /// Whether the process is in its program.
    busy: bool,
}

/// The case that was taken last, for all coroutines.
type Taken<S> = Rc<RefCell<Option<Rc<Case<S>>>>>;

struct Host<M: Memory, S: WithHandles<Memory = M>> {
    execution: Execution<M, S>,
    /// The case that each coroutine runs.
    case: Taken<S::Spec>,
    places: Vec<Hosted>,
    statics: Statics,
    /// The statics of code that is not written for `Memory`, which are put back after each execution.
    globals: Option<Globals>,
    /// The sum of the statics before this execution, if it is one of those that are compared.
    before: Option<u64>,
    /// Executions of this case without the very first of the host, which does one-time
    /// initialisation.
    begun: u64,
    first: bool,
    room: Room,
    novelty: Rc<Novelty>,
}

/// Returns the largest size of stacks for which there is room for one of each process.
pub(super) fn stack_size(processes: usize) -> Result<usize, Error> {
    let make = |size| -> std::io::Result<usize> {
        let stacks = (0..processes).map(|_| DefaultStack::new(size));
        stacks.collect::<Result<Vec<_>, _>>().map(|_| size)
    };
    let [usual, smaller, smallest] = STACKS;
    let made = make(usual)
        .or_else(|_| make(smaller))
        .or_else(|_| make(smallest));
    made.map_err(|error| {
        Error::system(
            format!("map {processes} stacks of {smallest} bytes for processes that are coroutines"),
            error,
            "raise RLIMIT_AS (ulimit -v) or, with vm.overcommit_memory=2, vm.overcommit_ratio, or check fewer processes",
        )
    })
}

/// Runs a host until it is killed.
pub(super) fn host<M: Memory, S: WithHandles<Memory = M>>(
    shared: &Arc<CrewState<S::Spec>>,
    stack: usize,
) {
    original::mark();
    let structures: Vec<Arc<Region>> = shared
        .roles
        .iter()
        .map(|_| match shared.instrumented {
            true => Arc::clone(&shared.structure),
            false => {
                let again = shared.structure.map_again();
                Arc::new(again.expect("there is room for a few pages"))
            }
        })
        .collect();
    let novelty = Rc::new(Novelty::default());
    let places = structures.into_iter().map(|structure| {
        let executor = Executor::Coroutine {
            resumed: Resumed::new(),
            novelty: Rc::clone(&novelty),
        };
        let stepper = stepper::install(
            (shared.board.clone(), Arc::clone(&shared.notes), executor),
            0,
            (Arc::clone(&structure), shared.structure.address()),
            shared.instrumented,
        );
        Hosted {
            structure,
            stepper,
            read_only: false,
            coroutine: None,
            block: None,
            busy: false,
        }
    });
    let mut host = Host::<M, S> {
        execution: Execution::new(Arc::clone(shared), Arc::clone(&shared.structure), 0),
        case: Rc::default(),
        places: places.collect(),
        statics: Statics::of_this_program(),
        globals: None,
        before: None,
        begun: 0,
        first: true,
        room: Room::default(),
        novelty: Rc::clone(&novelty),
    };
    for process in 0..host.places.len() {
        let stack = DefaultStack::new(stack).expect("there was room for it before the fork");
        host.fresh(process, stack);
    }
    if shared.instrumented {
        let blocks = Block::of_processes(host.places.len());
        for (place, block) in host.places.iter_mut().zip(blocks) {
            place.block = Some(block);
        }
        host.globals = Some(Globals::of_this_thread());
    }
    loop {
        shared.board.await_turn(0);
        host.turn();
    }
}

impl<M: Memory, S: WithHandles<Memory = M>> Drop for Host<M, S> {
    /// A panic of the spec or of a `finally` unwinds here, and ends this process. The stack of a coroutine that is suspended cannot be
    /// unwound, and a drop of it would abort, with a second panic in the report.
    fn drop(&mut self) {
        for place in &mut self.places {
            std::mem::forget(place.coroutine.take());
        }
    }
}

impl<M: Memory, S: WithHandles<Memory = M>> Host<M, S> {
    fn shared(&self) -> &CrewState<S::Spec> {
        self.execution.shared()
    }

    /// Makes the coroutine of a process on this stack.
    fn fresh(&mut self, process: usize, stack: DefaultStack) {
        let (shared, case) = (Arc::clone(self.execution.shared()), Rc::clone(&self.case));
        let place = &mut self.places[process];
        let (structure, stepper) = (Arc::clone(&place.structure), place.stepper);
        place.coroutine = Some(Process::with_stack(stack, move |yielder, ()| {
            let Executor::Coroutine { resumed, .. } = stepper.executor() else {
                return;
            };
            resumed.set(yielder);
            // It may have thread-locals of its own.
            stepper::become_process(Some(stepper));
            loop {
                let case = Rc::clone(case.borrow().as_ref().expect("a batch was taken"));
                let body = || live::<M, S>(&shared, &structure, &case, process);
                let ask = match catch_unwind(AssertUnwindSafe(body)) {
                    Ok(full) => Ask::Done(full),
                    Err(panic) => resumed.panicked(panic),
                };
                yielder.suspend(ask.to_word());
            }
        }));
    }

    /// Takes the stack away from a process.
    fn reset(&mut self, process: usize) {
        self.room.lost_one();
        let place = &mut self.places[process];
        place.busy = false;
        let mut coroutine = place.coroutine.take().expect("each has one");
        // SAFETY: force_reset of a coroutine with living values on its stack: what longjmp(3) over their frames would do.
        // 1. Nothing on the stack is used again, and nothing borrows from it: other coroutines see only its stores to the structure,
        //    which is not on it, and its `Stepper`, which is never freed. A structure whose threads or thread-locals point to the
        //    stack of a killed coroutine is outside of this argument: threads are counted where statics are compared.
        // 2. Memory that it owns elsewhere is leaked, never freed twice. 3. A killed process runs no destructors either.
        unsafe { coroutine.force_reset() };
        if let Some(block) = &place.block {
            block.put_back();
        }
        self.fresh(process, coroutine.into_stack());
    }

    fn reset_all(&mut self) {
        for process in 0..self.places.len() {
            if self.places[process].busy {
                self.reset(process);
            }
        }
    }

    #[inline(always)]
    fn resume(&mut self, process: usize) -> Ask {
        let place = &mut self.places[process];
        place.busy = true;
        let coroutine = place.coroutine.as_mut().expect("each has one");
        let resumed = match &place.block {
            Some(block) => block.within(|| coroutine.resume(())),
            None => {
                stepper::become_process(Some(place.stepper));
                coroutine.resume(())
            }
        };
        match resumed {
            CoroutineResult::Yield(ask) => Ask::from_word(ask),
            CoroutineResult::Return(()) => Ask::End(Stop::Panicked),
        }
    }

    /// Takes the payload of the panic with which a process ended.
    fn panic_of(&self, process: usize) -> Box<dyn Any + Send> {
        match self.places[process].stepper.executor() {
            Executor::Coroutine { resumed, .. } => resumed.take_panic(),
            Executor::Worker { .. } => None,
        }
        .expect("it has just panicked")
    }

    /// Takes a case that is new, or was another host's: its processes see the structure with the
    /// rights that they have.
    fn take(&mut self) {
        if !self.execution.take() {
            return;
        }
        self.begun = 0;
        self.novelty.clear();
        self.reset_all();
        self.case.replace(Some(Rc::clone(self.execution.case())));
        let read_only = self.shared().board.plan(|plan| plan.read_only);
        for (process, place) in self.places.iter_mut().enumerate() {
            let only_reads = read_only >> process & 1 == 1 && !self.execution.shared().instrumented;
            if std::mem::replace(&mut place.read_only, only_reads) != only_reads {
                let may = place.structure.may_write(!only_reads);
                may.expect("it is our own mapping");
            }
        }
    }

    /// Begins to compare statics in the first executions of a case, and in some of the others: from
    /// before the structure is built, or the last one dropped, until all processes are done.
    /// Accesses of the check itself are left out.
    fn look(&mut self) {
        if let Some(globals) = &mut self.globals {
            return globals.keep();
        }
        if std::mem::take(&mut self.first) {
            self.before = None;
            return;
        }
        let looks = self.begun < LOOKS || self.begun.is_multiple_of(EVERY);
        self.begun += 1;
        self.before = looks.then(|| self.statics.sum());
    }

    /// Puts statics and thread-locals back that code under test has changed, before code of the check changes others.
    fn put_back(&self) {
        if let Some(globals) = &self.globals {
            globals.put_back();
            let blocks = self.places.iter().filter_map(|place| place.block.as_ref());
            blocks.for_each(Block::put_back);
        }
    }

    /// Returns whether this execution, if it is compared, changed memory that is private to a
    /// process, or left a thread.
    fn differs(&self) -> bool {
        let changed = |before| before != self.statics.sum() || statics::threads() > 1;
        self.before.is_some_and(changed)
    }

    /// Returns the reason to interrupt the batch before another execution begins.
    fn before_the_next(&mut self) -> Option<Stop> {
        let is_new = self.novelty.take();
        let board = &self.shared().board;
        board.plan(|plan| plan.novel = is_new.into());
        if self.room.is_spent() {
            Some(Stop::Spent)
        } else {
            is_new.then_some(Stop::Novel)
        }
    }

    /// Runs executions while the host has the turn, until a batch is over or an execution has to be
    /// reported.
    fn turn(&mut self) {
        self.take();
        if self.shared().board.duty() == duty::BEGIN {
            self.reset_all();
            stepper::become_process(None);
            self.look();
            self.execution.begin();
        }
        let mut next = self.shared().board.plan(|plan| plan.decide());
        loop {
            let goes_on = match next {
                Decision::Run(process) => match self.resume(process.into()) {
                    Ask::Next(decided) => {
                        next = decided;
                        continue;
                    }
                    Ask::Done(full) => {
                        let process = usize::from(process);
                        self.places[process].busy = false;
                        let board = &self.shared().board;
                        if full {
                            board.full.store(1, Relaxed);
                        }
                        board.plan(|plan| plan.done(process));
                        true
                    }
                    Ask::End(why) => return self.execution.end(why),
                    Ask::Panicked => {
                        let panic = self.panic_of(process.into());
                        // A trace tells it as the panic of a process.
                        if self.shared().board.traced.load(Relaxed) != 0 {
                            resume_unwind(panic);
                        }
                        return self.execution.end(Stop::Panicked);
                    }
                },
                Decision::Kill(process) => {
                    let process = usize::from(process);
                    self.shared().board.plan(|plan| plan.die(process));
                    self.places[process].stepper.note_death();
                    instrumented::end_incarnation(process);
                    self.reset(process);
                    self.shared()
                        .board
                        .plan(|plan| plan.replace_dead(process, 0));
                    true
                }
                Decision::Stop(Stop::Over) => {
                    stepper::become_process(None);
                    if self.differs() {
                        return self.execution.end(Stop::Differs);
                    }
                    if self.globals.is_some() {
                        if let Some(why) = self.execution.drop_structure() {
                            return self.execution.end(why);
                        }
                        self.put_back();
                        let fine = self.execution.judge();
                        let first = self.before_the_next();
                        self.look();
                        self.execution.next(fine, first)
                    } else {
                        let fine = self.execution.judge();
                        let first = self.before_the_next();
                        self.look();
                        let _ = self.execution.drop_structure();
                        self.execution.next(fine, first)
                    }
                }
                Decision::Stop(Stop::Stuck) => {
                    stepper::become_process(None);
                    // Before the check of the history, which has statics of its own.
                    let differs = self.differs();
                    self.put_back();
                    let rests = self.shared().board.plan(|plan| plan.outside().is_empty())
                        && self.execution.rests();
                    if self.execution.is_unjudged() {
                        return self.execution.end(Stop::Unjudged);
                    }
                    // An execution in which a process must not wait is counted, where all failures
                    // are.
                    if !rests && self.shared().board.keep_going.load(Relaxed) == 0 {
                        return self.execution.end(Stop::Stuck);
                    }
                    if differs {
                        return self.execution.end(Stop::Differs);
                    }
                    self.reset_all();
                    let first = self.before_the_next();
                    self.look();
                    self.execution.next(rests, first)
                }
                Decision::Stop(why) => return self.execution.end(why),
            };
            if !goes_on {
                return;
            }
            next = self.shared().board.plan(|plan| plan.decide());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use nix::sys::resource::{Resource, setrlimit};

    /// Returns the sizes of four stacks with room for this many bytes, or the reason why there is
    /// too little room.
    fn sizes(rooms: Vec<u64>) -> Vec<Result<usize, String>> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
        let size = size.unwrap().trim().trim_end_matches(" kB");
        let size = size.parse::<u64>().unwrap() << 10;
        let sizes = rooms.into_iter().map(|room| {
            setrlimit(Resource::RLIMIT_AS, size + room, size + room).unwrap();
            stack_size(4).map_err(|error| error.to_string())
        });
        sizes.collect()
    }

    #[test]
    fn stacks_are_smaller_where_there_is_less_room_and_an_error_where_there_is_none() {
        let rooms = [40, 20, 3, 0].map(|mib| mib << 20).to_vec();
        let sizes = process::in_fresh_process(sizes, rooms).unwrap();
        assert_eq!(sizes[..3], [8 << 20, 1 << 20, 256 << 10].map(Ok));
        let why = sizes[3].as_ref().unwrap_err();
        assert!(why.contains("raise RLIMIT_AS (ulimit -v)"), "{why}");
        assert!(why.contains("vm.overcommit_ratio"), "{why}");
    }
}
