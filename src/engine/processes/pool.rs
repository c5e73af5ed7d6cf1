//! A pool of processes that are forked once, run one program after another, and are watched by the supervisor that
//! forked them.

use super::code::Code;
use super::control::{Control, Phase};
use super::position::Position;
use super::worker::{PoolState, work};
use crate::case::{Case, History};
use crate::check::Judge;
use crate::error::Error;
use crate::memory::Hardware;
use crate::process::{self, Child, Exit};
use crate::region::Region;
use crate::structure::WithHandles;
use crate::workers::bell::Bell;
use crate::workers::futex::PrivateWait;
use crate::workers::judging::Judging;
use crate::workers::log::{CAPACITY, Log};
use crate::workers::seal::Seal;
use crate::workers::watch::{Stuck, Watch};
use crate::workers::{Lost, possible};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// The looks in a row without progress after which the spec is asked whether all processes may wait where they are.
/// If one of them would have gone on, one execution fewer is judged to its end.
const QUIET: u32 = 2;

/// The number of executions, their seed, and whether to continue after a history that is not Ok.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub(crate) executions: u64,
    pub(crate) seed: u64,
    pub(crate) keep_going: bool,
    /// The processes that map the region read-only, as bits.
    pub(crate) read_only: u32,
    /// The time after which the batch ends with the current execution.
    pub(crate) until: Instant,
    /// The time without progress that counts as a hang.
    pub(crate) watchdog: Duration,
    /// The pause of an execution that failed.
    pub(crate) failed: Option<Position>,
}

/// The counts of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PoolCounts {
    pub(crate) executions: u64,
    pub(crate) overlapping: u64,
    pub(crate) paused: u64,
    /// Calls hardly overlapped otherwise, so more executions had an instruction-level pause.
    pub(crate) by_pauses: bool,
    pub(crate) failing: u64,
    /// The time was up before all executions had run.
    pub(crate) timed_out: bool,
    /// The pause of the last execution.
    pub(crate) pause: Option<Position>,
    /// A trap of the code's own ended the process that was to pause.
    pub(crate) own_trap: bool,
}

impl PoolCounts {
    /// Adds the counts of a later batch of the same case.
    pub(crate) fn add(&mut self, later: &PoolCounts) {
        self.executions += later.executions;
        self.overlapping += later.overlapping;
        self.paused += later.paused;
        self.by_pauses |= later.by_pauses;
        self.failing += later.failing;
        self.timed_out |= later.timed_out;
        self.pause = later.pause;
        self.own_trap = later.own_trap;
    }
}

/// The end of a batch.
pub(crate) enum PoolEnd<S: WithHandles<Memory = Hardware>> {
    /// All executions ran.
    Done,
    /// This history was not Ok.
    Judged(History<S::Spec>),
    /// All unfinished processes wait in calls that may block there. The workers cannot be used again.
    AtRest(History<S::Spec>),
    /// A process ended in the middle of an execution.
    Died {
        process: usize,
        phase: Phase,
        exit: Exit,
        history: History<S::Spec>,
    },
    /// A process does not return.
    Stuck {
        process: usize,
        phase: Phase,
        stuck: Stuck,
        history: History<S::Spec>,
    },
    /// The engine itself cannot go on.
    Lost(Lost),
}

impl<S: WithHandles<Memory = Hardware>> PoolEnd<S> {
    /// Returns whether calls overlapped in the execution that the batch ended in.
    pub(crate) fn overlapped(&self) -> bool {
        match self {
            Self::Done | Self::Lost(_) => false,
            Self::Judged(history) | Self::AtRest(history) => history.overlaps(),
            Self::Died { history, .. } | Self::Stuck { history, .. } => history.overlaps(),
        }
    }
}

/// Forked workers for one structure and one number of processes.
pub(crate) struct Pool<S: WithHandles<Memory = Hardware>> {
    shared: PoolState<S>,
    workers: Vec<Child<()>>,
    bell: Bell,
    rests: Judge<S::Spec>,
}

