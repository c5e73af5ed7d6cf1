//! A bounded queue from several processes to one, with two kinds of handles: producers, and the one consumer.
//!
//! Each slot says which operation may use it next (D. Vyukov's bounded queue, with one consumer).
//! The bug is a common one: a producer that reserves its slot by a load and a store, where it takes
//! a compare-exchange, shares the slot with another. `cargo test --example mpsc_ring` finds the bug
//! and passes the fixed ring; `cargo run --release --example mpsc_ring` prints the reports.

use forkcheck::engine::Processes;
use forkcheck::engine::loom::Loom;
use forkcheck::prelude::*;
use forkcheck::spec::{QueueOp, QueueRet};
use std::collections::VecDeque;

const SLOTS: usize = 2;

struct Slot<M: Memory> {
    /// The state of the slot, counted by laps: `n` before item n is pushed, `n + 1` after that, `n
    /// + SLOTS` after its pop.
    turn: M::AtomicU64,
    item: M::AtomicU64,
}

/// The shared part. `EXCHANGES`: whether a slot is reserved by a compare-exchange.
struct Ring<M: Memory, const EXCHANGES: bool> {
    /// The number of items for which a slot was reserved.
    reserved: M::AtomicU64,
    /// The number of items that were popped; only the consumer writes it.
    popped: M::AtomicU64,
    slots: [Slot<M>; SLOTS],
}

type Hasty<M> = Ring<M, false>;
type Fixed<M> = Ring<M, true>;

/// The handle of a process that pushes. There may be many.
struct Producer<'a, M: Memory, const EXCHANGES: bool>(&'a Ring<M, EXCHANGES>);

/// The handle of the process that pops, with its own count.
struct Consumer<'a, M: Memory, const EXCHANGES: bool> {
    ring: &'a Ring<M, EXCHANGES>,
    popped: u64,
}

impl<M: Memory, const EXCHANGES: bool> Ring<M, EXCHANGES> {
    fn new() -> Self {
        Ring {
            reserved: Atomic::new(0),
            popped: Atomic::new(0),
            slots: std::array::from_fn(|n| Slot {
                turn: Atomic::new(n as u64),
                item: Atomic::new(0),
            }),
        }
    }
    fn producer(&self) -> Producer<'_, M, EXCHANGES> {
        Producer(self)
    }
    fn consumer(&self) -> Consumer<'_, M, EXCHANGES> {
        Consumer {
            ring: self,
            popped: self.popped.load(Ordering::Relaxed),
        }
    }
    /// Reserves slot `next`; returns whether that succeeded.
    fn reserve(&self, next: u64) -> bool {
        if EXCHANGES {
            let (order, none) = (Ordering::Relaxed, Ordering::Relaxed);
            (self.reserved.compare_exchange(next, next + 1, order, none)).is_ok()
        } else {
            self.reserved.store(next + 1, Ordering::Relaxed);
            true
        }
    }
}

impl<M: Memory, const EXCHANGES: bool> Producer<'_, M, EXCHANGES> {
    fn push(&mut self, item: u64) -> bool {
        loop {
            let next = self.0.reserved.load(Ordering::Relaxed);
            let slot = &self.0.slots[next as usize % SLOTS];
            // Acquire: pairs with the Release store in `pop`; the slot's last item was read.
            let turn = slot.turn.load(Ordering::Acquire);
            if turn < next {
                return false;
            }
            if turn == next && self.0.reserve(next) {
                slot.item.store(item, Ordering::Relaxed);
                // Release: pairs with the Acquire load in `pop`; a consumer that sees the turn sees
                // the item.
                slot.turn.store(next + 1, Ordering::Release);
                return true;
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory, const EXCHANGES: bool> Consumer<'_, M, EXCHANGES> {
    fn pop(&mut self) -> Option<u64> {
        let slot = &self.ring.slots[self.popped as usize % SLOTS];
        // Acquire: pairs with the Release store in `push`.
        if slot.turn.load(Ordering::Acquire) != self.popped + 1 {
            return None;
        }
        let item = slot.item.load(Ordering::Relaxed);
        // Release: pairs with the Acquire load in `push`.
        slot.turn
            .store(self.popped + SLOTS as u64, Ordering::Release);
        self.popped += 1;
        self.ring.popped.store(self.popped, Ordering::Relaxed);
        Some(item)
    }
}

/// A first-in, first-out queue. `Full` and `Empty` are always allowed, since the queue promises
/// neither: a producer that has reserved a slot and not filled it hides the items behind it, and a
/// pop becomes visible late.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fifo(VecDeque<u64>);

impl Spec for Fifo {
    type Setup = ();
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start(_: &()) -> Self {
        Fifo(VecDeque::new())
    }
    fn step(&mut self, _: usize, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(_) if self.0.len() == SLOTS => QueueRet::Full,
            QueueOp::Push(item) => {
                self.0.push_back(*item);
                QueueRet::Pushed
            }
            QueueOp::Pop => self.0.pop_front().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
    fn accept(&mut self, _: usize, op: &QueueOp<u64>, ret: &QueueRet<u64>) -> bool {
        matches!(ret, QueueRet::Full | QueueRet::Empty) || self.step(0, op) == *ret
    }
}

/// The handle of a process, which pushes or pops.
enum Handle<'a, M: Memory, const EXCHANGES: bool> {
    Producer(Producer<'a, M, EXCHANGES>),
    Consumer(Consumer<'a, M, EXCHANGES>),
}

impl<M: Memory, const EXCHANGES: bool> WithHandles for Ring<M, EXCHANGES> {
    type Memory = M;
    type Spec = Fifo;
    type Handle<'a> = Handle<'a, M, EXCHANGES>;
    fn new(_: &()) -> Self {
        Ring::new()
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> Self::Handle<'a> {
        match role.is("producer") {
            true => Handle::Producer(self.producer()),
            false => Handle::Consumer(self.consumer()),
        }
    }
    fn apply(handle: &mut Self::Handle<'_>, op: &QueueOp<u64>) -> QueueRet<u64> {
        match (handle, op) {
            (Handle::Producer(producer), QueueOp::Push(item)) => match producer.push(*item) {
                true => QueueRet::Pushed,
                false => QueueRet::Full,
            },
            (Handle::Consumer(consumer), QueueOp::Pop) => {
                consumer.pop().map_or(QueueRet::Empty, QueueRet::Popped)
            }
            (_, op) => unreachable!("this handle cannot {op:?}"),
        }
    }
}

forkcheck::suite! {
    #[should_panic(expected = "returned Pushed, expected Full")]
    hasty: Hasty<_>,
    producer: 2 processes, 1..=2 ops of (1u64..100).prop_map(QueueOp::Push),
    consumer: 1..=4 ops of Just(QueueOp::Pop),
    with: .regressions(None).seed(1),
}

forkcheck::suite! {
    fixed: Fixed<_>,
    producer: 2 processes, 1..=2 ops of (1u64..100).prop_map(QueueOp::Push),
    consumer: 1..=4 ops of Just(QueueOp::Pop),
    with: .cases(8).executions(2_000),
}

fn main() -> Result<(), forkcheck::Error> {
    let hasty = hasty::suite();
    println!("{}\n", hasty.report(&hasty.check::<Processes, Hasty<_>>()?));
    println!("{}\n", hasty.report(&hasty.check::<Loom, Hasty<_>>()?));
    let fixed = fixed::suite();
    println!("{}\n", fixed.report(&fixed.check::<Processes, Fixed<_>>()?));
    println!("{}", fixed.report(&fixed.check::<Loom, Fixed<_>>()?));
    Ok(())
}
