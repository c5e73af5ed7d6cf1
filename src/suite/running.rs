//! A suite that runs: the plan of a search, its verdict, and a test that passes or fails by it.

use super::Suite;
use super::debugger;
use super::mistake::{At, Mistake};
use super::summary;
use crate::case::{Case, Extent};
use crate::engine::{Engine, Processes, Stepped, SteppedMemory};
use crate::error::Error;
use crate::report;
use crate::search::{
    KilledBefore, Origin, Outcome, Plan, cross_check, each_kill, replay_to, search,
};
use crate::settings::Settings;
use crate::spec::Spec;
use crate::structure::WithHandles;
use std::panic::Location;

impl<S: Spec> Suite<S> {
    /// Checks a structure on an engine, and returns the outcome.
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
    /// assert_eq!(outcome.covered.programs, 1);
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error for input that cannot be read or makes no sense: the environment, the
    /// token, a saved case, a suite without a role or setup.
    pub fn check<E: Engine, T: WithHandles<Memory = E::Memory, Spec = S>>(
        &self,
    ) -> Result<Outcome<S>, Error> {
        self.outcome::<E, T>(self.settings.clone().overruled_by_environment()?)
    }

    /// Kills a process of a program before each step, and returns the outcome of each kill. A check
    /// ends at its first finding, and so does not say how many kill points have one. The schedules are
    /// those without preemptions, one for each process that begins; forked processes run them, with a
    /// real SIGKILL.
    ///
    /// ```
    /// use forkcheck::builtin::DeadWriter;
    /// use forkcheck::case::Case;
    /// use forkcheck::check::{Kind, Verdict};
    /// use forkcheck::engine::Kills;
    /// use forkcheck::prelude::*;
    /// use forkcheck::spec::RegisterOp;
    ///
    /// let suite = Suite::new(forkcheck::site!(), "dead_writer")
    ///     .setup(Just([0, 0]))
    ///     .role("writer", 1, 1..=1, Just(RegisterOp::Write([1, 1])))
    ///     .role("reader", 1, 1..=1, Just(RegisterOp::Read));
    /// let program = vec![vec![RegisterOp::Write([1, 1])], vec![RegisterOp::Read]];
    /// let kills = suite.each_kill::<Kills, DeadWriter<_>>(&Case::free([0, 0], program))?;
    /// let stuck = kills.iter().filter(|kill| match &kill.verdict {
    ///     Verdict::Finding(finding) => finding.kind == Kind::NotCrashTolerant,
    ///     _ => false,
    /// });
    /// assert!(stuck.count() > 0); // a reader waits for the writer that was killed
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error for an engine that does not kill, for a program that fails without a kill, and
    /// as [`check`](Suite::check).
    pub fn each_kill<E: Engine, T: WithHandles<Memory = E::Memory, Spec = S>>(
        &self,
        case: &Case<S>,
    ) -> Result<Vec<KilledBefore<S>>, Error> {
        let settings = self.settings.clone().overruled_by_environment()?;
        each_kill::<E, T>(&self.plan(settings)?, case)
    }

    fn outcome<E: Engine, T: WithHandles<Memory = E::Memory, Spec = S>>(
        &self,
        settings: Settings,
    ) -> Result<Outcome<S>, Error> {
        let gdb_row = settings.gdb_row;
        let plan = self.plan(settings)?;
        let outcome = search::<E, T>(&plan)?;
        if let Some(row) = gdb_row {
            let case = debugger::stepped_case(&outcome)?;
            let report = self.report_data(&outcome);
            debugger::step_into(&report, outcome.engine, row, &mut |stop| {
                replay_to::<E, T>(&plan, case, stop)
            })?;
        }
        Ok(outcome)
    }

    fn plan(&self, settings: Settings) -> Result<Plan<S>, Error> {
        self.makes_sense()?;
        let roles = self.process_roles();
        let bits = |these: &[(String, At)]| {
            let of = |role| these.iter().any(|(name, _)| name == role);
            let bits = roles.iter().enumerate();
            bits.fold(0, |bits, (process, role)| {
                bits | u32::from(of(role)) << process
            })
        };
        let operations = self.roles.iter();
        let operations = operations
            .flat_map(|role| std::iter::repeat_n(role.operations.clone(), role.processes))
            .collect();
        let sequences = self.roles.iter();
        let sequences =
            sequences.flat_map(|role| std::iter::repeat_n(role.is_sequence, role.processes));
        Ok(Plan {
            suite: self.id.clone(),
            read_only: bits(&self.read_only),
            progress: self.progress,
            threads_only: self.reason_against(Processes::NAME).is_some(),
            allows_unscheduled: self.unscheduled.is_some(),
            cases: self.strategy()?,
            settings,
            regressions: self.regressions.clone(),
            extent: Extent {
                roles: roles.clone(),
                operations,
                sequences: sequences
                    .enumerate()
                    .fold(0, |bits, (process, is)| bits | u32::from(is) << process),
                killable: match &self.kill_only[..] {
                    [] => u32::MAX,
                    only => bits(only),
                },
            },
            roles,
        })
    }

