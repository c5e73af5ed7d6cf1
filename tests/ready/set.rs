//! A set of small numbers as the bits of a few words, as in bitmaps of free blocks or of pages in use.

use crate::{caught, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Set, SetOp};

const WORDS: usize = 2;
const BITS: u8 = 8;

const RIGHT: u8 = 0;
/// Stores a word with its other bits as they were when it was loaded.
const NOT_ATOMIC: u8 = 1;
/// Flips a bit after a look at it.
const FLIPS: u8 = 2;

struct Bitmap<M: Memory, const TWIN: u8>([M::AtomicU8; WORDS]);

type Right<M> = Bitmap<M, RIGHT>;
type NotAtomic<M> = Bitmap<M, NOT_ATOMIC>;
type Flips<M> = Bitmap<M, FLIPS>;

impl<M: Memory, const TWIN: u8> Bitmap<M, TWIN> {
    /// Sets a bit or clears it, and returns the word as it was. Relaxed: an element is one bit, and each change of its word
    /// is one step.
    fn change(word: &M::AtomicU8, bit: u8, set: bool) -> u8 {
        match (TWIN, set) {
            (RIGHT, true) => word.fetch_or(bit, Ordering::Relaxed),
            (RIGHT, false) => word.fetch_and(!bit, Ordering::Relaxed),
            (twin, _) => {
                let found = word.load(Ordering::Relaxed);
                if (found & bit == 0) == set {
                    match twin {
                        FLIPS => _ = word.fetch_xor(bit, Ordering::Relaxed),
                        _ => word.store(found ^ bit, Ordering::Relaxed),
                    }
                }
                found
            }
        }
    }
}

impl<M: Memory, const TWIN: u8> Structure for Bitmap<M, TWIN> {
    type Memory = M;
    type Spec = Set<u8>;
    fn new(_: &()) -> Self {
        Bitmap(std::array::from_fn(|_| Atomic::new(0)))
    }
    fn apply(&self, op: &SetOp<u8>) -> bool {
        let (SetOp::Add(element) | SetOp::Remove(element) | SetOp::Contains(element)) = op;
        let (word, bit) = (&self.0[usize::from(element / BITS)], 1 << (element % BITS));
        match op {
            SetOp::Add(_) => Self::change(word, bit, true) & bit == 0,
            SetOp::Remove(_) => Self::change(word, bit, false) & bit != 0,
            SetOp::Contains(_) => word.load(Ordering::Relaxed) & bit != 0,
        }
    }
}

/// Returns elements of which two share a word.
fn element() -> impl Strategy<Value = u8> {
    (0u8..3).prop_map(|n| 5 * n)
}

fn ops() -> impl Strategy<Value = SetOp<u8>> {
    prop_oneof![
        element().prop_map(SetOp::Add),
        element().prop_map(SetOp::Remove),
        element().prop_map(SetOp::Contains),
    ]
}

forkcheck::suite! {
    set: Right<_>,
    worker: 3 processes, 1..=3 ops of ops(),
    with: .cases(3).executions(200).seed(7).regressions(None),
}

/// Returns a suite of two processes that add elements of one word.
fn neighbours() -> Suite<Set<u8>> {
    suite("neighbours")
        .sequence("first", 1, Just(vec![SetOp::Add(0), SetOp::Contains(0)]))
        .sequence("second", 1, Just(vec![SetOp::Add(5)]))
}

/// Returns a suite of two processes that change one element.
fn rivals() -> Suite<Set<u8>> {
    let changes = prop_oneof![Just(SetOp::Add(0)), Just(SetOp::Remove(0))];
    suite("rivals").role("worker", 2, 1..=2, changes)
}

#[test]
fn a_change_that_takes_back_that_of_another_bit_is_found() {
    caught::<Stepped, NotAtomic<SteppedMemory>>(&neighbours(), Kind::NotLinearizable);
}

#[test]
fn two_processes_that_flip_a_bit_after_a_look_at_it_are_found() {
    caught::<Stepped, Flips<SteppedMemory>>(&rivals(), Kind::NotLinearizable);
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_both() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    let kind = Kind::NotSequentiallyConsistent;
    caught::<Loom, NotAtomic<LoomMemory>>(&neighbours(), kind);
    caught::<Loom, Flips<LoomMemory>>(&rivals(), kind);
}
