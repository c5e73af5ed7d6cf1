//! A `bool` in shared memory: a byte of which only the lowest bit counts, since other processes may
//! write any byte.

use std::sync::atomic::{AtomicU8, Ordering};

/// A `bool` in shared memory, with the methods of `std::sync::atomic::AtomicBool`.
///
/// It takes a byte. A byte other than 0 and 1, which another process may have written, counts as
/// its lowest bit: reading one as a `bool` of the standard library would be undefined behaviour.
///
/// ```
/// use forkcheck::{Region, memory::{HardwareBool, Ordering}};
/// let region = Region::anonymous(1)?;
/// let ready: &HardwareBool = region.get(0)?;
/// assert!(!ready.swap(true, Ordering::AcqRel));
/// assert!(ready.load(Ordering::Acquire));
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct HardwareBool(AtomicU8);

/// Returns the value that a byte stands for.
#[inline(always)]
const fn value(byte: u8) -> bool {
    byte & 1 == 1
}

impl HardwareBool {
    /// Returns a word that holds `value`, for statics too.
    pub const fn new(value: bool) -> Self {
        Self(AtomicU8::new(value as u8))
    }
    /// See `AtomicBool::load`.
    ///
    /// # Panics
    /// If `order` is `Release` or `AcqRel`.
    #[inline(always)]
    pub fn load(&self, order: Ordering) -> bool {
        value(self.0.load(order))
    }
    /// See `AtomicBool::store`.
    ///
    /// # Panics
    /// If `order` is `Acquire` or `AcqRel`.
    #[inline(always)]
    pub fn store(&self, value: bool, order: Ordering) {
        self.0.store(value.into(), order);
    }
    /// See `AtomicBool::swap`.
    #[inline(always)]
    pub fn swap(&self, new: bool, order: Ordering) -> bool {
        value(self.0.swap(new.into(), order))
    }
    /// See `AtomicBool::compare_exchange`.
    ///
    /// # Errors
    /// The value found, where it is not `current`.
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
    #[inline(always)]
    pub fn compare_exchange(
        &self,
        current: bool,
        new: bool,
        success: Ordering,
        failure: Ordering,
    ) -> Result<bool, bool> {
        let mut byte = u8::from(current);
        loop {
            match self.0.compare_exchange(byte, new.into(), success, failure) {
                Ok(_) => return Ok(current),
                // The word holds another byte that stands for the same value.
                Err(found) if value(found) == current => byte = found,
                Err(found) => return Err(value(found)),
            }
        }
    }
    /// See `AtomicBool::compare_exchange_weak`: may fail spuriously.
    ///
    /// # Errors
    /// The value found.
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
    #[inline(always)]
    pub fn compare_exchange_weak(
        &self,
        current: bool,
        new: bool,
        success: Ordering,
        failure: Ordering,
    ) -> Result<bool, bool> {
        let byte = u8::from(current);
        let result = self
            .0
            .compare_exchange_weak(byte, new.into(), success, failure);
        match result {
            Ok(_) => Ok(current),
            Err(found) if found != byte && value(found) == current => {
                self.compare_exchange(current, new, success, failure)
            }
            Err(found) => Err(value(found)),
        }
    }
    /// See `AtomicBool::fetch_and`.
    #[inline(always)]
    pub fn fetch_and(&self, other: bool, order: Ordering) -> bool {
        value(self.0.fetch_and(other.into(), order))
    }
    /// See `AtomicBool::fetch_or`.
    #[inline(always)]
    pub fn fetch_or(&self, other: bool, order: Ordering) -> bool {
        value(self.0.fetch_or(other.into(), order))
    }
    /// See `AtomicBool::fetch_xor`.
    #[inline(always)]
    pub fn fetch_xor(&self, other: bool, order: Ordering) -> bool {
        value(self.0.fetch_xor(other.into(), order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn of_any_byte_that_another_process_wrote_the_lowest_bit_counts() {
        for byte in 0..=u8::MAX {
            let holds = byte % 2 == 1;
            let word = || HardwareBool(AtomicU8::new(byte));
            assert_eq!(word().load(Relaxed), holds);
            for other in [false, true] {
                let changed = |by: fn(&HardwareBool, bool) -> bool| {
                    let word = word();
                    assert_eq!(by(&word, other), holds);
                    word.load(Relaxed)
                };
                assert_eq!(changed(|word, other| word.swap(other, Relaxed)), other);
                let and = changed(|word, other| word.fetch_and(other, Relaxed));
                let or = changed(|word, other| word.fetch_or(other, Relaxed));
                let xor = changed(|word, other| word.fetch_xor(other, Relaxed));
                assert_eq!(
                    (and, or, xor),
                    (holds & other, holds | other, holds ^ other)
                );
                let word = word();
                let exchanged = word.compare_exchange(other, !other, Relaxed, Relaxed);
                assert_eq!(exchanged.is_ok(), holds == other);
                assert_eq!(exchanged.unwrap_or_else(|found| found), holds);
                assert!(word.load(Relaxed) != other);
            }
        }
    }
}
