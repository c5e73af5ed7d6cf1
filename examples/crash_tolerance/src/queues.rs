//! Queues, a deque and a stack.
#![allow(
    unsafe_code,
    reason = "a handle of a process that was killed is taken over"
)]

use crate::adapters::{Parts, shared_queue, split_queue};
use crate::row::{Row, row};
use c_ring::Message;
use cpp_stack::Item;
use forkcheck::prelude::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet, RelaxedQueue, StaleQueue};
use ringbuf::traits::{Consumer as _, Producer as _, Split as _};
use std::hash::Hash;
use std::sync::mpsc;

const THREADS: &str = "threads of one process; nothing about kills";
const ANY_CONTEXT: &str = "interrupt handlers and cores; nothing about kills";
const NOT_LOCK_FREE: &str =
    "interrupt handlers and cores; deprecated: not lock-free, delayed operations hide items";
const MEMORY: &str = "processes that share memory; nothing about kills";
/// More items than any program here has.
const UNBOUNDED: usize = 99;

split_queue!(
    Rtrb { Push(rtrb::Producer<u64>), Pop(rtrb::Consumer<u64>) }: Queue<u64>,
    |push, pop| { let (p, c) = rtrb::RingBuffer::new(2); [push(p), pop(c)] },
    |p, item| p.push(item).is_ok(), |c| c.pop().ok()
);
split_queue!(
    Ringbuf { Push(ringbuf::HeapProd<u64>), Pop(ringbuf::HeapCons<u64>) }: Queue<u64>,
    |push, pop| { let (p, c) = ringbuf::HeapRb::new(2).split(); [push(p), pop(c)] },
    |p, item| p.try_push(item).is_ok(), |c| c.try_pop()
);
split_queue!(
    Spsc { Push(heapless::spsc::Producer<'static, u64>), Pop(heapless::spsc::Consumer<'static, u64>) }: Queue<u64>,
    |push, pop| {
        let (p, c) = Box::leak(Box::new(heapless::spsc::Queue::<u64, 3>::new())).split();
        [push(p), pop(c)]
    },
    |p, item| p.enqueue(item).is_ok(), |c| c.dequeue()
);
split_queue!(
    Channel { Push(mpsc::Sender<u64>), Pop(mpsc::Receiver<u64>) }: RelaxedQueue<u64>,
    |push, pop| {
        let (sender, receiver) = mpsc::channel();
        [push(sender.clone()), push(sender), pop(receiver)]
    },
    |p, item| p.send(item).is_ok(), |c| c.try_recv().ok()
);
split_queue!(
    SyncChannel { Push(mpsc::SyncSender<u64>), Pop(mpsc::Receiver<u64>) }: RelaxedQueue<u64>,
    |push, pop| {
        let (sender, receiver) = mpsc::sync_channel(2);
        [push(sender.clone()), push(sender), pop(receiver)]
    },
    |p, item| p.try_send(item).is_ok(), |c| c.try_recv().ok()
);

type Array = crossbeam_queue::ArrayQueue<u64>;
shared_queue!(ArrayQueue(Array): Queue<u64>, Array::new(2), |q, item| q.push(item).is_ok(), q.pop());
type Segments = crossbeam_queue::SegQueue<u64>;
shared_queue!(SegQueue(Segments): Queue<u64>, Segments::new(), |q, item| { q.push(item); true }, q.pop());
type Concurrent = concurrent_queue::ConcurrentQueue<u64>;
shared_queue!(Bounded(Concurrent): Queue<u64>, Concurrent::bounded(2), |q, item| q.push(item).is_ok(), q.pop().ok());
shared_queue!(Unbounded(Concurrent): Queue<u64>, Concurrent::unbounded(), |q, item| q.push(item).is_ok(), q.pop().ok());
type Many = heapless::mpmc::Queue<u64, 2>;
shared_queue!(Mpmc(Many): RelaxedQueue<u64>, many(), |q, item| q.enqueue(item).is_ok(), q.dequeue());
#[expect(deprecated, reason = "its documentation says that it is not lock-free")]
fn many() -> Many {
    Many::new()
}
type Things = thingbuf::ThingBuf<u64>;
shared_queue!(ThingBuf(Things): Skipping, Things::new(2), |q, item| q.push(item).is_ok(), q.pop());
type Kanals = (kanal::Sender<u64>, kanal::Receiver<u64>);
shared_queue!(
    Kanal(Kanals): Queue<u64>, kanal::bounded(2),
    |q, item| q.0.try_send(item) == Ok(true), q.1.try_recv().expect("it is open")
);
type Flumes = (flume::Sender<u64>, flume::Receiver<u64>);
shared_queue!(
    Flume(Flumes): Queue<u64>, flume::bounded(2),
    |q, item| q.0.try_send(item).is_ok(), q.1.try_recv().ok()
);

/// thingbuf's queue: a push skips a slot that a pop is still reading, so it may be full of fewer items than its capacity, until
/// its indices have gone round. `Full` is never wrong here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Skipping(RelaxedQueue<u64>);

