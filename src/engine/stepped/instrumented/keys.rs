//! The keys of thread-locals that code under test makes: in each execution again, since the statics that it keeps them in are put back.
#![allow(unsafe_code, reason = "pthread_key_delete")]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The keys of this execution, and how many there are.
static KEYS_MADE: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
static MADE: AtomicU32 = AtomicU32::new(0);

/// Notes a key.
pub(super) fn made(key: u32) {
    let place = MADE.fetch_add(1, Relaxed) as usize;
    if let Some(place) = KEYS_MADE.get(place) {
        place.store(key, Relaxed);
    }
}

/// Gives back the keys that code under test has made, whose statics are put back.
pub(super) fn give_back() {
    let count = MADE.swap(0, Relaxed) as usize;
    for key in KEYS_MADE.iter().take(count) {
        // SAFETY: code under test has made it, and no longer knows it.
        unsafe { libc::pthread_key_delete(key.load(Relaxed)) };
    }
}
