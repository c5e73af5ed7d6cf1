//! Sequential specifications: a [`Spec`] describes a structure as a state machine. There are ready
//! ones for the common structures.

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

/// Plain data that crosses process boundaries and goes into saved cases. Every suitable type has
/// it.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// enum Op { Take(u32) }
///
/// fn is_data<T: forkcheck::spec::Data>() {}
/// is_data::<Op>();
/// ```
/// A crate that derives the two has serde 1 in its own `Cargo.toml`, with the feature `derive`: through this crate, each type
/// would need `#[serde(crate = "...")]`. With the operations of a ready spec it needs none.
pub trait Data:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
}
impl<T: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Data
    for T
{
}

/// A sequential state machine that specifies a structure: the state, and the result of each
/// operation when no other operation is under way.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Spec`",
    note = "take a ready one of `forkcheck::spec`, or implement `start` and `step` for the state of your own",
    note = "a structure that is right when one process runs it can be its own: `forkcheck::suite::Sequential`"
)]
pub trait Spec: Clone + Debug + Eq + Hash + Send + 'static {
    /// The drawn parameters from which a case starts: a capacity, a first sequence number near a wrap.
    type Setup: Data;
    /// One operation with its arguments.
    type Op: Data;
    /// The result of an operation.
    type Ret: Data;

    /// The state before the first operation.
    fn start(setup: &Self::Setup) -> Self;

    /// Does `op` of `process` and returns the expected result. Where [`accept`](Spec::accept) is
    /// overridden, `step` is called for calls that never returned, and for a report, which shows
    /// the result that a call should have returned. It then never judges a call that returned. If
    /// it panics for a report, the report leaves the expected result out. A panic of a spec
    /// anywhere else is a finding of its own ([`SpecPanic`](crate::check::Kind::SpecPanic)).
    fn step(&mut self, process: usize, op: &Self::Op) -> Self::Ret;

    /// Returns whether `op` of `process` may return `ret` here; if so, the state has taken the
    /// step. Override it where several results are allowed. A spec must not promise more than the
    /// structure does.
    fn accept(&mut self, process: usize, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = process;
        self.step(process, op) == *ret
    }

    /// Returns whether `op` of `process` has to wait in this state: a pop from an empty queue that
    /// blocks. It then takes no effect here, [`step`](Spec::step) is not called, and a process that
    /// sleeps in it indefinitely is no deadlock.
    fn blocks(&self, process: usize, op: &Self::Op) -> bool {
        let _ = (process, op);
        false
    }

    /// Changes the state as the death of `process` in an operation may, where that is neither
    /// nothing nor the whole operation: a lock is free again, or a claim stays that no process can
    /// lift. The crash may come instead of the operation, or after its effect: a lease that
    /// outlives operations is free, and the effect of the last operation under it stands. Engines
    /// that kill try all four: nothing, [`step`](Spec::step), `crash`, and `step` then `crash`. After the effect, calls of others
    /// may come before the crash. By
    /// default `crash` changes nothing.
    ///
    /// ```
    /// use forkcheck::spec::{Lock, LockOp, LockRet, Spec};
    /// let mut lock = Lock::start(&());
    /// assert_eq!(lock.step(0, &LockOp::Lock), LockRet::Acquired);
    /// assert!(lock.blocks(1, &LockOp::Lock));
    /// lock.crash(0, &LockOp::Unlock); // process 0 dies, and its lock is free
    /// assert!(!lock.blocks(1, &LockOp::Lock));
    /// ```
    fn crash(&mut self, process: usize, pending: &Self::Op) {
        let _ = (process, pending);
    }

    /// Returns whether `op` with the result `ret` leaves the state as it is, in each state in which
    /// that result is allowed: a read, a compare-and-swap that failed. A check of a long history
    /// then tries far fewer orders; short histories do not need it.
    ///
    /// ```
    /// use forkcheck::spec::{Spec, Stack, StackOp, StackRet};
    /// assert!(Stack::only_reads(&StackOp::Pop, &StackRet::<u32>::Empty)); // it finds nothing, and changes nothing
    /// assert!(!Stack::only_reads(&StackOp::Pop, &StackRet::Popped(7)));
    /// ```
    fn only_reads(op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = (op, ret);
        false
    }

    /// Returns whether `op` may return `ret` in any state, and leave it as it is, because a call of
    /// `other` by another process had not returned: a pop that says empty beside a push
    /// ([`RelaxedQueue`]), a try that fails beside a release. Such a call is not judged. Calls that
    /// never returned, and calls that a kill interrupted until the next incarnation calls, count as
    /// not returned. A model without a clock (`loom`) treats each call of another process as one
    /// beside it.
    fn allowed_beside(op: &Self::Op, ret: &Self::Ret, other: &Self::Op) -> bool {
        let _ = (op, ret, other);
        false
    }

    /// Returns a number that operations share if one can influence the other: the key of a map,
    /// hashed. Histories are judged key by key, which takes fewer orders; each begins with
    /// [`start`](Spec::start).
    ///
    /// ```
    /// use forkcheck::spec::{Map, MapOp, Spec};
    /// let key = |op: MapOp<u8, u32>| Map::key(&op);
    /// assert_eq!(key(MapOp::Put(1, 9)), key(MapOp::Get(1)));
    /// assert_ne!(key(MapOp::Get(1)), key(MapOp::Get(2)));
    /// ```
    fn key(op: &Self::Op) -> u64 {
        let _ = op;
        0
    }
}
