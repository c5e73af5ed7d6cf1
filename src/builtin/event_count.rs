//! [`EventCount`] around a counter that waits at zero.

use crate::memory::{Atomic, Memory, Ordering};
use crate::publish::EventCount;
use crate::spec::Spec;
use crate::structure::Structure;
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, prop_oneof};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The number of items that were posted and not taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Posted(u32);

/// An operation on the counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Adds this number, with one notification.
    Post(u32),
    /// Takes one, and waits until there is one.
    Take,
    /// Takes one, and waits a short time for it.
    TakeSoon,
}

impl Spec for Posted {
    type Setup = ();
    type Op = Op;
    /// Whether the operation was done in time.
    type Ret = bool;
    fn start(_: &()) -> Self {
        Self(0)
    }
    fn step(&mut self, _: usize, op: &Op) -> bool {
        match op {
            Op::Post(more) => self.0 += more,
            Op::Take => self.0 -= 1,
            Op::TakeSoon if self.0 == 0 => return false,
            Op::TakeSoon => self.0 -= 1,
        }
        true
    }
    /// The spec does not say how long a short time is.
    fn accept(&mut self, _: usize, op: &Op, ret: &bool) -> bool {
        (*op == Op::TakeSoon && !*ret) || self.step(0, op) == *ret
    }
    fn blocks(&self, _: usize, op: &Op) -> bool {
        *op == Op::Take && self.0 == 0
    }
}

/// [`EventCount`] around a counter that waits at zero.
pub struct CheckedEventCount<M: Memory> {
    posted: M::AtomicU32,
    event: EventCount<M>,
}

/// Takes one item, if there is one.
pub(super) fn take<M: Memory>(posted: &M::AtomicU32) -> Option<()> {
    let seen = posted.load(Ordering::Relaxed);
    let less = seen.checked_sub(1)?;
    let took = posted.compare_exchange(seen, less, Ordering::Acquire, Ordering::Relaxed);
    // Another process has changed the counter: look again.
    took.map_or_else(|_| take::<M>(posted), |_| Some(()))
}

impl<M: Memory> Structure for CheckedEventCount<M> {
    type Memory = M;
    type Spec = Posted;
    fn new(_: &()) -> Self {
        Self {
            posted: M::AtomicU32::new(0),
            event: EventCount::new_in(),
        }
    }
    fn apply(&self, op: &Op) -> bool {
        match op {
            Op::Post(more) => {
                self.posted.fetch_add(*more, Ordering::Release);
                self.event.notify();
                true
            }
            Op::Take => {
                self.event.wait(|| take::<M>(&self.posted));
                true
            }
            Op::TakeSoon => {
                let soon = Duration::from_micros(50);
                let took = self.event.wait_timeout(soon, || take::<M>(&self.posted));
                took.is_some()
            }
        }
    }
}

/// A suite in which one process posts for both others at once: as much as they take, or twice that.
/// Where it posts only once, its one notification has to wake both. It is not killed: after a kill
/// in its last post no incarnation would follow, and the others would sleep indefinitely.
pub fn suite() -> Suite<Posted> {
    let takes = prop_oneof![3 => Just(Op::Take), 1 => Just(Op::TakeSoon)];
    Suite::of_module(crate::site!())
        .role("poster", 1, 1..=2, Just(Op::Post(2)))
        .role("taker", 2, 1..=1, takes.boxed())
        .kill_only("taker")
        .regressions(None)
}
