//! The executions of a program that an engine tries: within rising bounds, at random, and with pids
//! that are used again.

mod batch;
mod each_kill;
mod learned;
mod scopes;
mod traced;

use super::structure_type::StructureType;
use super::trace;
use super::verdict::{judge, rests};
use crate::case::Case;
use crate::check::{Judge, Verdict};
use crate::engine::served::bare;
use crate::engine::stepped::{Crew, RunAs};
use crate::engine::{Answer, Budget, Covered, Crates, Run, StopAt, Strategy};
use crate::error::Error;
use crate::schedule::{Choice, Exploration, MAX_KILLS};
use crate::spec::Spec;
use crate::structure::Progress;
use crate::workers::{Lost, WATCHDOG};
use std::time::{Duration, Instant};

/// Bounds of `stepped`: preemptions, rising.
const PREEMPTIONS: &[(u32, u32)] = &[(0, 0), (1, 0), (2, 0), (3, 0)];
/// Bounds of `kills`: preemptions and kills, rising. The second kill is that of the recovering
/// incarnation, or of a survivor.
const KILLS: &[(u32, u32)] = &[(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)];
/// Steps that a program may take, as a multiple of its executions: few executions are longer.
const STEPS: u64 = 100;
/// One random execution is added for each this many that a program took or may take.
const BY_CHANCE: u64 = 4;
/// PCT priority-change points: with d - 1 of them PCT finds bugs of depth d.
const POINTS: u32 = 3;

/// The programs whose kill points are also tried with real kills, and the most executions of each
/// that do so: a real kill takes as long as some hundreds of others.
const KILLED_FOR_REAL: u64 = 8;
const REAL_KILLS: u64 = 100;

/// The divisor of the executions with kills where forked processes search: a real kill takes as
/// long as two hundred steps.
const REAL: u64 = 5;

/// A limit on time for few executions, which end by bounds on their steps or by the watch: it never
/// decides what is run.
const NO_LIMIT: Duration = Duration::from_secs(3_600);

/// Runs cases of one structure on crews that are kept as long as they can be used: coroutines
/// search, and forked processes confirm.
pub(super) struct Explorer<S: Spec> {
    structure: StructureType<S>,
    roles: Vec<String>,
    coroutines: Option<Crew<S>>,
    processes: Option<Crew<S>>,
    /// Whether forked processes did something else than coroutines, so that they search; and
    /// whether that was just noticed.
    differs: bool,
    switched: bool,
    /// See [`Budget::progress`] and [`Budget::read_only`].
    promised: (Progress, u32),
    /// See [`Budget::killable`].
    killable: u32,
    /// See [`Budget::watchdog`].
    watchdog: Duration,
    /// Whether the processes are [`RunAs::SameIds`], and search.
    same_id: bool,
    /// See [`Budget::keep_going`].
    keeps_going: bool,
    /// See [`Budget::threads_only`].
    threads_only: bool,
    /// Whether forked processes did something else than coroutines of code that is not written for `Memory`. Those are threads,
    /// and go on.
    unlike: bool,
    /// The crates whose accesses were seen while memory was learned.
    crates: Crates,
    /// See [`Budget::stop`].
    stop: Option<StopAt>,
    /// The reason why the last batch or execution could not go on, if it could not.
    lost: Option<Lost>,
    /// The last schedule whose kill points were asked for.
    undisturbed: Option<Undisturbed<S>>,
}

/// A schedule in which one process begins, no process is preempted, and none is killed.
struct Undisturbed<S: Spec> {
    case: Case<S>,
    first: u16,
    choices: Vec<u8>,
}

/// The end of a batch, for the search that goes on.
enum Batch {
    Exhausted,
    Cut,
    Failed(Vec<u8>),
}

/// The budget that is left for a program.
struct Remaining {
    executions: u64,
    steps: u64,
}

impl Remaining {
    fn of(executions: u64) -> Self {
        let executions = executions.max(1);
        Self {
            executions,
            steps: executions.saturating_mul(STEPS),
        }
    }
}

