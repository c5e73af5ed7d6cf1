//! A register of one word whose compare-and-swap is that of the machine.

use crate::{caught, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{CasOp, CasRegister, CasRet};

const RIGHT: u8 = 0;
/// Loads, compares, and stores.
const NOT_ATOMIC: u8 = 1;
/// Loads the value after its swap, and reports that the swap took place if it finds the new value.
const LOOKS_AGAIN: u8 = 2;

struct Word<M: Memory, const TWIN: u8>(M::AtomicU64);

type Right<M> = Word<M, RIGHT>;
type NotAtomic<M> = Word<M, NOT_ATOMIC>;
type LooksAgain<M> = Word<M, LOOKS_AGAIN>;

impl<M: Memory, const TWIN: u8> Word<M, TWIN> {
    /// Makes `new` the value if it is `expected`. Relaxed: the register is one word.
    fn swap(&self, expected: u64, new: u64) -> bool {
        if TWIN == NOT_ATOMIC {
            let is_expected = self.0.load(Ordering::Relaxed) == expected;
            if is_expected {
                self.0.store(new, Ordering::Relaxed);
            }
            return is_expected;
        }
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        let swapped = self.0.compare_exchange(expected, new, success, failure);
        match TWIN {
            LOOKS_AGAIN => self.0.load(Ordering::Relaxed) == new,
            _ => swapped.is_ok(),
        }
    }
}

impl<M: Memory, const TWIN: u8> Structure for Word<M, TWIN> {
    type Memory = M;
    type Spec = CasRegister<u64>;
    fn new(first: &u64) -> Self {
        Word(Atomic::new(*first))
    }
    fn apply(&self, op: &CasOp<u64>) -> CasRet<u64> {
        match op {
            CasOp::Read => CasRet::Value(self.0.load(Ordering::Relaxed)),
            CasOp::Write(value) => {
                self.0.store(*value, Ordering::Relaxed);
                CasRet::Written
            }
            CasOp::Cas(expected, new) => CasRet::Swapped(self.swap(*expected, *new)),
        }
    }
}

/// Returns operations on few values, so that many swaps take place.
fn ops() -> impl Strategy<Value = CasOp<u64>> {
    prop_oneof![
        1 => Just(CasOp::Read),
        1 => (0u64..3).prop_map(CasOp::Write),
        3 => (0u64..3, 0u64..3).prop_map(|(expected, new)| CasOp::Cas(expected, new)),
    ]
}

forkcheck::suite! {
    cas: Right<_>,
    setup: 0u64..3,
    worker: 3 processes, 1..=3 ops of ops(),
    with: .cases(3).executions(200).seed(7).regressions(None),
}

/// Returns a suite of two processes that each make the value another one.
fn candidates() -> Suite<CasRegister<u64>> {
    suite("candidates")
        .setup(Just(0))
        .role("first", 1, 1..=1, Just(CasOp::Cas(0, 1)))
        .role("second", 1, 1..=1, Just(CasOp::Cas(0, 2)))
}

/// Returns a suite of two processes that make the value the same one.
fn finders() -> Suite<CasRegister<u64>> {
    suite("finders")
        .setup(Just(0))
        .role("finder", 2, 1..=1, Just(CasOp::Cas(0, 1)))
}

#[test]
fn two_swaps_of_one_value_that_both_take_place_are_found() {
    caught::<Stepped, NotAtomic<SteppedMemory>>(&candidates(), Kind::NotLinearizable);
}

#[test]
fn a_swap_that_takes_the_same_swap_of_another_process_for_its_own_is_found() {
    caught::<Stepped, LooksAgain<SteppedMemory>>(&finders(), Kind::NotLinearizable);
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_both() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    let kind = Kind::NotSequentiallyConsistent;
    caught::<Loom, NotAtomic<LoomMemory>>(&candidates(), kind);
    caught::<Loom, LooksAgain<LoomMemory>>(&finders(), kind);
}
