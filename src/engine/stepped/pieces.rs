//! Memory that each process has of its own: the statics of the program, and the thread-locals of a thread. dl_iterate_phdr(3).
#![allow(
    unsafe_code,
    reason = "the loader's list of the program's writable segments"
)]

use std::ffi::{CStr, c_int, c_void};

/// A piece of memory that is private to a process, or to a thread.
#[cfg_attr(
    not(forkcheck_instrumented),
    allow(
        dead_code,
        reason = "the statics of other code are compared, and not put back"
    )
)]
pub(crate) struct PrivatePiece {
    pub(crate) at: usize,
    pub(crate) length: usize,
    /// The address from which the object's symbols are counted.
    pub(crate) base: usize,
    pub(crate) is_thread_local: bool,
    /// Whether it is of the program itself, and not of a shared library.
    pub(crate) is_of_program: bool,
}

/// The pieces of objects, and whether those of libraries that are not the system's belong to them.
struct Pieces {
    all: Vec<PrivatePiece>,
    of_libraries: bool,
    objects: usize,
}

/// Returns the statics of the program and the thread-locals of this thread, if `of_libraries` also those of shared libraries that
/// are not the system's.
pub(crate) fn private_pieces(of_libraries: bool) -> Vec<PrivatePiece> {
    let mut pieces = Pieces {
        all: Vec::new(),
        of_libraries,
        objects: 0,
    };
    // SAFETY: dl_iterate_phdr calls `add` with `pieces`, which lives until it returns. The first object is the program.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut pieces).cast()) };
    pieces.all
}

/// Returns whether a shared library is the system's, by its path.
fn is_of_system(path: &CStr) -> bool {
    let path = path.to_bytes();
    let is_in = |directory: &str| path.starts_with(directory.as_bytes());
    // The kernel's has no path.
    !path.contains(&b'/')
        || ["/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"]
            .into_iter()
            .any(is_in)
}

/// Adds the writable pieces of one object, and ends the iteration with the program, unless libraries are wanted.
///
/// # Safety
/// As dl_iterate_phdr(3) calls it; `to` is a `Pieces` that nothing else uses.
unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, to: *mut c_void) -> c_int {
    // SAFETY: by the contract of this function, both live for this call, and nothing else uses
    // `to`.
    let (info, pieces) = unsafe { (&*info, &mut *to.cast::<Pieces>()) };
    let is_of_program = pieces.objects == 0;
    pieces.objects += 1;
    let name = info.dlpi_name;
    let name = (!name.is_null()).then(|| {
        // SAFETY: the loader's own name of the object ends in a zero byte, and lives as long as the object.
        unsafe { CStr::from_ptr(name) }
    });
    if !is_of_program && name.is_none_or(is_of_system) {
        return 0;
    }
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
    let mut piece = |first: usize, end: usize, is_thread_local| {
        let at = first.next_multiple_of(size_of::<u64>());
        pieces.all.push(PrivatePiece {
            at,
            length: end.saturating_sub(at),
            base,
            is_thread_local,
            is_of_program,
        });
    };
    for header in headers {
        let (at, length) = (base + header.p_vaddr as usize, header.p_memsz as usize);
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0 {
            piece(at.max(protected.min(at + length)), at + length, false);
        }
        if header.p_type == libc::PT_TLS && !info.dlpi_tls_data.is_null() {
            let at = info.dlpi_tls_data.expose_provenance();
            piece(at, at + length, true);
        }
    }
    c_int::from(!pieces.of_libraries)
}
