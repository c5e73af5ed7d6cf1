//! A value that is set once: readers see nothing or all of it.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use super::Slot;
use crate::memory::{Atomic, Hardware, Memory, Payload, Reading, Resident, shape};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// No process has begun to set it. Goes to `CLAIMED` by the one writer whose exchange succeeds.
const EMPTY: u32 = 0;
/// One writer is copying; all others are refused. Goes to `SET`, or stays if that writer is killed.
const CLAIMED: u32 = 1;
/// The data is complete and never changes again.
const SET: u32 = 2;

/// A value of plain bytes that is set once, by any process, and read by any number.
///
/// Promise: [`get`](OneShot::get) returns `None`, or the whole value of the one `set` that
/// succeeded; once it has returned the value it always does. Both sides are wait-free:
/// [`set`](OneShot::set) does not wait for another writer but is refused, so it may be refused
/// before the value can be read. A writer that is killed after its claim leaves it empty
/// indefinitely.
///
/// ```
/// use forkcheck::publish::OneShot;
/// static RESULT: OneShot<[u32; 3]> = OneShot::new();
/// assert_eq!(RESULT.get(), None);
/// assert_eq!(RESULT.set([1, 2, 3]), Ok(()));
/// assert_eq!(RESULT.set([4, 5, 6]), Err([4, 5, 6]));
/// assert_eq!(RESULT.get(), Some([1, 2, 3]));
/// ```
/// From a child to its parent:
/// ```
/// use forkcheck::{Region, process, publish::OneShot};
/// let region = Region::anonymous(size_of::<OneShot<u64>>())?;
/// let result: &OneShot<u64> = region.get(0)?;
/// process::run(|| result.set(42).expect("no other process sets it"))?;
/// assert_eq!(result.get(), Some(42));
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[repr(C)]
pub struct OneShot<T: Payload, M: Memory = Hardware> {
    state: M::AtomicU32,
    slot: Slot<T, M>,
}

// SAFETY: Resident.
// 1. An integer, a zero-sized cell and a payload: any bytes are values; a state that no writer ever stored reads as
// not set. 2. All of it is accessed through atomics only. 3. No pointer. 4. No Drop. Zeros are EMPTY.
unsafe impl<T: Payload> Resident for OneShot<T> {
    const SHAPE: u64 = shape("one shot", &[size_of::<T>() as u64, align_of::<T>() as u64]);
}

impl<T: Payload> OneShot<T> {
    /// Returns an empty one, for statics and plain variables; in a region, zeros are one already.
    pub const fn new() -> Self {
        Self {
            state: AtomicU32::new(EMPTY),
            slot: Slot::zeroed(),
        }
    }
}

impl<T: Payload> Default for OneShot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Payload, M: Memory> OneShot<T, M> {
    /// Returns an empty one in any memory.
    pub fn new_in() -> Self {
        Self {
            state: M::AtomicU32::new(EMPTY),
            slot: Slot::new_in(T::new_zeroed()),
        }
    }

    /// Sets the value.
    ///
    /// ```
    /// use forkcheck::publish::OneShot;
    /// static PORT: OneShot<u16> = OneShot::new();
    /// assert_eq!(PORT.get(), None);
    /// assert_eq!(PORT.set(80), Ok(()));
    /// assert_eq!(PORT.set(81), Err(81));
    /// ```
    ///
    /// # Errors
    /// Returns the value, if another `set` came first, whether or not that one is done.
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        // Relaxed: the exchange only decides which process copies; it passes no data on.
        if self
            .state
            .compare_exchange(EMPTY, CLAIMED, Relaxed, Relaxed)
            .is_err()
        {
            return Err(value);
        }
        self.slot.store(value);
        // Release: pairs with the Acquire load in `get`; a reader that sees SET sees the data.
        self.state.store(SET, Release);
        Ok(())
    }

    /// Returns the value, if it is set.
    #[inline]
    pub fn get(&self) -> Option<T> {
        // Acquire: pairs with the Release store in `set`.
        if self.state.load(Acquire) != SET {
            return None;
        }
        Some(self.slot.load())
    }
}

impl<T: Payload> Reading<'_, OneShot<T>> {
    /// Returns what [`OneShot::get`] returns.
    pub fn get(self) -> Option<T> {
        self.0.get()
    }
}
