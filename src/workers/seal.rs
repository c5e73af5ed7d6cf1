//! Words that show whether stray writes reached the memory of a check.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A word with its own writers: alone in its pair of cache lines (the prefetcher fetches two).
#[repr(C, align(128))]
pub(crate) struct Line<T> {
    value: T,
    pub(crate) seal: Seal,
}
impl<T> Deref for Line<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A word that is never written once it is set: if it has changed, the memory around it was
/// overwritten.
#[repr(transparent)]
pub(crate) struct Seal(AtomicU64);
impl Seal {
    const VALUE: u64 = 0x5ea1_ed00_b0a4_d5ea;
    pub(crate) fn set(&self) {
        self.0.store(Self::VALUE, Relaxed);
    }
    pub(crate) fn holds(&self) -> bool {
        self.0.load(Relaxed) == Self::VALUE
    }
}
