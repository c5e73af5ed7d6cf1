//! Structures under test, which users write beside a [`Spec`]: plain safe Rust that the engines
//! place in shared memory.

use crate::memory::Memory;
use crate::spec::Spec;
use serde::{Deserialize, Serialize};

/// A structure under test of which each process holds a plain reference: the common form. It is checked as
/// [`WithHandles`] with the handle `&Self`; a structure with producers and consumers implements that one.
///
/// A structure that is generic over its memory runs on each engine. One whose memory is
/// [`Hardware`](crate::memory::Hardware), such as foreign code, runs on
/// [`Processes`](crate::engine::Processes) alone.
///
/// On real processes it lies in a shared region. Any of the processes may build or drop it, and
/// each may see it at another address, so all its parts must lie in it. A heap allocation or an
/// open file exists in one process alone, so no `Box`, `Vec` or file may be part of it; nor a lock
/// of std's, which wakes the threads of one process only.
///
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::spec::{Register, RegisterOp, RegisterRet};
///
/// struct Word<M: Memory>(M::AtomicU64);
///
/// impl<M: Memory> Structure for Word<M> {
///     type Memory = M;
///     type Spec = Register<u64>;
///     fn new(first: &u64) -> Self { Word(Atomic::new(*first)) }
///     fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
///         match op {
///             RegisterOp::Write(value) => { self.0.store(*value, Ordering::Release); RegisterRet::Written }
///             RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::Acquire)),
///         }
///     }
/// }
/// # let word = <Word<Hardware> as Structure>::new(&7);
/// # assert_eq!(Structure::apply(&word, &RegisterOp::Read), RegisterRet::Value(7));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Structure`",
    note = "for all engines, write `impl<M: Memory> Structure for ...<M>` with `type Memory = M;` and `type Spec = ...;`",
    note = "a structure whose processes hold handles implements `WithHandles`"
)]
pub trait Structure: Sized + Sync + 'static {
    /// The memory that it runs on.
    type Memory: Memory;
    /// The spec that it should fulfil.
    type Spec: Spec;

    /// The invariant, if it has one: a function that panics where it does not hold. `stepped` and `kills` call it at the begin of
    /// each process and after each step that changes the structure; the other engines do not. Its accesses are no steps, and it may
    /// not change the structure.
    const INVARIANT: Option<fn(&Self)> = None;

    /// Builds the structure, in place in a shared region or inside a model. It is called again for
    /// each execution.
    fn new(setup: &<Self::Spec as Spec>::Setup) -> Self;

    /// Runs one operation, from call to return.
    fn apply(&self, op: &<Self::Spec as Spec>::Op) -> <Self::Spec as Spec>::Ret;
}

