//! The newest complete value, without making the writer wait: a sequence number that is odd while it writes.
//!
//! H.-J. Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012: the payload is
//! `Relaxed` words, and two fences order them with the sequence number.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use crate::memory::{Atomic, Hardware, HardwareWords, Memory, Payload, Resident, Words};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A value of plain bytes that one process writes and any number read.
///
/// Promise: a reader gets a value that was written whole, never older than one it got before, and never older than
/// the last one whose `write` had returned. Writers never wait; readers do while one writes.
///
/// **One writer at a time** is the caller's promise: two at once can leave a mixture that readers take for a
/// value (of plain bytes: never undefined behaviour). A writer killed in the middle leaves the sequence number
/// odd: [`try_read`](SeqLock::try_read) returns `None` until a successor has written.
///
/// ```
/// use forkcheck::publish::SeqLock;
/// static POSITION: SeqLock<[f64; 2]> = SeqLock::new([0.0, 0.0]);
/// POSITION.write([1.5, 2.5]);
/// assert_eq!(POSITION.read(), [1.5, 2.5]);
/// ```
/// From a parent to its child:
/// ```
/// use forkcheck::{Region, process, publish::SeqLock};
/// let region = Region::anonymous(size_of::<SeqLock<[u32; 2]>>())?;
/// let page: &SeqLock<[u32; 2]> = region.get(0)?;
/// page.write([3, 4]);
/// assert_eq!(process::run(|| page.read())?, [3, 4]);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[repr(C)]
pub struct SeqLock<T: Payload, M: Memory = Hardware> {
    /// Even: complete. Odd: a writer is at work, or was killed at work. Wraps around.
    sequence: M::AtomicU64,
    data: M::Words<T>,
}

// SAFETY: Resident.
// 1. An integer and a payload: any bytes are values. 2. All of it is accessed through atomics only. 3. No pointer.
// 4. No Drop. Zeros are a complete value of zeros.
unsafe impl<T: Payload> Resident for SeqLock<T> {}

impl<T: Payload> SeqLock<T> {
    /// One that holds `value`, for statics and plain variables; in a region, zeros are one already.
    pub const fn new(value: T) -> Self {
        Self {
            sequence: AtomicU64::new(0),
            data: HardwareWords::new_const(value),
        }
    }
}

impl<T: Payload, M: Memory> SeqLock<T, M> {
    /// One that holds `value`, in any memory.
    pub fn new_in(value: T) -> Self {
        Self {
            sequence: M::AtomicU64::new(0),
            data: M::Words::new(value),
        }
    }

    /// Replaces the value. One writer at a time; see the type.
    #[inline]
    pub fn write(&self, value: T) {
        // Relaxed: only writers store it, and there is one at a time. A dead writer's odd number counts as even.
        let even = self.sequence.load(Relaxed) & !1;
        self.sequence.store(even.wrapping_add(1), Relaxed);
        // Release: pairs with the Acquire fence in `try_read`. A reader that saw a word of the new data sees the
        // odd number when it looks again, and rejects what it has.
        M::fence(Release);
        self.data.store(value);
        // Release: pairs with the Acquire load in `try_read`. A reader that starts from this number sees all of
        // the new data.
        self.sequence.store(even.wrapping_add(2), Release);
    }

    /// The value, or `None` if a writer was at work meanwhile.
    #[inline]
    pub fn try_read(&self) -> Option<T> {
        // Acquire: pairs with the last store in `write`.
        let before = self.sequence.load(Acquire);
        if before & 1 == 1 {
            return None;
        }
        let value = self.data.load();
        // Acquire: pairs with the Release fence in `write`.
        M::fence(Acquire);
        (self.sequence.load(Relaxed) == before).then_some(value)
    }

    /// The value; spins while a writer is at work, for ever if that writer was killed and has no successor.
    #[inline]
    pub fn read(&self) -> T {
        loop {
            if let Some(value) = self.try_read() {
                return value;
            }
            M::spin_loop();
        }
    }
}
