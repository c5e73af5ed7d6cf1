//! The loop of a suite: saved cases, then drawn ones; what fails is shrunk, confirmed and saved.

mod confirm;
mod cut;
mod nearby;
mod outcome;
mod shrink;
mod verdict;

pub use outcome::{Found, Origin, Outcome, Passing, Rate};

use crate::case::{Case, Extent};
use crate::check::{Kind, Verdict};
use crate::engine::{Budget, By, Covered, Engine, Run, Turn};
use crate::error::Error;
use crate::regression;
use crate::settings::{ENGINES, Settings};
use crate::subject::{Progress, Spec, Subject};
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The programs that one counts as which forked processes searched, though coroutines would have: each of its executions takes
/// longer.
const BY_PROCESSES: u64 = 4;
/// Executions of each program in the first round of an engine that samples: what fails without much luck is found in all
/// programs before any of them gets its thousands.
const FIRST_ROUND: u64 = 100;
/// The part of its time that an engine samples; the rest is for shrinking.
const SAMPLING: f64 = 2.0 / 3.0;
/// A known failure gets this many times the executions of a program: it may be a rare one.
const PATIENCE: u64 = 4;
/// Confirming a finding may take this long beyond the time limit.
const CONFIRMING: Duration = Duration::from_secs(10);

/// A longer time limit is none: times beyond it cannot be reckoned with.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What to search.
pub(crate) struct Plan<S: Spec> {
    /// The suite's name, unique in its package: it names the saved cases and goes into tokens.
    pub(crate) suite: String,
    /// The role of each process.
    pub(crate) roles: Vec<String>,
    /// Those that only read, as bits.
    pub(crate) read_only: u32,
    /// What it promises of how its operations get on.
    pub(crate) progress: Progress,
    /// It may change without an access to its `Memory`: the suite says why.
    pub(crate) allows_unscheduled: bool,
    pub(crate) cases: BoxedStrategy<Case<S>>,
    /// The cases that belong to the suite.
    pub(crate) extent: Extent,
    pub(crate) settings: Settings,
    /// Where cases are saved, if they are.
    pub(crate) regressions: Option<PathBuf>,
}

/// Runs a plan on an engine.
///
/// # Errors
/// A saved case, a token or a setting that cannot be read.
pub(crate) fn search<E: Engine, S: Subject<E::Memory>>(
    plan: &Plan<S::Spec>,
) -> Result<Outcome<S::Spec>, Error> {
    // What cannot be read is an error before anything waits.
    let token = match &plan.settings.replay {
        Some(token) => Some(regression::from_token::<S::Spec>(
            token,
            &plan.suite,
            E::NAME,
        )?),
        None => None,
    };
    let saved = match &plan.regressions {
        Some(directory) if token.is_none() => {
            let file = regression::file_of(directory, &plan.suite);
            regression::load(&file, E::NAME, &ENGINES, &plan.extent, E::CUTS)?
        }
        _ => Vec::new(),
    };
    let mut search = Search::<E, S>::new(plan, plan.settings.time.unwrap_or(E::TIME));
    if let Some(token) = token {
        if let Some(why) = plan.extent.excludes(&token.case, E::CUTS) {
            let words = "the case of this token is not one of the suite, and was run all the same";
            search.stale.push(format!("{words}: {why}"));
        }
        let found = search.known(token.case, Origin::Replayed)?;
        return Ok(search.outcome(found, 0));
    }
    let saved_cases = saved.len();
    for saved in saved {
        search.stale.extend(saved.stale);
        if let Some(case) = saved.case
            && let Some(found) = search.known(case, Origin::Saved)?
        {
            return Ok(search.outcome(Some(found), saved_cases));
        }
    }
    let found = search.drawn()?;
    Ok(search.outcome(found, saved_cases))
}

/// Looks on an engine for what failed on another: the program of that case in all orders, and smaller ones. Where a time
/// limit was set, it has what `spent` left of that, and a fifth of it at least.
///
/// # Errors
/// A case that cannot be made a token.
pub(crate) fn elsewhere<E: Engine, S: Subject<E::Memory>>(
    plan: &Plan<S::Spec>,
    case: Case<S::Spec>,
    (first, spent): (&'static str, Duration),
) -> Result<Outcome<S::Spec>, Error> {
    let limit = match plan.settings.time {
        Some(limit) => limit.saturating_sub(spent).max(limit / 5),
        None => E::TIME,
    };
    let mut search = Search::<E, S>::new(plan, limit);
    let found = match search.run(&fit::<E, S>(free(case)), &search.budget()) {
        Some(run) => {
            let run = search.leave_out(run);
            Some(search.tell(run, Origin::Elsewhere(first))?)
        }
        None => None,
    };
    Ok(search.outcome(found, 0))
}

struct Search<'a, E: Engine, S: Subject<E::Memory>> {
    plan: &'a Plan<S::Spec>,
    engine: E,
    turn: Turn,
    /// When it had the machine, and how long it may take from there.
    started: Instant,
    limit: Duration,
    planned: Option<u64>,
    /// Executions of drawn programs, at most one budget of each.
    spent: u64,
    /// Programs were drawn, and not only known cases run.
    drew: bool,
    covered: Covered,
    seed: u64,
    /// The first verdict that was neither Ok nor a finding.
    unknown: Option<Verdict<S::Spec>>,
    /// Saved cases that do not apply any more, in words.
    stale: Vec<String>,
}

