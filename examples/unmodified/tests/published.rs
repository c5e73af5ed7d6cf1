//! Queues and a buffer that are not written over forkcheck's memory: a release with a known defect, and one without.
#![allow(
    unsafe_code,
    reason = "each half of a queue is lent to the one process that has its role"
)]

use forkcheck::prelude::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet};
use serde::{Deserialize, Serialize};
use std::cell::UnsafeCell;

const PRIVATE: &str = "its heap is private to a process that is not built by cargo forkcheck";

/// Parts of a structure, each of which one process uses: by its number, or as it is in the list of roles.
struct Parts<T>(Vec<UnsafeCell<T>>);

// SAFETY: `lend` is called once by each incarnation of a process, with another part for each process.
unsafe impl<T> Sync for Parts<T> {}

impl<T> Parts<T> {
    fn of(parts: impl IntoIterator<Item = T>) -> Self {
        Self(parts.into_iter().map(UnsafeCell::new).collect())
    }
    #[allow(clippy::mut_from_ref, reason = "see `Sync`")]
    fn lend(&self, role: Role<'_>) -> &mut T {
        // SAFETY: a unique reference. The process of this number alone asks for this part, and an incarnation after another
        // one that was killed.
        unsafe { &mut *self.0[role.process].get() }
    }
}

/// One end of a queue, as a process uses it.
trait Ends: Sized + Send + 'static {
    type Setup: Copy;
    fn new(setup: Self::Setup) -> Vec<Self>;
    fn push(&mut self, item: u64) -> bool;
    fn pop(&mut self) -> Option<u64>;
}

fn apply(end: &mut impl Ends, op: &QueueOp<u64>) -> QueueRet<u64> {
    match op {
        QueueOp::Push(item) if end.push(*item) => QueueRet::Pushed,
        QueueOp::Push(_) => QueueRet::Full,
        QueueOp::Pop => end.pop().map_or(QueueRet::Empty, QueueRet::Popped),
    }
}

/// A queue of three items that was gone through before: the capacity is part of the type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OfThree(Queue<u64>);

/// How often it was gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rounds(u32);

impl Spec for OfThree {
    type Setup = Rounds;
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start(_: &Rounds) -> Self {
        Self(Queue::start(&3))
    }
    fn step(&mut self, process: usize, op: &QueueOp<u64>) -> QueueRet<u64> {
        self.0.step(process, op)
    }
}

/// heapless's queue in place, and a handle of its producer or consumer.
macro_rules! heapless {
    ($name:ident, $handle:ident, $queue:ty, $new:expr, $producer:ty, $consumer:ty) => {
        struct $name(UnsafeCell<$queue>);
        // SAFETY: `attach` gives each half to one process, and the halves are made to be used side by side.
        unsafe impl Sync for $name {}

        enum $handle<'a> {
            Producer($producer),
            Consumer($consumer),
        }

        impl WithHandles for $name {
            type Memory = Hardware;
            type Spec = OfThree;
            type Handle<'a> = $handle<'a>;

            fn new(&Rounds(rounds): &Rounds) -> Self {
                let mut queue = $new;
                for round in 0..rounds {
                    queue.enqueue(round.into()).expect("there is room");
                    queue.dequeue().expect("it was put there");
                }
                Self(UnsafeCell::new(queue))
            }
            fn attach<'a>(&'a self, role: Role<'_>) -> $handle<'a> {
                // SAFETY: `split` wants the queue for itself, and makes two pointers to it. Each process keeps the half of its
                // role and drops the other.
                let (producer, consumer) = unsafe { &mut *self.0.get() }.split();
                match role.is("producer") {
                    true => $handle::Producer(producer),
                    false => $handle::Consumer(consumer),
                }
            }
            fn apply(handle: &mut $handle<'_>, op: &QueueOp<u64>) -> QueueRet<u64> {
                match (handle, op) {
                    ($handle::Producer(half), QueueOp::Push(item)) => match half.enqueue(*item) {
                        Ok(()) => QueueRet::Pushed,
                        Err(_) => QueueRet::Full,
                    },
                    ($handle::Consumer(half), QueueOp::Pop) => match half.dequeue() {
                        Some(item) => QueueRet::Popped(item),
                        None => QueueRet::Empty,
                    },
                    (_, op) => panic!("{op:?} in the wrong role"),
                }
            }
        }
    };
}

use heapless06::consts::U3;
heapless!(
    Heapless06,
    Half06,
    heapless06::spsc::Queue<u64, U3, u8>,
    heapless06::spsc::Queue::u8(),
    heapless06::spsc::Producer<'a, u64, U3, u8>,
    heapless06::spsc::Consumer<'a, u64, U3, u8>
);
heapless!(
    Heapless09,
    Half09,
    heapless09::spsc::Queue<u64, 4>,
    heapless09::spsc::Queue::new(),
    heapless09::spsc::Producer<'a, u64>,
    heapless09::spsc::Consumer<'a, u64>
);

