//! Items are moved up one by one, and the process that moves them is killed half way. sysrepo 3616.

use super::*;
use serde::{Deserialize, Serialize};

const PLACES: usize = 3;
type Items = [u64; PLACES];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Op {
    /// Inserts an item in front; the last one is dropped.
    Insert(u64),
    List,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ordered(Items);

impl Spec for Ordered {
    type Setup = ();
    type Op = Op;
    type Ret = Items;
    fn start(_: &()) -> Self {
        Self([10, 20, 30])
    }
    fn step(&mut self, _: usize, op: &Op) -> Items {
        if let Op::Insert(item) = op {
            self.0.rotate_right(1);
            self.0[0] = *item;
        }
        self.0
    }
}

/// Two copies, and the number of the valid one. One process inserts and lists.
struct Shelf<M: Memory, const MENDED: bool> {
    copies: [[M::AtomicU64; PLACES]; 2],
    counts: M::AtomicU32,
}

impl<M: Memory, const MENDED: bool> Structure for Shelf<M, MENDED> {
    type Memory = M;
    type Spec = Ordered;
    fn new(_: &()) -> Self {
        let copy = || [10, 20, 30].map(Atomic::new);
        Self {
            copies: [copy(), copy()],
            counts: Atomic::new(0),
        }
    }
    fn apply(&self, op: &Op) -> Items {
        let counts = self.counts.load(Ordering::Acquire) as usize;
        let other = if MENDED { 1 - counts } else { counts };
        let list =
            |copy: usize| std::array::from_fn(|n| self.copies[copy][n].load(Ordering::Relaxed));
        if let Op::Insert(item) = op {
            let items: Items = list(counts);
            for n in (1..PLACES).rev() {
                self.copies[other][n].store(items[n - 1], Ordering::Relaxed);
            }
            self.copies[other][0].store(*item, Ordering::Relaxed);
            self.counts.store(other as u32, Ordering::Release);
        }
        list(match op {
            Op::Insert(_) => other,
            Op::List => counts,
        })
    }
}

#[test]
fn half_moved() {
    let ops = prop_oneof![(1u64..9).prop_map(Op::Insert), Just(Op::List)];
    let shelf = super::suite("half_moved").role("keeper", 1, 1..=3, ops);
    passes::<Stepped, Shelf<_, false>>(&shelf);
    caught::<Kills, Shelf<_, false>>(&shelf, Kind::NotLinearizable, 2);
    passes::<Kills, Shelf<_, true>>(&shelf);
}
