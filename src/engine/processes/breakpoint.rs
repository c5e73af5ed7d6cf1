//! A breakpoint in the code of this process: a byte of it, which makes the processor report when it is reached.
#![allow(unsafe_code, reason = "a byte of code is written")]

use super::code::{Code, Instruction};
use std::arch::asm;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

/// The address of the breakpoint, 0 if there is none, and the byte of the code that it takes the place of.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static ORIGINAL: AtomicU8 = AtomicU8::new(0);

/// The size of a page on this architecture.
const PAGE: usize = 4_096;

/// Returns the address of the breakpoint; 0 if there is none.
pub(super) fn address() -> usize {
    ADDRESS.load(Relaxed)
}

/// Sets the breakpoint before an instruction; returns whether it is there.
pub(super) fn set(code: &Code, instruction: Instruction) -> bool {
    let address = instruction.address as usize;
    // Where another instruction is there now, the pages stay writable: they may hold something else than code, too.
    if !code.holds(address) || !may_write(address, true) || code.at(address) != Some(instruction) {
        return false;
    }
    ORIGINAL.store(instruction.bytes as u8, Relaxed);
    ADDRESS.store(address, Relaxed);
    // SAFETY: writes the instruction `int3`.
    // 1. It is written where an instruction begins, in one byte, so whoever executes that code sees the one or the other.
    // 2. The page may be written to, and is this process's own: the mapping is private. 3. The handler is there, and puts
    // the byte back before the process goes on.
    unsafe { asm!("mov byte ptr [{}], 0xcc", in(reg) address, options(nostack, preserves_flags)) };
    true
}

/// Puts the code back as it was, if there is a breakpoint.
pub(super) fn clear() {
    let address = ADDRESS.load(Relaxed);
    if address != 0 {
        put_back();
        may_write(address, false);
        ADDRESS.store(0, Relaxed);
    }
}

/// Puts the byte of the code back that the breakpoint took the place of, if there is one. In a handler it comes first, and it calls
/// nothing: what it called could have the breakpoint in it.
#[inline(always)]
pub(super) fn put_back() {
    // SAFETY: writes one byte of code.
    // 1. `ADDRESS` is 0, or the address of a byte that `set` has made writable, until `clear`. A
    // process that was forked meanwhile has both, and the page, too. 2. `ORIGINAL` is what was there.
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

/// Sets whether the page of the code at this address can be written to, and returns whether that was done.
fn may_write(address: usize, may: bool) -> bool {
    let write = if may { libc::PROT_WRITE } else { 0 };
    let page = std::ptr::with_exposed_provenance_mut(address / PAGE * PAGE);
    // SAFETY: changes the protection of a page.
    // 1. It is a page of code, as `Code` knows, which can be read and executed as before.
    unsafe { libc::mprotect(page, PAGE, libc::PROT_READ | libc::PROT_EXEC | write) == 0 }
}

/// Sets the breakpoint again that was put back, as the last thing that a handler does.
#[inline(always)]
pub(super) fn set_again() {
    // SAFETY: as in `set`.
    // 1. `ADDRESS` is not 0, and the page may be written to. 2. The handler calls nothing any more.
    unsafe {
        asm!(
            "mov {at}, qword ptr [rip + {address}]",
            "mov byte ptr [{at}], 0xcc",
            at = out(reg) _,
            address = sym ADDRESS,
            options(nostack, preserves_flags),
        );
    }
}
