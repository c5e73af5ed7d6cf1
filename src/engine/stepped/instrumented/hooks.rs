//! The functions that the pass makes code call at plain accesses, at copies and at fences. Each is
//! entered by a jump that also passes the return address, which shows where in the source the
//! access is.
#![allow(
    unsafe_code,
    reason = "functions of fixed names that instrumented code calls"
)]

use super::callers::code;
use super::clocks::Order;
use super::runs::DISTANCE;
use super::{CHECK, PROBED, RUNS, UNDER_TEST, accesses, arena};
use std::arch::naked_asm;
use std::sync::atomic::Ordering::SeqCst;

/// Returns whether code under test runs; notes the probe.
#[inline(always)]
pub(super) fn is_under_test(of_probe: u32) -> bool {
    match RUNS.get() {
        CHECK => false,
        UNDER_TEST => true,
        _ => probed(of_probe),
    }
}

/// Notes the probe.
#[cold]
fn probed(of_probe: u32) -> bool {
    PROBED.set(PROBED.get() | of_probe);
    false
}

/// Makes functions under the names that the pass knows. Each jumps to another one with the return
/// address in this register.
macro_rules! entered {
    ($($name:ident => $to:path, $x86:literal, $arm:literal;)*) => {$(
        /// See the module.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            naked_asm!(concat!("mov ", $x86, ", [rsp]"), "jmp {to}", to = sym $to);
            #[cfg(target_arch = "aarch64")]
            naked_asm!(concat!("mov ", $arm, ", x30"), "b {to}", to = sym $to);
        }
    )*};
}
pub(super) use entered;

/// Makes functions as `entered!` does, of accesses that the caller does itself: they return at once where code of the check runs.
macro_rules! entered_under_test {
    ($($name:ident => $to:path, $x86:literal, $arm:literal;)*) => {$(
        /// See the module.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name() {
            #[cfg(target_arch = "x86_64")]
            naked_asm!(
                "mov rax, qword ptr [rip + {distance}]",
                "cmp byte ptr fs:[rax], {check}",
                "jne 2f",
                "ret",
                "2:",
                concat!("mov ", $x86, ", [rsp]"),
                "jmp {to}",
                distance = sym DISTANCE, check = const CHECK, to = sym $to
            );
            #[cfg(target_arch = "aarch64")]
            naked_asm!(concat!("mov ", $arm, ", x30"), "b {to}", to = sym $to);
        }
    )*};
}

