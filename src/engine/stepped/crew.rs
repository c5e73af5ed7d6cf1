//! The crew: workers that are forked once, of which the one that has the turn moves. The supervisor that forked them sleeps,
//! except when one of them dies: it then forks another in its place, and passes the turn on.

mod results;

use super::board::{BoardRef, duty};
use super::ends::Ended;
use super::host::stack_size;
use super::processor::Processor;
use super::scheduler::Tally;
use super::scheduler::decision::Stop;
use super::scheduler::states::State;
use super::shared::CrewState;
use super::structure_type::StructureType;
use crate::case::{Case, Schedule, Until};
use crate::check::Judge;
use crate::engine::stepped::instrumented;
use crate::error::Error;
use crate::process::{self, Child, Exit};
use crate::region::Region;
use crate::schedule::{Exploration, MAX_PROCESSES, MAX_TURNS};
use crate::spec::Spec;
use crate::structure::Progress;
use crate::workers::bell::Bell;
use crate::workers::log::{CAPACITY, Log};
use crate::workers::watch::{Stuck, WATCHDOG, Watch};
use crate::workers::{Lost, PrivateWait, possible};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The worker that is the host.
const HOST: usize = 0;
/// The process id of the first worker, where it can be chosen: an id that also a kernel with 32,768 ids has.
const FIRST_ID: u32 = 31_000;

/// The kind of processes that run a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// Coroutines of one forked process.
    Coroutines,
    /// Forked processes.
    Processes,
    /// Forked processes that, where the kernel permits it, have the same ids in each crew. A killed process passes its id to
    /// its next incarnation, as if the kernel had used all others; or, if there is none, to a process that does nothing. That
    /// takes a fork while all others wait.
    SameIds,
}

/// Forked workers for one structure and one number of processes.
pub(crate) struct Crew<S: Spec> {
    structure: StructureType<S>,
    pub(super) shared: Arc<CrewState<S>>,
    workers: Vec<Option<Child<()>>>,
    bell: Bell,
    kind: RunAs,
    processor: Processor,
    /// The number of processes that got the id of a killed one.
    again: u64,
    /// The time without progress that is a hang.
    watchdog: Duration,
}

impl<S: Spec> Crew<S> {
    /// Forks a worker for each role, or one that is the host of all. The caller is a single-threaded process: the zygote.
    /// `judge` returns whether a history is right, and `rests` whether all waiting processes may wait.
    pub(crate) fn start(
        structure: StructureType<S>,
        roles: Vec<String>,
        (judge, rests): (Judge<S>, Judge<S>),
        kind: RunAs,
    ) -> Result<Self, Error> {
        possible(structure.size, &roles)?;
        let (bell, ring) = Bell::new()?;
        let region = if structure.instrumented {
            instrumented::start()?
        } else {
            Arc::new(Region::anonymous(structure.size_in_region)?)
        };
        let shared = Arc::new(CrewState {
            board: BoardRef::new()?,
            structure: region,
            instrumented: structure.instrumented,
            program: Arc::new(Log::region()?),
            logs: roles
                .iter()
                .map(|_| Log::region())
                .collect::<Result<_, _>>()?,
            notes: Arc::new(Log::region()?),
            bell: Arc::new(ring),
            judge,
            rests,
            roles,
        });
        let mut crew = Self {
            structure,
            shared,
            workers: (0..MAX_PROCESSES).map(|_| None).collect(),
            bell,
            kind,
            processor: Processor::default(),
            again: 0,
            watchdog: WATCHDOG,
        };
        if kind == RunAs::Coroutines {
            crew.fork(HOST)?;
        }
        crew.fork_processes()?;
        Ok(crew)
    }

    /// Forks a worker for each process, unless they are coroutines, and assigns each process its worker.
    fn fork_processes(&mut self) -> Result<(), Error> {
        for process in 0..self.processes() {
            let slot = match self.kind {
                RunAs::Coroutines => HOST,
                RunAs::Processes | RunAs::SameIds => process,
            };
            if self.kind == RunAs::Processes
                || self.kind == RunAs::SameIds && !self.fork_as(slot, FIRST_ID + process as u32)?
            {
                self.fork(slot)?;
            }
            self.shared.board.plan(|plan| plan.assign(process, slot));
        }
        Ok(())
    }

