//! What is known between two steps, and who goes next. Whoever holds the turn reads and writes it; nobody else does.
//!
//! It lies in shared memory, so it is plain integers: whatever a subject that writes where it should not makes of them
//! is a wrong number, never an invalid value.

use super::crew::Tally;
use super::footprint::Footprint;
use crate::case::Access;
use crate::schedule::{Choice, MAX_PROCESSES, MAX_STEPS, Moment, NOBODY, Scheduler};

/// Steps of one operation, at most.
const LONGEST: u32 = 4_000;
/// Steps in a row by which a process that changes nothing, and for which nothing changes, is taken for one that waits.
const IDLE: u32 = 100;
/// Deaths in one execution, at most.
const MAX_DEATHS: usize = 16;
/// Kill points that are counted for each process.
const MAX_POINTS: usize = 1 << 12;

/// Where a process is.
pub(super) mod state {
    /// It has not come to its first step.
    pub(in super::super) const FRESH: u32 = 0;
    /// Its next step is known.
    pub(in super::super) const READY: u32 = 1;
    /// In `spin_loop`, and nothing has changed since it looked.
    pub(in super::super) const SPINNING: u32 = 2;
    /// In `wait`, until somebody wakes it.
    pub(in super::super) const BLOCKED: u32 = 3;
    /// It has done its program.
    pub(in super::super) const DONE: u32 = 4;
    /// It was killed, and nobody sits down in its seat.
    pub(in super::super) const DEAD: u32 = 5;
}

/// One process.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Process {
    pub(super) state: u32,
    pub(super) life: u32,
    /// The worker that it runs on.
    pub(super) worker: u32,
    /// Its operation, counted from 1; 0 while it sits down.
    pub(super) operation: u32,
    /// How many it has.
    pub(super) operations: u32,
    /// When that began; 0: it has not made a step.
    pub(super) invoked: u64,
    /// Its pending step.
    kind: u32,
    word: u64,
    /// Steps of this life, and of this operation.
    pub(super) steps: u32,
    of_operation: u32,
    /// The version of memory at its last turn of a spin, and how many steps it made since memory last changed.
    seen: u64,
    idle: u32,
    idle_at: u64,
    /// The order of those that wait.
    queue: u64,
}

/// An operation that a process died in.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Death {
    pub(super) process: u32,
    /// Counted from 1; 0 while it sat down.
    pub(super) operation: u32,
    pub(super) invoked: u64,
    pub(super) died: u64,
}

/// Who is to do what now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This process goes on.
    Turn(usize),
    /// This process dies.
    Die(usize),
    /// Everybody is done.
    Over,
    /// Nobody can move any more.
    Stuck,
    /// It takes too many steps.
    TooLong,
    /// Whoever does not sleep is one process in the middle of an operation: if that were stopped, nobody would get on.
    Waits,
}

#[repr(C)]
pub(super) struct Plan {
    pub(super) processes: [Process; MAX_PROCESSES],
    pub(super) count: u32,
    pub(super) current: u32,
    pub(super) step: u32,
    decisions: u32,
    picks: [u8; MAX_STEPS],
    /// Counts changes of memory, and deaths.
    pub(super) version: u64,
    /// Calls and returns.
    pub(super) clock: u64,
    queued: u64,
    /// Who was told to die, or `NOBODY`.
    pub(super) dying: u32,
    pub(super) deaths: [Death; MAX_DEATHS],
    pub(super) died: u32,
    pub(super) footprint: Footprint,
    pub(super) scheduler: Scheduler,
    /// The steps of its own that an operation may take, and that nobody may wait for one that is held up; 0: nobody
    /// promised that.
    pub(super) lock_free: u32,
    /// 1: switch also where nobody else touches the word.
    pub(super) every: u32,
    /// Kill points of first lives that were come past in executions whose points are to be counted, and those at which
    /// somebody was killed, as bits.
    pub(super) counts_points: u32,
    points: [[u64; MAX_POINTS / 64]; MAX_PROCESSES],
    killed: [[u64; MAX_POINTS / 64]; MAX_PROCESSES],
    /// The most steps of its own that an operation needed.
    pub(super) worst: u32,
    pub(super) tally: Tally,
}

