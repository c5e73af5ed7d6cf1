//! [`Ring`] against [`StaleQueue`].

use super::{Pair, message};
use crate::memory::Memory;
use crate::publish::Ring;
use crate::spec::{QueueOp, QueueRet, Spec, StaleQueue};
use crate::structure::Structure;
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, any};
use serde::{Deserialize, Serialize};

/// The slots of these rings: the fewest of which one can be full while another is empty.
pub(super) const SLOTS: usize = 2;

/// The setup of a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The number of items that went through before, which sets the indices past a wrap or before
    /// one.
    pub(super) earlier: u8,
    /// The number of items in it.
    pub(super) filled: u8,
}

/// A [`StaleQueue`] of two items that begins as a [`Start`] says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Started(StaleQueue<Pair>);

impl Spec for Started {
    type Setup = Start;
    type Op = QueueOp<Pair>;
    type Ret = QueueRet<Pair>;
    fn start(setup: &Start) -> Self {
        let mut queue = StaleQueue::start(&SLOTS);
        for n in 0..setup.filled {
            queue.step(0, &QueueOp::Push(message(n.into())));
        }
        Self(queue)
    }
    fn step(&mut self, process: usize, op: &Self::Op) -> Self::Ret {
        self.0.step(process, op)
    }
    fn accept(&mut self, process: usize, op: &Self::Op, ret: &Self::Ret) -> bool {
        self.0.accept(process, op, ret)
    }
}

/// [`Ring`] against [`StaleQueue`].
pub struct CheckedRing<M: Memory>(Ring<Pair, SLOTS, M>);

impl<M: Memory> Structure for CheckedRing<M> {
    type Memory = M;
    type Spec = Started;
    fn new(setup: &Start) -> Self {
        let ring = Ring::new_in();
        for _ in 0..setup.earlier {
            let _ = ring.push([0, 0]);
            ring.pop();
        }
        for n in 0..setup.filled {
            let _ = ring.push(message(n.into()));
        }
        Self(ring)
    }
    fn apply(&self, op: &QueueOp<Pair>) -> QueueRet<Pair> {
        match op {
            QueueOp::Push(item) => match self.0.push(*item) {
                Ok(()) => QueueRet::Pushed,
                Err(_) => QueueRet::Full,
            },
            QueueOp::Pop => self.0.pop().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
}

/// A suite in which one process pushes and one pops.
pub fn suite() -> Suite<Started> {
    producer_and_consumer(Suite::of_module(crate::site!()))
}

pub(super) fn producer_and_consumer(suite: Suite<Started>) -> Suite<Started> {
    let starts = (0..2 * SLOTS as u8, 0..=SLOTS as u8)
        .prop_map(|(earlier, filled)| Start { earlier, filled });
    let pushes = any::<u8>().prop_map(|value| QueueOp::Push(message(value.into())));
    suite
        .setup(starts)
        .role("producer", 1, 1..=4, pushes)
        .role("consumer", 1, 1..=4, Just(QueueOp::Pop))
        .regressions(None)
}
