//! Planted: a ring whose producer moves its index *before* it encodes and copies the item (jack2
//! issue 886 is similar).

use super::ring::{SLOTS, Start, Started, producer_and_consumer};
use super::{Pair, message};
use crate::memory::{Atomic, Memory, Ordering, Words};
use crate::spec::{QueueOp, QueueRet};
use crate::structure::Structure;
use crate::suite::Suite;

/// The numbers of pushed and popped items, and the slots.
pub struct EarlyIndex<M: Memory> {
    pushed: M::AtomicU64,
    popped: M::AtomicU64,
    slots: [M::Words<Pair>; SLOTS],
}

impl<M: Memory> EarlyIndex<M> {
    fn push(&self, value: u64) -> bool {
        let pushed = self.pushed.load(Ordering::Relaxed);
        if pushed - self.popped.load(Ordering::Acquire) == SLOTS as u64 {
            return false;
        }
        self.pushed.store(pushed + 1, Ordering::Release);
        self.slots[pushed as usize % SLOTS].store(message(value));
        true
    }
    fn pop(&self) -> Option<Pair> {
        let popped = self.popped.load(Ordering::Relaxed);
        if popped == self.pushed.load(Ordering::Acquire) {
            return None;
        }
        let item = self.slots[popped as usize % SLOTS].load();
        self.popped.store(popped + 1, Ordering::Release);
        Some(item)
    }
}

impl<M: Memory> Structure for EarlyIndex<M> {
    type Memory = M;
    type Spec = Started;
    fn new(setup: &Start) -> Self {
        let ring = Self {
            pushed: M::AtomicU64::new(setup.earlier.into()),
            popped: M::AtomicU64::new(setup.earlier.into()),
            slots: [M::Words::new([0, 0]), M::Words::new([0, 0])],
        };
        for n in 0..setup.filled {
            ring.push(n.into());
        }
        ring
    }
    fn apply(&self, op: &QueueOp<Pair>) -> QueueRet<Pair> {
        match op {
            QueueOp::Push(item) if self.push(item[0]) => QueueRet::Pushed,
            QueueOp::Push(_) => QueueRet::Full,
            QueueOp::Pop => self.pop().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
}

/// The suite of [`EarlyIndex`], as that of [`ring`](super::ring).
pub fn suite() -> Suite<Started> {
    producer_and_consumer(Suite::of_module(crate::site!()))
}