forkcheck::suite! {
    heapless_0_6_1: Heapless06,
    setup: prop_oneof![Just(Rounds(0)), Just(Rounds(254))],
    producer: 1..=4 ops of (1u64..100).prop_map(QueueOp::Push),
    consumer: 1..=4 ops of Just(QueueOp::Pop),
    with: .regressions(None),
}

forkcheck::suite! {
    heapless_0_9: Heapless09,
    setup: prop_oneof![Just(Rounds(0)), Just(Rounds(254))],
    producer: 1..=4 ops of (1u64..100).prop_map(QueueOp::Push),
    consumer: 1..=4 ops of Just(QueueOp::Pop),
}

/// triple_buffer's two halves, on the heap.
macro_rules! triple {
    ($name:ident, $crate_name:ident, |$first:ident| $new:expr) => {
        enum $name {
            Writer($crate_name::Input<[u64; 2]>),
            Reader($crate_name::Output<[u64; 2]>),
        }

        impl WithHandles for Parts<$name> {
            type Memory = Hardware;
            type Spec = Register<[u64; 2]>;
            type Handle<'a> = &'a mut $name;

            fn new($first: &[u64; 2]) -> Self {
                let (input, output) = $new.split();
                Self::of([$name::Writer(input), $name::Reader(output)])
            }
            fn attach<'a>(&'a self, role: Role<'_>) -> &'a mut $name {
                self.lend(role)
            }
            fn apply(half: &mut &mut $name, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
                match (half, op) {
                    ($name::Writer(input), RegisterOp::Write(value)) => {
                        input.write(*value);
                        RegisterRet::Written
                    }
                    ($name::Reader(output), RegisterOp::Read) => RegisterRet::Value(*output.read()),
                    (_, op) => panic!("{op:?} in the wrong role"),
                }
            }
        }
    };
}
triple!(Triple505, triple505, |first| triple505::TripleBuffer::new(
    *first
));
triple!(Triple9, triple9, |first| triple9::TripleBuffer::new(first));

forkcheck::suite! {
    triple_buffer_5_0_5: Parts<Triple505>,
    setup: Just([0, 0]),
    writer: 1..=3 ops of (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
    reader: 1..=3 ops of Just(RegisterOp::Read),
    with: .without("processes", PRIVATE).regressions(None),
}

forkcheck::suite! {
    triple_buffer_9: Parts<Triple9>,
    setup: Just([0, 0]),
    writer: 1..=3 ops of (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
    reader: 1..=3 ops of Just(RegisterOp::Read),
    with: .without("processes", PRIVATE),
}

/// spmc's ends, on the heap.
macro_rules! spmc {
    ($name:ident, $crate_name:ident) => {
        enum $name {
            Sender($crate_name::Sender<u64>),
            Receiver($crate_name::Receiver<u64>),
        }

        impl Ends for $name {
            type Setup = ();
            fn new((): ()) -> Vec<Self> {
                let (sender, receiver) = $crate_name::channel();
                vec![
                    Self::Sender(sender),
                    Self::Receiver(receiver.clone()),
                    Self::Receiver(receiver),
                ]
            }
            #[allow(unused_mut, reason = "one release wants it")]
            fn push(&mut self, item: u64) -> bool {
                match self {
                    Self::Sender(sender) => sender.send(item).is_ok(),
                    Self::Receiver(_) => panic!("a push in the wrong role"),
                }
            }
            fn pop(&mut self) -> Option<u64> {
                match self {
                    Self::Receiver(receiver) => receiver.try_recv().ok(),
                    Self::Sender(_) => panic!("a pop in the wrong role"),
                }
            }
        }

        impl WithHandles for Parts<$name> {
            type Memory = Hardware;
            type Spec = Queue<u64>;
            type Handle<'a> = &'a mut $name;

            fn new(_: &usize) -> Self {
                Self::of(<$name as Ends>::new(()))
            }
            fn attach<'a>(&'a self, role: Role<'_>) -> &'a mut $name {
                self.lend(role)
            }
            fn apply(end: &mut &mut $name, op: &QueueOp<u64>) -> QueueRet<u64> {
                apply(*end, op)
            }
        }
    };
}
spmc!(Spmc02, spmc02);
spmc!(Spmc03, spmc03);

forkcheck::suite! {
    spmc_0_2_3: Parts<Spmc02>,
    setup: Just(99),
    sender: 1..=3 ops of (1u64..100).prop_map(QueueOp::Push),
    receiver: 2 processes, 1..=2 ops of Just(QueueOp::Pop),
    with: .without("processes", PRIVATE).regressions(None),
}

forkcheck::suite! {
    spmc_0_3_0: Parts<Spmc03>,
    setup: Just(99),
    sender: 1..=3 ops of (1u64..100).prop_map(QueueOp::Push),
    receiver: 2 processes, 1..=2 ops of Just(QueueOp::Pop),
    with: .without("processes", PRIVATE).without("kills", "a receiver that is killed keeps the others out"),
}
