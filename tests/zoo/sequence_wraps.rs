//! A sequence number of a few bits wraps around while a reader sleeps. Any generation count that
//! shares a word with flags.

use super::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

/// The bits that remain for it.
const MASK: u32 = 7;

struct Page<M: Memory, const MENDED: bool> {
    sequence: M::AtomicU32,
    data: M::Words<[u64; 2]>,
}

impl<M: Memory, const MENDED: bool> Page<M, MENDED> {
    fn kept(sequence: u32) -> u32 {
        if MENDED { sequence } else { sequence & MASK }
    }
}

impl<M: Memory, const MENDED: bool> Structure for Page<M, MENDED> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(_: &u64) -> Self {
        Self {
            sequence: Atomic::new(Self::kept(u32::MAX - 3)),
            data: Words::new([0; 2]),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                let even = self.sequence.load(Ordering::Relaxed);
                self.sequence
                    .store(Self::kept(even.wrapping_add(1)), Ordering::Relaxed);
                M::fence(Ordering::Release);
                self.data.store([*value, *value]);
                self.sequence
                    .store(Self::kept(even.wrapping_add(2)), Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => loop {
                let before = self.sequence.load(Ordering::Acquire);
                let [a, b] = self.data.load();
                M::fence(Ordering::Acquire);
                if before & 1 == 0 && self.sequence.load(Ordering::Relaxed) == before {
                    return RegisterRet::Value(a.max(b) * u64::from(a == b));
                }
                M::spin_loop();
            },
        }
    }
}

#[test]
fn sequence_wraps() {
    let page = super::suite("sequence_wraps")
        .setup(Just(0))
        .role("writer", 1, 1..=6, (1u64..99).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=1, Just(RegisterOp::Read));
    caught::<Stepped, Page<_, false>>(&page, Kind::NotLinearizable, 6);
    passes::<Stepped, Page<_, true>>(&page);
}
