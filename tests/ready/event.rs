//! An event that stays set until it is reset, on a futex.

use crate::{caught, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Event, EventOp, EventRet};

/// `WAKES`: the number of waiters that a `Set` wakes. The broken twin wakes one.
struct Futex<M: Memory, const WAKES: u32>(M::AtomicU32);

type Right<M> = Futex<M, { u32::MAX }>;
type WakesOne<M> = Futex<M, 1>;

impl<M: Memory, const WAKES: u32> Structure for Futex<M, WAKES> {
    type Memory = M;
    type Spec = Event;
    fn new(set: &bool) -> Self {
        Futex(Atomic::new((*set).into()))
    }
    fn apply(&self, op: &EventOp) -> EventRet {
        match op {
            EventOp::Set => {
                // Release: a process that waited for the event sees the stores before it.
                self.0.store(1, Ordering::Release);
                M::wake(&self.0, WAKES);
            }
            EventOp::Reset => self.0.store(0, Ordering::Relaxed),
            EventOp::Wait => {
                while self.0.load(Ordering::Acquire) == 0 {
                    M::wait(&self.0, 0);
                }
            }
            EventOp::IsSet => return EventRet::State(self.0.load(Ordering::Acquire) == 1),
        }
        EventRet::Done
    }
}

forkcheck::suite! {
    event: Right<_>,
    setup: any::<bool>(),
    setter: 1..=2 ops of prop_oneof![Just(EventOp::Set), Just(EventOp::Reset)],
    waiter: 2 processes, 1..=1 ops of prop_oneof![Just(EventOp::Wait), Just(EventOp::IsSet)],
    with: .cases(4).executions(300).regressions(None)
        .watchdog(std::time::Duration::from_millis(300))
        .without("kills", "a setter that is killed before its wake-up leaves waiters asleep"),
}

#[test]
fn a_set_that_wakes_one_of_two_waiters_is_found() {
    let suite = suite("event")
        .setup(Just(false))
        .role("setter", 1, 1..=1, Just(EventOp::Set))
        .role("waiter", 2, 1..=1, Just(EventOp::Wait));
    caught::<Stepped, WakesOne<SteppedMemory>>(&suite, Kind::Deadlock);
}