    /// Replaces all workers, which have no room left. No process is in an operation.
    fn replace_all(&mut self) -> Result<(), Error> {
        self.workers.fill_with(|| None);
        if self.kind == RunAs::Coroutines {
            self.fork(HOST)?;
        }
        self.fork_processes()
    }

    fn processes(&self) -> usize {
        self.shared.roles.len()
    }

    fn fork(&mut self, slot: usize) -> Result<(), Error> {
        self.shared.board.lay_down(slot);
        let (shared, structure) = (&self.shared, self.structure);
        self.workers[slot] = Some(match self.kind {
            RunAs::Coroutines => {
                let stack = stack_size(self.processes())?;
                process::spawn(|| (structure.host)(shared, stack))?
            }
            RunAs::Processes | RunAs::SameIds => {
                let worker = process::spawn(|| (structure.work)(shared, slot))?;
                self.processor.add(worker.id());
                worker
            }
        });
        Ok(())
    }

    pub(crate) fn kind(&self) -> RunAs {
        self.kind
    }
    /// Returns the number of processes that got the id of a killed one: 0 where the kernel does not let ids be chosen.
    pub(crate) fn again(&self) -> u64 {
        self.again
    }

    /// Forks a worker under this process id, and returns whether the kernel permitted it.
    fn fork_as(&mut self, slot: usize, id: u32) -> Result<bool, Error> {
        self.shared.board.lay_down(slot);
        let (shared, structure) = (&self.shared, self.structure);
        self.workers[slot] = process::spawn_as(id, || (structure.work)(shared, slot))?;
        let workers = self.workers[slot].iter().map(Child::id);
        workers.for_each(|worker| self.processor.add(worker));
        Ok(self.workers[slot].is_some())
    }

    /// Takes a case for the batches that follow.
    pub(crate) fn take(&mut self, case: &Case<S>) -> Result<(), Error> {
        let program = self.shared.program();
        program.clear();
        if program.push(case).is_err() {
            return Err(Error::invalid(
                format!("a program of more than {CAPACITY} bytes"),
                "use fewer or smaller operations",
            ));
        }
        let operations: Vec<usize> = case.program.iter().map(Vec::len).collect();
        let board = &self.shared.board;
        board.batch.fetch_add(1, Relaxed);
        board.plan(|plan| plan.set_case(&operations));
        if let Schedule::Turns(turns) = &case.schedule {
            if turns.len() > MAX_TURNS {
                return Err(Error::invalid(
                    format!("a schedule of {} turns", turns.len()),
                    format!("use at most {MAX_TURNS}"),
                ));
            }
            let named = turns.iter().map(|turn| {
                let process = usize::from(turn.process).min(MAX_PROCESSES - 1);
                (process, matches!(turn.until, Until::Before(_)))
            });
            board.plan(|plan| plan.scheduler.script(named));
        }
        Ok(())
    }

    /// Sets whether the next batch goes on after a history that is not Ok.
    pub(crate) fn keep_going(&self, keep_going: bool) {
        let word = &self.shared.board.keep_going;
        word.store(keep_going.into(), Relaxed);
    }

    /// Sets the progress that the structure promises, and the processes that are not to write, as bits.
    pub(crate) fn promise(&self, progress: Progress, read_only: u32) {
        self.shared.board.plan(|plan| {
            plan.step_bound = progress.step_bound().unwrap_or(0);
            plan.reset_on_completion = matches!(progress, Progress::LockFree(_)).into();
            plan.read_only = read_only;
        });
    }

    /// Sets the time without progress that is a hang.
    pub(crate) fn watchdog(&mut self, watchdog: Duration) {
        self.watchdog = watchdog;
    }

