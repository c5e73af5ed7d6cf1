//! A free list whose head says which slot, and not which time: what was read comes back, and means something else.
//! iceoryx 2351 and many others.

use super::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const SLOTS: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Op {
    /// Takes a slot.
    Take,
    /// Gives back the one that it took first.
    Give,
}

/// Which slots are free, and who has which others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pool {
    free: BTreeSet<u32>,
    taken: BTreeMap<usize, Vec<u32>>,
}

impl Spec for Pool {
    type Setup = ();
    type Op = Op;
    type Ret = Option<u32>;
    fn start(_: &()) -> Self {
        Self {
            free: (0..SLOTS).collect(),
            taken: BTreeMap::new(),
        }
    }
    fn step(&mut self, _: &Op) -> Option<u32> {
        self.free.first().copied()
    }
    fn allows(&mut self, process: usize, op: &Op, ret: &Option<u32>) -> bool {
        let taken = self.taken.entry(process).or_default();
        match (op, ret) {
            (Op::Take, None) => self.free.is_empty(),
            (Op::Take, Some(slot)) => {
                taken.push(*slot);
                self.free.remove(slot)
            }
            (Op::Give, None) => taken.is_empty(),
            (Op::Give, Some(slot)) => {
                !taken.is_empty() && taken.remove(0) == *slot && self.free.insert(*slot)
            }
        }
    }
}

/// The head is one more than the first free slot, and above that, where it is mended, counts its changes.
struct List<M: Memory, const MENDED: bool> {
    head: M::AtomicU64,
    next: [M::AtomicU64; SLOTS as usize],
}

struct Seat<'a, M: Memory, const MENDED: bool> {
    list: &'a List<M, MENDED>,
    taken: Vec<u32>,
}

impl<M: Memory, const MENDED: bool> Seat<'_, M, MENDED> {
    fn changed(head: u64, first: u64) -> u64 {
        first | if MENDED { ((head >> 32) + 1) << 32 } else { 0 }
    }
    fn take(&mut self) -> Option<u32> {
        loop {
            let head = self.list.head.load(Ordering::Acquire);
            let slot = (head as u32).checked_sub(1)?;
            let next = self.list.next[slot as usize].load(Ordering::Relaxed);
            if self
                .list
                .head
                .compare_exchange(
                    head,
                    Self::changed(head, next),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
            {
                self.taken.push(slot);
                return Some(slot);
            }
        }
    }
    fn give(&mut self) -> Option<u32> {
        let slot = (!self.taken.is_empty()).then(|| self.taken.remove(0))?;
        loop {
            let head = self.list.head.load(Ordering::Acquire);
            self.list.next[slot as usize].store(u64::from(head as u32), Ordering::Relaxed);
            let first = u64::from(slot) + 1;
            if self
                .list
                .head
                .compare_exchange(
                    head,
                    Self::changed(head, first),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
            {
                return Some(slot);
            }
        }
    }
}

impl<M: Memory, const MENDED: bool> Subject<M> for List<M, MENDED> {
    type Spec = Pool;
    type Seat<'a> = Seat<'a, M, MENDED>;
    fn new(_: &()) -> Self {
        Self {
            head: Atomic::new(1),
            next: [Atomic::new(2), Atomic::new(0)],
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Seat<'a, M, MENDED> {
        Seat {
            list: self,
            taken: Vec::new(),
        }
    }
    fn apply(seat: &mut Seat<'_, M, MENDED>, op: &Op) -> Option<u32> {
        match op {
            Op::Take => seat.take(),
            Op::Give => seat.give(),
        }
    }
}

#[test]
fn aba() {
    let ops = prop_oneof![2 => Just(Op::Take), 1 => Just(Op::Give)];
    let pool = super::suite("aba").cases(400).role("worker", 2, 1..=4, ops);
    caught::<Stepped, List<_, false>>(&pool, Kind::NotLinearizable, 6);
    passes::<Stepped, List<_, true>>(&pool.cases(32));
}
