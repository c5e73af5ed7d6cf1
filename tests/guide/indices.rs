//! The indices of a ring, with an invariant.
use forkcheck::prelude::*;

/// The number of items that were pushed, and of those that were popped.
struct Indices<M: Memory> {
    pushed: M::AtomicU32,
    popped: M::AtomicU32,
}

forkcheck::scenario! {
    indices: Indices<_>,
    new: Indices { pushed: Atomic::new(0), popped: Atomic::new(0) },
    producer: |indices| { indices.pushed.fetch_add(1, Ordering::Release); },
    consumer: 2 processes, |indices| {
        // With `fetch_add` in place of the exchange, it fails.
        let popped = indices.popped.load(Ordering::Relaxed);
        if popped < indices.pushed.load(Ordering::Acquire) {
            let _ = indices.popped.compare_exchange(popped, popped + 1, Ordering::Release, Ordering::Relaxed);
        }
    },
    always: |indices| {
        let popped = indices.popped.load(Ordering::Relaxed);
        assert!(popped <= indices.pushed.load(Ordering::Relaxed), "{popped} are popped");
    },
    with: .regressions(None).seed(1), // of the test alone
}

// Not on the page.

forkcheck::scenario! {
    #[ignore = "a test looks at its finding"]
    added: Indices<_>,
    new: Indices { pushed: Atomic::new(0), popped: Atomic::new(0) },
    producer: |indices| { indices.pushed.fetch_add(1, Ordering::Release); },
    consumer: 2 processes, |indices| {
        let popped = indices.popped.load(Ordering::Relaxed);
        if popped < indices.pushed.load(Ordering::Acquire) {
            indices.popped.fetch_add(1, Ordering::Release);
        }
    },
    always: |indices| {
        let popped = indices.popped.load(Ordering::Relaxed);
        assert!(popped <= indices.pushed.load(Ordering::Relaxed), "{popped} are popped");
    },
    with: .regressions(None).seed(1),
}

#[test]
fn an_addition_in_place_of_the_exchange_breaks_the_invariant() {
    use forkcheck::check::Kind;
    use forkcheck::engine::{Stepped, SteppedMemory};
    type Added = added::__Scenario<SteppedMemory>;
    let broken = Kind::InvariantViolated;
    let report = crate::assert_finds::<Stepped, Added>(&added::suite(), broken, "2 are popped");
    assert!(report.starts_with("INVARIANT VIOLATED  "), "{report}");
}
