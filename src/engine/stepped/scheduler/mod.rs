//! The state of an execution between two steps, and the choice of the next process. Only the holder
//! of the turn reads and writes it.
//!
//! It lies in shared memory and is made of plain integers: a structure that writes to it by mistake
//! leaves a wrong number, never an invalid value.
//!
//! `decide` makes a [`Decision`](decision::Decision) of what the strategy chose. `process` is the part of one process,
//! `states` all states, `footprint` the words by process, `points` the kill points, `workers` the worker of each
//! process. `time` has the times of calls and returns, and `fairness` the rules by which a process that waits by looking lets others go first.

mod decide;
pub(super) mod decision;
mod fairness;
mod footprint;
mod points;
mod process;
pub(super) mod states;
mod time;
mod workers;

use crate::case::Access;
use crate::schedule::{MAX_PROCESSES, MAX_STEPS, NO_PROCESS, Scheduler};
use footprint::Footprint;
use points::Points;
use process::{Death, Process};
use states::{State, States};
use workers::Workers;

/// The counts of a batch.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) executions: u64,
    pub(crate) failing: u64,
    pub(crate) remaining: u64,
    /// The steps that executions may still take.
    pub(crate) steps: u64,
}

/// The phase, other than an operation, in which a process waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    Attach,
    Drop,
}

/// The most steps of one operation.
pub(crate) const MOST_STEPS: u32 = 4_000;
/// The most deaths in one execution.
const MAX_DEATHS: usize = 16;

/// The fields that change with each step. They move from processor to processor with the turn, so
/// they share one cache line.
#[repr(C, align(64))]
struct Now {
    version: u64,
    clock: u64,
    current: u32,
    step: u32,
    decisions: u32,
    dying: u32,
    states: States,
    /// 1: an operation is past the steps that it may take.
    too_long: u8,
    /// 1: the next process was decided before the current one came to its first step.
    decided: u8,
    /// 1: the last event of the history was not a call.
    calls_are_later: u8,
    /// How often spinning processes were let go on though nothing had changed since their last
    /// look, see [`fairness`](fairness).
    probes: u16,
    /// The worker that each process runs on.
    workers: Workers,
}

const _: () = assert!(size_of::<Now>() == 64);

#[repr(C)]
pub(super) struct Plan {
    now: Now,
    processes: [Process; MAX_PROCESSES],
    choices: [u8; MAX_STEPS],
    pub(super) scheduler: Scheduler,
    count: u32,
    /// The most steps that an operation may take.
    longest: u32,
    queued: u64,
    pub(super) deaths: [Death; MAX_DEATHS],
    pub(super) died: u32,
    pub(super) footprint: Footprint,
    /// Lock- or wait-freedom bound: the most steps of its own per operation; 0 if the suite promised none.
    pub(super) step_bound: u32,
    /// 1: the count begins again when another process completes an operation (lock-freedom).
    pub(super) reset_on_completion: u32,
    /// Processes that are not to write, and those that may be killed, as bits.
    pub(super) read_only: u32,
    pub(super) killable: u32,
    /// A number for the structure's bytes in a traced execution, and whether they changed without a
    /// step.
    pub(super) bytes: u64,
    pub(super) unscheduled: u32,
    /// Processes that are within a cell, whose data may change without steps.
    pub(super) in_cells: u32,
    /// 1: switch also where no other process touches the word.
    pub(super) every: u32,
    /// 1: each call and each return has a time of its own, for reports.
    pub(super) exact: u32,
    /// 1: an invariant reads all words, so the order of any two writes matters.
    pub(super) watched: u32,
    /// 1: the steps of this execution are kill points to be counted.
    pub(super) counts_points: u32,
    pub(super) points: Points,
    /// The most steps of its own that an operation needed.
    pub(super) worst: u32,
    pub(super) tally: Tally,
    /// 1: this execution had a step of a kind that none had before.
    pub(super) novel: u32,
    /// A number for the steps of this execution, see [`summed`](super::stepper).
    pub(super) sum: u64,
}

impl Plan {
    /// Sets a new case with these numbers of operations.
    pub(super) fn set_case(&mut self, operations: &[usize]) {
        self.count = operations.len() as u32;
        for (process, operations) in self.processes.iter_mut().zip(operations) {
            process.operations = *operations as u32;
        }
        self.longest = if self.step_bound > 0 {
            self.step_bound
        } else {
            MOST_STEPS
        };
        self.footprint.clear();
        self.points.clear();
        self.worst = 0;
        // A process that dies before the first execution was not scheduled to.
        self.now.dying = NO_PROCESS;
    }

