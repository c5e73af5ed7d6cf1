//! The reports of a suite: the name of the test that runs, and the command that runs it again.

use super::{Suite, summary};
use crate::check::Verdict;
use crate::engine::{Engine, Processes, SteppedCode};
use crate::error::Error;
use crate::report::{self, About, Report};
use crate::search::Outcome;
use crate::settings::{self, Settings};
use crate::spec::Spec;
use std::panic::Location;
use std::path::Path;

/// Returns the width of the standard output: the one that the environment asks for, or else that of the terminal.
fn columns(asked: Option<usize>) -> Option<usize> {
    asked.or_else(|| report::columns_of(&std::io::stdout()))
}

/// Returns the width of the standard output where no suite is: of `COLUMNS`, or else of the terminal, if it is one.
pub(crate) fn columns_of_output() -> Option<usize> {
    columns(settings::columns(|name| std::env::var(name).ok()))
}

/// Returns whether the environment asks for reports that leave out and cut nothing, where no suite is.
pub(crate) fn is_verbose() -> Result<bool, Error> {
    Ok(Settings::default().overruled_by_environment()?.verbose)
}

/// Returns a report as text for the standard output, with colours where it shows them.
pub(crate) fn text_for_output(report: &Report, verbose: bool) -> String {
    let columns = columns_of_output().unwrap_or(report::COLUMNS);
    report.text_of(columns, report::shows_colors(&std::io::stdout()), verbose)
}

impl<S: Spec> Suite<S> {
    /// Returns the report of an outcome of this suite as text.
    ///
    /// ```
    /// use forkcheck::engine::Stepped;
    /// use forkcheck::prelude::*;
    /// # use forkcheck::spec::{Counter, CounterOp, CounterRet};
    /// # struct Sum<M: Memory>(M::AtomicI64);
    /// # impl<M: Memory> Structure for Sum<M> {
    /// #     type Memory = M;
    /// #     type Spec = Counter;
    /// #     fn new(first: &i64) -> Self { Sum(Atomic::new(*first)) }
    /// #     fn apply(&self, op: &CounterOp) -> CounterRet {
    /// #         match op {
    /// #             CounterOp::Add(n) => { self.0.fetch_add(*n, Ordering::AcqRel); CounterRet::Added }
    /// #             CounterOp::Read => CounterRet::Value(self.0.load(Ordering::Acquire)),
    /// #         }
    /// #     }
    /// # }
    /// let suite = Suite::new(forkcheck::site!(), "sum")
    ///     .setup(Just(0))
    ///     .role("adder", 2, 1..=2, Just(CounterOp::Add(1)))
    ///     .cases(1)
    ///     .executions(20)
    ///     .regressions(None);
    /// let outcome = suite.check::<Stepped, Sum<_>>()?;
    /// assert!(suite.report(&outcome).starts_with("ok  "));
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    pub fn report(&self, outcome: &Outcome<S>) -> String {
        let verbose = self.settings.verbose;
        let report = self.report_in(outcome, verbose);
        report.searchable_text(report::COLUMNS, verbose)
    }

    /// Returns the report of an outcome of this suite as data. See [`Report`] for an example.
    pub fn report_data(&self, outcome: &Outcome<S>) -> Report {
        self.report_in(outcome, self.settings.verbose)
    }

    /// Returns the report of an outcome; values in the sentences of a verbose one are whole.
    fn report_in(&self, outcome: &Outcome<S>, verbose: bool) -> Report {
        let replay = |test: &str, token: &str| {
            let command = self.site.command(test);
            format!("FORKCHECK_REPLAY={token} {command}")
        };
        let mut report = self.report_of(outcome, self.test_name(outcome.engine), verbose, &replay);
        if self.is_unmodified
            && outcome.engine == Processes::NAME
            && report.verdict == "finding"
            && self.reason_against(SteppedCode::NAME).is_none()
        {
            let stepped = self.site.command(&format!("{}::stepped", self.id));
            report.steps_by = Some(stepped.replacen("cargo", "cargo forkcheck", 1));
        }
        if let Some(stepped) = &outcome.stepped {
            let test = format!("{}::{}", self.id, stepped.engine);
            let stepped = self.report_of(stepped, test, verbose, &replay);
            report.cross_check = Some(Box::new(stepped));
        }
        report
    }