impl<S: Spec> Explorer<S> {
    pub(super) fn of(structure: StructureType<S>, roles: Vec<String>) -> Self {
        Self {
            structure,
            roles,
            coroutines: None,
            processes: None,
            differs: false,
            switched: false,
            promised: (Progress::Any, 0),
            killable: u32::MAX,
            watchdog: WATCHDOG,
            same_id: false,
            keeps_going: false,
            threads_only: false,
            unlike: false,
            crates: Crates::default(),
            stop: None,
            lost: None,
            undisturbed: None,
        }
    }
    pub(super) fn has(&self, roles: &[String]) -> bool {
        self.roles == roles
    }

    /// Sets the state in which each case begins.
    fn begin(&mut self, budget: &Budget) {
        self.promised = (budget.progress, budget.read_only);
        self.killable = budget.killable;
        self.watchdog = budget.watchdog;
        let searched_by_processes = budget.known.differs && !self.structure.instrumented;
        (self.differs, self.switched) = (searched_by_processes, false);
        (self.threads_only, self.unlike) = (budget.threads_only, false);
        self.same_id = false;
        self.lost = None;
    }

    /// Drops the processes, whose machinery failed, and returns a run with that as its only result.
    fn lose(&mut self, case: &Case<S>, lost: Lost) -> Run<S> {
        self.processes = None;
        self.lost = Some(lost);
        bare(case.clone(), Verdict::Unknown(lost.to_string()))
    }

    /// Switches the search to forked processes, in this program from the start.
    fn switch_to_processes(&mut self) {
        self.coroutines = None;
        (self.differs, self.switched) = (true, true);
    }

    /// Returns the kind of processes that search.
    fn searches(&self) -> RunAs {
        match (self.same_id, self.differs) {
            (true, _) => RunAs::SameIds,
            (false, true) => RunAs::Processes,
            (false, false) => RunAs::Coroutines,
        }
    }

    fn searcher(&mut self) -> Result<&mut Crew<S>, Error> {
        self.crew(self.searches())
    }

    /// Returns the kind of processes that confirm and trace an execution.
    fn confirms(&self) -> RunAs {
        if self.same_id {
            RunAs::SameIds
        } else {
            RunAs::Processes
        }
    }

    fn crew(&mut self, kind: RunAs) -> Result<&mut Crew<S>, Error> {
        let place = match kind {
            RunAs::Coroutines => &mut self.coroutines,
            RunAs::Processes | RunAs::SameIds => &mut self.processes,
        };
        if place.as_ref().is_none_or(|crew| crew.kind() != kind) {
            // The old ones are dropped first: their ids are taken.
            *place = None;
            let judges: (Judge<S>, Judge<S>) = (judge, rests);
            *place = Some(Crew::start(
                self.structure,
                self.roles.clone(),
                judges,
                kind,
            )?);
        }
        let crew = place.as_mut().expect("it was just made");
        crew.promise(self.promised.0, self.promised.1);
        crew.spare_all_but(self.killable);
        crew.watchdog(self.watchdog);
        Ok(crew)
    }

