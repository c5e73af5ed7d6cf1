//! The loop of a suite: saved cases, then drawn ones; what fails is shrunk, confirmed and saved.

mod cut;
mod nearby;
mod shrink;

use crate::case::{Case, Extent};
use crate::check::Verdict;
use crate::engine::{Budget, By, Covered, Engine, Run};
use crate::error::Error;
use crate::regression;
use crate::settings::{ENGINES, Settings};
use crate::subject::{Progress, Spec, Subject};
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// An engine that explores may take so many times the executions of one that samples, and is done with so many times
/// fewer programs: each of them stands for all its orders.
const EXPLORED: u64 = 20;
const FEWER: u32 = 8;
/// Small programs are explored in no time, so that it goes on with others until this part of the time is used.
const SHARE_OF_TIME: u32 = 4;
/// A shrunk form has to fail within so many times the executions of a drawn one: a rare failure gets its chance.
const PATIENCE: u64 = 4;
/// A finding is run again so often before it is told, but no longer than this.
const REPLAYS: u64 = 10;
const REPLAYING: Duration = Duration::from_secs(10);

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
    pub(crate) cases: BoxedStrategy<Case<S>>,
    /// The cases that belong to the suite.
    pub(crate) extent: Extent,
    pub(crate) settings: Settings,
    /// Where cases are saved, if they are.
    pub(crate) regressions: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome<S: Spec> {
    /// The engine's name.
    pub engine: &'static str,
    /// What it cannot see.
    pub blind_to: &'static str,
    /// The verdict.
    pub verdict: Verdict<S>,
    /// What was covered.
    pub covered: Covered,
    /// Saved cases that ran first.
    pub saved_cases: usize,
    /// What of them did not apply any more, in words: a case that changed with its suite is run as far as it goes.
    pub stale: Vec<String>,
    /// Roles of which no process was to be killed, where the engine kills.
    pub spared: Vec<String>,
    /// The seed of what was drawn.
    pub seed: u64,
    /// How long all of it took.
    pub took: Duration,
    /// What is to be told where the verdict is a finding.
    pub found: Option<Found<S>>,
    /// What the processes printed lately.
    pub output: String,
    /// What `stepped` says of the program that was found, if it was asked: there it comes again each time.
    pub stepped: Option<Box<Outcome<S>>>,
}

/// A finding, shrunk and confirmed.
#[derive(Clone, Debug)]
pub struct Found<S: Spec> {
    /// The smallest execution that shows it.
    pub run: Run<S>,
    /// Where the case came from.
    pub origin: Origin,
    /// How surely it comes again.
    pub rate: Rate,
    /// What is almost the same and passes, where the engine places steps.
    pub passes: Vec<Passing<S>>,
    /// The case as a token.
    pub token: String,
    /// Where it was saved, or why not; `None` if it was not to be.
    pub saved: Option<Result<PathBuf, String>>,
}

/// A case that is almost a failing one, and passes.
#[derive(Clone, Debug)]
pub struct Passing<S: Spec> {
    /// What is different.
    pub words: String,
    /// The step of the failing run from which on it is, where there is one.
    pub step: Option<usize>,
    /// The case; of several that the words name, the last.
    pub case: Case<S>,
}

/// Where a failing case came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Drawn, and then shrunk.
    Drawn {
        /// How many operations it had at first.
        operations: usize,
        /// How many smaller forms were tried.
        candidates: u64,
        /// How long that took.
        took: Duration,
    },
    /// Another engine found it, and it was looked for on this one.
    Elsewhere(&'static str),
    /// A saved case.
    Saved,
    /// The token in `FORKCHECK_REPLAY`.
    Replayed,
}

/// How surely a finding comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// In so many of so many executions of the case.
    Executions(u64, u64),
    /// In so many of so many replays of the case, each of at most so many executions.
    Replays(u64, u64, u64),
}

