//! The search of a program by coroutines and by forked processes, which differ in what they share.

use super::{Explorer, REAL, by_chance};
use crate::case::Case;
use crate::engine::stepped::instrumented;
use crate::engine::{Answer, Budget, Covered, Run, Scope};
use crate::error::Error;
use crate::spec::Spec;
use std::time::Instant;

impl<S: Spec> Explorer<S> {
    /// Tries the executions of a program. Where forked processes do something else than coroutines,
    /// they search the program again.
    pub(in super::super) fn explore(
        &mut self,
        case: &Case<S>,
        budget: &Budget,
        kills: bool,
    ) -> Result<Answer<S>, Error> {
        self.begin(budget);
        self.learn(case)?;
        let (covered, run) = self.explore_by_all(case, budget, kills)?;
        let covered = Covered {
            left: instrumented::left_taken(),
            left_over: instrumented::left_over_taken(),
            crates: self.crates,
            ..covered
        };
        Ok((covered, run))
    }

    /// Tries them by coroutines, and by forked processes where those do something else.
    fn explore_by_all(
        &mut self,
        case: &Case<S>,
        budget: &Budget,
        kills: bool,
    ) -> Result<Answer<S>, Error> {
        let until = Instant::now() + budget.time;
        let (mut covered, run) = self.search(case, budget, kills, until)?;
        if std::mem::take(&mut self.switched) {
            return self.search(case, budget, kills, until);
        }
        covered.unlike = self.unlike.into();
        let by_threads_alone = !self.unlike || self.threads_only || by_chance(budget).is_some();
        if run.is_some() || self.lost.is_some() || by_threads_alone {
            return Ok((covered, run));
        }
        // Threads found nothing, and processes did something else.
        self.differs = true;
        let fewer = Budget {
            executions: budget.executions / REAL,
            ..*budget
        };
        let (by_processes, run) = self.search(case, &fewer, kills, until)?;
        self.differs = false;
        covered.executions += by_processes.executions;
        covered.failing += by_processes.failing;
        covered.timed_out |= by_processes.timed_out;
        covered.by_processes = 1;
        let scope = Some(Scope::ProcessesOnly);
        Ok((covered, run.map(|run| Run { scope, ..run })))
    }
}
