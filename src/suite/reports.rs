//! The reports of a suite: the name of the test that runs, and the command that runs it again.

use super::Suite;
use crate::check::Verdict;
use crate::report::{self, Words};
use crate::search::Outcome;
use crate::spec::Spec;

impl<S: Spec> Suite<S> {
    /// The report of an outcome of this suite, as a person reads it.
    pub fn report(&self, outcome: &Outcome<S>) -> String {
        let mut text = self.report_of(outcome, &self.test_name(outcome.engine));
        if let Some(stepped) = &outcome.stepped {
            let test = format!("{}::{}", self.id, stepped.engine);
            text.push_str(match stepped.verdict {
                Verdict::Finding(_) => "\n\nthe program of this case, step by step:\n",
                _ => "\n\nthe program of this case, step by step: it passes under `stepped`, so the failure needs something that `stepped` does not check\n",
            });
            text.push_str(&self.report_of(stepped, &test));
        }
        text
    }

    fn report_of(&self, outcome: &Outcome<S>, test: &str) -> String {
        let command = self.site.command(test);
        let home = self.site.manifest_directory;
        report::text(test, &self.process_roles(), outcome, home, &|token| {
            format!("FORKCHECK_REPLAY={token} {command}")
        })
    }

    /// Reports with another command that replays a token.
    pub(crate) fn report_with(
        &self,
        outcome: &Outcome<S>,
        replay: impl Fn(&str) -> String,
    ) -> String {
        report::text(
            &self.test_name(outcome.engine),
            &self.process_roles(),
            outcome,
            self.site.manifest_directory,
            &replay,
        )
    }

    /// Of a finding: why it is one, where its case came from, and how surely it comes again.
    pub(crate) fn words(&self, outcome: &Outcome<S>) -> Option<Words> {
        report::words(&self.process_roles(), outcome)
    }

    /// The path of the test that runs, the crate first. What `suite!` makes is known; libtest names its thread
    /// after any other.
    fn test_name(&self, engine: &str) -> String {
        let module = self.site.module;
        let thread = std::thread::current();
        match thread
            .name()
            .filter(|&test| test != "main" && self.id != module)
        {
            Some(test) => format!("{}::{test}", module.split("::").next().unwrap_or(module)),
            None => format!("{}::{engine}", self.id),
        }
    }
}