    /// Returns the first of its settings that makes no sense, as an error.
    fn makes_sense(&self) -> Result<(), Error> {
        if let Some(mistake) = self.mistakes.first() {
            return Err(mistake.error());
        }
        if self.roles.is_empty() {
            return Err(Error::invalid(
                format!("the suite {} has no processes", self.id),
                "give it a role",
            ));
        }
        let named = self.read_only.iter().chain(&self.kill_only);
        let named = named.map(|(role, at)| (role, at));
        let prefix = self.prefix.iter();
        let prefix = prefix.map(|prefix| (&prefix.role, &prefix.at));
        for (role, at) in named.chain(prefix) {
            if !self.roles.iter().any(|known| known.name == *role) {
                let known: Vec<&str> = self.roles.iter().map(|role| &*role.name).collect();
                let remedy = format!("name one of {}", known.join(", "));
                let what = format!("the suite {} has no role {role:?}", self.id);
                return Err(Mistake::new(at, what, remedy).error());
            }
        }
        Ok(())
    }

    /// Checks a structure on [`Processes`]. The program of a finding is then run on [`Stepped`],
    /// where the failure is deterministic and shows its steps: [`Outcome::stepped`].
    ///
    /// ```
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
    /// let outcome = suite.check_forked::<Sum<_>, Sum<_>>()?;
    /// assert!(outcome.found.is_none() && outcome.stepped.is_none());
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`check`](Suite::check).
    pub fn check_forked<T, U>(&self) -> Result<Outcome<S>, Error>
    where
        T: WithHandles<Memory = <Processes as Engine>::Memory, Spec = S>,
        U: WithHandles<Memory = SteppedMemory, Spec = S>,
    {
        self.forked::<T, U>(self.settings.clone().overruled_by_environment()?)
    }

    fn forked<T, U>(&self, settings: Settings) -> Result<Outcome<S>, Error>
    where
        T: WithHandles<Memory = <Processes as Engine>::Memory, Spec = S>,
        U: WithHandles<Memory = SteppedMemory, Spec = S>,
    {
        let mut plan = self.plan(settings)?;
        if plan.settings.gdb_row.is_some() {
            return Err(debugger::no_steps(Processes::NAME));
        }
        let mut outcome = search::<Processes, T>(&plan)?;
        if let Some(found) = &outcome.found
            && self.reason_against(Stepped::NAME).is_none()
        {
            if !matches!(found.origin, Origin::Drawn { .. }) {
                // A case from a file or a token is known already, and is not saved.
                plan.regressions = None;
            }
            let first = (Processes::NAME, outcome.took);
            let stepped = cross_check::<Stepped, U>(&plan, found.run.case.clone(), first)?;
            outcome.stepped = Some(Box::new(stepped));
        }
        Ok(outcome)
    }

    /// Checks a structure on an engine, as a test does.
    ///
    /// ```
    /// use forkcheck::engine::Kills;
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
    /// suite.test::<Kills, Sum<_>>();
    /// ```
    ///
    /// # Panics
    /// Panics with the report, if the verdict is a finding; with words, if it is neither a finding
    /// nor Ok, unless `FORKCHECK_ALLOW_MISSING` names the engine; with the error of
    /// [`check`](Suite::check). Never panics on an engine that the suite is
    /// [`without`](Suite::without).
    #[track_caller]
    pub fn test<E: Engine, T: WithHandles<Memory = E::Memory, Spec = S>>(&self) {
        self.conclude(E::NAME, |settings| self.outcome::<E, T>(settings));
    }

    /// Checks a structure on [`Processes`], as a test does, with
    /// [`check_forked`](Suite::check_forked).
    ///
    /// ```
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
    /// suite.executions(10_000).test_forked::<Sum<_>, Sum<_>>();
    /// ```
    ///
    /// # Panics
    /// As [`test`](Suite::test).
    #[track_caller]
    pub fn test_forked<T, U>(&self)
    where
        T: WithHandles<Memory = <Processes as Engine>::Memory, Spec = S>,
        U: WithHandles<Memory = SteppedMemory, Spec = S>,
    {
        self.conclude(Processes::NAME, |settings| self.forked::<T, U>(settings));
    }

    pub(super) fn reason_against(&self, engine: &str) -> Option<&str> {
        let mut without = self.without.iter();
        without.find_map(|(name, reason)| (name == engine).then_some(&**reason))
    }

    #[track_caller]
    fn conclude(&self, engine: &str, outcome: impl FnOnce(Settings) -> Result<Outcome<S>, Error>) {
        if let Err(error) = self.makes_sense() {
            panic!("{}::{engine}: {error}", self.id);
        }
        if let Some(reason) = self.reason_against(engine) {
            let test = format!("{}::{engine}", self.id);
            summary::leave(&report::summary::not_run(
                &self.site, &self.id, engine, reason,
            ));
            return report::loudly(&format!("not run  {test}  {reason}"));
        }
        let at = Location::caller();
        let settings = match self.settings.clone().overruled_by_environment() {
            Ok(settings) => settings,
            Err(error) => report::fail(error.to_string(), at),
        };
        if settings.replay.is_none() {
            // It stays where the test ends by an error, a signal or a time limit.
            summary::leave(&report::summary::unfinished(&self.site, &self.id, engine));
        }
        let environment = settings.clone();
        let outcome = match outcome(settings) {
            Ok(outcome) => outcome,
            Err(error) => report::fail(format!("{}::{engine}: {error}", self.id), at),
        };
        self.finish(&outcome, &environment, at);
    }
}
