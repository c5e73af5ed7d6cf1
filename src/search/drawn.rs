//! The search by drawn programs, one after the other, until one fails or the budget is spent.

use super::ahead::{Ahead, Task};
use super::runner::Runner;
use super::{Found, Search};
use crate::case::Case;
use crate::check::Verdict;
use crate::engine::Budget;
use crate::error::Error;
use crate::spec::Spec;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Weight of an execution that forked processes ran in place of coroutines: it takes longer.
const BY_PROCESSES: u64 = 4;
/// Executions of each program in the first round of an engine that samples. Frequent failures are
/// found in all programs before any program gets its thousands of executions.
const FIRST_ROUND: u64 = 100;
/// The part of its time in which an engine samples; the rest is for shrinking.
const SAMPLING: f64 = 2.0 / 3.0;
/// Time after which programs are searched ahead. Where the number of jobs was set, they are
/// searched ahead at once.
const SHORT: Duration = Duration::from_millis(200);

/// A drawn program, in the form in which it is shrunk.
type Tree<S> = Box<dyn ValueTree<Value = Case<S>>>;

/// One program of a suite.
struct Drawn<S: Spec> {
    tree: Tree<S>,
    /// The case that the engine runs, unless an earlier program has the same one.
    case: Option<Case<S>>,
    /// True if the program was cut down to fit.
    truncated: bool,
}

/// The programs of a suite, drawn as they are needed.
struct Programs<'a, S: Spec> {
    runner: Runner<S>,
    cases: &'a BoxedStrategy<Case<S>>,
    drawing: TestRunner,
    drawn: Vec<Drawn<S>>,
}

impl<S: Spec> Programs<'_, S> {
    fn get(&mut self, number: usize) -> Result<&Drawn<S>, Error> {
        while self.drawn.len() <= number {
            let tree = self.cases.new_tree(&mut self.drawing).map_err(|reason| {
                Error::invalid(
                    format!("no case could be drawn: {reason}"),
                    "loosen the filters of the suite's strategies",
                )
            })?;
            let whole = tree.current();
            let case = self.runner.fit(whole.clone());
            // All orders of a program are explored once.
            let again = self.runner.explores
                && self
                    .drawn
                    .iter()
                    .any(|other| other.case.as_ref() == Some(&case));
            self.drawn.push(Drawn {
                tree,
                truncated: case != whole,
                case: (!again).then_some(case),
            });
        }
        Ok(&self.drawn[number])
    }
}

