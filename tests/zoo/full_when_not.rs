//! A queue returns that it is full when it is not, because another process is stopped half way
//! through a pop. heapless 0.9.1, issue 583.

use super::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet};

const SLOTS: u32 = 2;

/// Vyukov's queue: each slot has the number of the push that may use it next.
struct Slots<M: Memory, const MENDED: bool> {
    head: M::AtomicU32,
    tail: M::AtomicU32,
    turns: [M::AtomicU32; SLOTS as usize],
    items: [M::AtomicU64; SLOTS as usize],
}

impl<M: Memory, const MENDED: bool> Slots<M, MENDED> {
    fn push(&self, item: u64) -> bool {
        loop {
            let tail = self.tail.load(Ordering::Relaxed);
            let slot = (tail % SLOTS) as usize;
            let turn = self.turns[slot].load(Ordering::Acquire);
            if turn == tail {
                if self
                    .tail
                    .compare_exchange(tail, tail + 1, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
                {
                    self.items[slot].store(item, Ordering::Relaxed);
                    self.turns[slot].store(tail + 1, Ordering::Release);
                    return true;
                }
            } else if turn < tail && (!MENDED || self.head.load(Ordering::Acquire) + SLOTS == tail)
            {
                return false;
            }
            M::spin_loop();
        }
    }
    fn pop(&self) -> Option<u64> {
        loop {
            let head = self.head.load(Ordering::Relaxed);
            let slot = (head % SLOTS) as usize;
            let turn = self.turns[slot].load(Ordering::Acquire);
            if turn == head + 1 {
                if self
                    .head
                    .compare_exchange(head, head + 1, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
                {
                    let item = self.items[slot].load(Ordering::Relaxed);
                    self.turns[slot].store(head + SLOTS, Ordering::Release);
                    return Some(item);
                }
            } else if turn < head + 1 && (!MENDED || self.tail.load(Ordering::Acquire) == head) {
                return None;
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory, const MENDED: bool> Structure for Slots<M, MENDED> {
    type Memory = M;
    type Spec = Queue<u64>;
    fn new(_: &usize) -> Self {
        Self {
            head: Atomic::new(0),
            tail: Atomic::new(0),
            turns: [Atomic::new(0), Atomic::new(1)],
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

#[test]
fn full_when_not() {
    let queue = super::suite("full_when_not")
        .setup(Just(SLOTS as usize))
        .role("pushes", 1, 1..=3, (1u64..9).prop_map(QueueOp::Push))
        .role("pops", 2, 1..=1, Just(QueueOp::Pop));
    caught::<Stepped, Slots<_, false>>(&queue, Kind::NotLinearizable, 5);
    passes::<Stepped, Slots<_, true>>(&queue);
}
