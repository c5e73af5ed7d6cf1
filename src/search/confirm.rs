//! The confirmation of a finding before it is reported: replays, near misses, the token, the saved
//! case.

use super::runner::kind;
use super::{Found, Origin, RETRIES, Rate, Search};
use crate::engine::{Budget, Run};
use crate::error::Error;
use crate::regression;
use crate::spec::Spec;

/// The replays of a finding before it is reported.
const REPLAYS: u64 = 10;
/// The replays of a finding that takes seconds each time, since a watchdog has to notice the hang.
const THAT_HANG: u64 = 3;
/// The executions of the first batch for the rate of failure, and the number of failures that is
/// enough.
const FIRST_BATCH: u64 = 1_000;
const ENOUGH: u64 = 100;

impl<S: Spec> Search<'_, S> {
    /// Replays a finding to tell how reliably it fails, makes its token, and saves it.
    pub(super) fn confirm(&mut self, run: Run<S>, origin: Origin) -> Result<Found<S>, Error> {
        let before = (self.covered, self.unknown.clone());
        let rate = self.rate(&run);
        let passes = self.near_misses(&run);
        (self.covered, self.unknown) = before;
        let token = regression::token(&self.plan.suite, self.runner.name, &run.case)?;
        // Another program may keep the saved cases locked for a while.
        self.engine.leave_machine();
        let saved = match (&self.plan.regressions, origin) {
            (Some(directory), Origin::Drawn { .. } | Origin::CrossCheck(_)) => {
                let file = regression::file_of(directory, &self.plan.suite);
                let found = kind(&run)
                    .map(|kind| kind.to_string().to_lowercase())
                    .unwrap_or_default();
                Some(
                    regression::save(&file, self.runner.name, &found, &run.case)
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

    fn rate(&mut self, run: &Run<S>) -> Rate {
        let budget = Budget {
            executions: self.budget().executions.saturating_mul(RETRIES),
            time: self.left_to_confirm(),
            ..self.budget()
        };
        if !self.runner.explores && kind(run).is_some_and(|kind| kind.is_of_history()) {
            let before = self.covered;
            // A hundred failures among the first executions give a rate. Otherwise a whole budget
            // does, repeated until one fails: even a failure that is rarer than once in a budget
            // was found.
            let batches = [FIRST_BATCH.min(budget.executions)].into_iter();
            let batches = batches.chain([budget.executions; REPLAYS as usize]);
            for (again, executions) in (0..).zip(batches) {
                let enough = if again > 1 { 1 } else { ENOUGH };
                if self.covered.failing - before.failing >= enough {
                    break;
                }
                let budget = Budget {
                    executions,
                    keep_going: true,
                    seed: budget.seed.wrapping_add(again),
                    time: self.left_to_confirm(),
                    ..budget
                };
                self.run(&run.case, &budget);
                if self.left_to_confirm().is_zero() {
                    break;
                }
            }
            return Rate::Executions(
                self.covered.failing - before.failing,
                self.covered.executions - before.executions,
            );
        }
        let most = if self.runner.hangs(run) {
            THAT_HANG
        } else {
            REPLAYS
        };
        let (mut again, mut replays) = (0, 0);
        while replays < most && (replays == 0 || !self.left_to_confirm().is_zero()) {
            replays += 1;
            let budget = Budget {
                time: self.left_to_confirm(),
                // The report shows the backtrace of one.
                backtraces: again == 0,
                ..budget
            };
            again += u64::from(
                self.run(&run.case, &budget)
                    .is_some_and(|replayed| kind(&replayed) == kind(run)),
            );
        }
        Rate::Reproduced {
            times: again,
            of: replays,
            limit: budget.executions,
        }
    }
}
