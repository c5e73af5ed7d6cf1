//! One batch of executions by one strategy, and the check that forked processes do the same as the
//! coroutines that ran it.

use super::{Batch, Explorer, NO_LIMIT, Remaining};
use crate::case::{Case, History};
use crate::engine::Covered;
use crate::engine::stepped::verdict::rests;
use crate::engine::stepped::{Ended, RunAs, Stop};
use crate::error::Error;
use crate::schedule::Exploration;
use crate::spec::Spec;
use crate::workers::{Judging, Lost};
use std::time::Instant;

/// Returns whether all processes may wait where they do.
pub(super) fn may_rest<S: Spec>(case: &Case<S>, history: &History<S>) -> bool {
    let judging = Judging::begin();
    rests(case, history, &|| judging.goes_on())
}

/// Returns the results of all calls. The times of an operation without a step depend on when its
/// process comes to it: before its first step, which is earlier where strategies ask what is
/// pending.
fn returned<S: Spec>(history: &History<S>) -> Vec<Vec<Option<&S::Ret>>> {
    let calls = history.calls.iter();
    let returned = calls.map(|calls| calls.iter().map(|call| call.ret.as_ref()).collect());
    returned.collect()
}

impl<S: Spec> Explorer<S> {
    /// Runs one batch of executions. It continues after an execution that ends in a rest that the
    /// spec allows.
    pub(super) fn batch(
        &mut self,
        case: &Case<S>,
        strategy: Exploration,
        left: &mut Remaining,
        until: Instant,
        covered: &mut Covered,
    ) -> Result<Batch, Error> {
        if Instant::now() >= until {
            covered.timed_out = 1;
            return Ok(Batch::Cut);
        }
        if left.executions == 0 || left.steps == 0 {
            return Ok(Batch::Cut);
        }
        let (keep_going, by) = (self.keeps_going, self.searches());
        let mut crew = self.searcher()?;
        crew.keep_going(keep_going);
        let mut ended = crew.run(strategy, (left.executions, left.steps), until, false)?;
        while matches!(ended, Ended::Stopped(Stop::Stuck))
            && crew.outside().is_empty()
            && may_rest(case, &crew.history(case))
        {
            ended = crew.go_on(until)?;
        }
        while let Ended::Stopped(Stop::Novel) = ended {
            let (choices, seen) = (crew.choices(), (crew.sum(), crew.history(case)));
            if !self.does_the_same(case, &choices, seen, covered)? && !self.goes_on() {
                return Ok(Batch::Failed(Vec::new()));
            }
            crew = self.searcher()?;
            ended = crew.resume(until)?;
        }
        let (tally, choices) = (crew.tally(), crew.choices());
        if by == RunAs::Coroutines {
            match &ended {
                // Executions that are followed one by one are too many for that.
                Ended::Stopped(Stop::Done | Stop::Exhausted)
                    if strategy != Exploration::Follow || crew.is_novel() =>
                {
                    let seen = (crew.sum(), crew.history(case));
                    if !self.does_the_same(case, &choices, seen, covered)? && !self.goes_on() {
                        return Ok(Batch::Failed(Vec::new()));
                    }
                }
                Ended::Stopped(stop) if stop.leaves_crew_usable() => {}
                Ended::Stopped(Stop::Differs) => {
                    self.switch_to_processes();
                    return Ok(Batch::Failed(Vec::new()));
                }
                // The next host begins with the facts that are then known of forked processes.
                _ => self.coroutines = None,
            }
        }
        if let Ended::Lost(lost) = ended
            && (by != RunAs::Coroutines || lost == Lost::Unjudged)
        {
            self.lose(case, lost);
            covered.executions += tally.executions + 1;
            return Ok(Batch::Failed(Vec::new()));
        }
        covered.executions += tally.executions;
        left.executions = left.executions.saturating_sub(tally.executions);
        left.steps = tally.steps;
        covered.failing += if keep_going { tally.failing } else { 0 };
        Ok(match ended {
            Ended::Stopped(Stop::Done) => {
                if tally.remaining > 0 {
                    covered.timed_out = 1;
                }
                Batch::Cut
            }
            Ended::Stopped(Stop::Exhausted) => Batch::Exhausted,
            _ => {
                covered.failing += 1;
                if !matches!(ended, Ended::Stopped(Stop::Judged)) {
                    covered.executions += 1;
                    if by != RunAs::Coroutines {
                        self.processes = None;
                    }
                }
                Batch::Failed(choices)
            }
        })
    }

    /// Notes that forked processes did something else, and returns whether coroutines search all the same, as threads.
    fn goes_on(&mut self) -> bool {
        if self.structure.instrumented {
            self.unlike = true;
        } else {
            self.switch_to_processes();
        }
        self.unlike
    }

    /// Returns whether forked processes take the same steps by these choices, with the same
    /// results.
    fn does_the_same(
        &mut self,
        case: &Case<S>,
        choices: &[u8],
        (sum, history): (u64, History<S>),
        covered: &mut Covered,
    ) -> Result<bool, Error> {
        let until = Instant::now() + NO_LIMIT;
        let crew = self.crew(RunAs::Processes)?;
        crew.take(case)?;
        crew.follow(choices);
        crew.keep_going(false);
        let ended = crew.run(Exploration::Follow, (1, u64::MAX), until, false)?;
        let same = match ended {
            // The history may be one that is not Ok, where the search counts those and goes on.
            Ended::Stopped(stop) if stop.leaves_crew_usable() || stop == Stop::Stuck => {
                crew.sum() == sum && returned(&crew.history(case)) == returned(&history)
            }
            _ => false,
        };
        if !matches!(ended, Ended::Stopped(stop) if stop.leaves_crew_usable()) {
            self.processes = None;
        }
        covered.samples += 1;
        Ok(same)
    }
}