    /// Begins a new execution.
    pub(super) fn begin(&mut self) {
        self.now = Now {
            version: 1,
            clock: 0,
            current: NO_PROCESS,
            step: 0,
            decisions: 0,
            dying: NO_PROCESS,
            states: States::default(),
            too_long: 0,
            decided: 0,
            calls_are_later: 1,
            probes: 0,
            workers: self.now.workers,
        };
        self.sum = 0;
        // Written only where it changes: all processors have it in their caches.
        for word in [&mut self.died, &mut self.in_cells] {
            if *word != 0 {
                *word = 0;
            }
        }
        if self.queued != 0 {
            self.queued = 0;
        }
        for process in 0..self.count() {
            self.now.states.set(process, State::Fresh);
            self.processes[process].incarnation = 0;
            self.processes[process].begin_incarnation();
        }
        self.scheduler.begin(self.count());
    }

    /// Skips an operation of a process that was done before the execution, which begins at this
    /// time.
    pub(super) fn skip(&mut self, process: usize, time: u64) {
        self.processes[process].operation += 1;
        self.now.clock = time;
    }

    /// Ends an execution, and returns whether the strategy has another one.
    pub(super) fn end_execution(&mut self, failing: bool) -> bool {
        self.tally.executions += 1;
        self.tally.failing += u64::from(failing);
        let steps = self.steps();
        self.tally.steps = self.tally.steps.saturating_sub(steps.into());
        self.tally.remaining = match self.tally.steps {
            0 => 0,
            _ => self.tally.remaining.saturating_sub(1),
        };
        self.scheduler.end(steps)
    }

    fn count(&self) -> usize {
        (self.count as usize).min(MAX_PROCESSES)
    }
    pub(super) fn of(&self, process: usize) -> &Process {
        &self.processes[process]
    }
    pub(super) fn state(&self, process: usize) -> State {
        self.now.states.of(process)
    }
    /// Returns the worker that a process runs on.
    #[inline]
    pub(super) fn worker_of(&self, process: usize) -> usize {
        self.now.workers.of(process)
    }
    pub(super) fn assign(&mut self, process: usize, worker: usize) {
        self.now.workers.set(process, worker);
    }
    /// Returns the process that took the last step, or `NO_PROCESS`.
    #[inline]
    pub(super) fn current(&self) -> u32 {
        self.now.current
    }
    /// Returns the process that is to die, or `NO_PROCESS`.
    #[inline]
    pub(super) fn dying(&self) -> u32 {
        self.now.dying
    }
    /// Makes a process die as soon as it gets the turn.
    pub(super) fn schedule_kill(&mut self, process: usize) {
        self.now.dying = process as u32;
    }
    /// Returns the number of steps of this execution.
    pub(super) fn steps(&self) -> u32 {
        self.now.step
    }

    /// Notes that a process begins an operation.
    pub(super) fn enter(&mut self, process: usize, operation: usize) {
        let process = &mut self.processes[process];
        process.operation = operation as u32 + 1;
        (process.invoked, process.before) = (0, process.steps);
        process.patience.enter();
        (process.exempt_steps, process.inside) = (0, 1);
    }

    /// Notes that a process ends its operation, and returns the times of call and return.
    pub(super) fn leave(&mut self, process: usize) -> (u64, u64) {
        let exact = self.is_exact();
        let at = &mut self.processes[process];
        if at.invoked == 0 {
            at.invoked = self.now.time_of_call(exact);
        }
        let returned = self.now.time_of_return(exact);
        if at.of_operation() > self.worst {
            self.worst = at.of_operation();
        }
        (at.before, at.inside) = (at.steps, 0);
        let times = (at.invoked, returned);
        if self.reset_on_completion != 0 {
            let count = self.count();
            for other in &mut self.processes[..count] {
                other.exempt_steps = other.of_operation();
            }
        }
        times
    }

    /// Notes that a process has done its program.
    pub(super) fn done(&mut self, process: usize) {
        if std::mem::take(&mut self.now.decided) != 0 {
            // It had no step to take, so the decision does not count.
            self.now.decisions = self.now.decisions.saturating_sub(1);
        }
        self.now.states.set(process, State::Done);
    }

    /// Notes the pending step of a process.
    #[inline]
    pub(super) fn publish(&mut self, process: usize, kind: Access, word: u64) {
        let (version, at) = (self.now.version, &mut self.processes[process]);
        (at.kind, at.word) = (kind as u32, word);
        let treated = at.patience.before(kind, version);
        self.now.states.set(process, treated.state);
        if treated.unproductive {
            self.now.states.mark_unproductive(process);
        }
        if treated.deprioritised {
            self.now.states.deprioritise(process);
        }
    }

    /// Notes that a process takes its pending step: no other moves meanwhile.
    #[inline]
    pub(super) fn take(&mut self, process: usize) {
        if self.now.states.deprioritised() >> process & 1 == 1 {
            // No other process could move: all begin to count again.
            self.now.states.restore_priorities();
            let count = self.count();
            for other in &mut self.processes[..count] {
                other.patience.reset_spins();
            }
        }
        let exact = self.is_exact();
        let (now, at) = (&mut self.now, &mut self.processes[process]);
        now.step += 1;
        if at.incarnation > 0 {
            self.points.come_past_later(process, at.steps);
        } else if self.counts_points != 0 && self.killable >> process & 1 == 1 {
            self.points.come_past(process, at.steps);
        }
        at.steps += 1;
        let most = match at.inside {
            0 => MOST_STEPS,
            _ => self.longest.saturating_add(at.exempt_steps),
        };
        if at.of_operation() > most {
            now.too_long = 1;
        }
        let is_spin = at.kind == Access::Spin as u32;
        at.patience.taken(is_spin, now.version);
        if at.invoked == 0 {
            at.invoked = now.time_of_call(exact);
        }
        if self.scheduler.asks_for_conflicts() {
            self.footprint.add(at.word, process, writes(at.kind));
        }
    }