impl Spec for Skipping {
    type Setup = usize;
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start(capacity: &usize) -> Self {
        Self(RelaxedQueue::start(capacity))
    }
    fn step(&mut self, process: usize, op: &QueueOp<u64>) -> QueueRet<u64> {
        self.0.step(process, op)
    }
    fn accept(&mut self, process: usize, op: &QueueOp<u64>, ret: &QueueRet<u64>) -> bool {
        *ret == QueueRet::Full || self.0.accept(process, op, ret)
    }
    fn only_reads(op: &QueueOp<u64>, ret: &QueueRet<u64>) -> bool {
        RelaxedQueue::only_reads(op, ret)
    }
    fn allowed_beside(op: &QueueOp<u64>, ret: &QueueRet<u64>, other: &QueueOp<u64>) -> bool {
        RelaxedQueue::allowed_beside(op, ret, other)
    }
}

/// crossbeam's deque, whose owner pushes and pops at one end, and others steal; first in, first out.
enum Deque {
    Owner(crossbeam_deque::Worker<u64>),
    Thief(crossbeam_deque::Stealer<u64>),
}

impl WithHandles for Parts<Deque> {
    type Memory = Hardware;
    type Spec = Queue<u64>;
    type Handle<'a> = &'a mut Deque;
    fn new(_: &usize) -> Self {
        let owner = crossbeam_deque::Worker::new_fifo();
        let thief = owner.stealer();
        Self::of([Deque::Owner(owner), Deque::Thief(thief)])
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> &'a mut Deque {
        self.lend(role)
    }
    fn apply(handle: &mut &mut Deque, op: &QueueOp<u64>) -> QueueRet<u64> {
        let popped = match (handle, op) {
            (Deque::Owner(owner), QueueOp::Push(item)) => {
                owner.push(*item);
                return QueueRet::Pushed;
            }
            (Deque::Owner(owner), QueueOp::Pop) => owner.pop(),
            (Deque::Thief(thief), QueueOp::Pop) => loop {
                match thief.steal() {
                    crossbeam_deque::Steal::Success(item) => break Some(item),
                    crossbeam_deque::Steal::Empty => break None,
                    crossbeam_deque::Steal::Retry => {}
                }
            },
            (_, op) => panic!("{op:?} in the wrong role"),
        };
        popped.map_or(QueueRet::Empty, QueueRet::Popped)
    }
}

/// The ring in C of examples/c-ring.
struct CRing(c_ring::Ring<c_ring::Fixed>);

enum Handle<'a> {
    Producer(c_ring::Producer<'a, c_ring::Fixed>),
    Consumer(c_ring::Consumer<'a, c_ring::Fixed>),
}

impl WithHandles for CRing {
    type Memory = Hardware;
    type Spec = StaleQueue<u64>;
    type Handle<'a> = Handle<'a>;
    fn new(_: &usize) -> Self {
        Self(c_ring::Ring::new())
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> Handle<'a> {
        match (role.is("producer"), role.incarnation) {
            (true, 0) => Handle::Producer(self.0.producer().expect("no process has it")),
            (false, 0) => Handle::Consumer(self.0.consumer().expect("no process has it")),
            // SAFETY: the one process of this role was killed.
            (true, _) => Handle::Producer(unsafe { self.0.producer_of_the_dead() }),
            // SAFETY: as above.
            (false, _) => Handle::Consumer(unsafe { self.0.consumer_of_the_dead() }),
        }
    }
    fn apply(handle: &mut Handle<'_>, op: &QueueOp<u64>) -> QueueRet<u64> {
        match (handle, op) {
            (Handle::Producer(producer), QueueOp::Push(item)) => {
                let mut text = [0; 12];
                text[..8].copy_from_slice(&item.to_ne_bytes());
                match producer.push(&Message { length: 8, text }) {
                    true => QueueRet::Pushed,
                    false => QueueRet::Full,
                }
            }
            (Handle::Consumer(consumer), QueueOp::Pop) => {
                consumer.pop().map_or(QueueRet::Empty, |message| {
                    let bytes = message.text[..8].try_into().expect("eight bytes");
                    QueueRet::Popped(u64::from_ne_bytes(bytes))
                })
            }
            (_, op) => panic!("{op:?} in the wrong role"),
        }
    }
}

/// The stack in C++ of examples/cpp-stack.
struct CppStack(cpp_stack::Stack<cpp_stack::Fixed>);

/// A stack of three items, which may be said to be full beside any operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StackOfThree(Vec<u64>);

impl Spec for StackOfThree {
    type Setup = usize;
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start(_: &usize) -> Self {
        Self(Vec::new())
    }
    fn step(&mut self, _: usize, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(_) if self.0.len() == cpp_stack::CAPACITY => QueueRet::Full,
            QueueOp::Push(item) => {
                self.0.push(*item);
                QueueRet::Pushed
            }
            QueueOp::Pop => self.0.pop().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
    fn allowed_beside(_: &QueueOp<u64>, ret: &QueueRet<u64>, _: &QueueOp<u64>) -> bool {
        *ret == QueueRet::Full
    }
}

impl Structure for CppStack {
    type Memory = Hardware;
    type Spec = StackOfThree;
    fn new(_: &usize) -> Self {
        Self(cpp_stack::Stack::new())
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(number) => {
                let (number, check) = (*number, *number);
                match self.0.push(&Item { number, check }) {
                    true => QueueRet::Pushed,
                    false => QueueRet::Full,
                }
            }
            QueueOp::Pop => self.0.pop().map_or(QueueRet::Empty, |item| {
                assert_eq!(item.number, item.check, "the item is torn");
                QueueRet::Popped(item.number)
            }),
        }
    }
}

fn pushes() -> impl Strategy<Value = QueueOp<u64>> {
    (1u64..100).prop_map(QueueOp::Push)
}
fn either() -> impl Strategy<Value = QueueOp<u64>> {
    prop_oneof![pushes(), Just(QueueOp::Pop)]
}

fn base<S: Spec<Setup = usize, Op = QueueOp<u64>, Ret = QueueRet<u64>>>(
    name: &str,
    capacity: usize,
) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .setup(Just(capacity))
        .regressions(None)
        .seed(1)
}

