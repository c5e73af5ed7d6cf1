//! A seqlock whose writers do not exclude each other; and its usual replacement: a lock in the
//! sequence number, which a killed writer leaves odd. HAMi-core 282.

use super::*;
use forkcheck::memory::Incarnation;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

const UNLOCKED: u8 = 0;
const LOCKED: u8 = 1;
const ROBUST: u8 = 2;

struct Page<M: Memory, const HOW: u8> {
    sequence: M::AtomicU64,
    owner: M::AtomicU64,
    data: M::Words<[u64; 2]>,
}

impl<M: Memory, const HOW: u8> Page<M, HOW> {
    /// Makes the number odd; returns the even one before it.
    fn lock(&self) -> u64 {
        loop {
            let now = self.sequence.load(Ordering::Relaxed);
            if HOW == UNLOCKED {
                self.sequence.store(now + 1, Ordering::Relaxed);
                return now;
            }
            if HOW == ROBUST {
                let owner = self.owner.load(Ordering::Relaxed);
                let free = owner == 0 || !M::alive(Incarnation::from_bits(owner));
                if free
                    && self
                        .owner
                        .compare_exchange(
                            owner,
                            M::me().to_bits(),
                            Ordering::AcqRel,
                            Ordering::Relaxed,
                        )
                        .is_ok()
                {
                    let even = self.sequence.load(Ordering::Relaxed) & !1;
                    self.sequence.store(even + 1, Ordering::Relaxed);
                    return even;
                }
            } else if now & 1 == 0
                && self
                    .sequence
                    .compare_exchange(now, now + 1, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                return now;
            }
            M::spin_loop();
        }
    }
    fn read(&self) -> Option<[u64; 2]> {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let value = self.data.load();
            M::fence(Ordering::Acquire);
            if before & 1 == 0 && self.sequence.load(Ordering::Relaxed) == before {
                return Some(value);
            }
            let owner = self.owner.load(Ordering::Acquire);
            if HOW == ROBUST
                && owner != 0
                && !M::alive(Incarnation::from_bits(owner))
                && self.sequence.load(Ordering::Relaxed) == before
            {
                return None;
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory, const HOW: u8> Structure for Page<M, HOW> {
    type Memory = M;
    type Spec = Register<[u64; 2]>;
    fn new(_: &[u64; 2]) -> Self {
        Self {
            sequence: Atomic::new(0),
            owner: Atomic::new(0),
            data: Words::new([0; 2]),
        }
    }
    fn apply(&self, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match op {
            RegisterOp::Write(value) => {
                let even = self.lock();
                M::fence(Ordering::Release);
                self.data.store(*value);
                self.sequence.store(even + 2, Ordering::Release);
                if HOW == ROBUST {
                    self.owner.store(0, Ordering::Release);
                }
                RegisterRet::Written
            }
            RegisterOp::Read => self
                .read()
                .map_or(RegisterRet::WriterGone, RegisterRet::Value),
        }
    }
}

fn page() -> Suite<Register<[u64; 2]>> {
    super::suite("two_writers")
        .setup(Just([0; 2]))
        .role(
            "writer",
            2,
            1..=2,
            (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
        )
        .role("reader", 1, 1..=1, Just(RegisterOp::Read))
}

#[test]
fn two_writers() {
    caught::<Stepped, Page<_, UNLOCKED>>(&page(), Kind::NotLinearizable, 3);
    passes::<Stepped, Page<_, LOCKED>>(&page());
    let report = caught::<Kills, Page<_, LOCKED>>(&page(), Kind::NotCrashTolerant, 3);
    assert!(report.contains("threads alone do not show it"), "{report}");
    passes::<Stepped, Page<_, ROBUST>>(&page());
}