impl<S: WithHandles<Memory = Hardware>> Pool<S> {
    /// Forks a worker for each role. Only from a single-threaded process: the zygote.
    /// `rests` says whether all calls that a history leaves pending may wait.
    pub(crate) fn start(
        roles: Vec<String>,
        judge: Judge<S::Spec>,
        rests: Judge<S::Spec>,
        learnt: Arc<Region>,
    ) -> Result<Self, Error> {
        possible(size_of::<S>(), &roles)?;
        let (bell, ring) = Bell::new()?;
        let shared = PoolState {
            control: Region::anonymous(size_of::<Control>())?,
            structure: Region::anonymous(size_of::<UnsafeCell<MaybeUninit<S>>>().max(1))?,
            program: Log::region()?,
            logs: roles
                .iter()
                .map(|_| Log::region())
                .collect::<Result<_, _>>()?,
            bell: ring,
            judge,
            processors: processors(roles.len()),
            code: Code::of_this_process(),
            learnt,
            roles,
        };
        if shared.code.is_empty() {
            shared.learnt().refuse_breakpoints();
        }
        shared.control().seals().for_each(Seal::set);
        let mut workers = Vec::new();
        for me in 0..shared.roles.len() {
            workers.push(process::spawn(|| work(&shared, me))?);
        }
        Ok(Self {
            shared,
            workers,
            bell,
            rests,
        })
    }

    /// Runs a case many times. After anything but [`PoolEnd::Done`] and [`PoolEnd::Judged`] the pool can only be dropped.
    pub(crate) fn run(
        &mut self,
        case: &Case<S::Spec>,
        batch: Batch,
    ) -> Result<(PoolCounts, PoolEnd<S>), Error> {
        let control = self.shared.control();
        let program = self.shared.program();
        program.clear();
        if program.push(case).is_err() {
            return Err(Error::invalid(
                format!("a program of more than {CAPACITY} bytes"),
                "use fewer or smaller operations",
            ));
        }
        for (word, value) in [
            (&control.remaining, batch.executions.max(1)),
            (&control.executions, 0),
            (&control.overlapping, 0),
            (&control.failing, 0),
            (&control.out_of_time, 0),
        ] {
            word.store(value, Relaxed);
        }
        control.begin_draws(batch.seed);
        self.shared.learnt().begin(batch.seed);
        control.forget_starts(batch.failed);
        control
            .keep_going
            .store(u32::from(batch.keep_going), Relaxed);
        control.read_only.store(batch.read_only, Relaxed);
        control.found.store(0, Relaxed);
        control.over.store(0, Relaxed);
        control.batch.fetch_add(1, Relaxed);
        control
            .handed_over
            .store(control.round.load(Relaxed).wrapping_add(1), Relaxed);
        control.next_round();
        let ended = self.supervise(case, batch)?;
        let tally = self.tally();
        let timed_out = matches!(ended, PoolEnd::Done) && tally.executions < batch.executions;
        Ok((PoolCounts { timed_out, ..tally }, ended))
    }

    /// Ends breakpoints in this pool and in later ones of the same structure.
    pub(crate) fn refuse_breakpoints(&self) {
        self.shared.learnt().refuse_breakpoints();
    }

    /// Returns a process, and its wait that no other process ends: of this process, or of any.
    pub(crate) fn private_wait(&self, process: usize) -> Option<(usize, PrivateWait)> {
        let mut all: Vec<usize> = (0..self.workers.len()).collect();
        all.swap(0, process);
        let mut waits = all.into_iter().map(|process| {
            let wait = PrivateWait::of(self.workers[process].id())?;
            Some((process, wait))
        });
        waits.find_map(|wait| wait)
    }

    fn tally(&self) -> PoolCounts {
        let control = self.shared.control();
        PoolCounts {
            executions: control.executions.load(Relaxed),
            overlapping: control.overlapping.load(Relaxed),
            paused: control.pauses.count(),
            by_pauses: control.pauses.were_relied_on(),
            failing: control.failing.load(Relaxed),
            timed_out: false,
            pause: control.pauses.last(),
            own_trap: control.pauses.progress.own_trap.load(Relaxed) == 1,
        }
    }

