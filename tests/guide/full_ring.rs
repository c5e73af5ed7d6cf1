//! A ring that is full when its processes begin.
use forkcheck::prelude::*;
use forkcheck::publish::Ring;
use forkcheck::spec::{QueueOp, QueueRet, StaleQueue};

struct Checked<M: Memory>(Ring<u64, 2, M>);

impl<M: Memory> Structure for Checked<M> {
    type Memory = M;
    type Spec = StaleQueue<u64>;
    fn new(_: &usize) -> Self {
        Checked(Ring::new_in())
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(item) => match self.0.push(*item) {
                Ok(()) => QueueRet::Pushed,
                Err(_) => QueueRet::Full,
            },
            QueueOp::Pop => self.0.pop().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
}

// The ring is full, and the next push comes to the slot that was filled first.
forkcheck::suite! {
    ring: Checked<_>,
    setup: Just(2),
    producer: 1..=2 ops of (4u64..9).prop_map(QueueOp::Push),
    consumer: 1..=2 ops of Just(QueueOp::Pop),
    with: .cases(2)
        .prefix("producer", Just([1, 2].map(QueueOp::Push).to_vec()))
        .prefix("consumer", Just(vec![QueueOp::Pop]))
        .prefix("producer", Just(vec![QueueOp::Push(3)])),
    with: .regressions(None).seed(1), // of the test alone
}
