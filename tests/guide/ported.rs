//! A counter behind a spin lock.
use forkcheck::prelude::*;
use serde::{Deserialize, Serialize};

struct Counter<M: Memory = Hardware> {
    locked: M::AtomicBool,
    value: M::AtomicU64,
}

impl<M: Memory> Counter<M> {
    fn add(&self) -> u64 {
        let (taken, seen) = (Ordering::Acquire, Ordering::Relaxed);
        while (self.locked.compare_exchange(false, true, taken, seen)).is_err() {
            M::spin_loop();
        }
        let value = self.value.load(Ordering::Relaxed) + 1;
        self.value.store(value, Ordering::Relaxed);
        self.locked.store(false, Ordering::Release);
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
            locked: Atomic::new(false),
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
    with: .regressions(None).seed(1).cases(8).without("kills", "tests/guide shows the finding"), // of the test alone
}

// Not on the page.

pub(crate) fn report() -> String {
    use forkcheck::engine::{Kills, SteppedMemory};
    let suite = counter::suite();
    let outcome = suite.check::<Kills, Counter<SteppedMemory>>();
    suite.report(&outcome.expect("it runs here"))
}
