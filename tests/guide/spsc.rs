//! The queue of heapless 0.6.1.
#![allow(unsafe_code, reason = "halves of a queue")] // of the test alone
use forkcheck::prelude::*;
use forkcheck::spec::{QueueOp, QueueRet, StaleQueue};
use heapless06::consts::U3;
use heapless06::spsc::{Consumer, Producer, Queue};
use std::cell::UnsafeCell;

/// The queue of the crate as it is: three slots, indices in a `u8`.
struct Spsc(UnsafeCell<Queue<u64, U3, u8>>);

// SAFETY: `attach` gives each half to one process, and the halves are made for concurrent use.
unsafe impl Sync for Spsc {}

enum Half<'a> {
    Producer(Producer<'a, u64, U3, u8>),
    Consumer(Consumer<'a, u64, U3, u8>),
}

impl WithHandles for Spsc {
    type Memory = Hardware;
    type Spec = StaleQueue<u64>;
    type Handle<'a> = Half<'a>;
    fn new(_: &usize) -> Self {
        let mut queue = Queue::u8();
        for round in 0..254 {
            queue.enqueue(round).expect("there is room");
            queue.dequeue().expect("it was put there");
        }
        Spsc(UnsafeCell::new(queue))
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> Half<'a> {
        // SAFETY: `split` only makes two pointers to the queue. Each process keeps the half of its role.
        let (producer, consumer) = unsafe { &mut *self.0.get() }.split();
        match role.is("producer") {
            true => Half::Producer(producer),
            false => Half::Consumer(consumer),
        }
    }
    fn apply(handle: &mut Half<'_>, op: &QueueOp<u64>) -> QueueRet<u64> {
        match (handle, op) {
            (Half::Producer(half), QueueOp::Push(item)) => match half.enqueue(*item) {
                Ok(()) => QueueRet::Pushed,
                Err(_) => QueueRet::Full,
            },
            (Half::Consumer(half), QueueOp::Pop) => match half.dequeue() {
                Some(item) => QueueRet::Popped(item),
                None => QueueRet::Empty,
            },
            (_, op) => unreachable!("this handle cannot {op:?}"),
        }
    }
}

forkcheck::suite! {
    #[should_panic(expected = "Pop returned Popped(3), expected Popped(2)")] // of the test alone
    spsc: Spsc,
    setup: Just(3), // the capacity
    producer: 1..=5 ops of (1u64..100).prop_map(QueueOp::Push),
    consumer: 1..=5 ops of Just(QueueOp::Pop),
    with: .regressions(None).seed(1), // of the test alone
}
