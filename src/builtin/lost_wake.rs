//! Planted: a process about to sleep reads the notification counter *after* its last look at the
//! condition, so a notification in between is lost (brpc issue 3539 is similar).

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
                    // The note takes some time, as real work between the two looks does.
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

/// A suite in which two processes take what one posts. Under `processes` each failure is two
/// seconds of sleep, so the programs are small and leave little to shrink.
pub fn suite() -> Suite<Posted> {
    Suite::of_module(crate::site!())
        .role("poster", 1, 2..=2, Just(Op::Post(1)))
        .role("taker", 2, 1..=1, Just(Op::Take))
        // No operation takes long, and looking more often would show nothing more.
        .watchdog(Duration::from_millis(500))
        .regressions(None)
}