macro_rules! plain {
    ($($length:literal $read:ident $write:ident $volatile_read:ident $volatile_write:ident;)*) => {$(
        unsafe extern "C" fn $read(address: usize, from: usize) {
            if is_under_test(0) && arena::holds(address) {
                accesses::plain(address, $length, false, code(from));
            }
        }
        unsafe extern "C" fn $write(address: usize, from: usize) {
            if is_under_test(2) && arena::holds(address) {
                accesses::plain(address, $length, true, code(from));
            }
        }
        unsafe extern "C" fn $volatile_read(address: usize, from: usize) {
            if is_under_test(0) {
                accesses::volatile(address, $length, false, code(from));
            }
        }
        unsafe extern "C" fn $volatile_write(address: usize, from: usize) {
            if is_under_test(0) {
                accesses::volatile(address, $length, true, code(from));
            }
        }
    )*};
}
plain! {
    1 read1 write1 volatile_read1 volatile_write1;
    2 read2 write2 volatile_read2 volatile_write2;
    4 read4 write4 volatile_read4 volatile_write4;
    8 read8 write8 volatile_read8 volatile_write8;
    16 read16 write16 volatile_read16 volatile_write16;
}
entered_under_test! {
    __tsan_read1 => read1, "rsi", "x1"; __tsan_read2 => read2, "rsi", "x1"; __tsan_read4 => read4, "rsi", "x1";
    __tsan_read8 => read8, "rsi", "x1"; __tsan_read16 => read16, "rsi", "x1";
    __tsan_write1 => write1, "rsi", "x1"; __tsan_write2 => write2, "rsi", "x1"; __tsan_write4 => write4, "rsi", "x1";
    __tsan_write8 => write8, "rsi", "x1"; __tsan_write16 => write16, "rsi", "x1";
    __tsan_unaligned_read2 => read2, "rsi", "x1"; __tsan_unaligned_read4 => read4, "rsi", "x1";
    __tsan_unaligned_read8 => read8, "rsi", "x1"; __tsan_unaligned_read16 => read16, "rsi", "x1";
    __tsan_unaligned_write2 => write2, "rsi", "x1"; __tsan_unaligned_write4 => write4, "rsi", "x1";
    __tsan_unaligned_write8 => write8, "rsi", "x1"; __tsan_unaligned_write16 => write16, "rsi", "x1";
    __tsan_volatile_read1 => volatile_read1, "rsi", "x1"; __tsan_volatile_read2 => volatile_read2, "rsi", "x1";
    __tsan_volatile_read4 => volatile_read4, "rsi", "x1"; __tsan_volatile_read8 => volatile_read8, "rsi", "x1";
    __tsan_volatile_read16 => volatile_read16, "rsi", "x1";
    __tsan_volatile_write1 => volatile_write1, "rsi", "x1"; __tsan_volatile_write2 => volatile_write2, "rsi", "x1";
    __tsan_volatile_write4 => volatile_write4, "rsi", "x1"; __tsan_volatile_write8 => volatile_write8, "rsi", "x1";
    __tsan_volatile_write16 => volatile_write16, "rsi", "x1";
    __tsan_unaligned_volatile_read2 => volatile_read2, "rsi", "x1"; __tsan_unaligned_volatile_read4 => volatile_read4, "rsi", "x1";
    __tsan_unaligned_volatile_read8 => volatile_read8, "rsi", "x1"; __tsan_unaligned_volatile_read16 => volatile_read16, "rsi", "x1";
    __tsan_unaligned_volatile_write2 => volatile_write2, "rsi", "x1"; __tsan_unaligned_volatile_write4 => volatile_write4, "rsi", "x1";
    __tsan_unaligned_volatile_write8 => volatile_write8, "rsi", "x1"; __tsan_unaligned_volatile_write16 => volatile_write16, "rsi", "x1";
    __tsan_vptr_read => read8, "rsi", "x1"; __tsan_vptr_update => vptr_update, "rdx", "x2";
    __tsan_read_range => read_range, "rdx", "x2"; __tsan_write_range => write_range, "rdx", "x2";
}
entered! {
    __tsan_memcpy => copied, "rcx", "x3"; __tsan_memmove => moved, "rcx", "x3"; __tsan_memset => filled, "rcx", "x3";
    __tsan_atomic_thread_fence => fence, "rsi", "x1";
}

/// Makes the other functions that the pass and compilers of C call, of which nothing has to be
/// known.
macro_rules! nothing {
    ($($name:ident)*) => {$(
        /// See the module.
        #[unsafe(no_mangle)]
        extern "C" fn $name() {}
    )*};
}
nothing! { __tsan_init __tsan_func_entry __tsan_func_exit __tsan_atomic_signal_fence }

unsafe extern "C" fn vptr_update(address: usize, _: usize, from: usize) {
    if is_under_test(0) {
        accesses::plain(address, 8, true, code(from));
    }
}

unsafe extern "C" fn read_range(address: usize, length: usize, from: usize) {
    if is_under_test(0) {
        accesses::plain(address, length, false, code(from));
    }
}

unsafe extern "C" fn write_range(address: usize, length: usize, from: usize) {
    if is_under_test(0) {
        accesses::plain(address, length, true, code(from));
    }
}

unsafe extern "C" fn copied(to: *mut u8, source: *const u8, length: usize, from: usize) -> *mut u8 {
    if is_under_test(0) {
        // SAFETY: the caller calls it in place of memcpy.
        unsafe { accesses::copy(to.addr(), source.addr(), length, code(from)) };
    } else {
        // SAFETY: the same.
        unsafe { source.copy_to_nonoverlapping(to, length) };
    }
    to
}

unsafe extern "C" fn moved(to: *mut u8, source: *const u8, length: usize, from: usize) -> *mut u8 {
    if is_under_test(0) {
        // SAFETY: the caller calls it in place of memmove.
        unsafe { accesses::copy(to.addr(), source.addr(), length, code(from)) };
    } else {
        // SAFETY: the same.
        unsafe { source.copy_to(to, length) };
    }
    to
}

unsafe extern "C" fn filled(to: *mut u8, byte: i32, length: usize, from: usize) -> *mut u8 {
    if is_under_test(0) {
        // SAFETY: the caller calls it in place of memset.
        unsafe { accesses::fill(to.addr(), byte as u8, length, code(from)) };
    } else {
        // SAFETY: the same.
        unsafe { to.write_bytes(byte as u8, length) };
    }
    to
}

unsafe extern "C" fn fence(order: i32, from: usize) {
    if is_under_test(0) {
        accesses::fence(Order(order), code(from));
    }
    std::sync::atomic::fence(SeqCst);
}
