//! The invariant of a structure, checked by the process that has just taken a step. Its own
//! accesses are no steps.

use super::{Note, Stepper};
use crate::check::words_of_panic;
use crate::engine::stepped::scheduler::decision::Stop;
use crate::workers::original::without_copies;

impl Stepper {
    /// Ends the execution if the invariant does not hold. It is not unwound, since the operation
    /// might catch a panic.
    #[inline]
    pub(super) fn check_invariant(&self) {
        if let Some(check) = self.invariant.get() {
            self.active.set(false);
            let checked = without_copies(|| words_of_panic(|| check(&self.structure)));
            self.active.set(true);
            if let Err(words) = checked {
                let process = self.process.get();
                self.write(&Note::Invariant { process, words });
                self.end(Stop::Invariant);
            }
        }
    }
}
