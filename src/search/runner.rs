//! An engine that runs one structure, without the types of either. The search is compiled once for
//! each spec, and not for each structure on each engine.

use crate::case::{Case, Program};
use crate::check::{Kind, Verdict};
use crate::engine::{Answer, Budget, Engine, MachineWait, Run};
use crate::error::Error;
use crate::spec::Spec;
use crate::structure::WithHandles;
use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

/// Facts of an engine that the search needs, and how it makes one. See [`Engine`] for each.
pub(super) struct Runner<S: Spec> {
    pub(super) name: &'static str,
    pub(super) structure: &'static str,
    pub(super) limitations: &'static str,
    /// Whether the structure has an invariant, which the engine does not check.
    pub(super) leaves_invariant: bool,
    pub(super) explores: bool,
    pub(super) kills: bool,
    pub(super) truncates: bool,
    pub(super) programs: u64,
    pub(super) time: Duration,
    pub(super) fit: fn(Program<S>) -> Program<S>,
    pub(super) start: fn() -> Box<dyn Runs<S>>,
}

impl<S: Spec> Clone for Runner<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Spec> Copy for Runner<S> {}

impl<S: Spec> Runner<S> {
    pub(super) fn of<E: Engine, T: WithHandles<Memory = E::Memory, Spec = S>>() -> Self {
        Self {
            name: E::NAME,
            structure: std::any::type_name::<T>(),
            limitations: E::LIMITATIONS,
            leaves_invariant: T::INVARIANT.is_some() && !E::CHECKS_INVARIANT,
            explores: E::EXPLORES,
            kills: E::KILLS,
            truncates: E::TRUNCATES,
            programs: E::PROGRAMS,
            time: E::TIME,
            fit: E::fit::<S>,
            start: || Box::new(On::<E, T>(E::default(), PhantomData)),
        }
    }

    /// Returns the part of a case that the engine can explore; its prefix stays whole.
    pub(super) fn fit(&self, case: Case<S>) -> Case<S> {
        let mut prefixes: Program<S> = Vec::new();
        let mut own: Program<S> = Vec::new();
        for (process, mut ops) in case.program.iter().cloned().enumerate() {
            own.push(ops.split_off(case.prefix_of(process)));
            prefixes.push(ops);
        }
        let mut program = prefixes;
        for (ops, own) in program.iter_mut().zip((self.fit)(own)) {
            ops.extend(own);
        }
        Case { program, ..case }
    }

    /// Returns whether a watchdog has to notice such a failure, which takes seconds each time.
    pub(super) fn hangs(&self, run: &Run<S>) -> bool {
        match kind(run) {
            Some(Kind::Endless) => true,
            Some(Kind::Deadlock) => !self.explores,
            _ => false,
        }
    }
}

/// Returns the kind of the finding of a run.
pub(super) fn kind<S: Spec>(run: &Run<S>) -> Option<Kind> {
    match &run.verdict {
        Verdict::Finding(finding) => Some(finding.kind),
        _ => None,
    }
}

/// An engine with the structure that it runs. See [`Engine`] for each.
pub(super) trait Runs<S: Spec> {
    fn take_machine(&mut self, lock: Option<&Path>) -> MachineWait;
    fn leave_machine(&mut self);
    fn search(
        &mut self,
        case: &Case<S>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<S>, Error>;
    fn not_instrumented(&self) -> Vec<String>;
    fn output(&self) -> String;
}

struct On<E, T>(E, PhantomData<fn() -> T>);

impl<E: Engine, T: WithHandles<Memory = E::Memory>> Runs<T::Spec> for On<E, T> {
    fn take_machine(&mut self, lock: Option<&Path>) -> MachineWait {
        self.0.take_machine(lock)
    }
    fn leave_machine(&mut self) {
        self.0.leave_machine();
    }
    fn search(
        &mut self,
        case: &Case<T::Spec>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<T::Spec>, Error> {
        self.0.search::<T>(case, roles, budget)
    }
    fn not_instrumented(&self) -> Vec<String> {
        self.0.not_instrumented()
    }
    fn output(&self) -> String {
        self.0.output()
    }
}
