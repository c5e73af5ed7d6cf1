//! The loop of a suite: saved cases, then drawn ones. A failing case is shrunk, confirmed and
//! saved.

mod ahead;
mod confirm;
mod drawn;
mod each_kill;
mod near_miss;
mod outcome;
mod runner;
mod shrink;
mod truncated;
mod verdict;

pub use each_kill::KilledBefore;
pub(crate) use each_kill::each_kill;
pub use outcome::{Found, NearMiss, Origin, Outcome, Rate};
use runner::{Runner, Runs};

use crate::case::{Case, Extent};
use crate::check::Verdict;
use crate::engine::{
    Answer, Budget, Covered, Engine, Known, MachineWait, Run, StopAt, Strategy, WATCHDOG,
};
use crate::error::Error;
use crate::regression;
use crate::settings::{ENGINES, Settings};
use crate::spec::Spec;
use crate::structure::{Progress, WithHandles};
use proptest::strategy::BoxedStrategy;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The executions of a known failure, as a multiple of those of a program: it may be a rare
/// failure.
const RETRIES: u64 = 4;
/// Confirming a finding may take this long beyond the time limit.
const CONFIRMING: Duration = Duration::from_secs(10);

/// The longest time limit; a longer one counts as none, since times beyond it cannot be calculated
/// with.
const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The input of a search.
pub(crate) struct Plan<S: Spec> {
    /// The suite's name, unique in its package: it names the saved cases and goes into tokens.
    pub(crate) suite: String,
    /// The role of each process.
    pub(crate) roles: Vec<String>,
    /// Processes that only read, as bits.
    pub(crate) read_only: u32,
    /// The progress that the suite promises of its operations.
    pub(crate) progress: Progress,
    /// Whether the structure is for the threads of one process alone.
    pub(crate) threads_only: bool,
    /// Whether the structure may change without an access to its `Memory`: the suite gives a
    /// reason.
    pub(crate) allows_unscheduled: bool,
    pub(crate) cases: BoxedStrategy<Case<S>>,
    /// The cases that belong to the suite.
    pub(crate) extent: Extent,
    pub(crate) settings: Settings,
    /// The directory in which cases are saved, if they are.
    pub(crate) regressions: Option<PathBuf>,
}

/// Runs a plan on an engine.
///
/// # Errors
/// A saved case, a token or a setting that cannot be read.
pub(crate) fn search<E: Engine, T: WithHandles<Memory = E::Memory>>(
    plan: &Plan<T::Spec>,
) -> Result<Outcome<T::Spec>, Error> {
    search_with(Runner::of::<E, T>(), plan)
}

fn search_with<S: Spec>(runner: Runner<S>, plan: &Plan<S>) -> Result<Outcome<S>, Error> {
    // Input that cannot be read is an error before anything waits.
    let token = match &plan.settings.replay {
        Some(token) => Some(regression::from_token::<S>(
            token,
            &plan.suite,
            runner.name,
        )?),
        None => None,
    };
    let saved = match &plan.regressions {
        Some(directory) if token.is_none() => {
            let file = regression::file_of(directory, &plan.suite);
            regression::load(&file, runner.name, &ENGINES, &plan.extent, runner.truncates)?
        }
        _ => Vec::new(),
    };
    let mut search = Search::new(runner, plan, plan.settings.time.unwrap_or(runner.time));
    if let Some(token) = token {
        if let Some(why) = plan.extent.excludes(&token.case, runner.truncates) {
            let words = "the case of this token is not one of the suite, and was run all the same";
            search.stale.push(format!("{words}: {why}"));
        }
        let found = search.replay_saved(token.case, Origin::Replayed)?;
        return Ok(search.outcome(found, 0));
    }
    let saved_cases = saved.len();
    for saved in saved {
        search.stale.extend(saved.stale);
        if let Some(case) = saved.case
            && let Some(found) = search.replay_saved(case, Origin::Saved)?
        {
            return Ok(search.outcome(Some(found), saved_cases));
        }
    }
    let found = search.search_random()?;
    Ok(search.outcome(found, saved_cases))
}