/// A structure under test whose processes hold handles: a producer, a consumer, private indices.
/// Its place and its parts have the same rules as those of [`Structure`].
///
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::spec::{Register, RegisterOp, RegisterRet};
///
/// /// The value, and how often it was written.
/// struct Counted<M: Memory>(M::AtomicU64, M::AtomicU64);
///
/// /// What a process holds: the writer counts, and what it has counted is its own.
/// struct Handle<'a, M: Memory> { at: &'a Counted<M>, written: u64, is_writer: bool }
///
/// impl<M: Memory> WithHandles for Counted<M> {
///     type Memory = M;
///     type Spec = Register<u64>;
///     type Handle<'a> = Handle<'a, M>;
///     fn new(first: &u64) -> Self { Counted(Atomic::new(*first), Atomic::new(0)) }
///     fn attach<'a>(&'a self, role: Role<'_>) -> Handle<'a, M> {
///         Handle { at: self, written: 0, is_writer: role.is("writer") }
///     }
///     fn apply(handle: &mut Handle<'_, M>, op: &RegisterOp<u64>) -> RegisterRet<u64> {
///         match op {
///             RegisterOp::Write(value) => {
///                 assert!(handle.is_writer, "a reader writes");
///                 handle.written += 1;
///                 handle.at.0.store(*value, Ordering::Release);
///                 handle.at.1.store(handle.written, Ordering::Release);
///                 RegisterRet::Written
///             }
///             RegisterOp::Read => RegisterRet::Value(handle.at.0.load(Ordering::Acquire)),
///         }
///     }
/// }
///
/// forkcheck::suite! {
///     counted: Counted<_>,
///     setup: Just(0),
///     writer: 1..=2 ops of (1u64..9).prop_map(RegisterOp::Write),
///     reader: 2 processes, 1..=2 ops of Just(RegisterOp::Read),
/// }
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` implements neither `Structure` nor `WithHandles`",
    note = "for all engines, write `impl<M: Memory> Structure for ...<M>` with `type Memory = M;` and `type Spec = ...;`"
)]
pub trait WithHandles: Sized + Sync + 'static {
    /// The memory that it runs on.
    type Memory: Memory;
    /// The spec that it should fulfil.
    type Spec: Spec;
    /// The handle of one process of a case.
    type Handle<'a>
    where
        Self: 'a;

    /// The invariant, as of [`Structure`].
    const INVARIANT: Option<fn(&Self)> = None;

    /// Builds the structure, in place in a shared region or inside a model. It is called again for
    /// each execution.
    fn new(setup: &SetupOf<Self>) -> Self;

    /// Gives a process its handle: `role` names the process and its incarnation.
    fn attach<'a>(&'a self, role: Role<'_>) -> Self::Handle<'a>;

    /// Runs one operation, from call to return.
    fn apply(handle: &mut Self::Handle<'_>, op: &OpOf<Self>) -> RetOf<Self>;
}

impl<S: Structure> WithHandles for S {
    type Memory = S::Memory;
    type Spec = S::Spec;
    type Handle<'a> = &'a S;
    const INVARIANT: Option<fn(&Self)> = S::INVARIANT;
    fn new(setup: &SetupOf<Self>) -> Self {
        Structure::new(setup)
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a S {
        self
    }
    fn apply(handle: &mut &S, op: &OpOf<Self>) -> RetOf<Self> {
        Structure::apply(*handle, op)
    }
}

/// The setup of a structure's spec.
pub type SetupOf<S> = <<S as WithHandles>::Spec as Spec>::Setup;
/// The operations of a structure's spec.
pub type OpOf<S> = <<S as WithHandles>::Spec as Spec>::Op;
/// The results of a structure's spec.
pub type RetOf<S> = <<S as WithHandles>::Spec as Spec>::Ret;

/// The progress that a structure promises for its operations, even while other processes are
/// stopped. A step is an access to shared memory.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// No promise.
    #[default]
    Any,
    /// Lock-free: an operation ends within N steps of its own, counted from its beginning or from
    /// the last end of another process's operation.
    LockFree(u32),
    /// Wait-free: an operation ends within N steps of its own.
    WaitFree(u32),
}

impl Progress {
    /// Returns the steps of its own that an operation may take.
    #[must_use]
    pub fn step_bound(self) -> Option<u32> {
        match self {
            Self::Any => None,
            Self::LockFree(steps) | Self::WaitFree(steps) => Some(steps),
        }
    }
}

/// The process of a case that attaches.
///
/// ```
/// use forkcheck::prelude::*;
/// /// Returns the index that a process begins with: a later incarnation has to look it up.
/// fn first_index(role: Role<'_>, stored: u64) -> u64 {
///     match role.is("producer") && role.incarnation == 0 {
///         true => 0,
///         false => stored,
///     }
/// }
/// # let _ = first_index;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role<'a> {
    /// The role's name in the suite: `"writer"`.
    pub name: &'a str,
    /// The process, counted from 0 through all roles.
    pub process: usize,
    /// The incarnation of the process: 0 for the first, 1 after a kill, ...
    pub incarnation: u32,
    /// The roles of all processes.
    roles: &'a [String],
}

impl<'a> Role<'a> {
    /// Returns the role of a process, given the roles of all.
    pub(crate) fn of(roles: &'a [String], process: usize, incarnation: u32) -> Self {
        Self {
            name: &roles[process],
            process,
            incarnation,
            roles,
        }
    }

    /// Returns whether the process has this role.
    ///
    /// # Panics
    /// If no role of the suite has that name: a mistyped name would never match.
    #[must_use]
    #[track_caller]
    pub fn is(&self, name: &str) -> bool {
        assert!(
            self.roles.iter().any(|role| role == name),
            "the suite has no role {name:?}: name one of {}",
            self.names().join(", ")
        );
        self.name == name
    }

    /// Returns the names of the roles, each once.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.roles.iter().map(String::as_str).collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_asked_for_by_a_name_that_the_suite_has() {
        let roles = ["writer", "reader", "reader"].map(String::from);
        let role = Role::of(&roles, 2, 0);
        assert!(role.is("reader") && !role.is("writer"));
        let refused = std::panic::catch_unwind(|| role.is("raeder")).unwrap_err();
        let words = refused.downcast::<String>().unwrap();
        assert_eq!(
            *words,
            "the suite has no role \"raeder\": name one of writer, reader"
        );
    }
}
