//! The check of a history in a process that a [`Watch`](super::watch::Watch) watches: it makes
//! progress with each step of the spec, and has a limit on its processor time.

use nix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::Duration;

/// The limit on the processor time of the check of one history. Those that finish take seconds at
/// most.
const LONGEST_JUDGING: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 60_000 });
/// The steps of the spec between two looks at the clock.
const BETWEEN_LOOKS: u32 = 16;

/// The check of one history.
pub(crate) struct Judging {
    since: Duration,
    steps: Cell<u32>,
    is_over: Cell<bool>,
}

impl Judging {
    pub(crate) fn begin() -> Self {
        Self {
            since: used(),
            steps: Cell::new(0),
            is_over: Cell::new(false),
        }
    }

    /// Counts a step of the spec, and returns whether there is time for it.
    pub(crate) fn goes_on(&self) -> bool {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(BETWEEN_LOOKS)
            && used().saturating_sub(self.since) >= LONGEST_JUDGING
        {
            self.is_over.set(true);
        }
        !self.is_over.get()
    }

    /// Returns whether it was ended for lack of time.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }
}

/// Returns the processor time that this thread has used.
fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