impl Plan {
    /// A new case: of so many operations each.
    pub(super) fn set_case(&mut self, operations: &[usize]) {
        self.count = operations.len() as u32;
        for (process, operations) in self.processes.iter_mut().zip(operations) {
            process.operations = *operations as u32;
        }
        self.footprint.clear();
        self.points = [[0; MAX_POINTS / 64]; MAX_PROCESSES];
        self.killed = [[0; MAX_POINTS / 64]; MAX_PROCESSES];
        self.worst = 0;
    }

    /// A new execution.
    pub(super) fn begin(&mut self) {
        for process in &mut self.processes {
            process.life = 0;
            process.fresh();
        }
        (self.current, self.dying) = (NOBODY, NOBODY);
        (self.step, self.decisions, self.died) = (0, 0, 0);
        (self.version, self.clock, self.queued) = (1, 0, 0);
        self.scheduler.begin();
    }

    pub(super) fn of(&mut self, process: usize) -> &mut Process {
        &mut self.processes[process]
    }
    fn all(&self) -> &[Process] {
        &self.processes[..(self.count as usize).min(MAX_PROCESSES)]
    }

    /// A process begins an operation.
    pub(super) fn enter(&mut self, process: usize, operation: usize) {
        let process = &mut self.processes[process];
        process.operation = operation as u32 + 1;
        (process.invoked, process.of_operation, process.seen) = (0, 0, u64::MAX);
    }

    /// It is done with it: the times of call and return.
    pub(super) fn leave(&mut self, process: usize) -> (u64, u64) {
        if self.processes[process].invoked == 0 {
            self.clock += 1;
            self.processes[process].invoked = self.clock;
        }
        self.clock += 1;
        self.worst = self.worst.max(self.processes[process].of_operation);
        (self.processes[process].invoked, self.clock)
    }

    /// What a process is about to do.
    pub(super) fn publish(&mut self, process: usize, kind: Access, word: u64) {
        let (version, process) = (self.version, &mut self.processes[process]);
        (process.kind, process.word, process.state) = (kind as u32, word, state::READY);
        if kind == Access::Spin {
            if process.seen == version {
                process.state = state::SPINNING;
            }
            process.seen = version;
        }
        if process.idle_at != version {
            (process.idle_at, process.idle) = (version, 0);
        }
    }

    /// It does it: nobody else moves meanwhile.
    pub(super) fn take(&mut self, process: usize) {
        self.step += 1;
        let version = self.version;
        let at = &mut self.processes[process];
        if at.life == 0
            && self.counts_points != 0
            && let Some(word) = self.points[process].get_mut(at.steps as usize / 64)
        {
            *word |= 1 << (at.steps % 64);
        }
        at.state = state::READY;
        at.steps += 1;
        at.of_operation += 1;
        at.idle += 1;
        if at.kind == Access::Spin as u32 {
            at.seen = version;
        }
        if at.invoked == 0 {
            self.clock += 1;
            at.invoked = self.clock;
        }
        let (kind, word) = (at.kind, at.word);
        self.footprint.add(word, process, writes(kind));
    }

    /// Memory has changed.
    pub(super) fn changed(&mut self) {
        self.version += 1;
    }

    /// A process goes to sleep on the word of its pending step.
    pub(super) fn block(&mut self, process: usize) {
        self.queued += 1;
        let process = &mut self.processes[process];
        (process.state, process.queue) = (state::BLOCKED, self.queued);
    }

    /// Wakes the `n` that sleep longest on a word.
    pub(super) fn wake(&mut self, word: u64, n: u32) {
        let mut asleep: Vec<usize> = (0..self.all().len())
            .filter(|&p| {
                self.processes[p].state == state::BLOCKED && self.processes[p].word == word
            })
            .collect();
        asleep.sort_by_key(|&p| self.processes[p].queue);
        for &process in asleep.iter().take(n as usize) {
            self.processes[process].state = state::READY;
        }
    }

    /// Whether that life of a process still runs.
    pub(super) fn alive(&self, process: usize, life: u32) -> bool {
        self.all()
            .get(process)
            .is_some_and(|p| p.state != state::DEAD && p.life == life)
    }

    /// A process dies instead of its pending step. What it was in comes to the history.
    pub(super) fn die(&mut self, process: usize) {
        self.clock += 1;
        let at = &self.processes[process];
        if let Some(death) = self.deaths.get_mut(self.died as usize) {
            *death = Death {
                process: process as u32,
                operation: at.operation,
                invoked: if at.invoked == 0 {
                    self.clock
                } else {
                    at.invoked
                },
                died: self.clock,
            };
            self.died += 1;
        }
        if at.life == 0
            && let Some(word) = self.killed[process].get_mut(at.steps as usize / 64)
        {
            *word |= 1 << (at.steps % 64);
        }
        self.dying = process as u32;
        self.current = NOBODY;
    }

