//! Memory that is private to a process: the statics of the program, and the thread-locals of this thread. Coroutines of one
//! process share them, and processes do not, so structures that change them are searched by processes. dl_iterate_phdr(3).
#![allow(
    unsafe_code,
    reason = "the program's own writable segments are read as bytes"
)]

use std::ffi::{c_int, c_void};

/// Pieces of memory, by address and length in bytes. They are read as words, of which the last may
/// be cut.
pub(in super::super) struct Statics(Vec<(usize, usize)>);

impl Statics {
    /// Returns the statics of the program itself, without those of its shared libraries.
    pub(in super::super) fn of_this_program() -> Self {
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        // SAFETY: dl_iterate_phdr calls `add` with `pieces`, which lives until it returns. The first object is the program.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut pieces).cast()) };
        Self(pieces)
    }

    /// Returns a number that changes with their bytes. It is never inlined: where the user's crate is instrumented, so is what is
    /// inlined into it, and each of these reads would be a call.
    #[inline(never)]
    pub(in super::super) fn sum(&self) -> u64 {
        let mut sum = 0u64;
        for &(at, length) in &self.0 {
            let words = std::ptr::with_exposed_provenance::<u64>(at);
            for word in 0..length / size_of::<u64>() {
                // SAFETY: a volatile read of a word.
                // 1. The loader said that it is mapped, for the life of the program; it is aligned: `add` rounded up.
                // 2. No other thread of ours writes meanwhile; where a structure has started one, the word may be torn, which makes the sum differ.
                //    Volatile, since the variable has another owner.
                let word = unsafe { words.add(word).read_volatile() };
                sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            }
        }
        sum
    }
}

/// Adds the writable pieces of one object, and ends the iteration.
///
/// # Safety
/// As dl_iterate_phdr(3) calls it; `to` is a `Vec<(usize, usize)>` that nothing else uses.
unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, to: *mut c_void) -> c_int {
    // SAFETY: by the contract of this function, both live for this call, and nothing else uses
    // `to`.
    let (info, pieces) = unsafe { (&*info, &mut *to.cast::<Vec<(usize, usize)>>()) };
    // SAFETY: as many headers as the loader says, which are there as long as the object.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let base = info.dlpi_addr as usize;
    // Pages that the loader has written and then protected.
    let protected = headers
        .iter()
        .find(|header| header.p_type == libc::PT_GNU_RELRO);
    let protected = protected.map_or(0, |header| {
        base + (header.p_vaddr + header.p_memsz) as usize
    });
    let mut piece = |first: usize, end: usize| {
        let first = first.next_multiple_of(size_of::<u64>());
        pieces.push((first, end.saturating_sub(first)));
    };
    for header in headers {
        let (at, length) = (base + header.p_vaddr as usize, header.p_memsz as usize);
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0 {
            piece(at.max(protected.min(at + length)), at + length);
        }
        if header.p_type == libc::PT_TLS && !info.dlpi_tls_data.is_null() {
            let at = info.dlpi_tls_data.expose_provenance();
            piece(at, at + length);
        }
    }
    1
}

/// Returns the number of threads of this process, from /proc/self/task; 1 where that cannot be
/// read.
pub(super) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
