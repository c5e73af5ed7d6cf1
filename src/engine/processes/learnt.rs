//! Knowledge about the operations of a structure, in memory that all its pools share.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use super::code::KnownCode;
use crate::error::Error;
use crate::memory::Resident;
use crate::region::Region;
use crate::schedule::MAX_PROCESSES;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The length of an operation in instructions: at least, and at most.
const FEWEST_INSTRUCTIONS: u32 = 8;
pub(super) const MOST_INSTRUCTIONS: u32 = 4_096;

#[repr(C)]
pub(super) struct Learnt {
    /// The instructions that were taken one by one.
    pub(super) known: KnownCode,
    /// The approximate number of instructions in an operation of each process; 0 before one was taken.
    lengths: [AtomicU32; MAX_PROCESSES],
    /// 1: breakpoints cannot be set.
    refused: AtomicU32,
    /// The number of pauses drawn after instructions taken one by one.
    pub(super) step_pauses: AtomicU64,
    /// The number of pauses drawn at breakpoints.
    pub(super) breakpoint_pauses: AtomicU64,
    /// The begin of the draws.
    pub(super) offset: AtomicU64,
}

// SAFETY: Resident. 1. and 2. Only atomics. 3. No word is used as an index unchecked, and an address only where `Code` has the same
// instruction. 4. No Drop.
unsafe impl Resident for Learnt {}

impl Learnt {
    /// Returns memory in which nothing was learnt.
    pub(super) fn region() -> Result<Region, Error> {
        Region::anonymous(size_of::<Self>())
    }

    /// Begins a program.
    pub(super) fn begin(&self, seed: u64) {
        if self.step_pauses.load(Relaxed) == 0 {
            self.offset.store(seed, Relaxed);
        }
    }

    /// Returns the approximate length of the operations of a process, once one was taken.
    pub(super) fn length(&self, process: usize) -> Option<u32> {
        Some(self.lengths[process].load(Relaxed)).filter(|&length| length > 0)
    }

    /// Learns the length of the operations of a process from one that took that many instructions, and then ended, or paused before its
    /// end.
    pub(super) fn learn(&self, process: usize, taken: u32, paused: bool) {
        let length = self.length(process).unwrap_or(taken);
        let length = if !paused {
            (length + taken) / 2
        } else if taken > length {
            // It continued beyond its supposed end.
            2 * taken
        } else {
            length
        };
        self.lengths[process].store(
            length.clamp(FEWEST_INSTRUCTIONS, MOST_INSTRUCTIONS),
            Relaxed,
        );
    }

    /// Notes that breakpoints cannot be set.
    pub(super) fn refuse_breakpoints(&self) {
        self.refused.store(1, Relaxed);
    }

    pub(super) fn has_refused(&self) -> bool {
        self.refused.load(Relaxed) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_learnt_from_operations_that_end() {
        let region = Learnt::region().unwrap();
        let learnt: &Learnt = region.get(0).unwrap();
        assert_eq!(learnt.length(1), None);
        learnt.learn(1, 64, false);
        assert_eq!(learnt.length(1), Some(64));
        learnt.learn(1, 69, true);
        assert!(learnt.length(1) > Some(69), "it has not ended");
        (0..100).for_each(|_| learnt.learn(1, 20, false));
        assert!((20..25).contains(&learnt.length(1).unwrap()), "it has 20");
        assert_eq!(learnt.length(0), None, "that is another process");
    }
}
