//! Types that may live in a region: structures of atomics, their shape as a number, and read-only
//! access to one.
//!
//! Used by `region` for its typed views, and by code that defines a resident.
#![allow(
    unsafe_code,
    reason = "the trait is the contract of a region's typed view"
)]

use super::{HardwareBool, HardwareWords, Ordering, Payload, Words};
use std::ops::Deref;
use std::sync::atomic as core_atomic;

/// A structure that lives in a region: made of atomics, `repr(C)`, without pointers, and zeros are a valid start.
///
/// [`layout!`](crate::layout) writes one that is made of others, without `unsafe`.
///
/// # Safety
/// 1. Every bit pattern of `size_of::<Self>()` bytes is a value, and stays one while others write any bytes to it.
/// 2. Every access through `&self` to bytes that others write is atomic, always with the same size at the same place.
/// 3. `Self` holds no pointer, reference or index that is followed without a check.
/// 4. It needs no `Drop`.
pub unsafe trait Resident: Sized + Sync + 'static {
    /// The layout of the type as a number. Two programs that share a named region compare their
    /// numbers when they open it, so a program built from older sources is refused and does not
    /// misread.
    const SHAPE: u64 = shape("", &[size_of::<Self>() as u64, align_of::<Self>() as u64]);
}

/// Returns the number of a structure from its name and parts: FNV-1a, which needs only `const`
/// arithmetic. It is never zero.
#[doc(hidden)]
pub const fn shape(name: &str, parts: &[u64]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut seen = 0xcbf2_9ce4_8422_2325;
    let (name, mut at) = (name.as_bytes(), 0);
    while at < name.len() {
        seen = (seen ^ name[at] as u64).wrapping_mul(PRIME);
        at += 1;
    }
    at = 0;
    while at < parts.len() {
        let (bytes, mut byte) = (parts[at].to_le_bytes(), 0);
        while byte < bytes.len() {
            seen = (seen ^ bytes[byte] as u64).wrapping_mul(PRIME);
            byte += 1;
        }
        at += 1;
    }
    if seen == 0 { 1 } else { seen }
}

macro_rules! atomics {
    ($($Word:ident $Value:ty),*) => {$(
        // SAFETY: 1. every pattern of an integer is a value; 2. all its access through `&self` is atomic and of
        // its own size; 3. an integer is no pointer; 4. it needs no Drop. Same for the ones below, made of these.
        unsafe impl Resident for core_atomic::$Word {
            const SHAPE: u64 = shape(stringify!($Word), &[size_of::<Self>() as u64]);
        }
        impl Reading<'_, core_atomic::$Word> {
            /// Loads the word.
            ///
            /// # Panics
            /// If `order` is `Release` or `AcqRel`.
            pub fn load(&self, order: Ordering) -> $Value {
                self.0.load(order)
            }
        }
    )*};
}
atomics!(
    AtomicU8 u8, AtomicU16 u16, AtomicU32 u32, AtomicU64 u64, AtomicUsize usize,
    AtomicI8 i8, AtomicI16 i16, AtomicI32 i32, AtomicI64 i64, AtomicIsize isize
);

// SAFETY: 1. any byte is a value: its lowest bit counts; 2. it is accessed as an `AtomicU8` alone; 3. it is no pointer; 4. it needs
// no Drop.
unsafe impl Resident for HardwareBool {
    const SHAPE: u64 = shape("bool", &[1]);
}
impl Reading<'_, HardwareBool> {
    /// Loads the word.
    ///
    /// # Panics
    /// If `order` is `Release` or `AcqRel`.
    pub fn load(&self, order: Ordering) -> bool {
        self.0.load(order)
    }
}

// SAFETY: 1. zerocopy's FromBytes; 2. only atomic words are handed out (`HardwareWords::words`); 3. and 4. `T` is plain `Copy` bytes.
unsafe impl<T: Payload> Resident for HardwareWords<T> {
    const SHAPE: u64 = shape("words", &[size_of::<T>() as u64]);
}

// SAFETY: clauses 1 to 4 hold for each element, and an array is its elements without padding between them.
unsafe impl<T: Resident, const N: usize> Resident for [T; N] {
    const SHAPE: u64 = shape("array", &[T::SHAPE, N as u64]);
}

/// A value alone in its pair of cache lines (the prefetcher fetches two), for words that different
/// processes write.
///
/// ```
/// use forkcheck::{Region, memory::Line};
/// use std::sync::atomic::AtomicU64;
/// let region = Region::anonymous(size_of::<[Line<AtomicU64>; 4]>())?;
/// let counters: &[Line<AtomicU64>; 4] = region.get(0)?;
/// assert_eq!(&raw const counters[1] as usize - &raw const counters[0] as usize, 128);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Line<T>(pub T);

impl<T> Deref for Line<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

// SAFETY: clauses 1 to 4 hold for the value; behind it is padding, which is never read.
unsafe impl<T: Resident> Resident for Line<T> {
    const SHAPE: u64 = shape("line", &[T::SHAPE]);
}

/// A resident in pages that this process may only read: the methods that read it, without those
/// that write.
///
/// A [`View`](crate::region::View) hands it out. Loads compile to plain loads on x86-64 and
/// aarch64, as pages without write permission need; the standard library promises that for
/// `Relaxed` ones.
///
/// ```compile_fail
/// # let region = forkcheck::Region::memfd(8).unwrap();
/// # let view = region.view().unwrap();
/// use std::sync::atomic::{AtomicU64, Ordering};
/// view.get::<AtomicU64>(0).unwrap().store(1, Ordering::Relaxed); // there is no such method
/// ```
#[derive(Debug)]
pub struct Reading<'a, T>(pub(crate) &'a T);

impl<T> Clone for Reading<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Reading<'_, T> {}

impl<'a, T: Resident, const N: usize> Reading<'a, [T; N]> {
    /// Returns the element of this number, if there is one.
    pub fn get(self, index: usize) -> Option<Reading<'a, T>> {
        self.0.get(index).map(Reading)
    }
}

impl<'a, T: Resident> Reading<'a, Line<T>> {
    /// Returns the value in it.
    pub fn value(self) -> Reading<'a, T> {
        Reading(&self.0.0)
    }
}

impl<T: Payload> Reading<'_, HardwareWords<T>> {
    /// Returns a copy, possibly torn.
    pub fn load(self) -> T {
        self.0.load()
    }
    /// Returns what [`Words::load_part`] returns.
    ///
    /// # Panics
    /// If the part is not within the payload.
    pub fn load_part<P: Payload>(self, offset: usize) -> P {
        self.0.load_part(offset)
    }
}
