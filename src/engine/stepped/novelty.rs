//! The kinds of steps of a case. An execution with a new kind of step is repeated by forked
//! processes: the things that coroutines share and processes do not show in a step that processes
//! would not take, or would take elsewhere.

use super::location::At;
use std::cell::Cell;

/// Bits of the table; a power of two. A case has some dozens of kinds of steps, so that few of them
/// share a bit.
const BITS: u64 = 1 << 14;

/// The kinds of steps of the executions of a case so far: by process, access, word and source line.
pub(super) struct Novelty {
    seen: Box<[Cell<u64>]>,
    is_new: Cell<bool>,
}

impl Default for Novelty {
    fn default() -> Self {
        Self {
            seen: (0..BITS / 64).map(|_| Cell::new(0)).collect(),
            is_new: Cell::new(false),
        }
    }
}

impl Novelty {
    /// Forgets the steps of the last case.
    pub(super) fn clear(&self) {
        self.seen.iter().for_each(|word| word.set(0));
        self.is_new.set(false);
    }

    /// Notes a step, by a number for its process, access and word.
    #[inline]
    pub(super) fn note(&self, step: u64, at: At<'_>) {
        // The address of the line differs from process to process; its number does not, so that the
        // same steps share a bit each time.
        let line = at.number();
        let mixed = (step ^ line.rotate_left(24)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bit = mixed >> (u64::BITS - BITS.trailing_zeros());
        let seen = &self.seen[(bit / 64) as usize];
        if seen.get() >> (bit % 64) & 1 == 0 {
            seen.set(seen.get() | 1 << (bit % 64));
            self.is_new.set(true);
        }
    }

    /// Returns whether there was a new kind of step since the last call.
    pub(super) fn take(&self) -> bool {
        self.is_new.take()
    }
}
