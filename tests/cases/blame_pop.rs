//! The index of the consumer moves before the message is read. The headline blames the Pop that returned another message, not
//! a Push that is right.

use super::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::Stepped;
use forkcheck::prelude::*;
use forkcheck::spec::{QueueOp, QueueRet, StaleQueue};

const SLOTS: u64 = 2;

struct Ring<M: Memory, const FIXED: bool> {
    produced: M::AtomicU64,
    consumed: M::AtomicU64,
    full: [M::AtomicU32; SLOTS as usize],
    items: [M::AtomicU64; SLOTS as usize],
}

impl<M: Memory, const FIXED: bool> Ring<M, FIXED> {
    fn push(&self, item: u64) -> bool {
        loop {
            let n = self.produced.load(Ordering::Relaxed);
            if n - self.consumed.load(Ordering::Acquire) >= SLOTS {
                return false;
            }
            let next =
                self.produced
                    .compare_exchange(n, n + 1, Ordering::AcqRel, Ordering::Relaxed);
            if next.is_ok() {
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
            self.consumed.store(n + 1, Ordering::Release);
        }
        let item = self.items[at].load(Ordering::Relaxed);
        self.full[at].store(0, Ordering::Release);
        if FIXED {
            self.consumed.store(n + 1, Ordering::Release);
        }
        Some(item)
    }
}

impl<M: Memory, const FIXED: bool> Structure for Ring<M, FIXED> {
    type Memory = M;
    type Spec = StaleQueue<u64>;
    fn new(_: &usize) -> Self {
        Self {
            produced: Atomic::new(0),
            consumed: Atomic::new(0),
            full: [Atomic::new(0), Atomic::new(0)],
            items: [Atomic::new(0), Atomic::new(0)],
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

fn ring(seed: u64) -> Suite<StaleQueue<u64>> {
    suite("blame_pop")
        .seed(seed)
        .cases(64)
        .setup(Just(SLOTS as usize))
        .role("producer", 1, 1..=4, (1u64..99).prop_map(QueueOp::Push))
        .role("consumer", 1, 1..=4, Just(QueueOp::Pop))
}

#[test]
fn the_headline_blames_the_call_that_returned_something_wrong() {
    for seed in 1..=2 {
        let (_, report) = caught::<Stepped, Ring<_, false>>(&ring(seed), Kind::NotLinearizable);
        let headline = report.lines().next().unwrap_or_default();
        assert!(headline.contains("consumer: Pop returned "), "{report}");
    }
}

#[test]
fn an_index_that_moves_last_passes() {
    passes::<Stepped, Ring<_, true>>(&ring(1).cases(8));
}
