//! Sequential specifications: a [`Spec`] says what a structure should do, as a state machine. The ready ones are those of the
//! common structures.

mod ready;

pub use ready::{
    Assertions, Barrier, BarrierOp, BarrierRet, ByteStream, ByteStreamOp, ByteStreamRet, CasOp,
    CasRegister, CasRet, Counter, CounterOp, CounterRet, Event, EventOp, EventRet, Lock, LockOp,
    LockRet, Map, MapOp, MapRet, Once, OnceOp, OnceRet, Queue, QueueOp, QueueRet, Register,
    RegisterOp, RegisterRet, RelaxedQueue, Run, Semaphore, SemaphoreOp, SemaphoreRet, Set, SetOp,
    Stack, StackOp, StackRet, StaleQueue,
};

use serde::{Serialize, de::DeserializeOwned};
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
/// use forkcheck::spec::Spec;
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
/// assert!(counter.accept(0, &2, &42));
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

    /// Does `op` of `process` and returns the expected result. Where [`accept`](Spec::accept) is overridden, `step` is called
    /// for calls that never returned, and to say in a report what a call would have returned; never to judge one that returned.
    /// If it panics for a report, that leaves the expected result out; a panic of a spec anywhere else is a finding of its own
    /// ([`SpecPanic`](crate::check::Kind::SpecPanic)).
    fn step(&mut self, process: usize, op: &Self::Op) -> Self::Ret;

    /// Whether `op` of `process` may return `ret` here; if so the state has taken the step. Override it
    /// where several results are allowed. A spec must not promise more than the structure does.
    fn accept(&mut self, process: usize, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = process;
        self.step(process, op) == *ret
    }

    /// Whether `op` of `process` has to wait in this state: a pop from an empty queue that blocks. It then takes no
    /// effect here, [`step`](Spec::step) is not asked, and a process that sleeps in it for ever is no deadlock.
    fn blocks(&self, process: usize, op: &Self::Op) -> bool {
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

    /// Returns whether `op` may return `ret` in any state, and leave it as it is, because a call of `other` by another process
    /// had not returned: a pop that says empty beside a push ([`RelaxedQueue`]), a try that fails beside a release. Such a call
    /// is not judged. Calls that never returned, and those that a kill interrupted until the next incarnation calls, count as
    /// not returned. A model without a clock (`loom`) takes each call of another process for one beside it.
    fn allowed_beside(op: &Self::Op, ret: &Self::Ret, other: &Self::Op) -> bool {
        let _ = (op, ret, other);
        false
    }

    /// A number that operations share if one can influence the other: the key of a map, hashed. Histories are
    /// judged key by key, which is far cheaper; each begins with [`start`](Spec::start).
    fn key(op: &Self::Op) -> u64 {
        let _ = op;
        0
    }
}
