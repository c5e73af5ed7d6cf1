//! What users write: a [`Spec`] says what a structure should do, a [`Subject`] is the structure itself.
//!
//! Both are plain safe Rust: placing the subject in shared memory is the engines' business.

mod specs;

pub use specs::{
    CasOp, CasRegister, CasRet, Counter, CounterOp, CounterRet, Lock, LockOp, LockRet, Map, MapOp,
    MapRet, Once, OnceOp, OnceRet, Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet,
    Set, SetOp, Stack, StackOp, StackRet, StaleQueue,
};

use crate::memory::Memory;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::hash::Hash;

/// Plain data that crosses process boundaries and goes into saved cases. Every type that can, is.
pub trait Data:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
}
impl<T: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Data
    for T
{
}

/// What a structure should do, as a sequential state machine: the state, and what each operation
/// returns when nobody else is there.
///
/// ```
/// use forkcheck::subject::Spec;
///
/// /// A counter that processes add to.
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// struct Counter(u64);
///
/// impl Spec for Counter {
///     type Setup = u64;
///     type Op = u64;
///     type Ret = u64;
///     fn start(first: &u64) -> Self { Counter(*first) }
///     fn step(&mut self, _: usize, add: &u64) -> u64 { self.0 += add; self.0 }
/// }
///
/// let mut counter = Counter::start(&40);
/// assert!(counter.allows(0, &2, &42));
/// ```
pub trait Spec: Clone + Debug + Eq + Hash + Send + 'static {
    /// The drawn parameters from which a case starts: a capacity, a first sequence number near a wrap.
    type Setup: Data;
    /// One operation with its arguments.
    type Op: Data;
    /// What an operation returns.
    type Ret: Data;

    /// The state before the first operation.
    fn start(setup: &Self::Setup) -> Self;

    /// Does `op` of `process` and returns the expected result. Where [`allows`](Spec::allows) is overridden, `step` is called
    /// for calls that never returned, and to say in a report what a call would have returned; never to judge one that returned.
    /// If it panics for a report, that leaves the expected result out; a panic of a spec anywhere else is a finding of its own
    /// ([`SpecPanic`](crate::check::Kind::SpecPanic)).
    fn step(&mut self, process: usize, op: &Self::Op) -> Self::Ret;

    /// Whether `op` of `process` may return `ret` here; if so the state has taken the step. Override it
    /// where several results are allowed. A spec must not promise more than the structure does.
    fn allows(&mut self, process: usize, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = process;
        self.step(process, op) == *ret
    }

    /// Whether `op` of `process` has to wait in this state: a pop from an empty queue that blocks. It then takes no
    /// effect here, [`step`](Spec::step) is not asked, and a process that sleeps in it for ever is no deadlock.
    fn may_block(&self, process: usize, op: &Self::Op) -> bool {
        let _ = (process, op);
        false
    }

    /// What the death of `process` may leave where that is neither nothing nor all of the operation that it was in: a
    /// lock that is free again, a claim that nobody can lift. It may come instead of the operation, and after its effect: a
    /// lease that outlives operations is free, and what the last one did under it stands. Engines that kill try all four:
    /// nothing, [`step`](Spec::step), `crash`, and `step` then `crash`; unless said otherwise `crash` changes nothing.
    fn crash(&mut self, process: usize, pending: &Self::Op) {
        let _ = (process, pending);
    }

    /// Whether `op` with the result `ret` leaves the state as it is, in each state in which that result is allowed: a read, a
    /// compare-and-swap that failed. A check of a long history then tries far fewer orders; short ones do not need it.
    fn only_reads(op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = (op, ret);
        false
    }

    /// A number that operations share if one can influence the other: the key of a map, hashed. Histories are
    /// judged key by key, which is far cheaper; each begins with [`start`](Spec::start).
    fn key(op: &Self::Op) -> u64 {
        let _ = op;
        0
    }
}

/// The structure under test, over a memory `M`. A subject that runs on one memory only (foreign code, say)
/// implements it for that one; one that is generic over `M` runs on every engine.
///
/// On real processes it lies in a shared region, built and dropped by whichever of them comes to it, and each may see it
/// at another address: all that it is made of lies in it. What it allocates on the heap, or opens, is there in one process
/// alone, so no `Box`, `Vec` or file may be part of it; nor a lock of std's, which wakes the threads of one process only.
pub trait Subject<M: Memory>: Sized + Sync + 'static {
    /// What it should do.
    type Spec: Spec;
    /// What one process of a case holds: a producer, a consumer, private indices, or a plain `&Self`.
    type Seat<'a>
    where
        Self: 'a;

    /// Builds it, in place in a shared region or inside a model. Called again for each execution.
    fn new(setup: &SetupOf<Self, M>) -> Self;

    /// A process sits down: `role` says which, and which of its lives.
    fn attach<'a>(&'a self, role: Role<'_>) -> Self::Seat<'a>;

    /// One operation, from call to return.
    fn apply(seat: &mut Self::Seat<'_>, op: &OpOf<Self, M>) -> RetOf<Self, M>;
}

/// The setup of a subject's spec.
pub type SetupOf<S, M> = <<S as Subject<M>>::Spec as Spec>::Setup;
/// The operations of a subject's spec.
pub type OpOf<S, M> = <<S as Subject<M>>::Spec as Spec>::Op;
/// The results of a subject's spec.
pub type RetOf<S, M> = <<S as Subject<M>>::Spec as Spec>::Ret;

/// What a structure promises of how its operations get on, whoever is held up where. A step is an access to shared memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Nothing.
    #[default]
    Any,
    /// Somebody always gets on: an operation ends within so many steps of its own from its beginning, or from the last end
    /// of another process's operation.
    LockFree(u32),
    /// Everybody always gets on: an operation ends within so many steps of its own.
    WaitFree(u32),
}

impl Progress {
    /// The steps of its own that an operation may take.
    #[must_use]
    pub fn own_steps(self) -> Option<u32> {
        match self {
            Self::Any => None,
            Self::LockFree(steps) | Self::WaitFree(steps) => Some(steps),
        }
    }
}

/// Which process of a case sits down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role<'a> {
    /// The role's name in the suite: `"writer"`.
    pub name: &'a str,
    /// The process, counted from 0 through all roles.
    pub process: usize,
    /// Which life in this seat: 0 for the first, 1 after a kill, ...
    pub life: u32,
}
