//! The interface of tests: a suite says which processes do which operations, and checks a structure on an engine.

mod debugger;
mod drawing;
mod macros;
mod mistake;
mod reports;
mod running;
mod scenario;
mod sequential;
mod summary;
#[cfg(test)]
mod unjudged;

#[doc(hidden)]
pub use crate::search::NearMiss;
pub use crate::search::{Found, KilledBefore, Origin, Rate};
pub use sequential::{Alone, Sequential};
pub use {macros::Here, scenario::run};

use crate::error::Error;
use crate::report::Site;
use crate::settings::Settings;
use crate::spec::Spec;
use crate::structure::Progress;
use mistake::{At, Mistake};
use proptest::collection::vec;
use proptest::strategy::{BoxedStrategy, Strategy};
use std::ops::RangeInclusive;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The roles, operations and settings of the tests of a structure. [`suite!`](crate::suite!) writes one; plain calls do the
/// same.
///
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::spec::{Register, RegisterOp, RegisterRet};
///
/// struct Plain<M: Memory>(M::AtomicU64);
/// impl<M: Memory> Structure for Plain<M> {
///     type Memory = M;
///     type Spec = Register<u64>;
///     fn new(first: &u64) -> Self { Plain(Atomic::new(*first)) }
///     fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
///         match op {
///             RegisterOp::Write(value) => { self.0.store(*value, Ordering::Release); RegisterRet::Written }
///             RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::Acquire)),
///         }
///     }
/// }
///
/// let outcome = Suite::new(forkcheck::site!(), "plain")
///     .setup(Just(0))
///     .role("writer", 1, 1..=3, (1u64..9).prop_map(RegisterOp::Write))
///     .role("reader", 1, 1..=3, Just(RegisterOp::Read))
///     .cases(4)
///     .regressions(None)
///     .check::<forkcheck::engine::Processes, Plain<Hardware>>()?;
/// assert_eq!(outcome.verdict, forkcheck::check::Verdict::Ok);
/// assert_eq!(outcome.covered.programs, 4);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Suite<S: Spec> {
    site: Site,
    /// `crate::module::name`: names the saved cases and goes into tokens.
    id: String,
    setup: Option<BoxedStrategy<S::Setup>>,
    roles: Vec<RoleOf<S>>,
    /// Operations that are done before all processes begin.
    prefix: Vec<PrefixOf<S>>,
    /// Roles that map the region read-only, each with the location of its call.
    read_only: Vec<(String, At)>,
    /// The only roles that are killed, if any are listed.
    kill_only: Vec<(String, At)>,
    progress: Progress,
    /// The reason why the structure may change without an access to its `Memory`.
    unscheduled: Option<String>,
    /// Whether its code is not written for `Memory`, in a build without instrumentation.
    is_unmodified: bool,
    settings: Settings,
    regressions: Option<PathBuf>,
    /// Engines that are not to run, each with the reason.
    without: Vec<(String, String)>,
    /// Labels that are not to be reached, each with the reason.
    unreached: Vec<(String, String)>,
    /// Calls that made no sense.
    mistakes: Vec<Mistake>,
}

/// Operations that the first process of a role does before all processes begin.
#[derive(Clone, Debug)]
struct PrefixOf<S: Spec> {
    role: String,
    at: At,
    operations: BoxedStrategy<Vec<S::Op>>,
}

#[derive(Clone, Debug)]
struct RoleOf<S: Spec> {
    name: String,
    processes: usize,
    operations: RangeInclusive<usize>,
    programs: BoxedStrategy<Vec<S::Op>>,
    /// Whether a program is one whole sequence, and not single operations.
    is_sequence: bool,
}

impl<S: Spec> Suite<S> {
    /// Makes a suite of this name, in the module that [`site!`](crate::site) is called in.
    pub fn new(site: Site, name: &str) -> Self {
        Self::named(site, format!("{}::{name}", site.module))
    }

    /// Makes the suite of the module that [`site!`](crate::site) is called in.
    #[doc(hidden)]
    pub fn of_module(site: Site) -> Self {
        Self::named(site, site.module.to_owned())
    }