impl<'a, E: Engine, S: Subject<E::Memory>> Search<'a, E, S> {
    fn new(plan: &'a Plan<S::Spec>, limit: Duration) -> Self {
        let mut engine = E::default();
        let turn = engine.take_machine(plan.settings.lock.as_deref());
        Self {
            plan,
            engine,
            turn,
            started: Instant::now(),
            limit: limit.min(LONGEST),
            planned: None,
            spent: 0,
            drew: false,
            covered: Covered::default(),
            seed: plan.settings.seed(),
            unknown: None,
            stale: Vec::new(),
        }
    }

    fn outcome(self, found: Option<Found<S::Spec>>, saved_cases: usize) -> Outcome<S::Spec> {
        Outcome {
            engine: E::NAME,
            blind_to: E::BLIND_TO,
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
            turn: self.turn,
            planned: self.planned,
            found,
            output: self.engine.output(),
            stepped: None,
        }
    }

    fn budget(&self) -> Budget {
        let settings = &self.plan.settings;
        Budget {
            executions: settings.executions.max(1),
            time: self.left(),
            seed: self.seed,
            keep_going: false,
            nobody_dies: false,
            progress: self.plan.progress,
            read_only: self.plan.read_only,
            killable: self.plan.extent.killable,
            by: By::Bounds,
        }
    }

    /// Time that is left of the limit.
    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    /// Time that is left to confirm a finding.
    fn left_to_confirm(&self) -> Duration {
        self.left().max(
            (self.limit + CONFIRMING)
                .saturating_sub(self.started.elapsed())
                .min(CONFIRMING),
        )
    }

