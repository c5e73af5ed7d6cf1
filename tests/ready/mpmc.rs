//! Vyukov's bounded queue of several producers and consumers, as in heapless's `mpmc` and
//! crossbeam's `ArrayQueue`. Its `Empty` and `Full` are those of `RelaxedQueue`, and not those of
//! `Queue`.

use crate::{caught, passes, suite};
use forkcheck::case::{Call, History};
use forkcheck::check::{Criterion, Kind, Limits, Verdict, check};
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet, RelaxedQueue};
use std::marker::PhantomData;

const SLOTS: usize = 2;

/// An item, and the position at which the slot is next written or read.
struct Slot<M: Memory> {
    sequence: M::AtomicU64,
    item: M::AtomicU64,
}

/// `RIGHT`: the correct queue. Broken twins publish a slot before its item is written, or say that
/// the queue is empty where another consumer came first.
struct Vyukov<M: Memory, S, const TWIN: u8> {
    pushed: M::AtomicU64,
    popped: M::AtomicU64,
    slots: [Slot<M>; SLOTS],
    spec: PhantomData<fn() -> S>,
}

const RIGHT: u8 = 0;
const EARLY: u8 = 1;
const GIVES_UP: u8 = 2;

impl<M: Memory, S, const TWIN: u8> Vyukov<M, S, TWIN> {
    /// Claims the slot at the end of a counter whose sequence is `ahead` of the position; `None` if
    /// no slot is ready.
    fn claim(&self, counter: &M::AtomicU64, ahead: u64) -> Option<(&Slot<M>, u64)> {
        let mut position = counter.load(Ordering::Relaxed);
        loop {
            let slot = &self.slots[position as usize % SLOTS];
            // Acquire: the accesses to the slot before its sequence was stored are seen.
            let sequence = slot.sequence.load(Ordering::Acquire);
            if sequence < position + ahead {
                return None;
            }
            let next = position + 1;
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            position = if sequence > position + ahead {
                counter.load(Ordering::Relaxed)
            } else {
                match counter.compare_exchange(position, next, success, failure) {
                    Ok(_) => return Some((slot, position)),
                    Err(_) if TWIN == GIVES_UP && ahead == 1 => return None,
                    Err(now) => now,
                }
            };
        }
    }
}

impl<M: Memory, S, const TWIN: u8> Structure for Vyukov<M, S, TWIN>
where
    S: Spec<Setup = usize, Op = QueueOp<u64>, Ret = QueueRet<u64>>,
{
    type Memory = M;
    type Spec = S;
    fn new(_: &usize) -> Self {
        Vyukov {
            pushed: Atomic::new(0),
            popped: Atomic::new(0),
            slots: std::array::from_fn(|n| Slot {
                sequence: Atomic::new(n as u64),
                item: Atomic::new(0),
            }),
            spec: PhantomData,
        }
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(item) => {
                let Some((slot, position)) = self.claim(&self.pushed, 0) else {
                    return QueueRet::Full;
                };
                if TWIN == EARLY {
                    slot.sequence.store(position + 1, Ordering::Release);
                    slot.item.store(*item, Ordering::Relaxed);
                    return QueueRet::Pushed;
                }
                slot.item.store(*item, Ordering::Relaxed);
                // Release: pairs with the Acquire in `claim` of the consumer.
                slot.sequence.store(position + 1, Ordering::Release);
                QueueRet::Pushed
            }
            QueueOp::Pop => {
                let Some((slot, position)) = self.claim(&self.popped, 1) else {
                    return QueueRet::Empty;
                };
                let item = slot.item.load(Ordering::Relaxed);
                // Release: pairs with the Acquire in `claim` of the producer that comes to the slot next.
                slot.sequence
                    .store(position + SLOTS as u64, Ordering::Release);
                QueueRet::Popped(item)
            }
        }
    }
}

type Right<M> = Vyukov<M, RelaxedQueue<u64>, RIGHT>;
type Early<M> = Vyukov<M, RelaxedQueue<u64>, EARLY>;
type GivesUp<M> = Vyukov<M, RelaxedQueue<u64>, GIVES_UP>;
type Exact<M> = Vyukov<M, Queue<u64>, RIGHT>;

fn queue<S>() -> Suite<S>
where
    S: Spec<Setup = usize, Op = QueueOp<u64>, Ret = QueueRet<u64>>,
{
    suite("mpmc")
        .setup(Just(SLOTS))
        .role("producer", 2, 1..=1, (1u64..9).prop_map(QueueOp::Push))
        .role("consumer", 1, 2..=2, Just(QueueOp::Pop))
}