    /// Tries all executions of a program within rising bounds, then random ones, as far as the
    /// budget goes.
    fn search(
        &mut self,
        case: &Case<S>,
        budget: &Budget,
        kills: bool,
        until: Instant,
    ) -> Result<Answer<S>, Error> {
        let kills = kills && !budget.without_kills;
        let executions = match self.searches() {
            RunAs::Processes if kills => budget.executions / REAL,
            _ => budget.executions,
        };
        let bounds = if kills { KILLS } else { PREEMPTIONS };
        let mut left = Remaining::of(executions);
        let mut covered = Covered {
            programs: 1,
            by_processes: u64::from(self.differs),
            ..Covered::default()
        };
        if let Some(strategy) = by_chance(budget) {
            self.searcher()?.take(case)?;
            self.keeps_going = budget.keep_going;
            let ended = self.batch(case, strategy, &mut left, until, &mut covered);
            self.keeps_going = false;
            let ended = ended?;
            return match ended {
                Batch::Failed(choices) => self.failed(case, &choices, covered),
                Batch::Exhausted | Batch::Cut => Ok((covered, None)),
            };
        }
        let mut in_bounds = Remaining::of(executions - 2 * (executions / BY_CHANCE));
        // All are forked before code of the suite runs in this process: it may take away what a
        // fork needs.
        self.searcher()?;
        // One execution with all its steps shows whether only they change the structure. A second
        // one shows whether it takes the same steps.
        let first_trace = self.traced(case, Exploration::Follow, &[])?;
        if self.lost.is_some() {
            covered.executions = 1;
            return Ok((covered, first_trace.run));
        }
        covered.unscheduled = first_trace.covered.unscheduled;
        covered.accesses = first_trace.covered.accesses;
        if matches!(&first_trace.run, Some(run) if matches!(run.verdict, Verdict::Unknown(_))) {
            // A process may have been killed from outside: how far it had come is chance.
            covered.executions = 1;
            return Ok((covered, first_trace.run));
        }
        let again = self.traced(case, Exploration::Follow, &[])?;
        if !first_trace.is_like(&again) {
            return Ok((covered, Some(trace::not_deterministic(case))));
        }
        self.searcher()?.take(case)?;
        let reached = match self.rising(case, bounds, &mut in_bounds, until, &mut covered)? {
            Reached::Bound(bound) => bound,
            Reached::Failed(choices) => return self.failed(case, &choices, covered),
        };
        // Random executions are a fraction of those taken, if the program is done within its bounds, else
        // of all that it may take.
        let done = reached == bounds.last().copied();
        let by_chance = if done {
            covered.executions / BY_CHANCE
        } else {
            executions / BY_CHANCE
        };
        if kills
            && !done
            && let Some(choices) = self.each_kill_point(case, until, &mut covered)?
        {
            return self.failed(case, &choices, covered);
        }
        let kills = if kills { 2 } else { 0 };
        for strategy in [
            Exploration::Pct {
                seed: budget.seed,
                points: POINTS,
                kills,
            },
            Exploration::Random {
                seed: budget.seed,
                kills,
            },
        ] {
            if let Batch::Failed(choices) = self.batch(
                case,
                strategy,
                &mut Remaining::of(by_chance),
                until,
                &mut covered,
            )? {
                return self.failed(case, &choices, covered);
            }
        }
        let kills = kills > 0;
        let crew = self.searcher()?;
        if kills {
            [
                (covered.killed, covered.kill_points),
                (covered.killed_again, covered.later_points),
            ] = crew.kill_points();
            if crew.kind() == RunAs::Processes {
                covered.by_sigkill = covered.killed;
            }
        }
        covered.worst = crew.worst().into();
        match reached {
            Some(bound) if bound == *bounds.last().expect("there are some") => {
                covered.exhausted = 1
            }
            // Of bounds with kills, those with a preemption too.
            Some((preemptions, dead)) if preemptions > 0 && (!kills || dead > 0) => {
                covered.within_one = 1;
            }
            Some(_) | None => covered.within_none = 1,
        }
        let known = budget.known;
        // No signal kills one thread of a process.
        if kills
            && !(self.threads_only && self.structure.instrumented)
            && (known.programs < KILLED_FOR_REAL || known.for_real)
            && let Some(choices) = self.for_real(case, by_chance, until, &mut covered)?
        {
            covered.for_real = 1;
            return self.failed(case, &choices, covered);
        }
        Ok((covered, None))
    }

    /// Tries all executions within these bounds, one after the other, until none is `left` or the
    /// time is up.
    fn rising(
        &mut self,
        case: &Case<S>,
        bounds: &[(u32, u32)],
        left: &mut Remaining,
        until: Instant,
        covered: &mut Covered,
    ) -> Result<Reached, Error> {
        let mut reached = None;
        for &(preemptions, kills) in bounds {
            let strategy = Exploration::Bounded { preemptions, kills };
            loop {
                let ended = self.batch(case, strategy, left, until, covered)?;
                let exhausted = match ended {
                    Batch::Exhausted => true,
                    Batch::Cut => false,
                    Batch::Failed(choices) => return Ok(Reached::Failed(choices)),
                };
                let crew = self.searcher()?;
                // Words that were not known to be shared may matter in executions that were left
                // out: they are searched again.
                if exhausted && !crew.footprint_stable() {
                    continue;
                }
                if exhausted && !crew.truncated() {
                    reached = Some((preemptions, kills));
                }
                break;
            }
            if reached != Some((preemptions, kills)) {
                break;
            }
        }
        Ok(Reached::Bound(reached))
    }