    /// The process that was to die is gone: another life sits down in its seat, if there is something left to do.
    pub(super) fn bury(&mut self, process: usize, worker: usize) {
        self.dying = NOBODY;
        self.version += 1;
        let at = &mut self.processes[process];
        at.worker = worker as u32;
        if at.operation < at.operations {
            at.life += 1;
            let done = at.operation;
            at.fresh();
            at.operation = done;
        } else {
            at.state = state::DEAD;
        }
    }

    pub(super) fn deaths(&self) -> &[Death] {
        &self.deaths[..(self.died as usize).min(MAX_DEATHS)]
    }
    pub(super) fn picks(&self) -> &[u8] {
        &self.picks[..(self.decisions as usize).min(MAX_STEPS)]
    }
    /// Kill points: those at which somebody was killed, of those that there are.
    pub(super) fn kill_points(&self) -> (u64, u64) {
        let mut counted = (0, 0);
        for (points, killed) in self.points.iter().zip(&self.killed) {
            for (points, killed) in points.iter().zip(killed) {
                counted.0 += u64::from((points & killed).count_ones());
                counted.1 += u64::from(points.count_ones());
            }
        }
        counted
    }

    /// Whether a process could take its pending step.
    pub(super) fn can_go_on(&self, process: usize) -> bool {
        self.moment().enabled >> process & 1 == 1
    }

    fn moment(&self) -> Moment {
        let (mut enabled, mut idle, mut asleep) = (0, 0, 0);
        for (process, at) in self.all().iter().enumerate() {
            let bit = 1 << process;
            match at.state {
                state::READY if at.idle > IDLE && at.idle_at == self.version => idle |= bit,
                state::READY => enabled |= bit,
                state::SPINNING if at.seen != self.version => enabled |= bit,
                state::SPINNING | state::BLOCKED => asleep |= bit,
                _ => {}
            }
        }
        if enabled == 0 {
            enabled = idle;
        }
        let pending = self.all().get(self.current as usize);
        Moment {
            enabled,
            asleep,
            current: self.current,
            step: self.step,
            matters: pending.is_none_or(|at| {
                let plain = at.kind == Access::Load as u32 || writes(at.kind);
                self.every != 0
                    || at.invoked == 0
                    || !plain
                    || self
                        .footprint
                        .shared(at.word, self.current as usize, writes(at.kind))
            }),
        }
    }

    /// Who is next.
    pub(super) fn decide(&mut self) -> Next {
        if let Some(fresh) = self.all().iter().position(|at| at.state == state::FRESH) {
            return Next::Turn(fresh);
        }
        let moment = self.moment();
        if moment.enabled == 0 {
            return if moment.asleep == 0 {
                Next::Over
            } else {
                Next::Stuck
            };
        }
        let longest = self.all().iter().map(|at| at.of_operation).max();
        let bound = if self.lock_free > 0 {
            self.lock_free
        } else {
            LONGEST
        };
        if self.decisions as usize >= MAX_STEPS || longest.is_some_and(|steps| steps > bound) {
            return Next::TooLong;
        }
        let only = self.all().get(moment.enabled.trailing_zeros() as usize);
        let busy = only.is_some_and(|only| only.operation > 0 && only.invoked > 0);
        if self.lock_free > 0 && moment.asleep != 0 && moment.enabled.count_ones() == 1 && busy {
            return Next::Waits;
        }
        let choice = self.scheduler.pick(&moment);
        self.picks[self.decisions as usize] = choice.to_byte();
        self.decisions += 1;
        match choice {
            Choice::Step(process) => {
                self.current = process as u32;
                Next::Turn(process)
            }
            Choice::Kill(process) => Next::Die(process),
        }
    }
}

impl Process {
    fn fresh(&mut self) {
        self.state = state::FRESH;
        (self.operation, self.invoked, self.steps, self.of_operation) = (0, 0, 0, 0);
        (self.seen, self.idle, self.idle_at, self.queue) = (u64::MAX, 0, 0, 0);
    }
}

/// Whether an access of this kind can change its word.
fn writes(kind: u32) -> bool {
    kind == Access::Store as u32 || kind == Access::Update as u32
}
