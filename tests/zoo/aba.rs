//! A free list whose head names a slot but not its generation: a value that was read returns with
//! another meaning. iceoryx 2351 and many others.

use super::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most slots; the setup gives their number.
const SLOTS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Op {
    /// Takes a slot.
    Take,
    /// Gives back the slot that it took first.
    Give,
}

/// The free slots, and the owners of the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pool {
    free: BTreeSet<u32>,
    taken: BTreeMap<usize, Vec<u32>>,
}

impl Spec for Pool {
    type Setup = u32;
    type Op = Op;
    type Ret = Option<u32>;
    fn start(&slots: &u32) -> Self {
        Self {
            free: (0..slots).collect(),
            taken: BTreeMap::new(),
        }
    }
    fn step(&mut self, _: usize, _: &Op) -> Option<u32> {
        self.free.first().copied()
    }
    fn accept(&mut self, process: usize, op: &Op, ret: &Option<u32>) -> bool {
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

/// A list whose head is one more than the first free slot; above that, with a tag, it counts its
/// changes.
struct List<M: Memory, const TAG: u8> {
    head: M::AtomicU64,
    next: [M::AtomicU64; SLOTS as usize],
}

const NONE: u8 = 0;
/// The tag counts on from the head that the operation found first, however often it has tried
/// since.
const STALE: u8 = 1;
/// The tag counts on from the head that it replaces.
const MENDED: u8 = 2;

struct Handle<'a, M: Memory, const TAG: u8> {
    list: &'a List<M, TAG>,
    taken: Vec<u32>,
}

impl<M: Memory, const TAG: u8> Handle<'_, M, TAG> {
    fn changed(head: u64, found: &mut Option<u64>, first: u64) -> u64 {
        let found = *found.get_or_insert(head);
        let tag = match TAG {
            NONE => 0,
            STALE => (found >> 32) + 1,
            _ => (head >> 32) + 1,
        };
        first | tag << 32
    }
    fn take(&mut self) -> Option<u32> {
        let mut found = None;
        loop {
            let head = self.list.head.load(Ordering::Acquire);
            let slot = (head as u32).checked_sub(1)?;
            let next = self.list.next[slot as usize].load(Ordering::Relaxed);
            if self
                .list
                .head
                .compare_exchange(
                    head,
                    Self::changed(head, &mut found, next),
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
        let mut found = None;
        loop {
            let head = self.list.head.load(Ordering::Acquire);
            self.list.next[slot as usize].store(u64::from(head as u32), Ordering::Relaxed);
            let first = u64::from(slot) + 1;
            if self
                .list
                .head
                .compare_exchange(
                    head,
                    Self::changed(head, &mut found, first),
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

impl<M: Memory, const TAG: u8> WithHandles for List<M, TAG> {
    type Memory = M;
    type Spec = Pool;
    type Handle<'a> = Handle<'a, M, TAG>;
    fn new(&slots: &u32) -> Self {
        let next = |slot: u64| if slot < u64::from(slots) { slot + 1 } else { 0 };
        Self {
            head: Atomic::new(1),
            next: [1, 2, 3].map(|slot| Atomic::new(next(slot))),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Handle<'a, M, TAG> {
        Handle {
            list: self,
            taken: Vec::new(),
        }
    }
    fn apply(handle: &mut Handle<'_, M, TAG>, op: &Op) -> Option<u32> {
        match op {
            Op::Take => handle.take(),
            Op::Give => handle.give(),
        }
    }
}

fn pool(name: &str, slots: u32) -> Suite<Pool> {
    super::suite(name).setup(Just(slots)).cases(400)
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![2 => Just(Op::Take), 1 => Just(Op::Give)]
}

#[test]
fn aba() {
    let two = pool("aba", 2).role("worker", 2, 1..=4, ops());
    caught::<Stepped, List<_, NONE>>(&two, Kind::NotLinearizable, 6);
    passes::<Stepped, List<_, MENDED>>(&two.cases(32));
}

/// It takes three processes: one with the stale tag, one that trusts it, and one that changes the
/// list in between.
#[test]
fn tag_of_a_stale_copy() {
    let three = pool("tag_of_a_stale_copy", SLOTS)
        .seed(6)
        .executions(10_000)
        .role("worker", 1, 4..=7, ops())
        .role("taker", 2, 1..=1, Just(Op::Take));
    caught::<Stepped, List<_, STALE>>(&three, Kind::NotLinearizable, 9);
    let mended = three.cases(4).executions(1_000);
    passes::<Stepped, List<_, MENDED>>(&mended);
}