    /// Sets the processes that may be killed, as bits.
    pub(crate) fn spare_all_but(&self, killable: u32) {
        self.shared.board.plan(|plan| plan.killable = killable);
    }

    /// Follows these choices in the next batch of [`Exploration::Follow`].
    pub(crate) fn follow(&self, choices: &[u8]) {
        self.shared
            .board
            .plan(|plan| plan.scheduler.follow(choices));
    }

    /// Follows them once for each of these positions, at which a process dies instead.
    pub(crate) fn kill_instead(&self, at: &[usize]) {
        let board = &self.shared.board;
        board.plan(|plan| plan.scheduler.kill_instead(at));
    }

    /// Runs the case that was taken. After an end that neither [leaves the crew usable](Stop::leaves_crew_usable) nor can be
    /// continued, drop the crew.
    pub(crate) fn run(
        &mut self,
        strategy: Exploration,
        (executions, steps): (u64, u64),
        until: Instant,
        traced: bool,
    ) -> Result<Ended, Error> {
        let board = &self.shared.board;
        self.shared.notes().clear();
        board.full.store(0, Relaxed);
        board.out_of_time.store(0, Relaxed);
        board.traced.store(traced.into(), Relaxed);
        board.plan(|plan| {
            plan.scheduler.set(strategy);
            // The kill points are those of undisturbed runs: a preempted process may take more steps, by spinning.
            let undisturbed = Exploration::Bounded {
                preemptions: 0,
                kills: 0,
            };
            plan.counts_points = u32::from(strategy == undisturbed);
            plan.exact = traced.into();
            plan.tally = Tally {
                remaining: executions.max(1),
                steps,
                ..Tally::default()
            };
        });
        self.begin()?;
        self.supervise(until)
    }

    /// Continues the batch after [`Stop::Stuck`], where all processes may rest. A process in the middle of an operation stays
    /// there indefinitely, so another worker replaces it.
    pub(crate) fn go_on(&mut self, until: Instant) -> Result<Ended, Error> {
        for process in 0..self.processes() {
            let (slot, state) = self
                .shared
                .board
                .plan(|plan| (plan.worker_of(process), plan.state(process)));
            if matches!(state, State::Blocked | State::Spinning) {
                self.workers[slot] = None;
            }
            if self.workers[slot].is_none() {
                self.fork(slot)?;
            }
        }
        let board = &self.shared.board;
        let (more, remaining) = board.plan(|plan| {
            let more = plan.end_execution(false);
            (more, plan.tally.remaining)
        });
        if !more {
            return Ok(Ended::Stopped(Stop::Exhausted));
        }
        if remaining == 0 || Instant::now() >= until {
            return Ok(Ended::Stopped(Stop::Done));
        }
        self.begin()?;
        self.supervise(until)
    }

    /// Continues the batch after [`Stop::Novel`].
    pub(crate) fn resume(&mut self, until: Instant) -> Result<Ended, Error> {
        self.begin()?;
        self.supervise(until)
    }

    /// Makes the first worker begin an execution.
    fn begin(&mut self) -> Result<(), Error> {
        if self.kind != RunAs::Coroutines {
            let workers = self.workers.iter().flatten().map(Child::id);
            self.processor.gather(workers);
        }
        let board = &self.shared.board;
        board.clear_stop();
        board.duty.store(duty::BEGIN, Relaxed);
        board.pass(None, board.plan(|plan| plan.worker_of(0)));
        Ok(())
    }