/// One process pushes, the other pops.
fn split<T>(name: &'static str, promise: &'static str, capacity: usize) -> Row
where
    T: WithHandles<Memory = Hardware>,
    T::Spec: Spec<Setup = usize, Op = QueueOp<u64>, Ret = QueueRet<u64>>,
{
    let suite = move |name: &'static str| {
        base::<T::Spec>(name, capacity)
            .role("producer", 1, 1..=3, pushes())
            .role("consumer", 1, 1..=3, Just(QueueOp::Pop))
    };
    let program = vec![
        vec![QueueOp::Push(1), QueueOp::Push(2)],
        vec![QueueOp::Pop; 2],
    ];
    row::<T>(name, promise, suite, capacity, program)
}

/// Two processes push, the other pops.
fn collected<T>(name: &'static str, promise: &'static str, capacity: usize) -> Row
where
    T: WithHandles<Memory = Hardware>,
    T::Spec: Spec<Setup = usize, Op = QueueOp<u64>, Ret = QueueRet<u64>>,
{
    let suite = move |name: &'static str| {
        base::<T::Spec>(name, capacity)
            .role("producer", 2, 1..=2, pushes())
            .role("consumer", 1, 1..=3, Just(QueueOp::Pop))
    };
    let program = vec![
        vec![QueueOp::Push(1)],
        vec![QueueOp::Push(2)],
        vec![QueueOp::Pop; 2],
    ];
    row::<T>(name, promise, suite, capacity, program)
}

/// One process pushes and pops, the other pops.
fn owned<T>(name: &'static str, promise: &'static str) -> Row
where
    T: WithHandles<Memory = Hardware>,
    T::Spec: Spec<Setup = usize, Op = QueueOp<u64>, Ret = QueueRet<u64>>,
{
    let suite = |name: &'static str| {
        base::<T::Spec>(name, UNBOUNDED)
            .role("owner", 1, 1..=3, either())
            .role("thief", 1, 1..=2, Just(QueueOp::Pop))
    };
    let program = vec![
        vec![QueueOp::Push(1), QueueOp::Push(2), QueueOp::Pop],
        vec![QueueOp::Pop],
    ];
    row::<T>(name, promise, suite, UNBOUNDED, program)
}

/// Each process pushes and pops.
fn shared<T>(name: &'static str, promise: &'static str, capacity: usize) -> Row
where
    T: WithHandles<Memory = Hardware>,
    T::Spec: Spec<Setup = usize, Op = QueueOp<u64>, Ret = QueueRet<u64>>,
{
    let suite =
        move |name: &'static str| base::<T::Spec>(name, capacity).role("user", 2, 1..=3, either());
    let each = |item| vec![QueueOp::Push(item), QueueOp::Pop];
    row::<T>(name, promise, suite, capacity, vec![each(1), each(2)])
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        split::<Parts<Rtrb>>("rtrb", THREADS, 2),
        split::<Parts<Ringbuf>>("ringbuf", THREADS, 2),
        split::<Parts<Spsc>>("heapless spsc", ANY_CONTEXT, 2),
        split::<CRing>("C ring", MEMORY, 3),
        shared::<ArrayQueue>("crossbeam ArrayQueue", THREADS, 2),
        shared::<SegQueue>("crossbeam SegQueue", THREADS, UNBOUNDED),
        shared::<Bounded>("concurrent-queue bounded", THREADS, 2),
        shared::<Unbounded>("concurrent-queue unbounded", THREADS, UNBOUNDED),
        shared::<Mpmc>("heapless mpmc", NOT_LOCK_FREE, 2),
        shared::<ThingBuf>("thingbuf", THREADS, 2),
        shared::<Kanal>("kanal", THREADS, 2),
        shared::<Flume>("flume", THREADS, 2),
        collected::<Parts<Channel>>("std mpsc", THREADS, UNBOUNDED),
        collected::<Parts<SyncChannel>>("std mpsc, bounded", THREADS, 2),
        owned::<Parts<Deque>>("crossbeam-deque", THREADS),
        shared::<CppStack>("C++ stack", MEMORY, 3),
    ]
}
