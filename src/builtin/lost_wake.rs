//! Planted: who is about to sleep looks at what a notification changes *after* it has asked for the last time, so one that
//! comes in between is lost (brpc 3539 is the like).

use super::event_count::{Op, Posted, take};
use super::message;
use crate::memory::{Atomic, Memory, Ordering};
use crate::structure::Structure;
use crate::suite::Suite;
use proptest::prelude::Just;
use std::time::Duration;

/// A counter that waits at zero, and the number that each post raises.
pub struct LostWake<M: Memory> {
    posted: M::AtomicU32,
    epoch: M::AtomicU32,
}

impl<M: Memory> Structure for LostWake<M> {
    type Memory = M;
    type Spec = Posted;
    fn new(_: &()) -> Self {
        Self {
            posted: M::AtomicU32::new(0),
            epoch: M::AtomicU32::new(0),
        }
    }
    fn apply(&self, op: &Op) -> bool {
        let Self { posted, epoch } = self;
        match op {
            Op::Post(more) => {
                posted.fetch_add(*more, Ordering::Release);
                epoch.fetch_add(1, Ordering::Release);
                M::wake(epoch, u32::MAX);
            }
            Op::Take => {
                while take::<M>(posted).is_none() {
                    // It notes what it goes to sleep for, which takes its time.
                    (0..8).for_each(|n| {
                        std::hint::black_box(message(n));
                    });
                    M::wait(epoch, epoch.load(Ordering::Acquire));
                }
            }
            Op::TakeSoon => return false,
        }
        true
    }
}

/// Two who take what one posts. Side by side each failure is two seconds of sleep, so there is little to shrink.
pub fn suite() -> Suite<Posted> {
    Suite::of_module(crate::site!())
        .role("poster", 1, 2..=2, Just(Op::Post(1)))
        .role("taker", 2, 1..=1, Just(Op::Take))
        // No operation takes long, and no look tells more than these.
        .watchdog(Duration::from_millis(500))
        .regressions(None)
}