    fn named(site: Site, id: String) -> Self {
        let regressions = Some(Path::new(site.manifest_directory).join("proptest-regressions"));
        Self {
            site,
            id,
            setup: None,
            roles: Vec::new(),
            prefix: Vec::new(),
            read_only: Vec::new(),
            kill_only: Vec::new(),
            progress: Progress::Any,
            unscheduled: None,
            is_unmodified: false,
            settings: Settings::default(),
            regressions,
            without: Vec::new(),
            unreached: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// Sets the strategy of the setup. Not needed where the setup is `()`.
    #[must_use]
    pub fn setup(mut self, setups: impl Strategy<Value = S::Setup> + 'static) -> Self {
        self.setup = Some(setups.boxed());
        self
    }

    /// Adds a role: the number of its processes, and how many of these operations each process does. Process numbers follow
    /// the order of the calls. All roles together have at most 16 processes; `loom` explores at most 4.
    #[must_use]
    #[track_caller]
    pub fn role(
        self,
        name: &str,
        processes: usize,
        operations: RangeInclusive<usize>,
        each: impl Strategy<Value = S::Op> + 'static,
    ) -> Self {
        self.role_at(Location::caller(), name, processes, operations, each)
    }

    /// Adds a role at this location of the source.
    #[doc(hidden)]
    #[must_use]
    pub fn role_at(
        mut self,
        at: &'static Location<'static>,
        name: &str,
        processes: usize,
        operations: RangeInclusive<usize>,
        each: impl Strategy<Value = S::Op> + 'static,
    ) -> Self {
        let others = self.roles.iter().map(|role| (&*role.name, role.processes));
        if let Some(mistake) = Mistake::of_role(at, name, processes, &operations, others) {
            self.mistakes.push(mistake);
            return self;
        }
        self.roles.push(RoleOf {
            name: name.to_owned(),
            processes,
            operations: operations.clone(),
            programs: vec(each, operations).boxed(),
            is_sequence: false,
        });
        self
    }

    /// Adds a role whose processes each do one sequence that is drawn whole: a lock and then its unlock, a protocol with an
    /// opening, operations whose weights depend on their position. In [`suite!`](crate::suite!) it is `role: ops in
    /// strategy`. A failing case is shrunk by the strategy alone, so it stays one of its sequences.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use forkcheck::spec::{Lock, LockOp};
    ///
    /// let rounds = proptest::collection::vec(Just([LockOp::Lock, LockOp::Unlock]), 1..=2);
    /// let suite = Suite::<Lock>::new(forkcheck::site!(), "lock")
    ///     .sequence("owner", 2, rounds.prop_map(|rounds| rounds.concat()));
    /// assert_eq!(suite.process_roles(), ["owner", "owner"]);
    /// # use forkcheck::proptest;
    /// ```
    #[must_use]
    #[track_caller]
    pub fn sequence(
        self,
        name: &str,
        processes: usize,
        sequences: impl Strategy<Value = Vec<S::Op>> + 'static,
    ) -> Self {
        self.sequence_at(Location::caller(), name, processes, sequences)
    }

    /// Adds a role of sequences at this location of the source.
    #[doc(hidden)]
    #[must_use]
    pub fn sequence_at(
        mut self,
        at: &'static Location<'static>,
        name: &str,
        processes: usize,
        sequences: impl Strategy<Value = Vec<S::Op>> + 'static,
    ) -> Self {
        let others = self.roles.iter().map(|role| (&*role.name, role.processes));
        let operations = 0..=mistake::MOST;
        if let Some(mistake) = Mistake::of_role(at, name, processes, &operations, others) {
            self.mistakes.push(mistake);
            return self;
        }
        self.roles.push(RoleOf {
            name: name.to_owned(),
            processes,
            operations,
            programs: sequences
                .prop_filter("it has too many operations", |operations| {
                    operations.len() <= mistake::MOST
                })
                .boxed(),
            is_sequence: true,
        });
        self
    }

    /// Starts each case from the state that these operations lead to: the first process of the role attaches, does them, and
    /// detaches, before all processes begin. A further call appends operations of its role. They are a part of the case: the
    /// history that is judged begins with them, and reports show them. They take no steps that an engine schedules, and are
    /// never killed; [`Memory::me`](crate::Memory::me) returns there the number of no process of the case.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use forkcheck::spec::{Queue, QueueOp};
    ///
    /// // A queue of three places of which the first two are used up once: the next push is the last before the index wraps.
    /// let suite = Suite::<Queue<u64>>::new(forkcheck::site!(), "ring")
    ///     .setup(Just(3))
    ///     .role("producer", 1, 1..=3, (1u64..9).prop_map(QueueOp::Push))
    ///     .role("consumer", 1, 1..=3, Just(QueueOp::Pop))
    ///     .prefix("producer", Just(vec![QueueOp::Push(1), QueueOp::Push(2)]))
    ///     .prefix("consumer", Just(vec![QueueOp::Pop; 2]));
    /// # assert_eq!(suite.process_roles().len(), 2);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn prefix(
        mut self,
        role: &str,
        operations: impl Strategy<Value = Vec<S::Op>> + 'static,
    ) -> Self {
        self.prefix.push(PrefixOf {
            role: role.to_owned(),
            at: Location::caller(),
            operations: operations.boxed(),
        });
        self
    }

    /// Sets the number of programs to draw: 64 by default. Engines that explore all orders of a program stop once they have
    /// run as many executions as four programs may take, or, of `stepped` and `kills`, sixteen.
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
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.settings.time = Some(time);
        self
    }