/// Searches on an engine for a failure of another engine: the program of that case in all orders,
/// and smaller programs. Where a time limit was set, the search gets the part of it that is left
/// after `spent`, and at least a fifth.
///
/// # Errors
/// A case that cannot be made a token.
pub(crate) fn cross_check<E: Engine, T: WithHandles<Memory = E::Memory>>(
    plan: &Plan<T::Spec>,
    case: Case<T::Spec>,
    found: (&'static str, Duration),
) -> Result<Outcome<T::Spec>, Error> {
    cross_check_with(Runner::of::<E, T>(), plan, case, found)
}

fn cross_check_with<S: Spec>(
    runner: Runner<S>,
    plan: &Plan<S>,
    case: Case<S>,
    (first, spent): (&'static str, Duration),
) -> Result<Outcome<S>, Error> {
    let limit = match plan.settings.time {
        Some(limit) => limit.saturating_sub(spent).max(limit / 5),
        None => runner.time,
    };
    let mut search = Search::new(runner, plan, limit);
    let whole = free(case);
    let case = runner.fit(whole.clone());
    search.is_truncated = case != whole;
    let found = match search.run(&case, &search.budget()) {
        Some(run) => {
            let run = search.leave_out(run);
            Some(search.confirm(run, Origin::CrossCheck(first))?)
        }
        None => None,
    };
    Ok(search.outcome(found, 0))
}

/// Replays a case, and stops the process of one step before that step.
///
/// # Errors
/// The case could not be run.
pub(crate) fn replay_to<E: Engine, T: WithHandles<Memory = E::Memory>>(
    plan: &Plan<T::Spec>,
    case: &Case<T::Spec>,
    stop: StopAt,
) -> Result<(), Error> {
    let mut search = Search::new(Runner::of::<E, T>(), plan, LONGEST_TIME);
    let budget = Budget {
        stop: Some(stop),
        ..search.budget()
    };
    search.engine.search(case, &plan.roles, &budget).map(|_| ())
}

struct Search<'a, S: Spec> {
    plan: &'a Plan<S>,
    runner: Runner<S>,
    engine: Box<dyn Runs<S>>,
    machine: MachineWait,
    /// The time at which the search got the machine, and how long it may take from there.
    started: Instant,
    limit: Duration,
    planned: Option<u64>,
    /// Executions of drawn programs, at most one budget of each.
    spent: u64,
    /// Whether programs were drawn, and not only known cases run.
    drew: bool,
    /// Whether the program that is searched was cut to fit the engine.
    is_truncated: bool,
    covered: Covered,
    known: Known,
    seed: u64,
    /// The first verdict that was neither Ok nor a finding.
    unknown: Option<Verdict<S>>,
    /// Saved cases that no longer apply, in words.
    stale: Vec<String>,
}

impl<'a, S: Spec> Search<'a, S> {
    fn new(runner: Runner<S>, plan: &'a Plan<S>, limit: Duration) -> Self {
        let mut engine = (runner.start)();
        let machine = match plan.settings.takes_turn {
            true => engine.take_machine(plan.settings.lock.as_deref()),
            false => MachineWait::default(),
        };
        Self {
            plan,
            runner,
            engine,
            machine,
            started: Instant::now(),
            limit: limit.min(LONGEST_TIME),
            planned: None,
            spent: 0,
            drew: false,
            is_truncated: false,
            covered: Covered::default(),
            known: Known::default(),
            seed: plan.settings.seed(),
            unknown: None,
            stale: Vec::new(),
        }
    }

    fn outcome(self, found: Option<Found<S>>, saved_cases: usize) -> Outcome<S> {
        Outcome {
            engine: self.runner.name,
            explores: self.runner.explores,
            structure: self.runner.structure,
            limitations: self.runner.limitations,
            leaves_invariant: self.runner.leaves_invariant,
            verdict: self.verdict(found.as_ref()),
            covered: self.covered,
            saved_cases,
            stale: self.stale,
            spared: match self.covered.kill_points {
                0 => Vec::new(),
                _ => self.plan.extent.spared(),
            },
            seed: self.seed,
            took: self.started.elapsed(),
            machine: self.machine,
            planned: self.planned,
            found,
            not_instrumented: self.engine.not_instrumented(),
            output: self.engine.output(),
            stepped: None,
        }
    }

    fn budget(&self) -> Budget {
        let settings = &self.plan.settings;
        Budget {
            executions: settings.executions.max(1),
            time: self.left(),
            watchdog: settings.watchdog.unwrap_or(WATCHDOG),
            seed: self.seed,
            keep_going: false,
            without_kills: false,
            progress: self.plan.progress,
            read_only: self.plan.read_only,
            killable: self.plan.extent.killable,
            threads_only: self.plan.threads_only,
            strategy: Strategy::Bounded,
            known: self.known,
            backtraces: false,
            shows_passing: false,
            stop: None,
        }
    }

    /// Returns the time that is left of the limit.
    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    /// Returns the time that is left to confirm a finding.
    fn left_to_confirm(&self) -> Duration {
        self.left().max(
            (self.limit + CONFIRMING)
                .saturating_sub(self.started.elapsed())
                .min(CONFIRMING),
        )
    }

    /// Runs a case and returns a finding. Any other verdict that is not Ok is noted.
    fn run(&mut self, case: &Case<S>, budget: &Budget) -> Option<Run<S>> {
        match self.engine.search(case, &self.plan.roles, budget) {
            Ok(answer) => self.answered(answer),
            Err(error) => {
                self.unknown = Some(Verdict::Unavailable(error.to_string()));
                None
            }
        }
    }

    /// Counts the coverage of an answer, and handles its run as [`run`](Self::run) does.
    fn answered(&mut self, (covered, run): Answer<S>) -> Option<Run<S>> {
        self.covered.add(covered);
        self.known.differs |= covered.by_processes > 0;
        self.known.given_up += covered.given_up;
        self.known.locks |= covered.locks > 0;
        let mut run = run?;
        self.known.for_real = covered.for_real > 0;
        if self.runner.truncates
            && let Some(why) = self.waits_for_what_was_truncated(&run)
        {
            run.verdict = Verdict::Unknown(why);
        }
        if matches!(run.verdict, Verdict::Finding(_)) {
            return Some(run);
        }
        if !matches!(self.unknown, Some(Verdict::Unavailable(_))) {
            self.unknown = Some(run.verdict);
        }
        None
    }

    /// Replays a case that failed before, unchanged.
    fn replay_saved(&mut self, case: Case<S>, origin: Origin) -> Result<Option<Found<S>>, Error> {
        let budget = Budget {
            executions: self.budget().executions.saturating_mul(RETRIES),
            ..self.budget()
        };
        let before = self.covered;
        if let Some(run) = self.run(&case, &budget) {
            return self.confirm(run, origin).map(Some);
        }
        let (requested, matched) = (
            self.covered.requested - before.requested,
            self.covered.matched - before.matched,
        );
        let reduced = free(case.clone());
        if matched < requested && origin == Origin::Saved {
            let refreshed = match &self.plan.regressions {
                Some(directory) if self.plan.settings.refresh => {
                    let file = regression::file_of(directory, &self.plan.suite);
                    // As where a case is saved.
                    self.engine.leave_machine();
                    regression::replace(&file, self.runner.name, &case, &reduced)?;
                    "from now on its program is kept alone"
                }
                _ => "FORKCHECK_REFRESH=1 keeps its program alone",
            };
            self.stale.push(format!(
                "{matched} of {requested} steps matched that a saved case names, so its program was searched again; {refreshed} ({:?})",
                case.program
            ));
        }
        if matched < requested && origin == Origin::Replayed {
            let of_these = format!("only {matched} of {requested} steps of this token matched");
            self.stale.push(of_these.clone());
            // A failure that did not happen again was not searched for: it must not pass for a
            // fixed bug.
            self.unknown.get_or_insert(Verdict::Unknown(format!(
                "{of_these}: this is no replay; run it where its report was printed: with that revision, and with its sources \
                 where they were when it was built, which name the steps. Without FORKCHECK_REPLAY the program is searched again"
            )));
        }
        // The code has changed since, and so have the steps: it may now fail by a neighbouring
        // schedule.
        if reduced != case
            && origin == Origin::Saved
            && let Some(run) = self.run(&reduced, &self.budget())
        {
            return self.confirm(run, origin).map(Some);
        }
        Ok(None)
    }
}

/// Returns the program without a schedule.
fn free<S: Spec>(case: Case<S>) -> Case<S> {
    Case {
        prefix: case.prefix,
        ..Case::free(case.setup, case.program)
    }
}