impl<S: Spec> Search<'_, S> {
    /// Searches new cases until one fails or the budget is spent.
    pub(super) fn search_random(&mut self) -> Result<Option<Found<S>>, Error> {
        self.drew = true;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        let config = Config {
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
        let mut programs = Programs {
            runner: self.runner,
            cases: &self.plan.cases,
            drawing: TestRunner::new_with_rng(config, rng),
            drawn: Vec::new(),
        };
        let cases = self.plan.settings.cases;
        let full = self.budget().executions;
        let rounds = if self.runner.explores || full <= FIRST_ROUND {
            vec![full]
        } else {
            vec![FIRST_ROUND, full]
        };
        let mut by_pauses = HashSet::new();
        let began = Instant::now();
        let (mut ahead, mut given) = (None, 0);
        for (round, executions) in rounds.into_iter().enumerate() {
            for number in 0..cases as usize {
                if self.is_enough(round, full) {
                    break;
                }
                if self.is_over(round) {
                    // Samples of the first round are complete.
                    self.planned = (round == 0).then_some(cases.into());
                    return Ok(None);
                }
                let Drawn {
                    case, truncated, ..
                } = programs.get(number)?;
                let (case, truncated) = (case.clone(), *truncated);
                let Some(case) = case else { continue };
                self.is_truncated = truncated;
                let budget = Budget {
                    executions,
                    seed: self.seed.wrapping_add(round as u64),
                    ..self.budget()
                };
                if self.runner.explores && ahead.is_none() {
                    ahead = self.search_ahead(began);
                    given = number + 1;
                }
                if let Some(ahead) = &ahead {
                    self.give(ahead, &mut programs, (number, &mut given), &budget)?;
                }
                let before = self.covered;
                let roles = &self.plan.roles;
                let answer = ahead
                    .as_ref()
                    .and_then(|ahead| ahead.take(number, &budget, &mut *self.engine, roles));
                let run = match answer {
                    Some(answer) => self.answered(answer),
                    None => self.run(&case, &budget),
                };
                // Each program counts once, whichever round took pauses.
                if self.covered.by_pauses > before.by_pauses && !by_pauses.insert(number) {
                    self.covered.by_pauses = before.by_pauses;
                }
                self.known.programs += 1;
                let executions = (self.covered.executions - before.executions).min(full);
                let by_processes = self.covered.by_processes > before.by_processes;
                self.spent += executions * if by_processes { BY_PROCESSES } else { 1 };
                if !self.runner.explores {
                    self.covered.sampled_in_full += u64::from(executions == full);
                }
                if round > 0 {
                    self.covered.programs = before.programs;
                    self.covered.timed_out = before.timed_out;
                } else {
                    self.covered.truncated += u64::from(truncated);
                }
                if let Some(run) = run {
                    // Stops the searches that serve the first programs only.
                    self.known.programs = u64::MAX;
                    drop(ahead);
                    let took = self.covered.executions - before.executions;
                    let tree = programs.drawn.swap_remove(number).tree;
                    let (run, origin) = self.shrink(tree, run, took);
                    return self.confirm(run, origin).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Returns other engines that search ahead, if there are to be any and the search takes long
    /// enough.
    fn search_ahead(&self, began: Instant) -> Option<Ahead<S>> {
        let jobs = match self.plan.settings.jobs {
            Some(jobs) => jobs,
            None if began.elapsed() < SHORT => 1,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let jobs = jobs.min(self.plan.settings.cases as usize);
        (jobs > 1).then(|| Ahead::start(self.runner, jobs - 1, &self.plan.roles))
    }

    /// Gives the programs after `number` to the engines that search ahead, from the first that was
    /// not yet `given`.
    fn give(
        &self,
        ahead: &Ahead<S>,
        programs: &mut Programs<'_, S>,
        (number, given): (usize, &mut usize),
        budget: &Budget,
    ) -> Result<(), Error> {
        let mut budget = *budget;
        let last = (number + 1 + ahead.wants()).min(self.plan.settings.cases as usize);
        *given = (*given).max(number + 1);
        for later in number + 1..last {
            let Some(case) = programs.get(later)?.case.clone() else {
                continue;
            };
            // The knowledge that this program begins with, if the programs before it change
            // nothing.
            budget.known.programs += 1;
            if later >= *given {
                let deadline = Instant::now() + budget.time;
                let task = Task {
                    case,
                    budget,
                    deadline,
                };
                ahead.give(later, task);
            }
        }
        *given = (*given).max(last);
        Ok(())
    }

    /// Returns whether no other program needs to be drawn.
    fn is_enough(&self, round: usize, full: u64) -> bool {
        matches!(self.unknown, Some(Verdict::Unavailable(_)))
            || self.runner.explores && self.spent >= full.saturating_mul(self.runner.programs)
            || (round > 0 || is_one_processor() && self.covered.could_overlap >= FIRST_ROUND)
                && self.overlaps_too_seldom().is_some()
    }

    /// Returns whether the time is up: for the whole search, or, of an engine that samples, for
    /// further samples.
    fn is_over(&self, round: usize) -> bool {
        let share = if self.runner.explores || round == 0 {
            1.0
        } else {
            SAMPLING
        };
        self.started.elapsed() >= self.limit.mul_f64(share)
    }
}

/// Returns whether there is only one processor: calls of different processes then overlap only by
/// an instruction-level pause or a preemption. Where they still hardly overlap after a first round,
/// more executions change little.
fn is_one_processor() -> bool {
    std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1)
}
