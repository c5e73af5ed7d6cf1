//! C's heap functions, which the program has in place of the C library's: allocations of code under
//! test are in the arena, and all others where they always are.
#![allow(
    unsafe_code,
    reason = "functions of fixed names, and those of the C library behind them"
)]

use super::arena::{self, header};
use super::runtime::with;
use super::{RUNS, UNDER_TEST, accesses};
use crate::engine::stepped::stepper;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_free(old: *mut c_void);
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
}

#[inline(always)]
fn is_under_test() -> bool {
    RUNS.get() == UNDER_TEST
}

fn take(size: usize, align: usize) -> *mut c_void {
    let process = stepper::incarnation().map(|(process, _)| process);
    let address = with(|runtime| runtime.arena.take(size, align, process)).unwrap_or(0);
    if address == 0 && process.is_none() {
        // Private memory: the first access of a process ends the execution, which goes beyond what is followed.
        // SAFETY: the contract of memalign.
        return unsafe { __libc_memalign(align.max(16), size) };
    }
    if address == 0 {
        accesses::refused();
        return null_mut();
    }
    // SAFETY: the bytes before an allocation are the header's, by `Arena::take`, and no process reads them meanwhile.
    unsafe {
        header(address).write(size);
        header(address).add(1).write(0);
    }
    std::ptr::with_exposed_provenance_mut(address)
}

fn is_ours(old: *mut c_void) -> bool {
    arena::holds(old.addr())
}

/// # Safety
/// `old` was allocated in the arena in this execution.
unsafe fn length(old: *mut c_void) -> usize {
    // SAFETY: by the contract of this function, `take` wrote the header.
    unsafe { header(old.addr()).read() }
}

/// malloc(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    if is_under_test() {
        return take(size, 0);
    }
    // SAFETY: the contract of malloc.
    unsafe { __libc_malloc(size) }
}

/// calloc(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    if is_under_test() {
        // The arena is zeros, and gives nothing away twice.
        let Some(size) = count.checked_mul(size) else {
            return null_mut();
        };
        let taken = take(size, 0);
        if !taken.is_null() && !is_ours(taken) {
            // SAFETY: it is private memory of that size.
            unsafe { taken.cast::<u8>().write_bytes(0, size) };
        }
        return taken;
    }
    // SAFETY: the contract of calloc.
    unsafe { __libc_calloc(count, size) }
}

/// realloc(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
    if !(is_ours(old) || old.is_null() && is_under_test()) {
        // SAFETY: the contract of realloc.
        return unsafe { __libc_realloc(old, size) };
    }
    let new = take(size, 0);
    if new.is_null() || old.is_null() {
        return new;
    }
    // SAFETY: the old block is one of the arena, as `is_ours` said; the new one is another, and both are that long.
    unsafe {
        new.cast::<u8>()
            .copy_from_nonoverlapping(old.cast(), length(old).min(size));
        free(old);
    }
    new
}

/// free(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn free(old: *mut c_void) {
    if !is_ours(old) {
        // SAFETY: the contract of free.
        return unsafe { __libc_free(old) };
    }
    // The check drops results that operations return.
    if is_under_test() || stepper::incarnation().is_some() {
        // SAFETY: it is one of the arena, of this execution: the structure and processes hold no older ones.
        let length = unsafe { length(old) };
        if is_under_test() {
            accesses::freed(old.addr(), length);
        }
        // SAFETY: the second word of the header says whether it is freed, and after which instruction. The process that has the turn
        // alone uses it.
        unsafe {
            let freed = header(old.addr()).add(1);
            freed.write(accesses::frees(freed.read()));
        }
    }
}

/// aligned_alloc(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if is_under_test() {
        return take(size, align);
    }
    // SAFETY: the contract of aligned_alloc.
    unsafe { __libc_memalign(align, size) }
}

/// memalign(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    // SAFETY: the same contract.
    unsafe { aligned_alloc(align, size) }
}

/// posix_memalign(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> c_int {
    // SAFETY: the contract of aligned_alloc is part of this one's.
    let new = unsafe { aligned_alloc(align, size) };
    if new.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: by the contract of posix_memalign.
    unsafe { to.write(new) };
    0
}
