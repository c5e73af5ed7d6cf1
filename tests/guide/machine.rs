//! Seats of a train that processes take and give back, with the state machine that tests one thread.
use forkcheck::prelude::*;
use forkcheck::proptest::strategy::BoxedStrategy;
use proptest_state_machine::ReferenceStateMachine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Seat {
    Take(u32),
    Free(u32),
}

/// The reference state machine, as it is: the seats that are taken.
struct Train;

impl ReferenceStateMachine for Train {
    type State = BTreeSet<u32>;
    type Transition = Seat;
    fn init_state() -> BoxedStrategy<Self::State> {
        Just(BTreeSet::new()).boxed()
    }
    fn transitions(_: &Self::State) -> BoxedStrategy<Seat> {
        prop_oneof![
            (0u32..2).prop_map(Seat::Take),
            (0u32..2).prop_map(Seat::Free)
        ]
        .boxed()
    }
    fn apply(mut taken: Self::State, seat: &Seat) -> Self::State {
        match seat {
            Seat::Take(number) => taken.insert(*number),
            Seat::Free(number) => taken.remove(number),
        };
        taken
    }
}

/// The adapter: the machine's state, and the result that `StateMachineTest::apply` asserts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Model(BTreeSet<u32>);

impl Spec for Model {
    type Setup = BTreeSet<u32>;
    type Op = Seat;
    type Ret = bool;
    fn start(taken: &BTreeSet<u32>) -> Self {
        Model(taken.clone())
    }
    fn step(&mut self, _process: usize, seat: &Seat) -> bool {
        let before = std::mem::take(&mut self.0);
        self.0 = Train::apply(before.clone(), seat);
        self.0 != before
    }
}

/// The code under test: a bit for each seat. An operation returns whether it changed something.
struct Seats<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for Seats<M> {
    type Memory = M;
    type Spec = Model;
    fn new(taken: &BTreeSet<u32>) -> Self {
        Seats(Atomic::new(taken.iter().map(|number| 1 << number).sum()))
    }
    fn apply(&self, seat: &Seat) -> bool {
        match seat {
            Seat::Take(number) => {
                let bit = 1 << number;
                self.0.fetch_or(bit, Ordering::AcqRel) & bit == 0
            }
            Seat::Free(number) => {
                let bit = 1 << number;
                self.0.fetch_and(!bit, Ordering::AcqRel) & bit != 0
            }
        }
    }
}

/// Draws transitions of one process, each in the state that those before it lead to.
fn transitions(state: BTreeSet<u32>, number: usize) -> BoxedStrategy<Vec<Seat>> {
    if number == 0 {
        return Just(Vec::new()).boxed();
    }
    let first = Train::transitions(&state);
    let all = first.prop_flat_map(move |first| {
        let after = Train::apply(state.clone(), &first);
        transitions(after, number - 1).prop_map(move |rest| [vec![first.clone()], rest].concat())
    });
    all.boxed()
}

forkcheck::suite! {
    seats: Seats<_>,
    setup: Train::init_state(),
    conductor: 2 processes, ops in (1..=3usize).prop_flat_map(|number| transitions(BTreeSet::new(), number)),
    with: .regressions(None).seed(1).executions(300), // of the test alone
}

// Not on the page.

/// The broken twin: between its load and its store, another process may take the seat.
struct TwoSteps<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for TwoSteps<M> {
    type Memory = M;
    type Spec = Model;
    fn new(taken: &BTreeSet<u32>) -> Self {
        TwoSteps(Atomic::new(taken.iter().map(|number| 1 << number).sum()))
    }
    fn apply(&self, seat: &Seat) -> bool {
        let before = self.0.load(Ordering::Acquire);
        let after = match seat {
            Seat::Take(number) => before | 1 << number,
            Seat::Free(number) => before & !(1 << number),
        };
        self.0.store(after, Ordering::Release);
        after != before
    }
}

#[test]
fn a_seat_that_two_processes_take_is_found() {
    use forkcheck::check::{Kind, Verdict};
    use forkcheck::engine::{Stepped, SteppedMemory};
    let suite = seats::suite();
    let outcome = suite.check::<Stepped, TwoSteps<SteppedMemory>>().unwrap();
    let report = suite.report(&outcome);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("{report}")
    };
    assert_eq!(finding.kind, Kind::NotLinearizable, "{report}");
}