    /// Runs a case; a finding comes back, anything else that is not Ok is noted.
    fn run(&mut self, case: &Case<S::Spec>, budget: &Budget) -> Option<Run<S::Spec>> {
        let (covered, run) = match self.engine.search::<S>(case, &self.plan.roles, budget) {
            Ok(answer) => answer,
            Err(error) => {
                self.unknown = Some(Verdict::Unavailable(error.to_string()));
                return None;
            }
        };
        self.covered.add(covered);
        let mut run = run?;
        if E::CUTS
            && let Some(why) = self.waits_for_what_was_cut(&run)
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

    /// A case that failed before, as it is.
    fn known(
        &mut self,
        case: Case<S::Spec>,
        origin: Origin,
    ) -> Result<Option<Found<S::Spec>>, Error> {
        let budget = Budget {
            executions: self.budget().executions.saturating_mul(PATIENCE),
            ..self.budget()
        };
        let before = self.covered;
        if let Some(run) = self.run(&case, &budget) {
            return self.tell(run, origin).map(Some);
        }
        let (placed, applied) = (
            self.covered.placed - before.placed,
            self.covered.applied - before.applied,
        );
        let anew = free(case.clone());
        if applied < placed && origin == Origin::Saved {
            let refreshed = match &self.plan.regressions {
                Some(directory) if self.plan.settings.refresh => {
                    let file = regression::file_of(directory, &self.plan.suite);
                    regression::replace(&file, E::NAME, &case, &anew)?;
                    "from now on its program is kept alone"
                }
                _ => "FORKCHECK_REFRESH=1 keeps its program alone",
            };
            self.stale.push(format!(
                "{applied} of {placed} steps applied that a saved case names, so its program was searched anew; {refreshed} ({:?})",
                case.program
            ));
        }
        if applied < placed && origin == Origin::Replayed {
            let of_these = format!("only {applied} of {placed} steps of this token applied");
            self.stale.push(of_these.clone());
            // What did not happen again was not looked for: that is not to pass for a mended bug.
            self.unknown.get_or_insert(Verdict::Unknown(format!(
                "{of_these}: this is no replay; run it where its report was printed: with that revision, and with its sources \
                 where they were when it was built, which name the steps. Without FORKCHECK_REPLAY the program is searched anew"
            )));
        }
        // The code has changed since, and with it the steps: what fails now may do so by a schedule nearby.
        if anew != case
            && origin == Origin::Saved
            && let Some(run) = self.run(&anew, &self.budget())
        {
            return self.tell(run, origin).map(Some);
        }
        Ok(None)
    }

    /// New cases, until one fails or the budget is spent.
    fn drawn(&mut self) -> Result<Option<Found<S::Spec>>, Error> {
        self.drew = true;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        let config = Config {
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner =
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &key));
        let cases = self.plan.settings.cases;
        let full = self.budget().executions;
        let rounds = if E::EXPLORES || full <= FIRST_ROUND {
            vec![full]
        } else {
            vec![FIRST_ROUND, full]
        };
        let mut trees = Vec::new();
        let mut seen: Vec<Case<S::Spec>> = Vec::new();
        let mut by_halts = HashSet::new();
        for (round, executions) in rounds.into_iter().enumerate() {
            for number in 0..cases as usize {
                if self.is_enough(round, full) {
                    break;
                }
                if self.is_over(round) {
                    // What was sampled in the first round stands.
                    self.planned = (round == 0).then_some(cases.into());
                    return Ok(None);
                }
                if trees.len() <= number {
                    let tree = self.plan.cases.new_tree(&mut runner).map_err(|reason| {
                        Error::invalid(
                            format!("no case could be drawn: {reason}"),
                            "loosen the filters of the suite's strategies",
                        )
                    })?;
                    trees.push(tree);
                }
                let whole = trees[number].current();
                let case = fit::<E, S>(whole.clone());
                // All orders of a program are explored once.
                if E::EXPLORES && seen.contains(&case) {
                    continue;
                }
                let before = self.covered;
                let budget = Budget {
                    executions,
                    seed: self.seed.wrapping_add(round as u64),
                    ..self.budget()
                };
                let run = self.run(&case, &budget);
                // Each program counts once, whichever round took halts.
                if self.covered.by_halts > before.by_halts && !by_halts.insert(number) {
                    self.covered.by_halts = before.by_halts;
                }
                self.spent += if self.covered.by_processes > before.by_processes {
                    full.saturating_mul(BY_PROCESSES)
                } else {
                    (self.covered.executions - before.executions).min(full)
                };
                if round > 0 {
                    let all = self.covered.timed_out == before.timed_out;
                    self.covered.programs = before.programs;
                    self.covered.timed_out = before.timed_out;
                    self.covered.sampled_in_full += u64::from(all);
                } else {
                    self.covered.cut += u64::from(case != whole);
                }
                if let Some(run) = run {
                    let took = self.covered.executions - before.executions;
                    let (run, origin) = self.shrink(trees.swap_remove(number), run, took);
                    return self.tell(run, origin).map(Some);
                }
                if E::EXPLORES {
                    seen.push(case);
                }
            }
        }
        Ok(None)
    }

    /// Whether no other program needs to be drawn.
    fn is_enough(&self, round: usize, full: u64) -> bool {
        matches!(self.unknown, Some(Verdict::Unavailable(_)))
            || E::EXPLORES && self.spent >= full.saturating_mul(E::PROGRAMS)
            || (round > 0 || is_one_processor()) && self.overlaps_too_seldom().is_some()
    }

    /// Whether the time is up: for what has to be done, or, of an engine that samples, for sampling on.
    fn is_over(&self, round: usize) -> bool {
        let share = if E::EXPLORES || round == 0 {
            1.0
        } else {
            SAMPLING
        };
        self.started.elapsed() >= self.limit.mul_f64(share)
    }
}

/// Whether calls of different processes overlap only by a halt or a preemption: where they still hardly overlap after a first
/// round, more executions change little.
fn is_one_processor() -> bool {
    std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1)
}

/// Returns the program without a schedule.
fn free<S: Spec>(case: Case<S>) -> Case<S> {
    Case::free(case.setup, case.program)
}

fn fit<E: Engine, S: Subject<E::Memory>>(case: Case<S::Spec>) -> Case<S::Spec> {
    Case {
        program: E::fit::<S::Spec>(case.program),
        ..case
    }
}

/// Whether a watchdog has to notice such a failure, which takes seconds each time.
fn hangs<E: Engine, S: Spec>(run: &Run<S>) -> bool {
    match kind(run) {
        Some(Kind::Endless) => true,
        Some(Kind::Deadlock) => !E::EXPLORES,
        _ => false,
    }
}

fn kind<S: Spec>(run: &Run<S>) -> Option<Kind> {
    match &run.verdict {
        Verdict::Finding(finding) => Some(finding.kind),
        _ => None,
    }
}