/// Runs a plan on an engine.
///
/// # Errors
/// A saved case, a token or a setting that cannot be read.
pub(crate) fn search<E: Engine, S: Subject<E::Memory>>(
    plan: &Plan<S::Spec>,
) -> Result<Outcome<S::Spec>, Error> {
    let mut search = Search::<E, S>::new(plan);
    let mut saved_cases = 0;
    let found = match &plan.settings.replay {
        Some(token) => {
            let token = regression::from_token::<S::Spec>(token, &plan.suite, E::NAME)?;
            if let Some(why) = plan.extent.excludes(&token.case, E::CUTS) {
                let words =
                    "the case of this token is not one of the suite, and was run all the same";
                search.stale.push(format!("{words}: {why}"));
            }
            search.known(token.case, Origin::Replayed)?
        }
        None => {
            let saved = match &plan.regressions {
                Some(directory) => {
                    let file = regression::file_of(directory, &plan.suite);
                    regression::load(&file, E::NAME, &ENGINES, &plan.extent, E::CUTS)?
                }
                None => Vec::new(),
            };
            saved_cases = saved.len();
            let mut found = None;
            for saved in saved {
                search.stale.extend(saved.stale);
                if let Some(case) = saved.case {
                    found = search.known(case, Origin::Saved)?;
                }
                if found.is_some() {
                    break;
                }
            }
            match found {
                Some(found) => Some(found),
                None => search.drawn()?,
            }
        }
    };
    Ok(search.outcome(found, saved_cases))
}

/// Looks on an engine for what failed on another: the program of that case in all orders, and smaller ones.
///
/// # Errors
/// A case that cannot be made a token.
pub(crate) fn elsewhere<E: Engine, S: Subject<E::Memory>>(
    plan: &Plan<S::Spec>,
    case: Case<S::Spec>,
    first: &'static str,
) -> Result<Outcome<S::Spec>, Error> {
    let mut search = Search::<E, S>::new(plan);
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
    started: Instant,
    covered: Covered,
    seed: u64,
    /// The first verdict that was neither Ok nor a finding.
    unknown: Option<Verdict<S::Spec>>,
    /// Saved cases that do not apply any more, in words.
    stale: Vec<String>,
}

impl<'a, E: Engine, S: Subject<E::Memory>> Search<'a, E, S> {
    fn new(plan: &'a Plan<S::Spec>) -> Self {
        Self {
            plan,
            engine: E::default(),
            started: Instant::now(),
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
            found,
            output: self.engine.output(),
            stepped: None,
        }
    }

