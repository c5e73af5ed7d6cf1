//! The settings of a suite: the amount of work, the promises that are checked, and the parts that are left out.

use super::Suite;
use super::mistake::Mistake;
use crate::spec::Spec;
use crate::structure::Progress;
use std::panic::Location;
use std::path::Path;
use std::time::Duration;

impl<S: Spec> Suite<S> {
    /// Sets the number of programs to draw: 64 by default. Engines that explore all orders of a program stop once they have
    /// run as many executions as four programs may take, or, of `stepped` and `kills`, sixteen.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").cases(200);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn cases(mut self, cases: u32) -> Self {
        let mistake = Mistake::of_number(Location::caller(), "cases", cases.into());
        self.mistakes.extend(mistake);
        self.settings.cases = cases;
        self
    }

    /// Sets the executions of each program: 10,000 by default. `kills` runs a fifth of that where forked processes have to
    /// search.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").executions(1_000);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn executions(mut self, executions: u64) -> Self {
        let mistake = Mistake::of_number(Location::caller(), "executions", executions);
        self.mistakes.extend(mistake);
        self.settings.executions = executions;
        self
    }

    /// Sets the number of programs that engines which explore search at the same time, each by processes of its own. By
    /// default, once a test takes long, it is the number of processors. The verdict does not depend on it.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").jobs(1);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn jobs(mut self, jobs: usize) -> Self {
        let mistake = Mistake::of_number(Location::caller(), "jobs", jobs as u64);
        self.mistakes.extend(mistake);
        self.settings.jobs = Some(jobs);
        self
    }

    /// Sets the time limit of a test: by default 30 s for `processes`, which samples for two thirds of that, and 10 minutes
    /// for the others. It is a safety net: the amount of work is counted, and where the limit comes first, the verdict is
    /// `Unknown`. The limit ends shrinking too; to confirm a finding may take 10 s more.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// use std::time::Duration;
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").time(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.settings.time = Some(time);
        self
    }

    /// Sets the time after which processes that make no progress are called a hang: that much processor time in an operation
    /// that touches no shared memory and does not return ([`Endless`](crate::check::Kind::Endless)), or that long in which
    /// all of them sleep ([`Deadlock`](crate::check::Kind::Deadlock)). It is 2 s by default. An operation that computes for
    /// longer needs more; where none does, a shorter time finds hangs sooner.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// use std::time::Duration;
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").watchdog(Duration::from_millis(500));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn watchdog(mut self, time: Duration) -> Self {
        let mistake = Mistake::of_number(Location::caller(), "watchdog", time.as_nanos() as u64);
        self.mistakes.extend(mistake);
        self.settings.watchdog = Some(time);
        self
    }

    /// Promises lock-freedom with a bound: an operation ends within `step_bound` steps of its own (accesses to shared
    /// memory), and the count begins again whenever an operation of another process ends. `stepped` and `kills` check the
    /// promise; `attach` and the drop of a handle are not operations. For an operation that retries because another process
    /// came first, a bound that holds is its steps alone times the number of processes, and once more for each kill.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").lock_free(12);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn lock_free(mut self, step_bound: u32) -> Self {
        let mistake = Mistake::of_number(Location::caller(), "lock_free", step_bound.into());
        self.mistakes.extend(mistake);
        self.progress = Progress::LockFree(step_bound);
        self
    }

    /// Promises wait-freedom with a bound: an operation ends within this many steps of its own, whatever other processes do.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").wait_free(1);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn wait_free(mut self, step_bound: u32) -> Self {
        let mistake = Mistake::of_number(Location::caller(), "wait_free", step_bound.into());
        self.mistakes.extend(mistake);
        self.progress = Progress::WaitFree(step_bound);
        self
    }

    /// Maps the region read-only in the processes of this role, as a read-only user of the structure would. `stepped` and
    /// `kills` report the line of a write, `processes` reports the operation, and loom, which has no pages, reports nothing.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use forkcheck::spec::{Counter, CounterOp};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter")
    ///     .role("reader", 2, 1..=3, Just(CounterOp::Read))
    ///     .read_only("reader");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn read_only(mut self, role: &str) -> Self {
        self.read_only.push((role.to_owned(), Location::caller()));
        self
    }

    /// Lets `kills` kill processes of this role only; a further call adds its role. Kills of other roles may hide failures of
    /// this one: the smallest failing case is reported, and a killed writer is often smaller than a killed reader.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use forkcheck::spec::{Counter, CounterOp};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter")
    ///     .role("reader", 2, 1..=3, Just(CounterOp::Read))
    ///     .kill_only("reader");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn kill_only(mut self, role: &str) -> Self {
        self.kill_only.push((role.to_owned(), Location::caller()));
        self
    }

    /// Lets the structure change without an access to its `Memory`, for this reason. `stepped` and `kills` cannot schedule
    /// such accesses, and their verdict is `Unknown` without this call.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").allow_unscheduled("it counts its calls in a static");
    /// ```
    #[must_use]
    pub fn allow_unscheduled(mut self, reason: &str) -> Self {
        self.unscheduled = Some(reason.to_owned());
        self
    }

    /// Notes that the code is not written for [`Memory`](crate::memory::Memory), and this build has no instrumentation: a report
    /// names the command that shows its steps. `suite!` calls it.
    #[doc(hidden)]
    #[must_use]
    pub fn unmodified(mut self) -> Self {
        self.is_unmodified = !cfg!(forkcheck_instrumented);
        self
    }

    /// Runs beside others, without a turn of the machine: for tests of this crate in which it does not matter whether calls
    /// overlap.
    #[doc(hidden)]
    #[must_use]
    pub fn without_turn(mut self) -> Self {
        self.settings.takes_turn = false;
        self
    }

    /// Sets the seed of the draws; by default each run takes a new one.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").seed(7);
    /// ```
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// Runs exactly the case of this token, as `FORKCHECK_REPLAY` does.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use forkcheck::engine::Stepped;
    /// use forkcheck::builtin::DeadWriter;
    /// use forkcheck::spec::RegisterOp;
    /// let suite = Suite::new(forkcheck::site!(), "dead_writer")
    ///     .setup(Just([0, 0]))
    ///     .role("reader", 1, 1..=1, Just(RegisterOp::Read))
    ///     .replay("fk1:00");
    /// // The token is none, which is an error.
    /// assert!(suite.check::<Stepped, DeadWriter<_>>().is_err());
    /// ```
    #[must_use]
    pub fn replay(mut self, token: &str) -> Self {
        self.settings.replay = Some(token.to_owned());
        self
    }

    /// Sets the directory in which failing cases are saved, or `None` for nowhere. By default it is `proptest-regressions` of
    /// the package.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// use std::path::Path;
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter");
    /// let suite = suite.regressions(Some(Path::new("tests/cases")));
    /// ```
    #[must_use]
    pub fn regressions(mut self, directory: Option<&Path>) -> Self {
        self.regressions = directory.map(Path::to_owned);
        self
    }

    /// Leaves this engine out, for this reason: its test passes, and says so.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").without("kills", "the threads of one process die together");
    /// ```
    #[must_use]
    #[track_caller]
    pub fn without(mut self, engine: &str, reason: &str) -> Self {
        let mistake = Mistake::of_engine(Location::caller(), engine);
        self.mistakes.extend(mistake);
        self.without.push((engine.to_owned(), reason.to_owned()));
        self
    }

    /// Does not list this label of a [`reached!`](crate::reached!) or [`sometimes!`](crate::sometimes!) where no execution of
    /// this suite reaches it, for this reason. A label that no mark of the program has is a mistake, and fails the test. A mark
    /// under `#[cfg(...)]` is missing in some builds, where its excuse is a mistake; a mark under `if cfg!(...)` is in each.
    ///
    /// ```
    /// # use forkcheck::{Suite, spec::Counter};
    /// let ring_is_full = || forkcheck::reached!("full");
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter")
    ///     .unreached("full", "one push fills no ring");
    /// # ring_is_full();
    /// ```
    #[must_use]
    #[track_caller]
    pub fn unreached(mut self, label: &str, reason: &str) -> Self {
        let mistake = Mistake::of_label(Location::caller(), label);
        self.mistakes.extend(mistake);
        self.unreached.push((label.to_owned(), reason.to_owned()));
        self
    }
}
