//! An address is stored in memory that another process has mapped elsewhere. speedtables 25.

use super::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

/// A value in one of two places, and the place.
struct Pointed<M: Memory, const MENDED: bool> {
    at: M::AtomicUsize,
    places: [M::AtomicU64; 2],
}

impl<M: Memory, const MENDED: bool> Pointed<M, MENDED> {
    /// Returns the address of a place in this process.
    fn address(&self, place: usize) -> usize {
        if MENDED {
            place
        } else {
            (&raw const self.places[place]).addr()
        }
    }
}

impl<M: Memory, const MENDED: bool> Structure for Pointed<M, MENDED> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Self {
            at: Atomic::new(0),
            places: [Atomic::new(first), Atomic::new(first)],
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let at = self.at.load(Ordering::Acquire);
        let now = (0..2).find(|&place| at == self.address(place));
        match op {
            RegisterOp::Write(value) => {
                let other = 1 - now.unwrap_or(0);
                self.places[other].store(*value, Ordering::Relaxed);
                self.at.store(self.address(other), Ordering::Release);
                RegisterRet::Written
            }
            // C would follow the address to any memory that it names here.
            RegisterOp::Read => {
                RegisterRet::Value(self.places[now.unwrap_or(0)].load(Ordering::Relaxed))
            }
        }
    }
}

#[test]
fn absolute_address() {
    let pointed = super::suite("absolute_address")
        .setup(Just(0))
        .role("writer", 1, 1..=1, (1u64..9).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=1, Just(RegisterOp::Read));
    caught::<Stepped, Pointed<_, false>>(&pointed, Kind::NotLinearizable, 2);
    passes::<Stepped, Pointed<_, true>>(&pointed);
}
