//! Pages of this process: mapped by one mmap or shmat, unmapped by one munmap. mmap(2).
#![allow(unsafe_code, reason = "mmap, mremap and munmap")]

use super::refusal::refused;
use super::room::check_limit;
use crate::Error;
use crate::memory::Resident;
use nix::sys::mman::{
    MRemapFlags, MapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, mremap, munmap,
};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

/// The access that this process has to the pages. Execute is never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

impl Access {
    pub(super) fn flags(self) -> ProtFlags {
        match self {
            Self::Write => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            Self::Read => ProtFlags::PROT_READ,
        }
    }
}

/// The pages that a backing gives to a region.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) base: NonNull<c_void>,
    pub(super) len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread: any of them may unmap it.
unsafe impl Send for Mapping {}
// SAFETY: through `&Mapping` only addresses are handed out; a region makes them references to `Resident`
// types alone, which are `Sync`.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: munmap takes away pages that nothing may use any more.
        // 1. `base` and `len` are those of one mapping of ours, unmapped nowhere else. (It ends an shmat as well.)
        // 2. References into it borrow the `Region` or `View` that owns this, so none is left.
        // An error would mean that 1. is wrong; there is nothing to do about it in a drop.
        let _ = unsafe { munmap(self.base, self.len) };
    }
}

/// Returns a length that mmap accepts.
pub(super) fn length(len: usize, of: &str) -> Result<NonZeroUsize, Error> {
    let Some(length) = NonZeroUsize::new(len) else {
        return Err(Error::invalid(
            format!("{of} of 0 bytes"),
            "ask for at least one byte",
        ));
    };
    // The kernel rounds up to whole pages, and offsets into it are signed.
    if isize::try_from(len.saturating_add(1 << 20)).is_err() {
        return Err(Error::invalid(
            format!("{of} of {len} bytes, more than any address space holds"),
            "ask for less; was a length subtracted from a smaller one?",
        ));
    }
    Ok(length)
}

impl Mapping {
    /// Maps pages of zeros, shared with the children that this process forks.
    pub(super) fn anonymous(len: usize) -> Result<Self, Error> {
        let length = length(len, "an anonymous region")?;
        check_limit(len, "an anonymous region")?;
        // SAFETY: mmap without MAP_FIXED takes addresses that nothing uses, so no other memory is touched.
        let base =
            unsafe { mmap_anonymous(None, length, Access::Write.flags(), MapFlags::MAP_SHARED) };
        base.map(|base| Self { base, len })
            .map_err(|errno| refused(format!("map an anonymous region of {len} bytes"), errno))
    }

    /// Maps `len` bytes of a file from `offset`, a multiple of the page size.
    pub(super) fn of(
        file: impl AsFd,
        offset: u64,
        len: usize,
        access: Access,
        what: &str,
    ) -> Result<Self, Error> {
        let length = length(len, what)?;
        let offset = i64::try_from(offset).map_err(|_| {
            Error::invalid(format!("offset {offset} of {what}"), "use a smaller one")
        })?;
        // SAFETY: as above. Pages of a file may change or go away under the mapping; readers of
        // them read atomics, for which any bytes are a value, and a page that went away is SIGBUS.
        let base = unsafe {
            mmap(
                None,
                length,
                access.flags(),
                MapFlags::MAP_SHARED,
                file,
                offset,
            )
        };
        base.map(|base| Self { base, len })
            .map_err(|errno| refused(format!("map {len} bytes of {what}"), errno))
    }

    /// Maps the same pages at another address as well, with the same rights. (Not for a mapping
    /// with guards, whose pages are others.)
    pub(super) fn map_again(&self) -> Result<Self, Error> {
        // SAFETY: mremap with an old size of zero maps the pages of a shared mapping a second time, at an address that the
        // kernel chooses, and changes nothing that is mapped.
        let again = unsafe { mremap(self.base, 0, self.len, MRemapFlags::MREMAP_MAYMOVE, None) };
        again
            .map(|base| Self {
                base,
                len: self.len,
            })
            .map_err(|errno| refused("map a region at another address as well".into(), errno))
    }

    /// Sets the access that this process has to the pages from now on.
    pub(super) fn open_for(&self, access: ProtFlags) -> Result<(), Error> {
        // SAFETY: mprotect of pages that are our own mapping. No access becomes undefined by it: a
        // forbidden one is a fault. Its callers are processes of an execution, which want that, and
        // a view, which has no references that write.
        unsafe { mprotect(self.base, self.len, access) }
            .map_err(|errno| refused("change what may be done with a region".into(), errno))
    }

    /// Returns a reference to the start of the mapping, if it is long enough.
    pub(super) fn start_as<T: Resident>(&self) -> Option<&T> {
        if size_of::<T>() > self.len {
            return None;
        }
        // SAFETY: as_ref, for the lifetime of `&self`.
        // 1. Aligned: a mapping starts at a page. Inside: checked above. Readable; lives as long as
        // `self`.
        // 2. Any bytes are a valid `T`, and there is no `&mut` to them: the contract of `Resident`.
        // 3. Where it is not writable, callers only load.
        Some(unsafe { self.base.cast::<T>().as_ref() })
    }

    /// Moves the pages between two that no process may access. The caller must hold no address
    /// inside.
    pub(super) fn guard(&mut self) -> Result<(), Error> {
        let page = page_size();
        let whole = self.len.next_multiple_of(page);
        let failed = |errno| refused(format!("put guard pages around {} bytes", self.len), errno);
        let around = length(whole + 2 * page, "a region with guard pages")?;
        // SAFETY: as in `anonymous`.
        let reserved = unsafe {
            mmap_anonymous(
                None,
                around,
                ProtFlags::PROT_NONE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            )
        }
        .map_err(failed)?;
        // SAFETY: byte_add stays inside the reservation.
        let inside = unsafe { reserved.byte_add(page) };
        // SAFETY: mremap moves our own pages over a part of the reservation, which is unused. The
        // caller promises that there is no reference to the old address.
        let moved = unsafe {
            mremap(
                self.base,
                whole,
                whole,
                MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED,
                Some(inside),
            )
        };
        if let Err(errno) = moved {
            // SAFETY: the reservation is ours and nothing was moved to it.
            let _ = unsafe { munmap(reserved, around.get()) };
            return Err(failed(errno));
        }
        // The guards are part of it: one munmap unmaps all three.
        (self.base, self.len) = (reserved, around.get());
        Ok(())
    }
}

/// Returns the smallest number of bytes that the kernel maps.
pub(super) fn page_size() -> usize {
    use nix::unistd::{SysconfVar, sysconf};
    sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(4096)
}