    fn supervise(&mut self, until: Instant) -> Result<Ended, Error> {
        let mut watch = Watch::new(MAX_PROCESSES, self.watchdog);
        loop {
            let ended = self.heard()?;
            if !self.shared.is_whole() {
                return Ok(Ended::Lost(Lost::Overwritten));
            }
            if Instant::now() >= until {
                // The worker that finishes next sees that there is nothing left to run.
                self.shared.board.out_of_time.store(1, Relaxed);
            }
            match self.shared.board.stopped() {
                None => {}
                Some(Stop::Spent) => {
                    // No process is in an operation: other workers continue, with a heap of their own.
                    self.replace_all()?;
                    self.begin()?;
                    continue;
                }
                Some(Stop::Full) => {
                    return Err(Error::invalid(
                        format!(
                            "the results of one process in one execution need more than {CAPACITY} bytes"
                        ),
                        "return less, or use fewer operations",
                    ));
                }
                Some(Stop::Unjudged) => return Ok(Ended::Lost(Lost::Unjudged)),
                Some(why) => return Ok(Ended::Stopped(why)),
            }
            if let Some(slot) = ended {
                match self.replace_dead(slot)? {
                    Some(ended) => return Ok(ended),
                    None => continue,
                }
            }
            let holder = self.shared.board.holder();
            let id = |slot: usize| Some((slot, self.workers[slot].as_ref()?.id()));
            let mut watched: Vec<(usize, u32)> = holder.and_then(id).into_iter().collect();
            if watched.is_empty() {
                // The turn is being passed on, which takes microseconds.
                watched = (0..MAX_PROCESSES).filter_map(id).collect();
            }
            if let Some((slot, stuck)) = watch.look(self.shared.board.progress(), &watched)
                && !self.shared.board.pause.stands()
            {
                if holder.is_none() && stuck == Stuck::Asleep {
                    return Ok(Ended::Lost(Lost::Idle));
                }
                let process = self.process_of(slot).unwrap_or(0);
                return Ok(Ended::Outside { process, stuck });
            }
        }
    }

    fn process_of(&self, worker: usize) -> Option<usize> {
        self.shared
            .board
            .plan(|plan| (0..self.processes()).find(|&process| plan.worker_of(process) == worker))
    }

    /// Returns the wait of a process that no other process can end, if it is in one.
    pub(crate) fn private_wait(&self, process: usize) -> Option<PrivateWait> {
        let slot = self.shared.board.plan(|plan| plan.worker_of(process));
        PrivateWait::of(self.workers[slot].as_ref()?.id())
    }

    /// Handles a dead worker: one that was to die is replaced, and the turn passed on.
    fn replace_dead(&mut self, slot: usize) -> Result<Option<Ended>, Error> {
        let Some(worker) = self.workers[slot].as_mut() else {
            return Ok(None);
        };
        let (id, exit) = (worker.id(), worker.wait()?);
        self.workers[slot] = None;
        if self.kind == RunAs::Coroutines {
            let current = self.current().map_or(0, usize::from);
            return Ok(Some(Ended::Died {
                process: current,
                exit,
            }));
        }
        let Some(process) = self.process_of(slot) else {
            return Ok(None);
        };
        let told_to = self.shared.board.plan(|plan| plan.dying()) == process as u32;
        if !told_to || exit != Exit::Signal(libc::SIGKILL) {
            return Ok(Some(Ended::Died { process, exit }));
        }
        if self.kind == RunAs::SameIds && self.fork_as(slot, id)? {
            self.again += 1;
        } else {
            self.fork(slot)?;
        }
        instrumented::end_incarnation(process);
        let board = &self.shared.board;
        board.plan(|plan| plan.replace_dead(process, slot));
        match board.carry_out(None, board.plan(|plan| plan.decide())) {
            None => Ok(None),
            Some(Stop::Over) => {
                board.duty.store(duty::JUDGE, Relaxed);
                board.pass(None, slot);
                Ok(None)
            }
            Some(why) => Ok(Some(Ended::Stopped(why))),
        }
    }

    /// Waits for the end of the batch, the end of a worker, or the time for another look. Returns the slot of a worker that
    /// has ended.
    fn heard(&self) -> Result<Option<usize>, Error> {
        let workers = || {
            let all = self.workers.iter().enumerate();
            all.filter_map(|(slot, worker)| Some((slot, worker.as_ref()?)))
        };
        let ended = self
            .bell
            .wait(workers().map(|(_, worker)| worker.pidfd()))?;
        Ok(ended.and_then(|at| workers().nth(at)).map(|(slot, _)| slot))
    }
}
