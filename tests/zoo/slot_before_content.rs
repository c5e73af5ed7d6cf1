//! A slot of a table is visible before its content is. LMDB ITS#7971.

use super::*;
use serde::{Deserialize, Serialize};

const SLOTS: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Op {
    Enter(u64),
    List,
}

/// The entries, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Table(Vec<u64>);

impl Spec for Table {
    type Setup = ();
    type Op = Op;
    type Ret = Vec<u64>;
    fn start(_: &()) -> Self {
        Self(Vec::new())
    }
    fn step(&mut self, _: usize, op: &Op) -> Vec<u64> {
        match op {
            Op::Enter(_) if self.0.len() == SLOTS => Vec::new(),
            Op::Enter(value) => {
                self.0.push(*value);
                Vec::new()
            }
            Op::List => self.0.clone(),
        }
    }
}

struct Slots<M: Memory, const MENDED: bool> {
    used: M::AtomicU32,
    content: [M::AtomicU64; SLOTS],
}

impl<M: Memory, const MENDED: bool> Structure for Slots<M, MENDED> {
    type Memory = M;
    type Spec = Table;
    fn new(_: &()) -> Self {
        Self {
            used: Atomic::new(0),
            content: std::array::from_fn(|_| Atomic::new(0)),
        }
    }
    fn apply(&self, op: &Op) -> Vec<u64> {
        let used = self.used.load(Ordering::Acquire) as usize;
        match op {
            Op::Enter(_) if used == SLOTS => Vec::new(),
            Op::Enter(value) => {
                if !MENDED {
                    self.used.store(used as u32 + 1, Ordering::Release);
                }
                self.content[used].store(*value, Ordering::Relaxed);
                if MENDED {
                    self.used.store(used as u32 + 1, Ordering::Release);
                }
                Vec::new()
            }
            Op::List => self.content[..used]
                .iter()
                .map(|slot| slot.load(Ordering::Relaxed))
                .collect(),
        }
    }
}

#[test]
fn slot_before_content() {
    let table = super::suite("slot_before_content")
        .role("enters", 1, 1..=3, (1u64..9).prop_map(Op::Enter))
        .role("lists", 1, 1..=2, Just(Op::List));
    caught::<Stepped, Slots<_, false>>(&table, Kind::NotLinearizable, 2);
    caught::<Kills, Slots<_, false>>(&table, Kind::NotLinearizable, 2);
    passes::<Stepped, Slots<_, true>>(&table);
    passes::<Kills, Slots<_, true>>(&table);
}
