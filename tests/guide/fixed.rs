//! A ticket machine: it hands out each number once.
use forkcheck::prelude::*;
use serde::{Deserialize, Serialize};

/// The operations that a process may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    Take,
}

/// The spec: what one process alone would see.
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

/// The structure: the last number that was handed out.
struct Tickets<M: Memory> {
    last: M::AtomicU64,
}

impl<M: Memory> Structure for Tickets<M> {
    type Memory = M;
    type Spec = Numbers;
    fn new(_: &()) -> Self {
        Tickets {
            last: Atomic::new(0),
        }
    }
    fn apply(&self, _: &Op) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }
}

forkcheck::suite! {
    tickets: Tickets<_>,
    customer: 2 processes, 1..=3 ops of Just(Op::Take),
    with: .regressions(None).seed(1).cases(8), // of the test alone
}