    /// Sets the time after which processes that make no progress are called a hang: that much processor time in an operation
    /// that touches no shared memory and does not return ([`Endless`](crate::check::Kind::Endless)), or that long in which
    /// all of them sleep ([`Deadlock`](crate::check::Kind::Deadlock)). It is 2 s by default. An operation that computes for
    /// longer needs more; where none does, a shorter time finds hangs sooner.
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
    #[must_use]
    #[track_caller]
    pub fn lock_free(mut self, step_bound: u32) -> Self {
        let mistake = Mistake::of_number(Location::caller(), "lock_free", step_bound.into());
        self.mistakes.extend(mistake);
        self.progress = Progress::LockFree(step_bound);
        self
    }

    /// Promises wait-freedom with a bound: an operation ends within this many steps of its own, whatever other processes do.
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
    #[must_use]
    #[track_caller]
    pub fn read_only(mut self, role: &str) -> Self {
        self.read_only.push((role.to_owned(), Location::caller()));
        self
    }

    /// Lets `kills` kill processes of this role only; a further call adds its role. Kills of other roles may hide failures of
    /// this one: the smallest failing case is reported, and a killed writer is often smaller than a killed reader.
    #[must_use]
    #[track_caller]
    pub fn kill_only(mut self, role: &str) -> Self {
        self.kill_only.push((role.to_owned(), Location::caller()));
        self
    }

    /// Lets the structure change without an access to its `Memory`, for this reason. `stepped` and `kills` cannot schedule
    /// such accesses, and their verdict is `Unknown` without this call.
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
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// Runs exactly the case of this token, as `FORKCHECK_REPLAY` does.
    #[must_use]
    pub fn replay(mut self, token: &str) -> Self {
        self.settings.replay = Some(token.to_owned());
        self
    }

    /// Sets the directory in which failing cases are saved, or `None` for nowhere. By default it is `proptest-regressions` of
    /// the package.
    #[must_use]
    pub fn regressions(mut self, directory: Option<&Path>) -> Self {
        self.regressions = directory.map(Path::to_owned);
        self
    }

    /// Leaves this engine out, for this reason: its test passes, and says so.
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
    #[must_use]
    #[track_caller]
    pub fn unreached(mut self, label: &str, reason: &str) -> Self {
        let mistake = Mistake::of_label(Location::caller(), label);
        self.mistakes.extend(mistake);
        self.unreached.push((label.to_owned(), reason.to_owned()));
        self
    }

    /// Applies the settings of the environment. Later calls win over them.
    pub(crate) fn with_environment(mut self) -> Result<Self, Error> {
        self.settings = self.settings.overruled_by_environment()?;
        Ok(self)
    }

    /// Returns the name under which its cases are saved and reported: the crate, its modules, and its own.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the role of each process of a program, by its number.
    pub fn process_roles(&self) -> Vec<String> {
        self.roles
            .iter()
            .flat_map(|role| std::iter::repeat_n(role.name.clone(), role.processes))
            .collect()
    }
}