    fn supervise(&mut self, case: &Case<S::Spec>, batch: Batch) -> Result<PoolEnd<S>, Error> {
        let mut watch = Watch::new(self.workers.len(), batch.watchdog);
        let (mut before, mut quiet) = (u64::MAX, 0);
        loop {
            self.bell.wait(self.workers.iter().map(Child::pidfd))?;
            if !self.shared.is_whole() {
                return Ok(PoolEnd::Lost(Lost::Overwritten));
            }
            // Acquire: pairs with the Release in `PoolWorker::finish`.
            if self.shared.control().over.load(Acquire) != 0 {
                return match self.shared.control().found.load(Relaxed) {
                    0 => Ok(PoolEnd::Done),
                    1 => Ok(PoolEnd::Judged(self.shared.history(case))),
                    3 => Ok(PoolEnd::Lost(Lost::Unjudged)),
                    _ => Err(Error::invalid(
                        format!(
                            "the results of one process in one execution need more than {CAPACITY} bytes"
                        ),
                        "return less, or use fewer operations",
                    )),
                };
            }
            if Instant::now() >= batch.until {
                self.shared.control().out_of_time.store(1, Relaxed);
            }
            // The execution of a dead worker cannot finish, so look at once.
            for process in 0..self.workers.len() {
                if let Some(exit) = self.workers[process].wait_timeout(Duration::ZERO)? {
                    let phase = self.shared.control().places[process].get();
                    return Ok(PoolEnd::Died {
                        process,
                        phase,
                        exit,
                        history: self.shared.history(case),
                    });
                }
            }
            let progress = self.progress();
            quiet = if progress == before { quiet + 1 } else { 0 };
            before = progress;
            if quiet >= QUIET && self.waits_in_operations() {
                let history = self.shared.history(case);
                let judging = Judging::begin();
                if (self.rests)(case, &history, &|| judging.goes_on()) {
                    return Ok(PoolEnd::AtRest(history));
                }
            }
            if let Some((process, stuck)) = self.look(&mut watch) {
                if stuck == Stuck::Asleep && self.unfinished().is_empty() {
                    return Ok(PoolEnd::Lost(Lost::Idle));
                }
                let phase = self.shared.control().places[process].get();
                return Ok(PoolEnd::Stuck {
                    process,
                    phase,
                    stuck,
                    history: self.shared.history(case),
                });
            }
        }
    }

    fn look(&self, watch: &mut Watch) -> Option<(usize, Stuck)> {
        let mut watched = self.unfinished();
        if watched.is_empty() {
            // One of them has to start the next execution, or to end the batch.
            watched = (0..self.workers.len()).collect();
        }
        let watched = watched.into_iter();
        let watched: Vec<_> = watched
            .map(|process| (process, self.workers[process].id()))
            .collect();
        watch.look(self.progress(), &watched)
    }

    fn unfinished(&self) -> Vec<usize> {
        let places = &self.shared.control().places;
        let workers = 0..self.workers.len();
        workers
            .filter(|&process| places[process].get() != Phase::Idle)
            .collect()
    }

    /// Returns a number that changes while executions go on.
    fn progress(&self) -> u64 {
        let control = self.shared.control();
        control.executions.load(Relaxed) << 20
            ^ control.clock.load(Relaxed)
            ^ u64::from(control.round.load(Relaxed)) << 40
            ^ control.spec_steps.load(Relaxed) << 10
    }

    /// Returns whether some processes are unfinished and all of those are in an operation.
    fn waits_in_operations(&self) -> bool {
        let places = &self.shared.control().places[..self.workers.len()];
        let phases = || places.iter().map(|place| place.get());
        let is_in_one = |phase| matches!(phase, Phase::Operation { .. });
        phases().any(is_in_one) && phases().all(|phase| phase == Phase::Idle || is_in_one(phase))
    }
}

impl<S: WithHandles<Memory = Hardware>> Drop for Pool<S> {
    fn drop(&mut self) {
        // The workers sleep or work; dropping their handles kills and reaps them in either case.
        self.shared.control().stop.store(1, Relaxed);
    }
}

/// Returns a processor for each of `n` processes, in turn, and whether no other of them uses it; none if the kernel
/// does not list the processors.
fn processors(n: usize) -> Vec<(usize, bool)> {
    let Ok(set) = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)) else {
        return Vec::new();
    };
    let allowed: Vec<usize> = (0..nix::sched::CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
        .collect();
    let count = allowed.len().max(1);
    let shared =
        |process: usize| (0..n).any(|other| other != process && other % count == process % count);
    (0..n)
        .filter_map(|process| Some((*allowed.get(process % count)?, !shared(process))))
        .collect()
}
