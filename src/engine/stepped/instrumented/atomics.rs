//! The functions that the pass makes code call in place of its atomic accesses. They also do the
//! accesses.
#![allow(
    unsafe_code,
    reason = "functions of fixed names that instrumented code calls"
)]

use super::accesses::{self, Atomic};
use super::callers::code;
use super::clocks::Order;
use super::hooks::{entered, is_under_test};
use crate::case::Access;
use std::arch::naked_asm;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// Returns a memory order at least as strong as the one of code that is not under test.
fn for_store(order: i32) -> std::sync::atomic::Ordering {
    if order == 5 { SeqCst } else { Release }
}

fn updated<V: Into<u64> + PartialEq + Copy>(found: V, now: V) -> Atomic {
    Atomic {
        access: Access::Update,
        found: found.into(),
        now: (found != now).then(|| now.into()),
    }
}

macro_rules! atomics {
    ($($module:ident $Value:ty, $Word:ty;)*) => {$(mod $module {
        use super::*;
        const LENGTH: usize = size_of::<$Value>();

        fn place(word: &$Word) -> (usize, usize) {
            ((&raw const *word).addr(), LENGTH)
        }

        pub(super) unsafe extern "C" fn load(word: &$Word, order: i32, from: usize) -> $Value {
            if !is_under_test(0) {
                return word.load(if order == 5 { SeqCst } else { Acquire });
            }
            let orders = (Order(order), Order(order));
            accesses::atomic(Access::Load, place(word), orders, code(from), || {
                let value = word.load(SeqCst);
                (value, Atomic { access: Access::Load, found: value.into(), now: None })
            })
        }

        pub(super) unsafe extern "C" fn store(word: &$Word, value: $Value, order: i32, from: usize) {
            if !is_under_test(1) {
                return word.store(value, for_store(order));
            }
            let orders = (Order(order), Order(order));
            accesses::atomic(Access::Store, place(word), orders, code(from), || {
                let found = word.swap(value, SeqCst);
                let now = (found != value).then(|| value.into());
                ((), Atomic { access: Access::Store, found: value.into(), now })
            })
        }

        pub(super) unsafe extern "C" fn compare_exchange(
            word: &$Word, expected: $Value, value: $Value, order: i32, on_miss: i32, from: usize,
        ) -> $Value {
            if !is_under_test(0) {
                let (Ok(found) | Err(found)) = word.compare_exchange(expected, value, SeqCst, SeqCst);
                return found;
            }
            let orders = (Order(order), Order(on_miss));
            accesses::atomic(Access::Update, place(word), orders, code(from), || {
                match word.compare_exchange(expected, value, SeqCst, SeqCst) {
                    Ok(found) => (found, updated(found, value)),
                    Err(found) => (found, Atomic { access: Access::Miss, found: found.into(), now: None }),
                }
            })
        }

        /// Does a compare-exchange in the form of C compilers: the value that was found replaces
        /// the expected one in memory.
        pub(super) unsafe extern "C" fn compare_exchange_in_place(
            word: &$Word, expected: *mut $Value, value: $Value, order: i32, on_miss: i32, from: usize,
        ) -> bool {
            // SAFETY: the caller gives a place of its own for the expected value.
            let wanted = unsafe { expected.read() };
            // SAFETY: a call of the function above with what this one was called with.
            let found = unsafe { compare_exchange(word, wanted, value, order, on_miss, from) };
            if found != wanted {
                // SAFETY: as for the read.
                unsafe { expected.write(found) };
            }
            found == wanted
        }

        atomics! { @updates $Value, $Word:
            swap |word, value| word.swap(value, SeqCst);
            add |word, value| word.fetch_add(value, SeqCst);
            sub |word, value| word.fetch_sub(value, SeqCst);
            and |word, value| word.fetch_and(value, SeqCst);
            or |word, value| word.fetch_or(value, SeqCst);
            xor |word, value| word.fetch_xor(value, SeqCst);
            nand |word, value| word.fetch_nand(value, SeqCst);
        }
    })*};
    (@updates $Value:ty, $Word:ty: $($name:ident |$word:ident, $value:ident| $update:expr;)*) => {$(
        pub(super) unsafe extern "C" fn $name($word: &$Word, $value: $Value, order: i32, from: usize) -> $Value {
            if !is_under_test(0) {
                return $update;
            }
            let orders = (Order(order), Order(order));
            accesses::atomic(Access::Update, place($word), orders, code(from), || {
                let found = $update;
                // No other process moves meanwhile.
                (found, updated(found, $word.load(SeqCst)))
            })
        }
    )*};
}
atomics! {
    of8 u8, AtomicU8;
    of16 u16, AtomicU16;
    of32 u32, AtomicU32;
    of64 u64, AtomicU64;
}

macro_rules! named {
    ($($module:ident $load:ident $store:ident $swap:ident $add:ident $sub:ident $and:ident $or:ident $xor:ident $nand:ident
       $compare:ident $strong:ident $weak:ident;)*) => {$(
        entered! {
            $load => $module::load, "rdx", "x2";
            $store => $module::store, "rcx", "x3";
            $swap => $module::swap, "rcx", "x3";
            $add => $module::add, "rcx", "x3";
            $sub => $module::sub, "rcx", "x3";
            $and => $module::and, "rcx", "x3";
            $or => $module::or, "rcx", "x3";
            $xor => $module::xor, "rcx", "x3";
            $nand => $module::nand, "rcx", "x3";
            $compare => $module::compare_exchange, "r9", "x5";
            $strong => $module::compare_exchange_in_place, "r9", "x5";
            $weak => $module::compare_exchange_in_place, "r9", "x5";
        }
    )*};
}
named! {
    of8 __tsan_atomic8_load __tsan_atomic8_store __tsan_atomic8_exchange __tsan_atomic8_fetch_add __tsan_atomic8_fetch_sub
        __tsan_atomic8_fetch_and __tsan_atomic8_fetch_or __tsan_atomic8_fetch_xor __tsan_atomic8_fetch_nand
        __tsan_atomic8_compare_exchange_val __tsan_atomic8_compare_exchange_strong __tsan_atomic8_compare_exchange_weak;
    of16 __tsan_atomic16_load __tsan_atomic16_store __tsan_atomic16_exchange __tsan_atomic16_fetch_add __tsan_atomic16_fetch_sub
        __tsan_atomic16_fetch_and __tsan_atomic16_fetch_or __tsan_atomic16_fetch_xor __tsan_atomic16_fetch_nand
        __tsan_atomic16_compare_exchange_val __tsan_atomic16_compare_exchange_strong __tsan_atomic16_compare_exchange_weak;
    of32 __tsan_atomic32_load __tsan_atomic32_store __tsan_atomic32_exchange __tsan_atomic32_fetch_add __tsan_atomic32_fetch_sub
        __tsan_atomic32_fetch_and __tsan_atomic32_fetch_or __tsan_atomic32_fetch_xor __tsan_atomic32_fetch_nand
        __tsan_atomic32_compare_exchange_val __tsan_atomic32_compare_exchange_strong __tsan_atomic32_compare_exchange_weak;
    of64 __tsan_atomic64_load __tsan_atomic64_store __tsan_atomic64_exchange __tsan_atomic64_fetch_add __tsan_atomic64_fetch_sub
        __tsan_atomic64_fetch_and __tsan_atomic64_fetch_or __tsan_atomic64_fetch_xor __tsan_atomic64_fetch_nand
        __tsan_atomic64_compare_exchange_val __tsan_atomic64_compare_exchange_strong __tsan_atomic64_compare_exchange_weak;
}
