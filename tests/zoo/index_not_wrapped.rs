//! An index that is not wrapped for a capacity that is no power of two: heapless `spsc::Queue`, in
//! the release with the bug and in one without.
//!
//! `Queue<u64, U3, u8>` of 0.6.1 keeps its indices in a `u8` that wraps at 256, which is no
//! multiple of its capacity 3; near the wrap it forgets or repeats an item. Its two halves are the
//! handles.
//! capacity 3; near the wrap it forgets or repeats an item. Its two halves are the handles.
#![allow(
    unsafe_code,
    reason = "splitting the queue in two processes takes the promise that each half is used by one"
)]

use super::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet};
use serde::{Deserialize, Serialize};
use std::cell::UnsafeCell;

/// The queue's capacity is part of its type, so the setup gives only the number of rounds before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Advanced<const CAPACITY: usize>(Queue<u64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rounds(u32);

impl<const CAPACITY: usize> Spec for Advanced<CAPACITY> {
    type Setup = Rounds;
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start(_: &Rounds) -> Self {
        Self(Queue::start(&CAPACITY))
    }
    fn step(&mut self, process: usize, op: &QueueOp<u64>) -> QueueRet<u64> {
        self.0.step(process, op)
    }
}

/// Both releases have the same halves under other names.
macro_rules! spsc {
    ($name:ident, $queue:ty, $new:expr, $producer:ty, $consumer:ty, $capacity:literal) => {
        struct $name(UnsafeCell<$queue>);

        // SAFETY: `attach` gives each half to one process, and the halves are made for concurrent
        // use.
        unsafe impl Sync for $name {}

        impl WithHandles for $name {
            type Memory = Hardware;
            type Spec = Advanced<$capacity>;
            type Handle<'a> = Half<$producer, $consumer>;

            fn new(&Rounds(rounds): &Rounds) -> Self {
                let mut queue = $new;
                for round in 0..rounds {
                    queue.enqueue(round.into()).expect("there is room");
                    queue.dequeue().expect("it was put there");
                }
                Self(UnsafeCell::new(queue))
            }
            fn attach<'a>(&'a self, role: Role<'_>) -> Self::Handle<'a> {
                // SAFETY: `split` takes the queue exclusively, and only makes two pointers to it.
                // Each process keeps the half of its role and drops the other, so no half is used
                // by two.
                let (producer, consumer) = unsafe { &mut *self.0.get() }.split();
                match role.name {
                    "producer" => Half::Producer(producer),
                    _ => Half::Consumer(consumer),
                }
            }
            fn apply(handle: &mut Self::Handle<'_>, op: &QueueOp<u64>) -> QueueRet<u64> {
                match (handle, op) {
                    (Half::Producer(half), QueueOp::Push(item)) => match half.enqueue(*item) {
                        Ok(()) => QueueRet::Pushed,
                        Err(_) => QueueRet::Full,
                    },
                    (Half::Consumer(half), QueueOp::Pop) => match half.dequeue() {
                        Some(item) => QueueRet::Popped(item),
                        None => QueueRet::Empty,
                    },
                    (_, op) => panic!("{op:?} in the wrong role"),
                }
            }
        }
    };
}

enum Half<P, C> {
    Producer(P),
    Consumer(C),
}

use heapless06::consts::U3;
spsc!(
    Defective,
    heapless06::spsc::Queue<u64, U3, u8>,
    heapless06::spsc::Queue::u8(),
    heapless06::spsc::Producer<'a, u64, U3, u8>,
    heapless06::spsc::Consumer<'a, u64, U3, u8>,
    3
);
// Of its four slots one is always free.
spsc!(
    Mended,
    heapless09::spsc::Queue<u64, 4>,
    heapless09::spsc::Queue::new(),
    heapless09::spsc::Producer<'a, u64>,
    heapless09::spsc::Consumer<'a, u64>,
    3
);

/// Returns a suite in which the producer pushes and the consumer pops, from a fresh queue and from
/// one that is about to wrap.
fn queue() -> Suite<Advanced<3>> {
    super::suite("index_not_wrapped")
        .setup(prop_oneof![Just(Rounds(0)), Just(Rounds(254))])
        .executions(500)
        .role("producer", 1, 1..=5, (1u64..100).prop_map(QueueOp::Push))
        .role("consumer", 1, 1..=5, Just(QueueOp::Pop))
}

#[test]
fn index_not_wrapped() {
    let report = side_by_side::<Defective>(&queue(), Kind::NotLinearizable, 5);
    // Index 255 and index 0 are both slot 0: of three items, the third overwrites the second.
    assert!(report.contains("from setup Rounds(254)"), "{report}");
    assert_eq!(report.matches("  Push(").count(), 3, "{report}");
    queue().test::<Processes, Mended>();
    // Far from the wrap the bug does not show.
    queue()
        .setup(Just(Rounds(7)))
        .test::<Processes, Defective>();
}
