//! A finding before it is reported: run again, set beside its neighbours, made a token and saved.

use super::{Found, Origin, PATIENCE, Rate, Search, kind};
use crate::engine::{Budget, Run};
use crate::error::Error;
use crate::regression;
use crate::spec::Spec;

/// A finding is run again this often before it is reported.
const REPLAYS: u64 = 10;
/// The same where each takes seconds, since a watchdog has to notice that it hangs.
const THAT_HANG: u64 = 3;
/// Executions that are run first to say how often it fails, and as many failures as are enough for that.
const FIRST_BATCH: u64 = 1_000;
const ENOUGH: u64 = 100;

impl<S: Spec> Search<'_, S> {
    /// Runs it again, to say how surely it comes; makes the token; saves it.
    pub(super) fn tell(&mut self, run: Run<S>, origin: Origin) -> Result<Found<S>, Error> {
        let before = (self.covered, self.unknown.clone());
        let rate = self.rate(&run);
        let passes = self.nearby(&run);
        (self.covered, self.unknown) = before;
        let token = regression::token(&self.plan.suite, self.runner.name, &run.case)?;
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
            executions: self.budget().executions.saturating_mul(PATIENCE),
            time: self.left_to_confirm(),
            ..self.budget()
        };
        if !self.runner.explores && kind(run).is_some_and(|kind| kind.is_of_history()) {
            let before = self.covered;
            // A hundred failures among the first executions tell a rate; else a whole budget does, again until one failed:
            // what fails more rarely than once in a budget was found all the same.
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
                // The report shows one.
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
