//! The interface of tests: a suite says which processes do which operations, and checks a structure on an engine.

mod debugger;
mod drawing;
mod macros;
mod mistake;
mod reports;
mod running;
mod scenario;
mod sequential;
mod setters;
mod summary;
#[cfg(test)]
mod unjudged;

pub(crate) use reports::{columns_of_output, is_verbose, text_for_output};

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
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use forkcheck::spec::Counter;
    /// // Each case starts from a number near the end of the range.
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter").setup(i64::MAX - 9..=i64::MAX);
    /// ```
    #[must_use]
    pub fn setup(mut self, setups: impl Strategy<Value = S::Setup> + 'static) -> Self {
        self.setup = Some(setups.boxed());
        self
    }

    /// Adds a role: the number of its processes, and how many of these operations each process does. Process numbers follow
    /// the order of the calls. All roles together have at most 16 processes; `loom` explores at most 4.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use forkcheck::spec::{Counter, CounterOp};
    /// let suite = Suite::<Counter>::new(forkcheck::site!(), "counter")
    ///     .role("adder", 2, 1..=3, (1i64..9).prop_map(CounterOp::Add))
    ///     .role("reader", 1, 1..=3, Just(CounterOp::Read));
    /// assert_eq!(suite.process_roles(), ["adder", "adder", "reader"]);
    /// ```
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
