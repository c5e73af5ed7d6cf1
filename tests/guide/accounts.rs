//! Two accounts, checked against themselves.
use forkcheck::prelude::*;
use forkcheck::suite::{Alone, Sequential};

/// Two accounts, as the halves of one word. `Some(amount)` is a transfer, `None` returns the sum.
struct Bank<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Bank<M> {
    type Memory = M;
    type Spec = Sequential<Bank<Alone>, Option<u64>, u64>; // itself, its operation, its result
    fn new(_: &()) -> Self {
        Bank(Atomic::new(100 << 32))
    }
    fn apply(&self, op: &Option<u64>) -> u64 {
        if let Some(amount) = op {
            // In two steps, it would fail: an auditor between them misses money, and so do all after a kill there.
            self.0.fetch_sub((amount << 32) - amount, Ordering::Relaxed);
        }
        let both = self.0.load(Ordering::Relaxed);
        (both >> 32) + (both & 0xffff_ffff)
    }
}

forkcheck::suite! {
    bank: Bank<_>,
    customer: 2 processes, 1..=2 ops of (1u64..9).prop_map(Some),
    auditor: 1..=1 ops of Just(None),
    with: .cases(4),
    with: .regressions(None).seed(1), // of the test alone
}

// Not on the page.

/// The broken twin: a transfer in two steps.
struct InTwoSteps<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for InTwoSteps<M> {
    type Memory = M;
    type Spec = Sequential<Bank<Alone>, Option<u64>, u64>;
    fn new(_: &()) -> Self {
        InTwoSteps(Atomic::new(100 << 32))
    }
    fn apply(&self, op: &Option<u64>) -> u64 {
        if let Some(amount) = op {
            self.0.fetch_sub(amount << 32, Ordering::Relaxed);
            self.0.fetch_add(*amount, Ordering::Relaxed);
        }
        let both = self.0.load(Ordering::Relaxed);
        (both >> 32) + (both & 0xffff_ffff)
    }
}

#[test]
fn an_auditor_between_two_steps_misses_money_and_so_does_one_after_a_kill() {
    use crate::assert_finds;
    use forkcheck::check::Kind;
    use forkcheck::engine::{Kills, Stepped, SteppedMemory};
    assert_finds::<Stepped, InTwoSteps<SteppedMemory>>(&bank::suite(), Kind::NotLinearizable, "");
    // A process at a time: only a kill comes between its steps.
    let alone = Suite::new(forkcheck::site!(), "alone")
        .role("customer", 1, 2..=2, Just(Some(1)))
        .regressions(None);
    assert_finds::<Kills, InTwoSteps<SteppedMemory>>(
        &alone,
        Kind::NotLinearizable,
        "x SIGKILL before",
    );
}
