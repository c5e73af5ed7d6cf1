//! A breakpoint: `int3` in place of the first byte of an instruction of this process.
//!
//! It lasts until it is reached, until the operation ends, or until the process is about to make its
//! first system call, whichever is first. Until then the process has one thread, and the signals and
//! handlers that it had when the breakpoint was set: no child, no thread and no handler that the operation
//! installs meets it. A handler that the code installed before may: if it blocks SIGTRAP or SIGSYS the process
//! ends, and is run again without breakpoints. Syscall user dispatch (Linux 5.11, `PR_SET_SYSCALL_USER_DISPATCH` in prctl(2))
//! announces that system call by SIGSYS.
#![allow(unsafe_code, reason = "a byte of code is written; prctl")]

use super::code::{Code, Instruction};
use std::arch::asm;
use std::ffi::{c_int, c_ulong};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};

/// The address of the breakpoint; 0 if there is none.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
/// The byte of the code at `ADDRESS` as it was.
static ORIGINAL: AtomicU8 = AtomicU8::new(0);
/// 1: the kernel announces system calls instead of making them.
static SELECTOR: AtomicU8 = AtomicU8::new(0);
/// Whether [`clear`] runs: a handler that interrupts it, and clears too, leaves the page writable for it.
static CLEARS: AtomicBool = AtomicBool::new(false);

/// The size of a page on this architecture.
const PAGE: usize = 4_096;
/// The most bytes of the code by which a handler returns to what it interrupted: `mov` and `syscall`.
const RESTORER: c_ulong = 16;

/// Returns the address of the breakpoint; 0 if there is none.
pub(super) fn address() -> usize {
    ADDRESS.load(Relaxed)
}

/// The reason why a breakpoint is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// The code is not the one that was known.
    OtherCode,
    /// The kernel does not allow it, here and later.
    Refused,
}

/// Sets the breakpoint before an instruction, where SIGTRAP and SIGSYS have handlers that call [`put_back`] first and then [`clear`].
/// The process has one thread. `restorer` is the code by which handlers return.
pub(super) fn set(code: &Code, instruction: Instruction, restorer: usize) -> Result<(), Absent> {
    let address = instruction.address as usize;
    if !code.contains(address) {
        return Err(Absent::OtherCode);
    }
    if !set_writable(address, true) {
        return Err(Absent::Refused);
    }
    // If something else was mapped there meanwhile, it stays as usable as it was: its pages stay writable.
    if code.at(address) != Some(instruction) {
        return Err(Absent::OtherCode);
    }
    SELECTOR.store(0, Relaxed);
    if !dispatch(Some(restorer)) {
        set_writable(address, false);
        return Err(Absent::Refused);
    }
    ORIGINAL.store(instruction.bytes as u8, Relaxed);
    ADDRESS.store(address, Relaxed);
    write();
    SELECTOR.store(1, Relaxed);
    Ok(())
}

/// Removes the breakpoint, if there is one: the process is as if it had never been.
pub(super) fn clear() {
    let address = ADDRESS.load(Relaxed);
    if address != 0 {
        let is_outer = !CLEARS.swap(true, Relaxed);
        put_back();
        SELECTOR.store(0, Relaxed);
        ADDRESS.store(0, Relaxed);
        dispatch(None);
        if is_outer {
            set_writable(address, false);
            CLEARS.store(false, Relaxed);
        }
    }
}

/// Puts the byte of the code back, if there is a breakpoint. A handler does this first: what it calls may have the breakpoint in it.
#[inline(always)]
pub(super) fn put_back() {
    // SAFETY: writes one byte of code, at `ADDRESS` if that is not 0.
    // 1. From `set` to `clear` the page is writable: protections change by system calls, and the first one ends the breakpoint.
    // 2. `ORIGINAL` is what was there. 3. The registers are declared; the flags are not kept.
    unsafe {
        asm!(
            "mov {at}, qword ptr [rip + {address}]",
            "test {at}, {at}",
            "jz 2f",
            "mov {byte}, byte ptr [rip + {original}]",
            "mov byte ptr [{at}], {byte}",
            "2:",
            at = out(reg) _,
            byte = out(reg_byte) _,
            address = sym ADDRESS,
            original = sym ORIGINAL,
            options(nostack),
        );
    }
}

/// Writes `int3` at `ADDRESS`, if that is not 0. A handler does this last, after [`put_back`].
#[inline(always)]
pub(super) fn write() {
    // SAFETY: writes one byte of code, at `ADDRESS` if that is not 0.
    // 1. The page is writable, as in `put_back`, and this process's own: the mapping is private. 2. An instruction begins there,
    // and no other thread executes it. 3. The registers are declared; the flags are not kept.
    unsafe {
        asm!(
            "mov {at}, qword ptr [rip + {address}]",
            "test {at}, {at}",
            "jz 2f",
            "mov byte ptr [{at}], 0xcc",
            "2:",
            at = out(reg) _,
            address = sym ADDRESS,
            options(nostack),
        );
    }
}

/// Sets whether the page of code at this address is writable; returns whether that was done.
fn set_writable(address: usize, writable: bool) -> bool {
    let write = if writable { libc::PROT_WRITE } else { 0 };
    let page = std::ptr::with_exposed_provenance_mut(address / PAGE * PAGE);
    // SAFETY: changes the protection of a page.
    // 1. It stays readable and executable. If it is no code any more, which `set` finds out, it keeps all rights. 2. Rust's
    // values do not lie in code.
    unsafe { libc::mprotect(page, PAGE, libc::PROT_READ | libc::PROT_EXEC | write) == 0 }
}

/// Lets the kernel announce system calls of this thread while `SELECTOR` is 1, but for those of a restorer; `None` ends that. Returns
/// whether it was done.
fn dispatch(restorer: Option<usize>) -> bool {
    const SET_SYSCALL_USER_DISPATCH: c_int = 59;
    let (mode, first, length): (c_ulong, c_ulong, c_ulong) = match restorer {
        Some(restorer) => (1, restorer as c_ulong, RESTORER),
        None => (0, 0, 0),
    };
    let selector = match restorer {
        Some(_) => SELECTOR.as_ptr(),
        None => std::ptr::null_mut(),
    };
    // SAFETY: prctl with this option.
    // 1. The kernel reads `SELECTOR`, a static, at each system call of this thread. 2. To end it, the other arguments are 0.
    unsafe { libc::prctl(SET_SYSCALL_USER_DISPATCH, mode, first, length, selector) == 0 }
}
