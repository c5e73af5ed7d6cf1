//! The reports of a suite: the name of the test that runs, and the command that runs it again.

use super::Suite;
use crate::check::Verdict;
use crate::report::{self, About, Report};
use crate::search::Outcome;
use crate::subject::Spec;
use std::panic::Location;
use std::path::Path;

/// Fails a test with its report, and prints an annotation if a checkout is named.
pub(super) fn fail(report: &Report, at: &Location<'_>, checkout: Option<&Path>) -> ! {
    if let Some(checkout) = checkout {
        eprintln!("{}", report.annotation(at, checkout));
    }
    report::fail(report.to_string(), at)
}

impl<S: Spec> Suite<S> {
    /// Returns the report of an outcome of this suite as text.
    pub fn report(&self, outcome: &Outcome<S>) -> String {
        self.report_data(outcome).to_string()
    }

    /// Returns the report of an outcome of this suite as data. See [`Report`] for an example.
    pub fn report_data(&self, outcome: &Outcome<S>) -> Report {
        let replay = |test: &str, token: &str| {
            let command = self.site.command(test);
            format!("FORKCHECK_REPLAY={token} {command}")
        };
        let mut report = self.report_of(outcome, self.test_name(outcome.engine), &replay);
        if let Some(stepped) = &outcome.stepped {
            let test = format!("{}::{}", self.id, stepped.engine);
            let stepped = self.report_of(stepped, test, &replay);
            report.cross_check = Some(Box::new(stepped));
        }
        report
    }

    /// Returns the report, and writes its page into this directory unless the verdict is Ok.
    pub(super) fn report_and_page(&self, outcome: &Outcome<S>, html: Option<&Path>) -> Report {
        let report = self.report_data(outcome);
        let page = html.filter(|_| outcome.verdict != Verdict::Ok);
        let page = page.map(|directory| report.page_in(directory));
        match page {
            Some(page) => report.with_page(&page),
            None => report,
        }
    }

    /// Returns the directory for the pages of its reports, if there is to be one.
    pub(crate) fn html(&self) -> Option<&Path> {
        self.settings.html.as_deref()
    }

    /// Returns the report with another command that replays a token.
    pub(crate) fn report_with(
        &self,
        outcome: &Outcome<S>,
        replay: impl Fn(&str) -> String,
    ) -> Report {
        let test = self.test_name(outcome.engine);
        self.report_of(outcome, test, &|_, token| replay(token))
    }

    fn report_of(
        &self,
        outcome: &Outcome<S>,
        test: String,
        replay: &dyn Fn(&str, &str) -> String,
    ) -> Report {
        let about = About {
            suite: &self.id,
            roles: &self.process_roles(),
            home: self.site.manifest_directory,
            replay: &|token| replay(&test, token),
            test: test.clone(),
        };
        report::report(&about, outcome)
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
