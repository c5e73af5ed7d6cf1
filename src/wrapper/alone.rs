//! The functions that instrumented code calls, for programs that do not link forkcheck: they do
//! what the code asks for, and report nothing. `cargo forkcheck` compiles this file by itself, and
//! gives it to the linker after everything else.
#![no_std]
#![allow(
    unsafe_code,
    reason = "functions of fixed names that instrumented code calls"
)]

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

macro_rules! nothing {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name() {}
    )*};
}
nothing! {
    __tsan_init __tsan_func_entry __tsan_func_exit __tsan_atomic_signal_fence __tsan_vptr_read __tsan_vptr_update
    __tsan_read_range __tsan_write_range
    __tsan_read1 __tsan_read2 __tsan_read4 __tsan_read8 __tsan_read16
    __tsan_write1 __tsan_write2 __tsan_write4 __tsan_write8 __tsan_write16
    __tsan_unaligned_read2 __tsan_unaligned_read4 __tsan_unaligned_read8 __tsan_unaligned_read16
    __tsan_unaligned_write2 __tsan_unaligned_write4 __tsan_unaligned_write8 __tsan_unaligned_write16
    __tsan_volatile_read1 __tsan_volatile_read2 __tsan_volatile_read4 __tsan_volatile_read8 __tsan_volatile_read16
    __tsan_volatile_write1 __tsan_volatile_write2 __tsan_volatile_write4 __tsan_volatile_write8 __tsan_volatile_write16
    __tsan_unaligned_volatile_read2 __tsan_unaligned_volatile_read4 __tsan_unaligned_volatile_read8
    __tsan_unaligned_volatile_read16 __tsan_unaligned_volatile_write2 __tsan_unaligned_volatile_write4
    __tsan_unaligned_volatile_write8 __tsan_unaligned_volatile_write16
}

unsafe extern "C" {
    fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8;
    fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8;
    fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8;
}
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller calls it in place of this one.
    unsafe { memcpy(to, from, length) }
}
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { memmove(to, from, length) }
}
#[unsafe(no_mangle)]
unsafe extern "C" fn __tsan_memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { memset(to, byte, length) }
}
#[unsafe(no_mangle)]
extern "C" fn __tsan_atomic_thread_fence(_: i32) {
    core::sync::atomic::fence(SeqCst);
}

macro_rules! atomics {
    ($($Word:ident $Value:ty: $load:ident $store:ident $swap:ident $add:ident $sub:ident $and:ident $or:ident $xor:ident $nand:ident
       $compare:ident $strong:ident $weak:ident;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $load(word: &$Word, _: i32) -> $Value { word.load(SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $store(word: &$Word, value: $Value, _: i32) { word.store(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $swap(word: &$Word, value: $Value, _: i32) -> $Value { word.swap(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $add(word: &$Word, value: $Value, _: i32) -> $Value { word.fetch_add(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $sub(word: &$Word, value: $Value, _: i32) -> $Value { word.fetch_sub(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $and(word: &$Word, value: $Value, _: i32) -> $Value { word.fetch_and(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $or(word: &$Word, value: $Value, _: i32) -> $Value { word.fetch_or(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $xor(word: &$Word, value: $Value, _: i32) -> $Value { word.fetch_xor(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $nand(word: &$Word, value: $Value, _: i32) -> $Value { word.fetch_nand(value, SeqCst) }
        #[unsafe(no_mangle)]
        extern "C" fn $compare(word: &$Word, expected: $Value, value: $Value, _: i32, _: i32) -> $Value {
            let (Ok(found) | Err(found)) = word.compare_exchange(expected, value, SeqCst, SeqCst);
            found
        }
        #[unsafe(no_mangle)]
        extern "C" fn $strong(word: &$Word, expected: &mut $Value, value: $Value, _: i32, _: i32) -> bool {
            let result = word.compare_exchange(*expected, value, SeqCst, SeqCst);
            if let Err(found) = result {
                *expected = found;
            }
            result.is_ok()
        }
        #[unsafe(no_mangle)]
        extern "C" fn $weak(word: &$Word, expected: &mut $Value, value: $Value, order: i32, on_miss: i32) -> bool {
            $strong(word, expected, value, order, on_miss)
        }
    )*};
}
atomics! {
    AtomicU8 u8: __tsan_atomic8_load __tsan_atomic8_store __tsan_atomic8_exchange __tsan_atomic8_fetch_add __tsan_atomic8_fetch_sub
        __tsan_atomic8_fetch_and __tsan_atomic8_fetch_or __tsan_atomic8_fetch_xor __tsan_atomic8_fetch_nand
        __tsan_atomic8_compare_exchange_val __tsan_atomic8_compare_exchange_strong __tsan_atomic8_compare_exchange_weak;
    AtomicU16 u16: __tsan_atomic16_load __tsan_atomic16_store __tsan_atomic16_exchange __tsan_atomic16_fetch_add
        __tsan_atomic16_fetch_sub __tsan_atomic16_fetch_and __tsan_atomic16_fetch_or __tsan_atomic16_fetch_xor
        __tsan_atomic16_fetch_nand
        __tsan_atomic16_compare_exchange_val __tsan_atomic16_compare_exchange_strong __tsan_atomic16_compare_exchange_weak;
    AtomicU32 u32: __tsan_atomic32_load __tsan_atomic32_store __tsan_atomic32_exchange __tsan_atomic32_fetch_add
        __tsan_atomic32_fetch_sub __tsan_atomic32_fetch_and __tsan_atomic32_fetch_or __tsan_atomic32_fetch_xor
        __tsan_atomic32_fetch_nand
        __tsan_atomic32_compare_exchange_val __tsan_atomic32_compare_exchange_strong __tsan_atomic32_compare_exchange_weak;
    AtomicU64 u64: __tsan_atomic64_load __tsan_atomic64_store __tsan_atomic64_exchange __tsan_atomic64_fetch_add
        __tsan_atomic64_fetch_sub __tsan_atomic64_fetch_and __tsan_atomic64_fetch_or __tsan_atomic64_fetch_xor
        __tsan_atomic64_fetch_nand
        __tsan_atomic64_compare_exchange_val __tsan_atomic64_compare_exchange_strong __tsan_atomic64_compare_exchange_weak;
}
