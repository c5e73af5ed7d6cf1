//! A counter behind a spin lock that knows its owner.
use forkcheck::memory::Incarnation;
use forkcheck::prelude::*;
use serde::{Deserialize, Serialize};

struct Counter<M: Memory = Hardware> {
    /// The process that holds the lock; 0: it is free.
    owner: M::AtomicU64,
    value: M::AtomicU64,
}

impl<M: Memory> Counter<M> {
    fn add(&self) -> u64 {
        loop {
            let owner = self.owner.load(Ordering::Relaxed);
            let is_free = owner == 0 || !M::alive(Incarnation::from_bits(owner));
            let (taken, seen) = (Ordering::Acquire, Ordering::Relaxed);
            let me = M::me().to_bits();
            if is_free && (self.owner.compare_exchange(owner, me, taken, seen)).is_ok() {
                break;
            }
            M::spin_loop();
        }
        let value = self.value.load(Ordering::Relaxed) + 1;
        self.value.store(value, Ordering::Relaxed);
        self.owner.store(0, Ordering::Release);
        value
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    Add,
}

/// Replaces the two assertions: each number comes once, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Numbers(u64);

impl Spec for Numbers {
    type Setup = ();
    type Op = Op;
    type Ret = u64;
    fn start(_: &()) -> Self {
        Numbers(0)
    }
    fn step(&mut self, _process: usize, _: &Op) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl<M: Memory> Structure for Counter<M> {
    type Memory = M;
    type Spec = Numbers;
    fn new(_: &()) -> Self {
        Counter {
            owner: Atomic::new(0),
            value: Atomic::new(0),
        }
    }
    fn apply(&self, _: &Op) -> u64 {
        self.add()
    }
}

forkcheck::suite! {
    counter: Counter<_>,
    adder: 2 processes, 1..=2 ops of Just(Op::Add),
    with: .regressions(None).seed(1).cases(8), // of the test alone
}
