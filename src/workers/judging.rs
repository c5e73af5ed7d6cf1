//! The check of a history in a process that a [`Watch`](super::watch::Watch) looks at: it makes progress with each step of the
//! spec, and has a limit on its time.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Limit on the time that the check of one history may take. Those that are done take seconds at most.
const LONGEST: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });
/// Steps of the spec between two looks at the clock.
const BETWEEN_LOOKS: u32 = 16;

/// The check of one history.
pub(crate) struct Judging {
    since: Instant,
    steps: Cell<u32>,
    is_over: Cell<bool>,
}

impl Judging {
    pub(crate) fn begin() -> Self {
        Self {
            since: Instant::now(),
            steps: Cell::new(0),
            is_over: Cell::new(false),
        }
    }

    /// Counts a step of the spec, and returns whether there is time for it.
    pub(crate) fn goes_on(&self) -> bool {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(BETWEEN_LOOKS) && self.since.elapsed() >= LONGEST {
            self.is_over.set(true);
        }
        !self.is_over.get()
    }

    /// Returns whether it was ended for want of time.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }
}
