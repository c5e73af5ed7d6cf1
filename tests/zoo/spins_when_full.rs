//! A push that never ends if the queue is full: heapless `mpmc::MpMcQueue` with `mpmc_large` and
//! 256 slots, in the release with the bug and in one without. It compares positions in eight bits,
//! in which 256 less is equal.

use super::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet};
use serde::{Deserialize, Serialize};

const CAPACITY: usize = 256;

/// A queue with a number of items in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Filled(Queue<u64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Items(usize);

impl Spec for Filled {
    type Setup = Items;
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start(&Items(items): &Items) -> Self {
        let mut queue = Queue::start(&CAPACITY);
        for item in 0..items {
            queue.step(0, &QueueOp::Push(item as u64));
        }
        Self(queue)
    }
    fn step(&mut self, process: usize, op: &QueueOp<u64>) -> QueueRet<u64> {
        self.0.step(process, op)
    }
}

// `new` of 0.9 warns of its issue 583, which is another bug.
macro_rules! mpmc {
    ($name:ident, $queue:ty) => {
        struct $name($queue);

        impl Structure for $name {
            type Memory = Hardware;
            type Spec = Filled;
            #[allow(deprecated, reason = "see above")]
            fn new(&Items(items): &Items) -> Self {
                let queue = <$queue>::new();
                for item in 0..items {
                    queue.enqueue(item as u64).expect("there is room");
                }
                Self(queue)
            }
            fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
                match op {
                    QueueOp::Push(item) => match self.0.enqueue(*item) {
                        Ok(()) => QueueRet::Pushed,
                        Err(_) => QueueRet::Full,
                    },
                    QueueOp::Pop => match self.0.dequeue() {
                        Some(item) => QueueRet::Popped(item),
                        None => QueueRet::Empty,
                    },
                }
            }
        }
    };
}
mpmc!(Defective, heapless08::mpmc::MpMcQueue<u64, CAPACITY>);
mpmc!(Mended, heapless09::mpmc::Queue<u64, CAPACITY>);

fn filled(items: usize) -> Suite<Filled> {
    super::suite("spins_when_full")
        .setup(Just(Items(items)))
        .role("producer", 1, 1..=1, Just(QueueOp::Push(7)))
        .cases(1)
        .executions(100)
        .watchdog(Duration::from_millis(100))
}

#[test]
fn spins_when_full() {
    let report = side_by_side::<Defective>(&filled(CAPACITY), Kind::Endless, 1);
    assert!(report.contains("Push(7)"), "{report}");
    filled(CAPACITY).test::<Processes, Mended>();
    // With room for one more the bug does not show.
    filled(CAPACITY - 1).test::<Processes, Defective>();
}
