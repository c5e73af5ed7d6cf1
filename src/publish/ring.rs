//! A bounded queue from one process to another.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use super::Slot;
use crate::memory::{Atomic, Hardware, Line, Memory, Payload, Resident, shape};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A first-in, first-out queue of at most `N` values of plain bytes, from one producer to one consumer. An `N` of 0, or of
/// 2^31 or more, does not compile.
///
/// Promise: the consumer gets the pushed values in order, each once. Both sides are wait-free. The
/// ring is full or empty as far as the caller can see: a pop that is not yet visible to the
/// producer leaves it [`Full`], a push that is not yet visible to the consumer leaves it empty.
/// What happened before is visible.
///
/// **One producer and one consumer at a time** is the callers' promise: two of a kind share a slot,
/// and can lose, duplicate or mix values (of plain bytes: never undefined behaviour). A killed
/// producer leaves a prefix of the values that it pushed. A killed consumer leaves the values that
/// it had not taken; its next incarnation finds the value that was being taken, if any, again. The
/// next incarnation of either continues as the same process would. After a process has overwritten
/// an index, either nothing can be popped and nothing pushed, or old values are popped again: at
/// most N, until that process writes again.
///
/// ```
/// use forkcheck::publish::{Full, Ring};
/// static JOBS: Ring<u32, 2> = Ring::new();
/// assert_eq!(JOBS.pop(), None);
/// assert_eq!(JOBS.push(1), Ok(()));
/// assert_eq!(JOBS.push(2), Ok(()));
/// assert_eq!(JOBS.push(3), Err(Full(3)));
/// assert_eq!(JOBS.pop(), Some(1));
/// ```
/// From a parent to its child:
/// ```
/// use forkcheck::{Region, process, publish::Ring};
/// let region = Region::anonymous(size_of::<Ring<u64, 8>>())?;
/// let jobs: &Ring<u64, 8> = region.get(0)?;
/// (1..=4).for_each(|job| jobs.push(job).expect("there is room for eight"));
/// assert_eq!(process::run(|| std::iter::from_fn(|| jobs.pop()).sum::<u64>())?, 10);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[repr(C)]
pub struct Ring<T: Payload, const N: usize, M: Memory = Hardware> {
    producer: Line<Side<M>>,
    consumer: Line<Side<M>>,
    slots: [Slot<T, M>; N],
}

/// The words of one side, which it alone writes.
#[repr(C)]
struct Side<M: Memory> {
    /// The next slot, counted from 0 to 2 N - 1, so that a full ring and an empty one differ, for
    /// any N.
    next: M::AtomicU32,
    /// The other side's `next` when this side last had to look: looking fetches that side's cache
    /// line. Never ahead of it.
    seen: M::AtomicU32,
}

impl Side<Hardware> {
    const fn new() -> Self {
        Self {
            next: AtomicU32::new(0),
            seen: AtomicU32::new(0),
        }
    }
}

/// The value that was not pushed: as far as the producer can see there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Full<T>(pub T);

// SAFETY: Resident.
// 1. Integers, zero-sized cells and payloads: any bytes are values. 2. All of it is accessed through atomics only.
// 3. No pointer; a slot is found modulo N. 4. No Drop. Zeros are an empty ring.
unsafe impl<T: Payload, const N: usize> Resident for Ring<T, N> {
    const SHAPE: u64 = shape(
        "ring",
        &[size_of::<T>() as u64, align_of::<T>() as u64, N as u64],
    );
}

impl<T: Payload, const N: usize> Ring<T, N> {
    /// Returns an empty one, for statics and plain variables; in a region, zeros are one already.
    pub const fn new() -> Self {
        const {
            assert!(N > 0 && N < 1 << 31, "a ring has 1 to 2^31 - 1 slots");
        }
        Self {
            producer: Line(Side::new()),
            consumer: Line(Side::new()),
            slots: [const { Slot::zeroed() }; N],
        }
    }
}

impl<T: Payload, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Payload, const N: usize, M: Memory> Ring<T, N, M> {
    const SLOTS: u32 = {
        assert!(N > 0 && N < 1 << 31, "a ring has 1 to 2^31 - 1 slots");
        N as u32
    };

    /// Returns an empty one in any memory.
    pub fn new_in() -> Self {
        let side = || Side {
            next: M::AtomicU32::new(0),
            seen: M::AtomicU32::new(0),
        };
        Self {
            producer: Line(side()),
            consumer: Line(side()),
            slots: std::array::from_fn(|_| Slot::new_in(T::new_zeroed())),
        }
    }

    /// Appends a value. One producer at a time; see the type.
    ///
    /// # Errors
    /// Returns the value, if there is no room.
    #[inline]
    pub fn push(&self, value: T) -> Result<(), Full<T>> {
        let producer = &*self.producer;
        // Relaxed: only the producer stores these two.
        let tail = producer.next.load(Relaxed);
        if Self::between(producer.seen.load(Relaxed), tail) >= Self::SLOTS {
            // Acquire: pairs with the Release store in `pop`; the slot behind `head` is read to its end.
            let head = self.consumer.next.load(Acquire);
            if Self::between(head, tail) >= Self::SLOTS {
                return Err(Full(value));
            }
            producer.seen.store(head, Relaxed);
        }
        self.slots[Self::slot(tail)].store(value);
        // Release: pairs with the Acquire load in `pop`; a consumer that sees the new tail sees the
        // value.
        producer.next.store(Self::after(tail), Release);
        Ok(())
    }

    /// Takes the oldest value, if there is one. One consumer at a time; see the type.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        let consumer = &*self.consumer;
        // Relaxed: only the consumer stores these two.
        let head = consumer.next.load(Relaxed);
        if !Self::holds(head, consumer.seen.load(Relaxed)) {
            // Acquire: pairs with the Release store in `push`; we see the value before `tail`.
            let tail = self.producer.next.load(Acquire);
            if !Self::holds(head, tail) {
                return None;
            }
            consumer.seen.store(tail, Relaxed);
        }
        let value = self.slots[Self::slot(head)].load();
        // Release: pairs with the Acquire load in `push`; the value is read before its slot is free.
        consumer.next.store(Self::after(head), Release);
        Some(value)
    }

    /// Returns the slot of an index, modulo N: a word that another process has overwritten still
    /// names a slot.
    fn slot(index: u32) -> usize {
        (if index < Self::SLOTS {
            index
        } else {
            index.wrapping_sub(Self::SLOTS) % Self::SLOTS
        }) as usize
    }
    fn after(index: u32) -> u32 {
        if index < 2 * Self::SLOTS - 1 {
            index + 1
        } else {
            0
        }
    }
    /// Returns the number of values between two indices; more than N if another process has
    /// overwritten one of them.
    fn between(head: u32, tail: u32) -> u32 {
        if head >= 2 * Self::SLOTS || tail >= 2 * Self::SLOTS {
            u32::MAX
        } else if tail >= head {
            tail - head
        } else {
            tail + (2 * Self::SLOTS - head)
        }
    }
    /// Returns whether there is a value between two indices.
    fn holds(head: u32, tail: u32) -> bool {
        (1..=Self::SLOTS).contains(&Self::between(head, tail))
    }
}
