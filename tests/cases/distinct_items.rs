//! A ring whose consumer moves its index before it reads the message: three items stay three
//! different ones.

use crate::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{QueueOp, QueueRet, StaleQueue};

const SLOTS: u64 = 2;

struct Ring<M: Memory, const FIXED: bool> {
    produced: M::AtomicU64,
    consumed: M::AtomicU64,
    full: [M::AtomicU32; SLOTS as usize],
    items: [M::AtomicU64; SLOTS as usize],
}
type Broken<M> = Ring<M, false>;
type Fixed<M> = Ring<M, true>;

impl<M: Memory, const FIXED: bool> Ring<M, FIXED> {
    fn push(&self, item: u64) -> bool {
        loop {
            let n = self.produced.load(Ordering::Relaxed);
            if n - self.consumed.load(Ordering::Acquire) >= SLOTS {
                return false;
            }
            let claimed =
                self.produced
                    .compare_exchange(n, n + 1, Ordering::AcqRel, Ordering::Relaxed);
            if claimed.is_ok() {
                let at = (n % SLOTS) as usize;
                self.items[at].store(item, Ordering::Relaxed);
                self.full[at].store(1, Ordering::Release);
                return true;
            }
            M::spin_loop();
        }
    }
    fn pop(&self) -> Option<u64> {
        let n = self.consumed.load(Ordering::Relaxed);
        let at = (n % SLOTS) as usize;
        if self.full[at].load(Ordering::Acquire) == 0 {
            return None;
        }
        if !FIXED {
            self.consumed.store(n + 1, Ordering::Release)
        }
        let item = self.items[at].load(Ordering::Relaxed);
        self.full[at].store(0, Ordering::Release);
        if FIXED {
            self.consumed.store(n + 1, Ordering::Release)
        }
        Some(item)
    }
}

impl<M: Memory, const FIXED: bool> Structure for Ring<M, FIXED> {
    type Memory = M;
    type Spec = StaleQueue<u64>;
    fn new(_: &usize) -> Self {
        let empty = || [Atomic::new(0), Atomic::new(0)];
        Ring {
            produced: Atomic::new(0),
            consumed: Atomic::new(0),
            full: [Atomic::new(0), Atomic::new(0)],
            items: empty(),
        }
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(item) if self.push(*item) => QueueRet::Pushed,
            QueueOp::Push(_) => QueueRet::Full,
            QueueOp::Pop => self.pop().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
}

fn ring() -> Suite<StaleQueue<u64>> {
    suite("ring")
        .setup(Just(SLOTS as usize))
        .role("producer", 1, 1..=4, (1u64..99).prop_map(QueueOp::Push))
        .role("consumer", 1, 1..=4, Just(QueueOp::Pop))
        .cases(32)
}

#[test]
fn items_that_were_different_stay_different() {
    let (outcome, report) =
        caught::<Stepped, Broken<SteppedMemory>>(&ring(), Kind::NotLinearizable);
    let program = &outcome.found.unwrap().run.case.program;
    let mut items = program[0].clone();
    items.sort_by_key(|op| format!("{op:?}"));
    assert_eq!(items, [1, 2, 3].map(QueueOp::Push), "{report}");
}

#[test]
fn the_mended_ring_passes() {
    passes::<Stepped, Fixed<SteppedMemory>>(&ring().cases(8));
}

/// A register that loses a value that is written twice: values that have to be equal stay equal.
struct Forgets<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Forgets<M> {
    type Memory = M;
    type Spec = StaleQueue<u64>;
    fn new(_: &usize) -> Self {
        Forgets(Atomic::new(0))
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(item) if self.0.swap(*item, Ordering::AcqRel) == *item => {
                QueueRet::Popped(0)
            }
            QueueOp::Push(_) => QueueRet::Pushed,
            QueueOp::Pop => QueueRet::Empty,
        }
    }
}

#[test]
fn items_that_have_to_be_equal_are_equal_and_small() {
    let suite = suite("forgets")
        .setup(Just(99))
        .role("producer", 1, 1..=6, (1u64..4).prop_map(QueueOp::Push))
        .cases(64);
    let (outcome, report) =
        caught::<Stepped, Forgets<SteppedMemory>>(&suite, Kind::NotLinearizable);
    let program = &outcome.found.unwrap().run.case.program;
    let [QueueOp::Push(a), QueueOp::Push(b)] = &program[0][..] else {
        panic!("{report}")
    };
    assert_eq!(a, b, "{report}");
}