    /// Tries each kill point of the first programs again with SIGKILL. The pid of the killed
    /// process goes to its next incarnation, or to a process that does nothing: for structures that
    /// identify processes by pid. Returns the choices of an execution that failed.
    fn for_real(
        &mut self,
        case: &Case<S>,
        executions: u64,
        until: Instant,
        covered: &mut Covered,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.same_id = true;
        self.searcher()?.take(case)?;
        let bounds = &[(0, 0), (0, 1)];
        let executions = executions.min(REAL_KILLS);
        let reached = self.rising(case, bounds, &mut Remaining::of(executions), until, covered)?;
        if let Reached::Failed(choices) = reached {
            return Ok(Some(choices));
        }
        let crew = self.searcher()?;
        covered.same_id = crew.again();
        covered.by_sigkill = covered.by_sigkill.max(crew.kill_points()[0].0);
        self.same_id = false;
        Ok(None)
    }

    /// Kills at each step of a few schedules without preemptions, each begun by another process,
    /// where no process was killed so far. It serves programs that have too many orders to reach
    /// all kill points by exploring them. Returns the choices of an execution that failed.
    fn each_kill_point(
        &mut self,
        case: &Case<S>,
        until: Instant,
        covered: &mut Covered,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut left = MAX_KILLS;
        for first in 0..case.program.len() {
            let begins = [Choice::Step(first).to_byte()];
            if let Batch::Failed(choices) = self.follow(case, &begins, until, covered)? {
                return Ok(Some(choices));
            }
            let killable = self.killable;
            let crew = self.searcher()?;
            let undisturbed = crew.choices();
            let mut steps = vec![0; case.program.len()];
            let mut at = Vec::new();
            for (decision, &choice) in undisturbed.iter().enumerate() {
                let Choice::Step(process) = Choice::from_byte(choice) else {
                    break;
                };
                let step = steps[process];
                steps[process] += 1;
                if killable >> process & 1 == 1 && !crew.was_killed(process, step) {
                    at.push(decision);
                }
            }
            let is_last = at.len() >= left;
            at.truncate(left);
            left -= at.len();
            if !at.is_empty() {
                crew.follow(&undisturbed);
                crew.kill_instead(&at);
                let mut all = Remaining {
                    executions: at.len() as u64,
                    steps: u64::MAX,
                };
                let ended = self.batch(case, Exploration::Follow, &mut all, until, covered)?;
                if let Batch::Failed(choices) = ended {
                    return Ok(Some(choices));
                }
            }
            if is_last {
                break;
            }
        }
        Ok(None)
    }

    /// Runs the one execution that begins with these choices.
    fn follow(
        &mut self,
        case: &Case<S>,
        choices: &[u8],
        until: Instant,
        covered: &mut Covered,
    ) -> Result<Batch, Error> {
        self.searcher()?.follow(choices);
        self.batch(
            case,
            Exploration::Follow,
            &mut Remaining::of(1),
            until,
            covered,
        )
    }
}

/// Returns the strategy that a budget names, if it is not that of rising bounds.
fn by_chance(budget: &Budget) -> Option<Exploration> {
    let (seed, kills) = (budget.seed, 0);
    match budget.strategy {
        // The latter is one execution, and no search.
        Strategy::Bounded | Strategy::KillBefore { .. } => None,
        Strategy::Pct => Some(Exploration::Pct {
            seed,
            points: POINTS,
            kills,
        }),
        Strategy::Random => Some(Exploration::Random { seed, kills }),
    }
}

/// The outcome of a search within rising bounds.
enum Reached {
    Bound(Option<(u32, u32)>),
    Failed(Vec<u8>),
}