    fn budget(&self) -> Budget {
        let settings = &self.plan.settings;
        Budget {
            executions: settings.executions * if E::EXPLORES { EXPLORED } else { 1 },
            time: settings.time,
            seed: self.seed,
            keep_going: false,
            nobody_dies: false,
            progress: self.plan.progress,
            read_only: self.plan.read_only,
            killable: self.plan.extent.killable,
            by: By::Bounds,
        }
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
            executions: self.budget().executions * PATIENCE,
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
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        let config = Config {
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner =
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &key));
        let (cases, time) = (self.plan.settings.cases, self.plan.settings.time);
        let (least, share) = if E::EXPLORES {
            (cases.div_ceil(FEWER), time / SHARE_OF_TIME)
        } else {
            (cases, time)
        };
        for drawn in 0..cases {
            let elapsed = self.started.elapsed();
            if drawn > 0 && elapsed >= time
                || drawn >= least && elapsed >= share
                || matches!(self.unknown, Some(Verdict::Unavailable(_)))
            {
                break;
            }
            let tree = self.plan.cases.new_tree(&mut runner).map_err(|reason| {
                Error::invalid(
                    format!("no case could be drawn: {reason}"),
                    "loosen the filters of the suite's strategies",
                )
            })?;
            let whole = tree.current();
            let case = fit::<E, S>(whole.clone());
            self.covered.cut += u64::from(case != whole);
            if let Some(run) = self.run(&case, &self.budget()) {
                let (run, origin) = self.shrink(tree, run);
                return self.tell(run, origin).map(Some);
            }
        }
        Ok(None)
    }

    /// Runs it again, to say how surely it comes; makes the token; saves it.
    fn tell(&mut self, run: Run<S::Spec>, origin: Origin) -> Result<Found<S::Spec>, Error> {
        let before = (self.covered, self.unknown.clone());
        let rate = self.rate(&run);
        let passes = self.nearby(&run);
        (self.covered, self.unknown) = before;
        let token = regression::token(&self.plan.suite, E::NAME, &run.case)?;
        let saved = match (&self.plan.regressions, origin) {
            (Some(directory), Origin::Drawn { .. } | Origin::Elsewhere(_)) => {
                let file = regression::file_of(directory, &self.plan.suite);
                let found = kind(&run)
                    .map(|kind| kind.to_string().to_lowercase())
                    .unwrap_or_default();
                Some(
                    regression::save(&file, E::NAME, &found, &run.case)
                        .map(|()| file)
                        .map_err(|e| e.to_string()),
                )
            }
            (Some(directory), Origin::Saved) => {
                Some(Ok(regression::file_of(directory, &self.plan.suite)))
            }
            _ => None,
        };
        Ok(Found {
            run,
            origin,
            rate,
            passes,
            token,
            saved,
        })
    }

    fn rate(&mut self, run: &Run<S::Spec>) -> Rate {
        let budget = Budget {
            keep_going: true,
            executions: self.budget().executions * PATIENCE,
            ..self.budget()
        };
        if !E::EXPLORES && kind(run).is_some_and(|kind| kind.is_of_history()) {
            let before = self.covered;
            // What fails more rarely than once in a budget was found all the same.
            for again in 0..REPLAYS {
                let budget = Budget {
                    seed: budget.seed.wrapping_add(again),
                    ..budget
                };
                self.run(&run.case, &budget);
                if self.covered.failing > before.failing {
                    break;
                }
            }
            return Rate::Executions(
                self.covered.failing - before.failing,
                self.covered.executions - before.executions,
            );
        }
        let started = Instant::now();
        let (mut again, mut replays) = (0, 0);
        while replays < REPLAYS && (replays == 0 || started.elapsed() < REPLAYING) {
            replays += 1;
            again += u64::from(
                self.run(&run.case, &budget)
                    .is_some_and(|replayed| kind(&replayed) == kind(run)),
            );
        }
        Rate::Replays(again, replays, budget.executions)
    }

    fn verdict(&self, found: Option<&Found<S::Spec>>) -> Verdict<S::Spec> {
        if let Some(found) = found {
            return found.run.verdict.clone();
        }
        if let Some(verdict) = &self.unknown {
            return verdict.clone();
        }
        let Covered {
            executions,
            overlapping,
            could_overlap,
            ..
        } = self.covered;
        if executions == 0 {
            return Verdict::Unknown("nothing was run".into());
        }
        if !E::EXPLORES && overlapping * 1_000 < could_overlap {
            return Verdict::Unknown(format!(
                "in only {overlapping} of {could_overlap} executions did calls of different processes overlap, so hardly \
                 anything was tried; give it a processor for each process, or fewer processes"
            ));
        }
        Verdict::Ok
    }
}

/// The same program, with nobody saying who takes each step.
fn free<S: Spec>(case: Case<S>) -> Case<S> {
    Case::free(case.setup, case.program)
}

fn fit<E: Engine, S: Subject<E::Memory>>(case: Case<S::Spec>) -> Case<S::Spec> {
    Case {
        program: E::fit::<S::Spec>(case.program),
        ..case
    }
}

fn kind<S: Spec>(run: &Run<S>) -> Option<crate::check::Kind> {
    match &run.verdict {
        Verdict::Finding(finding) => Some(finding.kind),
        _ => None,
    }
}
