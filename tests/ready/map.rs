//! A hash table of a fixed size with open addressing, from one writer to its readers. A slot keeps its key once it has one; a
//! removal leaves the key without a value.

use crate::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Map, MapOp, MapRet};

const SLOTS: usize = 3;
/// The key of a free slot.
const NO_KEY: u32 = 0;
/// The value of a key that was removed.
const NO_VALUE: u32 = u32::MAX;

const RIGHT: u8 = 0;
/// Publishes the key before the value.
const KEY_FIRST: u8 = 1;
/// Publishes the key by a relaxed store, which does not order the value.
const RELAXED: u8 = 2;
/// Frees the slot of a key that is removed, so that a search ends there and does not reach the keys behind it.
const FREES: u8 = 3;

struct Slot<M: Memory> {
    key: M::AtomicU32,
    value: M::AtomicU32,
}

struct Table<M: Memory, const TWIN: u8>([Slot<M>; SLOTS]);

type Right<M> = Table<M, RIGHT>;
type KeyFirst<M> = Table<M, KEY_FIRST>;
type Frees<M> = Table<M, FREES>;

impl<M: Memory, const TWIN: u8> Table<M, TWIN> {
    /// Returns the slot with this key, or the free slot that is the place for it, and whether the key is there.
    fn find(&self, key: u32) -> Option<(&Slot<M>, bool)> {
        let slots = (0..SLOTS).map(|n| &self.0[(key as usize + n) % SLOTS]);
        for slot in slots {
            // Acquire: pairs with the Release in `put`. A process that sees the key sees its value.
            let found = slot.key.load(Ordering::Acquire);
            if found == key || found == NO_KEY {
                return Some((slot, found == key));
            }
        }
        None
    }

    fn put(&self, key: u32, value: u32) {
        let (slot, is_there) = self.find(key).expect("each key has a slot");
        let order = match TWIN {
            RELAXED => Ordering::Relaxed,
            // Release: pairs with the Acquire in `find`.
            _ => Ordering::Release,
        };
        if TWIN == KEY_FIRST {
            slot.key.store(key, order);
        }
        slot.value.store(value, Ordering::Relaxed);
        if TWIN != KEY_FIRST && !is_there {
            slot.key.store(key, order);
        }
    }
}

impl<M: Memory, const TWIN: u8> Structure for Table<M, TWIN> {
    type Memory = M;
    type Spec = Map<u32, u32>;
    fn new(_: &()) -> Self {
        Table(std::array::from_fn(|_| Slot {
            key: Atomic::new(NO_KEY),
            value: Atomic::new(0),
        }))
    }
    fn apply(&self, op: &MapOp<u32, u32>) -> MapRet<u32> {
        match op {
            MapOp::Get(key) => {
                let slot = self.find(*key).filter(|(_, is_there)| *is_there);
                let value = slot.map(|(slot, _)| slot.value.load(Ordering::Relaxed));
                return MapRet::Value(value.filter(|value| *value != NO_VALUE));
            }
            MapOp::Put(key, value) => self.put(*key, *value),
            MapOp::Remove(key) => match self.find(*key) {
                Some((slot, true)) if TWIN == FREES => slot.key.store(NO_KEY, Ordering::Relaxed),
                Some((slot, true)) => slot.value.store(NO_VALUE, Ordering::Relaxed),
                _ => {}
            },
        }
        MapRet::Done
    }
}

/// Returns keys of which two have their place in the last slot, so that the second of these comes to the first slot.
fn key() -> impl Strategy<Value = u32> {
    prop_oneof![Just(2), Just(3), Just(5)]
}

fn changes() -> impl Strategy<Value = MapOp<u32, u32>> {
    prop_oneof![
        2 => (key(), 1u32..9).prop_map(|(key, value)| MapOp::Put(key, value)),
        1 => key().prop_map(MapOp::Remove),
    ]
}

forkcheck::suite! {
    map: Right<_>,
    writer: 1..=4 ops of changes(),
    reader: 2 processes, 1..=2 ops of key().prop_map(MapOp::Get),
    with: .cases(3).executions(200).seed(7).regressions(None),
}

/// Returns a suite of a writer and a reader.
fn pair() -> Suite<Map<u32, u32>> {
    suite("map").role("writer", 1, 1..=2, changes()).role(
        "reader",
        1,
        1..=2,
        key().prop_map(MapOp::Get),
    )
}

#[test]
fn a_key_that_is_there_before_its_value_is_found() {
    caught::<Stepped, KeyFirst<SteppedMemory>>(&pair(), Kind::NotLinearizable);
}

#[test]
fn a_key_behind_one_that_was_removed_is_missed() {
    let behind = suite("behind")
        .role("writer", 1, 1..=1, Just(MapOp::Remove(2)))
        .role("reader", 1, 1..=1, Just(MapOp::Get(5)))
        .prefix(
            "writer",
            Just([2, 5].map(|key| MapOp::Put(key, 1)).to_vec()),
        );
    let report = caught::<Stepped, Frees<SteppedMemory>>(&behind, Kind::NotLinearizable);
    assert!(report.contains("Get(5) returned Value(None)"), "{report}");
    passes::<Stepped, Right<SteppedMemory>>(&behind);
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_a_key_without_its_value() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    type Relaxed<M> = Table<M, RELAXED>;
    let kind = Kind::NotSequentiallyConsistent;
    caught::<Loom, KeyFirst<LoomMemory>>(&pair(), kind);
    let report = caught::<Loom, Relaxed<LoomMemory>>(&pair(), kind);
    assert!(report.contains("stale: "), "{report}");
}
