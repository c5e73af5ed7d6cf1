//! A counter behind a spin lock, with the assertions of the loom test.
use forkcheck::prelude::*;

struct Counter<M: Memory> {
    locked: M::AtomicBool,
    value: M::AtomicU64,
}

impl<M: Memory> Counter<M> {
    fn add(&self) -> u64 {
        let (taken, seen) = (Ordering::Acquire, Ordering::Relaxed);
        while (self.locked.compare_exchange(false, true, taken, seen)).is_err() {
            M::spin_loop();
        }
        let value = self.value.load(Ordering::Relaxed) + 1;
        self.value.store(value, Ordering::Relaxed);
        self.locked.store(false, Ordering::Release);
        value
    }
}

forkcheck::scenario! {
    no_number_is_lost: Counter<_>,
    new: Counter { locked: Atomic::new(false), value: Atomic::new(0) },
    adder: 2 processes, |counter| {
        assert!(counter.add() <= 2);
    },
    finally: |counter| {
        assert_eq!(counter.value.load(Ordering::Relaxed), 2);
    },
    with: .without("kills", "an adder that is killed leaves the lock taken"),
    with: .regressions(None).seed(1), // of the test alone
}

// Not on the page.

#[test]
fn the_number_of_a_killed_adder_is_missing_at_the_end() {
    use forkcheck::check::Kind;
    use forkcheck::engine::{Kills, SteppedMemory};
    type Counters = no_number_is_lost::__Scenario<SteppedMemory>;
    let suite = no_number_is_lost::suite();
    let report = crate::assert_finds::<Kills, Counters>(&suite, Kind::Panic, "x SIGKILL before");
    assert!(
        report.contains("left: 1") && report.contains("right: 2"),
        "{report}"
    );
}
