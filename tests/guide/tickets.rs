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
        let number = self.last.load(Ordering::Relaxed) + 1;
        self.last.store(number, Ordering::Relaxed);
        number
    }
}

forkcheck::suite! {
    #[should_panic(expected = "Take returned 1, expected 2")] // of the test alone
    tickets: Tickets<_>,
    customer: 2 processes, 1..=3 ops of Just(Op::Take),
    with: .regressions(None).seed(1), // of the test alone
}

// Not on the page.

pub(crate) fn report() -> String {
    use forkcheck::engine::{Stepped, SteppedMemory};
    let suite = tickets::suite();
    let outcome = suite.check::<Stepped, Tickets<SteppedMemory>>();
    suite.report(&outcome.expect("it runs here"))
}