fn consumers() -> Suite<RelaxedQueue<u64>> {
    suite("consumers")
        .setup(Just(SLOTS))
        .role("producer", 1, 1..=1, (1u64..9).prop_map(QueueOp::Push))
        .role("consumer", 2, 1..=1, Just(QueueOp::Pop))
        .prefix("producer", Just(vec![QueueOp::Push(1), QueueOp::Push(2)]))
}

forkcheck::suite! {
    mpmc: Right<_>,
    setup: Just(SLOTS),
    producer: 2 processes, 1..=2 ops of (1u64..9).prop_map(QueueOp::Push),
    consumer: 2 processes, 1..=2 ops of Just(QueueOp::Pop),
    with: .cases(3).executions(300).regressions(None)
        .without("kills", "a producer that is killed in its slot hides what comes after it"),
}

#[test]
fn a_slow_producer_hides_what_others_pushed_which_is_wrong_of_an_exact_queue_alone() {
    passes::<Stepped, Right<SteppedMemory>>(&queue());
    let report = caught::<Stepped, Exact<SteppedMemory>>(&queue(), Kind::NotLinearizable);
    assert!(report.contains("returned Empty"), "{report}");
}

#[test]
fn a_slot_that_is_filled_before_its_item_is_there_is_found() {
    caught::<Stepped, Early<SteppedMemory>>(&queue(), Kind::NotLinearizable);
}

#[test]
fn a_pop_that_is_empty_because_another_consumer_came_first_is_found() {
    let without_producer = suite("consumers")
        .setup(Just(SLOTS))
        .role("producer", 1, 0..=1, (1u64..9).prop_map(QueueOp::Push))
        .role("consumer", 2, 1..=1, Just(QueueOp::Pop))
        .prefix("producer", Just(vec![QueueOp::Push(1), QueueOp::Push(2)]));
    let report =
        caught::<Stepped, GivesUp<SteppedMemory>>(&without_producer, Kind::NotLinearizable);
    assert!(
        report.contains("prefix: Push(1)") && report.contains("returned Empty"),
        "{report}"
    );
    passes::<Stepped, Right<SteppedMemory>>(&without_producer);
    passes::<Stepped, Right<SteppedMemory>>(&consumers());
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_a_slot_that_is_filled_before_its_item_is_there() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    let one_to_one = suite("mpmc")
        .setup(Just(SLOTS))
        .role("producer", 1, 1..=2, (1u64..9).prop_map(QueueOp::Push))
        .role("consumer", 1, 1..=2, Just(QueueOp::Pop));
    caught::<Loom, Early<LoomMemory>>(&one_to_one, Kind::NotSequentiallyConsistent);
}

/// Returns whether a push of 1 at the times `first`, a push of 2 at the times 2 and 3, and a pop at
/// the times `pop` that says `Empty` are right.
fn is_right(first: (u64, u64), pop: (u64, u64), criterion: Criterion) -> bool {
    let call = |op, ret, (invoked, returned)| Call::<RelaxedQueue<u8>> {
        op,
        ret,
        invoked,
        returned,
    };
    let returned = |ret, (_, returned)| (returned < u64::MAX).then_some(ret);
    let history = History {
        calls: vec![
            vec![call(
                QueueOp::Push(1),
                returned(QueueRet::Pushed, first),
                first,
            )],
            vec![call(QueueOp::Push(2), Some(QueueRet::Pushed), (2, 3))],
            vec![call(QueueOp::Pop, Some(QueueRet::Empty), pop)],
        ],
    };
    check(&4, &history, criterion, Limits::default()) == Verdict::Ok
}

#[test]
fn a_pop_says_empty_beside_a_push_that_has_not_returned_and_otherwise_not() {
    use Criterion::{ProgramOrder, RealTime};
    assert!(is_right((0, 9), (4, 5), RealTime), "the push of 1 goes on");
    assert!(is_right((0, u64::MAX), (4, 5), RealTime), "for good");
    assert!(is_right((4, 9), (5, 6), RealTime), "it began later");
    assert!(!is_right((0, 1), (4, 5), RealTime), "it had returned");
    assert!(!is_right((6, 7), (4, 5), RealTime), "it had not begun");
    assert!(is_right((0, 1), (4, 5), ProgramOrder), "there is no clock");
}
