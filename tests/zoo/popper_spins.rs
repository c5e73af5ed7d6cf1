//! A pop waits for a slot that a dead process had claimed for its push. crossbeam-queue's
//! ArrayQueue and SegQueue.

use super::*;
use forkcheck::spec::{QueueOp, QueueRet, StaleQueue};

const SLOTS: u32 = 4;

struct Slots<M: Memory, const MENDED: bool> {
    head: M::AtomicU32,
    tail: M::AtomicU32,
    ready: [M::AtomicU32; SLOTS as usize],
    items: [M::AtomicU64; SLOTS as usize],
}

impl<M: Memory, const MENDED: bool> Slots<M, MENDED> {
    fn push(&self, item: u64) -> bool {
        let tail = self.tail.load(Ordering::Relaxed);
        if tail == self.head.load(Ordering::Acquire) + SLOTS {
            return false;
        }
        let slot = (tail % SLOTS) as usize;
        if !MENDED {
            self.tail.store(tail + 1, Ordering::Release);
        }
        self.items[slot].store(item, Ordering::Relaxed);
        self.ready[slot].store(tail + 1, Ordering::Release);
        if MENDED {
            self.tail.store(tail + 1, Ordering::Release);
        }
        true
    }
    fn pop(&self) -> Option<u64> {
        let head = self.head.load(Ordering::Relaxed);
        if head == self.tail.load(Ordering::Acquire) {
            return None;
        }
        let slot = (head % SLOTS) as usize;
        while self.ready[slot].load(Ordering::Acquire) != head + 1 {
            M::spin_loop();
        }
        let item = self.items[slot].load(Ordering::Relaxed);
        self.head.store(head + 1, Ordering::Release);
        Some(item)
    }
}

impl<M: Memory, const MENDED: bool> Structure for Slots<M, MENDED> {
    type Memory = M;
    type Spec = StaleQueue<u64>;
    fn new(_: &usize) -> Self {
        Self {
            head: Atomic::new(0),
            tail: Atomic::new(0),
            ready: std::array::from_fn(|_| Atomic::new(0)),
            items: std::array::from_fn(|_| Atomic::new(0)),
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

#[test]
fn popper_spins() {
    let queue = super::suite("popper_spins")
        .setup(Just(SLOTS as usize))
        .role("pushes", 1, 1..=2, (1u64..9).prop_map(QueueOp::Push))
        .role("pops", 1, 1..=2, Just(QueueOp::Pop));
    passes::<Stepped, Slots<_, false>>(&queue);
    let report = caught::<Kills, Slots<_, false>>(&queue, Kind::NotCrashTolerant, 2);
    assert!(report.contains("pushes killed in Push"), "{report}");
    passes::<Kills, Slots<_, true>>(&queue);
}
