//! The search for memory that processes share, whose plain accesses are steps, before a program of
//! code that is not written for `Memory` is explored. The result depends on the program alone, so
//! that a saved case has the same steps.

use super::batch::may_rest;
use super::{Explorer, NO_LIMIT};
use crate::case::{Case, Schedule};
use crate::engine::stepped::instrumented;
use crate::engine::stepped::{Ended, Stop};
use crate::error::Error;
use crate::reached;
use crate::schedule::Exploration;
use crate::spec::Spec;
use std::time::Instant;

/// Executions of each strategy in which shared memory is learned.
const EXECUTIONS: u64 = 32;

impl<S: Spec> Explorer<S> {
    /// Learns shared memory in executions of the program in which each access is a step.
    pub(super) fn learn(&mut self, case: &Case<S>) -> Result<(), Error> {
        if !self.structure.instrumented {
            return Ok(());
        }
        let free = Case {
            schedule: Schedule::Free,
            kills: Vec::new(),
            ..case.clone()
        };
        // Forked processes inherit the facts that are known of the program, so they are forked
        // afterwards.
        self.processes = None;
        self.searcher()?;
        instrumented::learn(true);
        for strategy in [
            Exploration::Bounded {
                preemptions: 1,
                kills: 0,
            },
            Exploration::Random { seed: 1, kills: 0 },
            Exploration::Random { seed: 2, kills: 2 },
        ] {
            let crew = self.searcher()?;
            crew.take(&free)?;
            crew.keep_going(true);
            let until = Instant::now() + NO_LIMIT;
            let mut ended = crew.run(strategy, (EXECUTIONS, u64::MAX), until, false)?;
            loop {
                ended = match ended {
                    Ended::Stopped(Stop::Novel) => crew.resume(until)?,
                    // As in a search, processes that may rest so do not end it.
                    Ended::Stopped(Stop::Stuck)
                        if crew.outside().is_empty() && may_rest(&free, &crew.history(&free)) =>
                    {
                        crew.go_on(until)?
                    }
                    _ => break,
                };
            }
            if matches!(ended, Ended::Stopped(Stop::Differs)) {
                (self.coroutines, self.differs) = (None, true);
            } else if !matches!(ended, Ended::Stopped(stop) if stop.leaves_crew_usable()) {
                (self.coroutines, self.processes) = (None, None);
            }
        }
        instrumented::learn(false);
        // What only these executions reached was not checked.
        let _ = reached::taken();
        self.crates = instrumented::resolve_seen().into();
        Ok(())
    }
}
