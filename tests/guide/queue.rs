//! A ring from one producer to one consumer, which each hold a handle.
use forkcheck::prelude::*;
use forkcheck::spec::{QueueOp, QueueRet, StaleQueue};

const SLOTS: usize = 2;

/// A ring from one producer to one consumer. Each of them keeps its own index.
struct Ring<M: Memory> {
    pushed: M::AtomicU64,
    popped: M::AtomicU64,
    slots: [M::AtomicU64; SLOTS],
}

/// The part of the ring that one process holds.
enum Handle<'a, M: Memory> {
    Producer { ring: &'a Ring<M>, pushed: u64 },
    Consumer { ring: &'a Ring<M>, popped: u64 },
}

impl<M: Memory> WithHandles for Ring<M> {
    type Memory = M;
    type Spec = StaleQueue<u64>;
    type Handle<'a> = Handle<'a, M>;
    fn new(_: &usize) -> Self {
        Ring {
            pushed: Atomic::new(0),
            popped: Atomic::new(0),
            slots: std::array::from_fn(|_| Atomic::new(0)),
        }
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> Handle<'a, M> {
        // A later incarnation reads the index that the earlier one left.
        match role.is("producer") {
            true => Handle::Producer {
                ring: self,
                pushed: self.pushed.load(Ordering::Relaxed),
            },
            false => Handle::Consumer {
                ring: self,
                popped: self.popped.load(Ordering::Relaxed),
            },
        }
    }
    fn apply(handle: &mut Handle<'_, M>, op: &QueueOp<u64>) -> QueueRet<u64> {
        match (handle, op) {
            (Handle::Producer { ring, pushed }, QueueOp::Push(item)) => {
                if *pushed - ring.popped.load(Ordering::Acquire) == SLOTS as u64 {
                    return QueueRet::Full;
                }
                ring.slots[*pushed as usize % SLOTS].store(*item, Ordering::Relaxed);
                *pushed += 1;
                ring.pushed.store(*pushed, Ordering::Release);
                QueueRet::Pushed
            }
            (Handle::Consumer { ring, popped }, QueueOp::Pop) => {
                if *popped == ring.pushed.load(Ordering::Acquire) {
                    return QueueRet::Empty;
                }
                let item = ring.slots[*popped as usize % SLOTS].load(Ordering::Relaxed);
                *popped += 1;
                ring.popped.store(*popped, Ordering::Release);
                QueueRet::Popped(item)
            }
            (_, op) => unreachable!("this handle cannot {op:?}"),
        }
    }
}

forkcheck::suite! {
    ring: Ring<_>,
    setup: Just(SLOTS), // the capacity, for the spec
    producer: 2..=4 ops of (1u64..100).prop_map(QueueOp::Push),
    consumer: 2..=4 ops of Just(QueueOp::Pop),
    with: .cases(8),
    with: .regressions(None).seed(1), // of the test alone
}