    /// Notes that memory has changed.
    #[inline]
    pub(super) fn changed(&mut self) {
        self.now.version += 1;
        self.now.probes = 0;
        self.now.states.changed();
    }

    /// Returns a number that changes with memory.
    #[cfg(forkcheck_instrumented)]
    pub(super) fn version(&self) -> u64 {
        self.now.version
    }

    /// Compares the structure's bytes before a step with those after the last one.
    pub(super) fn look(&mut self, bytes: u64) {
        if bytes != self.bytes && self.in_cells == 0 {
            (self.bytes, self.unscheduled) = (bytes, 1);
        }
    }

    /// Queues a process that waits on the word of its pending step.
    pub(super) fn queue(&mut self, process: usize) {
        self.queued += 1;
        self.processes[process].queue = self.queued;
    }

    /// Removes a process from the queue, and returns whether it was woken before.
    pub(super) fn leave_queue(&mut self, process: usize) -> bool {
        std::mem::take(&mut self.processes[process].queue) == 0
    }

    /// Queues a process that goes to sleep.
    pub(super) fn block(&mut self, process: usize) {
        self.queue(process);
        self.now.states.set(process, State::Blocked);
    }

    /// Wakes the `n` that sleep longest on a word.
    pub(super) fn wake(&mut self, word: u64, n: u32) -> u32 {
        for woken in 0..n {
            let asleep = (0..self.count())
                .filter(|&process| {
                    let at = &self.processes[process];
                    at.queue != 0 && at.word == word && self.state(process) != State::Dead
                })
                .min_by_key(|&process| self.processes[process].queue);
            let Some(first) = asleep else {
                return woken;
            };
            self.processes[first].queue = 0;
            self.now.states.set(first, State::Ready);
        }
        n
    }

    /// Returns the processes that wait outside of an operation: in `attach`, or while their handle
    /// is dropped.
    pub(super) fn outside(&self) -> Vec<(usize, Outside)> {
        let waits = |&process: &usize| {
            let state = self.state(process);
            matches!(state, State::Spinning | State::Blocked) && self.of(process).inside == 0
        };
        (0..self.count())
            .filter(waits)
            .map(|process| {
                let at = self.of(process);
                let done = at.operation >= at.operations && at.operations > 0;
                (process, if done { Outside::Drop } else { Outside::Attach })
            })
            .collect()
    }

    /// Returns whether this incarnation of a process still runs.
    pub(super) fn alive(&self, process: usize, incarnation: u32) -> bool {
        process < self.count()
            && self.state(process) != State::Dead
            && self.processes[process].incarnation == incarnation
    }

    /// Kills a process before its pending step, and notes its operation for the history.
    pub(super) fn die(&mut self, process: usize) {
        let clock = self.now.time_of_return(true);
        let at = &self.processes[process];
        if let Some(death) = self.deaths.get_mut(self.died as usize) {
            *death = Death {
                process: process as u32,
                operation: at.operation,
                invoked: if at.invoked == 0 { clock } else { at.invoked },
                died: clock,
            };
            self.died += 1;
        }
        self.points.kill(process, at.incarnation, at.steps);
        self.now.dying = process as u32;
        self.now.current = NO_PROCESS;
    }

    /// Notes that the process that was to die is gone: its next incarnation begins, if it has
    /// operations left.
    pub(super) fn replace_dead(&mut self, process: usize, worker: usize) {
        self.now.dying = NO_PROCESS;
        self.changed();
        self.assign(process, worker);
        let at = &mut self.processes[process];
        if at.operation < at.operations {
            at.incarnation += 1;
            let done = at.operation;
            at.begin_incarnation();
            at.operation = done;
            self.now.states.set(process, State::Fresh);
        } else {
            self.now.states.set(process, State::Dead);
        }
    }

    pub(super) fn deaths(&self) -> &[Death] {
        &self.deaths[..(self.died as usize).min(MAX_DEATHS)]
    }
    pub(super) fn choices(&self) -> &[u8] {
        &self.choices[..(self.now.decisions as usize).min(MAX_STEPS)]
    }
    /// Returns whether a process could take its pending step.
    pub(super) fn can_go_on(&self, process: usize) -> bool {
        self.now.states.enabled() >> process & 1 == 1
    }
}

/// Returns whether an access of this kind can change its word.
fn writes(kind: u32) -> bool {
    kind == Access::Store as u32 || kind == Access::Update as u32 || kind == Access::Write as u32
}
