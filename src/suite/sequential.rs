//! The spec of a structure that is its own spec, run by one process.

use crate::engine::{SteppedMemory, alone};
use crate::spec::{Data, Spec};
use crate::structure::Structure;
use serde::Serialize;
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The memory of a structure that runs alone, as its own spec: [`Sequential`].
pub type Alone = SteppedMemory;

/// The spec that a structure is to itself: processes see the results that some order of whole operations gives, done one after
/// the other on a structure `T` of its own. Under `kills` the results are compared with and without the killed operation, as a
/// whole; one of the two has to give them. No state machine has to be written; setups, operations and results are plain data.
///
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::suite::{Alone, Sequential};
///
/// /// Two accounts, and transfers from the first to the second.
/// struct Bank<M: Memory> { accounts: [M::AtomicU64; 2] }
///
/// impl<M: Memory> Structure for Bank<M> {
///     type Memory = M;
///     type Spec = Sequential<Bank<Alone>, Option<u64>, u64>; // operation, result
///     fn new(_: &()) -> Self { Bank { accounts: [Atomic::new(100), Atomic::new(0)] } }
///     fn apply(&self, op: &Option<u64>) -> u64 {
///         let [first, second] = &self.accounts;
///         match op {
///             Some(amount) => { first.fetch_sub(*amount, Ordering::AcqRel); second.fetch_add(*amount, Ordering::AcqRel); 0 }
///             None => first.load(Ordering::Acquire) + second.load(Ordering::Acquire),
///         }
///     }
/// }
///
/// let outcome = Suite::new(forkcheck::site!(), "bank")
///     .role("customer", 1, 1..=1, (1u64..9).prop_map(Some))
///     .role("auditor", 1, 1..=1, Just(None))
///     .regressions(None)
///     .check::<forkcheck::engine::Stepped, Bank<_>>()?;
/// // Between the two stores money is missing, which no order of whole transfers and sums shows.
/// assert!(matches!(outcome.verdict, forkcheck::check::Verdict::Finding(_)));
/// # Ok::<(), forkcheck::Error>(())
/// ```
///
/// It cannot find an operation that is wrong when it is done alone: a stack named a queue passes. A result that depends on
/// another process's steps during the operation (a try that fails under contention, a pop that returns empty during a push) is a
/// finding here; where it is intended, write a [`Spec`] that accepts it. The same holds for a result that reports a repair
/// after a kill. An operation of `T` has to be a function of the structure, the operation and the process that does it
/// ([`Memory::me`](crate::Memory::me)); in `T`, all processes are alive.
///
/// An operation that waits alone ([`Memory::wait`](crate::Memory::wait), or 10,000 times
/// [`Memory::spin_loop`](crate::Memory::spin_loop)) has to wait; where `T` is a structure on hardware, waits are not noticed, and
/// the check of its history ends as `Unknown`. Each step of a check runs all operations before it again, so programs of some
/// ten operations are right.
pub struct Sequential<T, Op, Ret, Setup = ()> {
    setup: Setup,
    /// The operations that were done, each with its process.
    done: Vec<(usize, Op)>,
    /// Setup and operations as bytes, which can be compared and hashed.
    bytes: Vec<u8>,
    of: PhantomData<fn() -> (T, Ret)>,
}

impl<T, Op: Serialize, Ret, Setup> Sequential<T, Op, Ret, Setup> {
    fn add(&mut self, process: usize, op: Op) {
        let bytes = postcard::to_stdvec(&(process as u64, &op));
        (self.bytes).extend(bytes.expect("an operation is plain data, as its case is saved"));
        self.done.push((process, op));
    }
}

impl<T, Op: Data, Ret: Data, Setup: Data> Sequential<T, Op, Ret, Setup>
where
    T: Structure<Spec = Self>,
{
    /// Returns the result of an operation after those that were done, or `None` if it waits.
    fn result(&self, process: usize, op: &Op) -> Option<Ret> {
        let structure = T::new(&self.setup);
        for (process, op) in &self.done {
            alone(*process, || structure.apply(op))?;
        }
        alone(process, || structure.apply(op))
    }
}

impl<T: 'static, Op: Data, Ret: Data, Setup: Data> Spec for Sequential<T, Op, Ret, Setup>
where
    T: Structure<Spec = Self>,
{
    type Setup = Setup;
    type Op = Op;
    type Ret = Ret;
    fn start(setup: &Setup) -> Self {
        let bytes = postcard::to_stdvec(setup);
        Self {
            setup: setup.clone(),
            done: Vec::new(),
            bytes: bytes.expect("a setup is plain data, as its case is saved"),
            of: PhantomData,
        }
    }
    fn step(&mut self, process: usize, op: &Op) -> Ret {
        let result = self.result(process, op);
        self.add(process, op.clone());
        result.unwrap_or_else(|| panic!("{op:?} waits after {self:?}, so it has no result there"))
    }
    fn accept(&mut self, process: usize, op: &Op, ret: &Ret) -> bool {
        // A call that returned did not wait, so no order in which it has to is right.
        let right = self.result(process, op).as_ref() == Some(ret);
        self.add(process, op.clone());
        right
    }
    fn blocks(&self, process: usize, op: &Op) -> bool {
        self.result(process, op).is_none()
    }
}

impl<T, Op: Clone, Ret, Setup: Clone> Clone for Sequential<T, Op, Ret, Setup> {
    fn clone(&self) -> Self {
        Self {
            setup: self.setup.clone(),
            done: self.done.clone(),
            bytes: self.bytes.clone(),
            of: PhantomData,
        }
    }
}

impl<T, Op, Ret, Setup> PartialEq for Sequential<T, Op, Ret, Setup> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<T, Op, Ret, Setup> Eq for Sequential<T, Op, Ret, Setup> {}

impl<T, Op, Ret, Setup> Hash for Sequential<T, Op, Ret, Setup> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

/// Shows the operations that were done, in their order.
impl<T, Op: Debug, Ret, Setup> Debug for Sequential<T, Op, Ret, Setup> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Sequential")?;
        f.debug_list()
            .entries(self.done.iter().map(|(_, op)| op))
            .finish()
    }
}
