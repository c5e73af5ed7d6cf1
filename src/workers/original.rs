//! Ends copies of a worker. A structure may fork in a call and let both processes return from it: the copy would
//! continue as the worker, and each call would double their number.
#![allow(unsafe_code, reason = "a page that the kernel wipes in a child")]

use crate::heap;
use crate::process::end_now;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

/// The length of a page is a multiple of this on every Linux.
const LENGTH: usize = 4_096;

/// 1 in the process that was marked, 0 in its children; null if no process was marked.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

/// Marks this process as a worker. If the kernel refuses, copies are not recognised. madvise(2), Linux 4.14.
pub(crate) fn mark() {
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: mmap of a new mapping.
    // 1. No address is asked for, so nothing is replaced. 2. It is of no file.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return;
    }
    // SAFETY: madvise of that mapping, which is ours; in this process it changes nothing.
    if unsafe { libc::madvise(page, LENGTH, libc::MADV_WIPEONFORK) } == 0 {
        let mark = page.cast::<AtomicU32>();
        // SAFETY: a reference to the page's first word. 1. The page is aligned, writable, and never unmapped by us. 2. Any bytes
        // are an `AtomicU32`.
        unsafe { &*mark }.store(1, Relaxed);
        MARK.store(mark, Relaxed);
    }
}

/// Calls code of a suite, which allocates in the heap of `heap!`. A copy of this process that returns from it ends here.
pub(crate) fn without_copies<R>(call: impl FnOnce() -> R) -> R {
    let result = heap::under_test(call);
    end_copy();
    result
}

fn end_copy() {
    let mark = MARK.load(Relaxed);
    // SAFETY: a reference to the page's first word, as in `mark`. A structure that unmaps it ends its process by a signal.
    if !mark.is_null() && unsafe { &*mark }.load(Relaxed) == 0 {
        end_now(0);
    }
}
