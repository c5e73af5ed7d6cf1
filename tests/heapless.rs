//! A structure that nobody here wrote: heapless `spsc::Queue`, in the release with a known defect and in one
//! where it is gone.
//!
//! `Queue<u64, U3, u8>` of 0.6.1 keeps its indices in a `u8` that wraps at 256, which is no multiple of its
//! capacity 3; near the wrap it forgets or repeats an item. Its two halves are the seats.
#![allow(
    unsafe_code,
    reason = "splitting the queue in two processes takes the promise that each half is used by one"
)]

use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::Processes;
use forkcheck::prelude::*;
use forkcheck::subject::{Queue, QueueOp, QueueRet};
use serde::{Deserialize, Serialize};
use std::cell::UnsafeCell;

/// The queue's capacity is part of its type, so the setup says only how often it was gone through before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Advanced<const CAPACITY: usize>(Queue<u64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rounds(u32);

impl<const CAPACITY: usize> Spec for Advanced<CAPACITY> {
    type Setup = Rounds;
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start(_: &Rounds) -> Self {
        Self(Queue::start(&CAPACITY))
    }
    fn step(&mut self, op: &QueueOp<u64>) -> QueueRet<u64> {
        self.0.step(op)
    }
}

/// Both releases have the same halves under other names.
macro_rules! spsc {
    ($name:ident, $queue:ty, $new:expr, $producer:ty, $consumer:ty, $capacity:literal) => {
        struct $name(UnsafeCell<$queue>);

        // SAFETY: `attach` gives each half to one process, and the halves are made to be used side by side.
        unsafe impl Sync for $name {}

        impl Subject<Hardware> for $name {
            type Spec = Advanced<$capacity>;
            type Seat<'a> = Half<$producer, $consumer>;

            fn new(&Rounds(rounds): &Rounds) -> Self {
                let mut queue = $new;
                for round in 0..rounds {
                    queue.enqueue(round.into()).expect("there is room");
                    queue.dequeue().expect("it was put there");
                }
                Self(UnsafeCell::new(queue))
            }
            fn attach<'a>(&'a self, role: Role<'_>) -> Self::Seat<'a> {
                // SAFETY: `split` wants the queue for itself, and only makes two pointers to it. Each process
                // keeps the half of its role and drops the other, so no half is used by two.
                let (producer, consumer) = unsafe { &mut *self.0.get() }.split();
                match role.name {
                    "producer" => Half::Producer(producer),
                    _ => Half::Consumer(consumer),
                }
            }
            fn apply(seat: &mut Self::Seat<'_>, op: &QueueOp<u64>) -> QueueRet<u64> {
                match (seat, op) {
                    (Half::Producer(half), QueueOp::Push(item)) => match half.enqueue(*item) {
                        Ok(()) => QueueRet::Pushed,
                        Err(_) => QueueRet::Full,
                    },
                    (Half::Consumer(half), QueueOp::Pop) => match half.dequeue() {
                        Some(item) => QueueRet::Popped(item),
                        None => QueueRet::Empty,
                    },
                    (_, op) => panic!("{op:?} in the wrong role"),
                }
            }
        }
    };
}

enum Half<P, C> {
    Producer(P),
    Consumer(C),
}

use heapless06::consts::U3;
spsc!(
    Defective,
    heapless06::spsc::Queue<u64, U3, u8>,
    heapless06::spsc::Queue::u8(),
    heapless06::spsc::Producer<'a, u64, U3, u8>,
    heapless06::spsc::Consumer<'a, u64, U3, u8>,
    3
);
// Of its four slots one is always free.
spsc!(
    Mended,
    heapless09::spsc::Queue<u64, 4>,
    heapless09::spsc::Queue::new(),
    heapless09::spsc::Producer<'a, u64>,
    heapless09::spsc::Consumer<'a, u64>,
    3
);

/// From a fresh queue and from one that is about to wrap, the producer pushes and the consumer pops.
fn suite() -> Suite<Advanced<3>> {
    Suite::new(forkcheck::site!(), "spsc")
        .setup(prop_oneof![Just(Rounds(0)), Just(Rounds(254))])
        .executions(500)
        .role("producer", 1, 1..=5, (1u64..100).prop_map(QueueOp::Push))
        .role("consumer", 1, 1..=5, Just(QueueOp::Pop))
        .regressions(None)
}

#[test]
fn the_defect_of_0_6_1_is_found_shrunk_and_replayed() {
    let outcome = suite().check::<Processes, Defective>().unwrap();
    let found = outcome
        .found
        .as_ref()
        .unwrap_or_else(|| panic!("missed: {:?}", outcome.verdict));
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(
        finding.kind,
        Kind::NotLinearizable,
        "{}",
        suite().report(&outcome)
    );
    // Index 255 and index 0 are both slot 0: of three items, the second is written over by the third.
    assert_eq!(found.run.case.setup, Rounds(254));
    let counts: Vec<usize> = found.run.case.program.iter().map(Vec::len).collect();
    assert_eq!(
        counts,
        [3, 2],
        "the smallest: three pushed, two popped; {:?}",
        found.run.case
    );
    println!("{}", suite().report(&outcome));

    for _ in 0..10 {
        let again = suite()
            .replay(&found.token)
            .check::<Processes, Defective>()
            .unwrap();
        let replayed = again.found.expect("it is found again");
        assert_eq!(replayed.run.case, found.run.case);
    }
    let mended = suite()
        .replay(&found.token)
        .check::<Processes, Mended>()
        .unwrap();
    assert_eq!(mended.verdict, Verdict::Ok, "{}", suite().report(&mended));
}

#[test]
fn the_mended_release_passes_the_same_suite() {
    suite().test::<Processes, Mended>();
}

#[test]
fn far_from_the_wrap_the_defect_does_not_show() {
    suite()
        .setup(Just(Rounds(7)))
        .test::<Processes, Defective>();
}
