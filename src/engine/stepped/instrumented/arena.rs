//! The heap of code under test: shared memory at one address, behind the structure. No address is
//! given out twice in one execution, so an address stands for one allocation, and freed memory
//! stays freed.
#![allow(unsafe_code, reason = "bytes of the arena are set to zero")]

use crate::schedule::MAX_PROCESSES;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The bytes that one process may allocate in an execution, and the bytes for the structure with
/// its own allocations.
const PART: usize = 4 << 20;
/// The parts of the arena: one for each process, so that the address of an allocation does not
/// depend on earlier ones of others, and one for the structure and allocations outside of a
/// process.
const PARTS: usize = MAX_PROCESSES + 1;
pub(super) const LENGTH: usize = PARTS * PART;
/// The bytes before an allocation that hold its length; each is aligned to that.
const HEADER: usize = 16;

/// The address of the first byte; before there is an arena, one around which no processor has memory.
static FIRST: AtomicUsize = AtomicUsize::new(1 << (usize::BITS - 1));

/// Returns whether an address is one of the arena.
#[inline(always)]
pub(super) fn holds(address: usize) -> bool {
    address.wrapping_sub(FIRST.load(Relaxed)) < LENGTH
}

/// Returns the distance of an address from the first byte, if it is in the arena.
#[inline]
pub(super) fn distance(address: usize) -> Option<usize> {
    holds(address).then(|| address.wrapping_sub(FIRST.load(Relaxed)))
}

#[repr(C)]
pub(super) struct Arena {
    first: usize,
    /// The bytes taken of each part. If they exceed the part, an allocation was refused.
    taken: [usize; PARTS],
    /// The allocations that are not freed.
    pub(super) live: i64,
}

impl Arena {
    pub(super) fn place(&mut self, first: usize) {
        (self.first, self.taken) = (first, [0; PARTS]);
        FIRST.store(first, Relaxed);
    }

    /// Takes all allocations back, and zeros the memory, so that an execution finds nothing of the
    /// one before it.
    pub(super) fn reset(&mut self, size: usize) {
        for (part, taken) in self.taken.iter_mut().enumerate() {
            // Most parts are those of processes that no case has: a call of memset for no bytes at memory that was never
            // touched takes 0.1 us where the processor masks the store.
            if *taken == 0 {
                continue;
            }
            let start = std::ptr::with_exposed_provenance_mut::<u8>(self.first + part * PART);
            // SAFETY: write_bytes over what was taken of a part.
            // 1. It lies in the mapping of the region, which is never unmapped. 2. No process of an execution runs: the caller has
            //    the turn, and the structure of the last execution was dropped, or is left for dead.
            unsafe { start.write_bytes(0, (*taken).min(PART)) };
            *taken = 0;
        }
        self.taken[0] = size.next_multiple_of(HEADER);
        self.live = 0;
    }

    /// Returns whether an allocation outside of a process was refused in this execution.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.taken[0] > PART
    }

    /// Returns room for `size` bytes at a multiple of `align`, for a process or for none; 0 if
    /// there is none left.
    pub(super) fn take(&mut self, size: usize, align: usize, process: Option<usize>) -> usize {
        let part = process.map_or(0, |process| process % MAX_PROCESSES + 1);
        let first = self.first + part * PART;
        let align = align.max(HEADER);
        let address = (first + self.taken[part] + HEADER).next_multiple_of(align);
        // A granule of the shadow holds bytes of one allocation alone.
        match address.checked_add(size.max(1).next_multiple_of(8)) {
            Some(end) if end <= first + PART => {
                self.taken[part] = end - first;
                self.live += 1;
                address
            }
            _ => {
                self.taken[part] = PART + 1;
                0
            }
        }
    }
}

/// Returns the address of the length of an allocation.
pub(super) fn header(address: usize) -> *mut usize {
    std::ptr::with_exposed_provenance_mut(address - HEADER)
}