    /// Ends a test with its report: prints it, or panics with it. A verdict that is not Ok also
    /// gets its page and its annotations where the environment asks for them.
    ///
    /// # Panics
    /// Panics with the report, unless the verdict is Ok, or it is no finding and the environment
    /// allows it.
    pub(super) fn finish(&self, outcome: &Outcome<S>, environment: &Settings, at: &Location<'_>) {
        let verbose = environment.verbose;
        let mut report = self.report_in(outcome, verbose);
        let columns = columns(environment.columns).unwrap_or(report::COLUMNS);
        let colors = report::tests_show_colors();
        let shown = |report: &Report| report.text_of(columns, colors, verbose);
        // One case need not reach all labels.
        let all = environment.require_reached && environment.replay.is_none();
        if all && !report.not_reached.is_empty() {
            report = report.with_all_required();
        }
        if environment.replay.is_none() {
            summary::leave(&report::summary::line(&self.site, &report));
        }
        if report.verdict == "ok" {
            return println!("{}", shown(&report));
        }
        if let Some(directory) = &environment.html {
            let page = report.page_in(directory);
            report = report.with_page(&page);
        }
        if let Some(directory) = &environment.trace {
            let trace = report.trace_in(directory);
            report = report.with_trace(&trace);
        }
        let mut allowed = environment.allow_missing.iter();
        if !matches!(outcome.verdict, Verdict::Finding(_))
            && allowed.any(|allowed| allowed == outcome.engine)
        {
            return report::loudly(&format!(
                "{}\nallowed by FORKCHECK_ALLOW_MISSING: this engine checked nothing that counts",
                shown(&report)
            ));
        }
        if let Some(checkout) = &environment.checkout {
            eprintln!("{}", report.annotations(at, checkout));
        }
        // `should_panic` looks for its words whatever the width of the terminal: they are on one line.
        report::fail_showing(
            &shown(&report),
            report.searchable_text(columns, verbose),
            at,
        )
    }

    /// Returns the directory for the pages of its reports, if pages are wanted.
    pub(crate) fn html(&self) -> Option<&Path> {
        self.settings.html.as_deref()
    }

    /// Returns the directory for the traces of its reports, if traces are wanted.
    pub(crate) fn trace(&self) -> Option<&Path> {
        self.settings.trace.as_deref()
    }

    /// Attaches gdb at a row of the report of the replayed case.
    pub(crate) fn gdb_row(mut self, row: usize) -> Self {
        self.settings.gdb_row = Some(row);
        self
    }

    /// Returns the report with another command that replays a token.
    pub(crate) fn report_with(
        &self,
        outcome: &Outcome<S>,
        replay: impl Fn(&str) -> String,
    ) -> Report {
        let test = self.test_name(outcome.engine);
        self.report_of(outcome, test, self.settings.verbose, &|_, token| {
            replay(token)
        })
    }

    fn report_of(
        &self,
        outcome: &Outcome<S>,
        test: String,
        verbose: bool,
        replay: &dyn Fn(&str, &str) -> String,
    ) -> Report {
        let unreached: Vec<&str> = self.unreached.iter().map(|(label, _)| &**label).collect();
        let about = About {
            unreached: &unreached,
            suite: &self.id,
            roles: &self.process_roles(),
            home: self.site.manifest_directory,
            replay: &|token| replay(&test, token),
            test: test.clone(),
            verbose,
        };
        report::report(&about, outcome)
    }

    /// Returns the path of the test that runs, the crate first. The tests that `suite!` makes are
    /// known; for any other, libtest names the thread after the test.
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
