//! Memory that several processes see: one mapping, its bounds, and typed views of atomics in it.
//!
//! Each backing (where the pages come from) is a file of its own that makes a `Mapping`; nothing else in
//! here knows which one it was. A region never hands out a reference to plain data that another process may
//! write: only atomics and what is made of them ([`Resident`]). It is readable and writable, never executable.
#![allow(
    unsafe_code,
    reason = "views of mapped memory as atomics, and the end of the mapping"
)]

mod anonymous;

use crate::Error;
use crate::memory::Resident;
use std::ffi::c_void;
use std::ptr::NonNull;

/// Memory that this process shares with the children that it forks.
///
/// It starts as zeros, and at the same address in each process that inherits it. The pages go away when the
/// last process that has them mapped is gone. Dropping a region unmaps it in this process alone: a forked
/// child that drops an inherited handle removes nothing from under its parent.
///
/// ```
/// use forkcheck::{Region, process};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let region = Region::anonymous(4096)?;
/// let hits: &AtomicU64 = region.get(64)?;
/// process::run(|| { hits.fetch_add(2, Ordering::Relaxed); })?;
/// assert_eq!(hits.load(Ordering::Relaxed), 2);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Debug)]
pub struct Region {
    mapping: Mapping,
    creator: u32,
}

/// Pages of this process: the seam between a region and its backing.
#[derive(Debug)]
struct Mapping {
    base: NonNull<c_void>,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread: any of them may unmap it.
unsafe impl Send for Mapping {}
// SAFETY: through `&Mapping` only addresses are handed out; a region makes them references to `Resident`
// types alone, which are `Sync`.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: munmap takes away pages that nothing may use any more.
        // 1. `base` and `len` are those of one mmap of ours, unmapped nowhere else.
        // 2. References into it borrow the `Region` that owns this, so none is left.
        // An error would mean that 1. is wrong; there is nothing to do about it in a drop.
        let _ = unsafe { nix::sys::mman::munmap(self.base, self.len) };
    }
}

#[allow(
    clippy::len_without_is_empty,
    reason = "a region has at least one byte"
)]
impl Region {
    /// A region of `len` bytes of zeros without a name, for this process and the children that it forks.
    ///
    /// The kernel maps whole pages; the length stays as asked, and so do the bounds.
    ///
    /// # Errors
    /// A length of zero, one that no address space holds, or one that the kernel refuses.
    pub fn anonymous(len: usize) -> Result<Self, Error> {
        anonymous::map(len).map(Self::new)
    }

    fn new(mapping: Mapping) -> Self {
        Self {
            mapping,
            creator: std::process::id(),
        }
    }

    /// Its length in bytes, as asked for: at least one.
    pub fn len(&self) -> usize {
        self.mapping.len
    }

    /// The process that made it: in a forked child still the parent's id.
    ///
    /// ```
    /// let region = forkcheck::Region::anonymous(1)?;
    /// assert_eq!(region.creator(), std::process::id());
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    pub fn creator(&self) -> u32 {
        self.creator
    }

    /// The atomics at `offset`, a number of bytes from the start.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, AtomicU64};
    ///
    /// let region = forkcheck::Region::anonymous(16)?;
    /// let pair: &[AtomicU64; 2] = region.get(0)?;
    /// assert!(region.get::<AtomicU64>(12).is_err()); // neither aligned nor inside
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// Keep to one size at one place: a view of the same bytes as words of another size, used at the same time, is more than
    /// the rules for atomics allow, and no type can see it by itself.
    ///
    /// Plain data is refused by the compiler, since another process may write it at any time:
    /// ```compile_fail
    /// let region = forkcheck::Region::anonymous(16).unwrap();
    /// let number: &u64 = region.get(0).unwrap();
    /// ```
    ///
    /// # Errors
    /// The value would not lie inside the region, or `offset` is not a multiple of its alignment.
    pub fn get<T: Resident>(&self, offset: usize) -> Result<&T, Error> {
        let place = self.slot::<T>(offset)?;
        // SAFETY: as_ref, for the lifetime of `&self`.
        // 1. Aligned, non-null and inside the mapping: `slot` checked it; the mapping is readable and writable,
        //    and lives as long as `self`.
        // 2. The bytes are a valid `T`, whatever other processes wrote: clause 1 of `Resident`.
        // 3. Nobody holds a `&mut` to them (a region hands out none), and all accesses to bytes that others
        //    write are atomic: clause 2 of `Resident`. Those who place values through `slot` answer for theirs.
        Ok(unsafe { place.as_ref() })
    }

    /// The same pages at another address, in this process alone, where the old one is closed: who has kept an address
    /// from before, faults.
    #[cfg(feature = "harness")]
    pub(crate) fn elsewhere(&self) -> Result<Self, Error> {
        use nix::sys::mman::{MRemapFlags, ProtFlags, mprotect, mremap};
        let failed = |errno| Error::system("map a region at another address", errno, "report this");
        let Mapping { base, len } = self.mapping;
        // SAFETY: mremap with an old size of zero maps the pages of a shared mapping a second time, at an address that the
        // kernel chooses, and changes nothing that is mapped.
        let again = unsafe { mremap(base, 0, len, MRemapFlags::MREMAP_MAYMOVE, None) };
        let again = Self::new(Mapping {
            base: again.map_err(failed)?,
            len,
        });
        // SAFETY: the pages at `base` are of our own mapping. Nobody in this process follows a reference into them any more:
        // the caller, a worker that was just forked, uses the new address from here on, and a fault is what is wanted.
        unsafe { mprotect(base, len, ProtFlags::PROT_NONE) }.map_err(failed)?;
        Ok(again)
    }

    /// A number that changes with the first 64 KiB of its bytes. Only while nobody writes to them.
    #[cfg(feature = "harness")]
    pub(crate) fn fingerprint(&self) -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let words = (self.len() / size_of::<AtomicU64>()).min(1 << 13);
        // SAFETY: a slice of atomics over the start of the mapping.
        // 1. The mapping starts at a page, is readable, at least that long, and lives as long as `self`.
        // 2. Any bytes are an `AtomicU64`, and it may change behind a shared reference.
        let words = unsafe {
            std::slice::from_raw_parts(self.mapping.base.as_ptr().cast::<AtomicU64>(), words)
        };
        let mut seen = 0;
        for word in words {
            seen = (u64::rotate_left(seen, 5) ^ word.load(Relaxed))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        seen
    }

    /// Its first address.
    #[cfg(feature = "harness")]
    pub(crate) fn address(&self) -> usize {
        self.mapping.base.addr().get()
    }

    /// Where a `T` at `offset` would lie, inside and aligned. Engines that place a value themselves start here.
    pub(crate) fn slot<T>(&self, offset: usize) -> Result<NonNull<T>, Error> {
        let (size, align, len) = (size_of::<T>(), align_of::<T>(), self.len());
        if offset.checked_add(size).is_none_or(|end| end > len) {
            return Err(Error::invalid(
                format!(
                    "{size} bytes at offset {offset} do not lie inside a region of {len} bytes"
                ),
                "use a smaller offset or a larger region",
            ));
        }
        // SAFETY: byte_add stays inside the mapping, or one past its end: `offset <= len` was checked above,
        // and no mapping is longer than `isize::MAX`.
        let place = unsafe { self.mapping.base.byte_add(offset) }.cast::<T>();
        if !place.is_aligned() {
            return Err(Error::invalid(
                format!(
                    "offset {offset} is not aligned for a {}",
                    std::any::type_name::<T>()
                ),
                format!("use a multiple of {align}"),
            ));
        }
        Ok(place)
    }
}
