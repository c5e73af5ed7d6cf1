//! Pages without a name or a file: `mmap` with `MAP_SHARED | MAP_ANONYMOUS`, inherited over `fork`. mmap(2).
#![allow(unsafe_code, reason = "mmap")]

use super::Mapping;
use crate::Error;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use std::num::NonZeroUsize;

pub(super) fn map(len: usize) -> Result<Mapping, Error> {
    let Some(length) = NonZeroUsize::new(len) else {
        return Err(Error::invalid(
            "an anonymous region of 0 bytes",
            "ask for at least one byte",
        ));
    };
    if isize::try_from(len).is_err() {
        return Err(Error::invalid(
            format!("an anonymous region of {len} bytes, more than any address space holds"),
            "ask for less; was a length subtracted from a smaller one?",
        ));
    }
    let read_write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: mmap without MAP_FIXED takes addresses that nothing uses, so no other memory is touched.
    let base = unsafe { mmap_anonymous(None, length, read_write, MapFlags::MAP_SHARED) };
    base.map(|base| Mapping { base, len }).map_err(|errno| {
        Error::system(
            format!("map an anonymous region of {len} bytes"),
            errno,
            "ask for less, or raise RLIMIT_AS (ulimit -v) or the memory limit of the cgroup",
        )
    })
}
