//! The heap of code under test: shared memory at one address, behind the structure. Nothing is given away twice in one
//! execution, so an address stands for one allocation, and what was freed stays freed.
#![allow(unsafe_code, reason = "bytes of the arena are set to zero")]

/// Bytes of the structure and of all that an execution allocates.
pub(super) const LENGTH: usize = 16 << 20;
/// The bytes before an allocation that hold its length; each is aligned to that.
const HEADER: usize = 16;

#[repr(C)]
pub(super) struct Arena {
    first: usize,
    end: usize,
    next: usize,
}

impl Arena {
    pub(super) fn place(&mut self, first: usize, length: usize) {
        (self.first, self.end, self.next) = (first, first + length, first);
    }

    #[inline]
    pub(super) fn holds(&self, address: usize) -> bool {
        (self.first..self.end).contains(&address)
    }

    /// Which byte an address is that of, if it is in here.
    pub(super) fn distance(&self, address: usize) -> Option<usize> {
        self.holds(address).then(|| address - self.first)
    }

    /// Takes all allocations back, and leaves the memory as it was: zeros, so that an execution finds nothing of the one before it.
    pub(super) fn reset(&mut self, size: usize) {
        let begin = self.first + size.next_multiple_of(HEADER);
        let used = self.next.min(self.end).saturating_sub(self.first);
        let start = std::ptr::with_exposed_provenance_mut::<u8>(self.first);
        // SAFETY: write_bytes over the part that was used.
        // 1. It lies in the mapping of the region, which is never unmapped. 2. No process of an execution runs: the caller has the
        //    turn, and the structure of the last execution was dropped, or is left for dead.
        unsafe { start.write_bytes(0, used) };
        self.next = begin;
    }

    /// Whether an allocation was refused in this execution.
    pub(super) fn is_full(&self) -> bool {
        self.next > self.end
    }

    /// Room for `size` bytes at a multiple of `align`; 0 if there is none left.
    pub(super) fn take(&mut self, size: usize, align: usize) -> usize {
        let align = align.max(HEADER);
        let address = (self.next + HEADER).next_multiple_of(align);
        // A granule of the shadow holds bytes of one allocation alone.
        match address.checked_add(size.max(1).next_multiple_of(8)) {
            Some(end) if end <= self.end => {
                self.next = end;
                address
            }
            _ => {
                self.next = self.end + 1;
                0
            }
        }
    }
}

/// Where the length of the allocation at an address is.
pub(super) fn header(address: usize) -> *mut usize {
    std::ptr::with_exposed_provenance_mut(address - HEADER)
}
