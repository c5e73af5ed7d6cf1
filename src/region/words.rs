//! The bytes of a region as words, for those who look whether they have changed or what they name.
#![allow(unsafe_code, reason = "mapped bytes are viewed as atomic words")]

use super::Region;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

impl Region {
    /// A number that changes with the first 64 KiB of its bytes. Only while nobody writes to them.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.words().fold(0, |seen, word| {
            (u64::rotate_left(seen, 5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        })
    }

    /// The words of its first 64 KiB.
    fn words(&self) -> impl Iterator<Item = u64> {
        let words = (self.len() / size_of::<AtomicU64>()).min(1 << 13);
        // SAFETY: a slice of atomics over the start of the mapping.
        // 1. The mapping starts at a page, is readable, at least that long, and lives as long as `self`.
        // 2. Any bytes are an `AtomicU64`, and it may change behind a shared reference.
        let words = unsafe {
            std::slice::from_raw_parts(self.pages.first().as_ptr().cast::<AtomicU64>(), words)
        };
        words.iter().map(|word| word.load(Relaxed))
    }

    /// Whether one of its words is an address in another mapping.
    pub(crate) fn names(&self, other: &Self) -> bool {
        let within = other.address()..other.address() + other.len();
        self.words().any(|word| within.contains(&(word as usize)))
    }
}
