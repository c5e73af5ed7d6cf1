//! The newest complete value, without any wait: a triple buffer.
//!
//! The writer fills a slot that only it uses and exchanges it for the middle one; the reader
//! exchanges its own slot for the middle one when that is newer. One word says which slot is whose,
//! so a killed process leaves no half-made change.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use super::Slot;
use crate::memory::{Atomic, Hardware, Line, Memory, Payload, Resident, shape};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// The owners of the three slots, in one word. The reader has slot `front`, in the two low bits;
/// the middle one is the next or the one after it; the writer has the third. Zeros are a valid
/// start.
///
/// | bit | set | changed by |
/// |---|---|---|
/// | `OVER` | the middle slot is the second after `front`, not the first | each exchange |
/// | `FRESH` | the middle slot is newer than `front` | set by the writer, cleared by the reader |
#[derive(Clone, Copy)]
struct State(u32);

const OVER: u32 = 4;
const FRESH: u32 = 8;

impl State {
    fn over(self) -> u32 {
        (self.0 & OVER) / OVER
    }
    fn is_fresh(self) -> bool {
        self.0 & FRESH != 0
    }
    /// Returns the front slot modulo 3: a word that another process has overwritten still names a
    /// slot.
    fn front(self) -> usize {
        (self.0 & 3) as usize % 3
    }
    fn back(self) -> usize {
        ((self.0 & 3) + 2 - self.over()) as usize % 3
    }
    /// Returns the state after the writer exchanged the back and the middle slot.
    fn published(self) -> Self {
        Self(self.0 ^ OVER | FRESH)
    }
    /// Returns the state after the reader exchanged the front and the middle slot.
    fn taken(self) -> Self {
        let middle = ((self.0 & 3) + 1 + self.over()) % 3;
        Self(middle | !self.0 & OVER)
    }
}

/// A value of plain bytes that one process writes and one reads; neither ever waits for the other.
///
/// Promise: [`read`](Latest::read) returns the newest value that was written whole, never older
/// than one it returned before, and never older than the last one whose [`write`](Latest::write)
/// happened before. A write takes at most two attempts, by a [`writer`](Latest::writer) three,
/// whatever the reader does; a read takes another attempt only when a newer value came meanwhile. A
/// process that is stopped or killed anywhere blocks no other.
///
/// **One writer and one reader at a time** is the callers' promise: two of a kind share a slot, and
/// can get a mixture (of plain bytes: never undefined behaviour). For several readers use a
/// [`SeqLock`](super::SeqLock), or one `Latest` for each. A killed writer leaves the last complete
/// value to be read; a killed reader changes nothing. The next incarnation of either continues as
/// the same process would.
///
/// ```
/// use forkcheck::publish::Latest;
/// static POSITION: Latest<[f64; 2]> = Latest::new([0.0, 0.0]);
/// POSITION.write([1.0, 1.0]);
/// POSITION.write([1.5, 2.5]);
/// assert_eq!(POSITION.read(), [1.5, 2.5]);
/// assert_eq!(POSITION.read(), [1.5, 2.5]);
/// ```
/// From a child to its parent:
/// ```
/// use forkcheck::{Region, process, publish::Latest};
/// let region = Region::anonymous(size_of::<Latest<u64>>())?;
/// let progress: &Latest<u64> = region.get(0)?;
/// process::run(|| (1..=100).for_each(|percent| progress.write(percent)))?;
/// assert_eq!(progress.read(), 100);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[repr(C)]
pub struct Latest<T: Payload, M: Memory = Hardware> {
    state: Line<M::AtomicU32>,
    slots: [Line<Slot<T, M>>; 3],
}

// SAFETY: Resident.
// 1. An integer, zero-sized cells and payloads: any bytes are values. 2. All of it is accessed through atomics only.
// 3. No pointer; slots are found modulo 3. 4. No Drop. Zeros are a complete value of zeros.
unsafe impl<T: Payload> Resident for Latest<T> {
    const SHAPE: u64 = shape("latest", &[size_of::<T>() as u64, align_of::<T>() as u64]);
}

impl<T: Payload> Latest<T> {
    /// Returns one that holds `value`, for statics and plain variables; in a region, zeros are one
    /// already.
    pub const fn new(value: T) -> Self {
        Self {
            state: Line(AtomicU32::new(0)),
            slots: [
                Line(Slot::new(value)),
                Line(Slot::new(value)),
                Line(Slot::new(value)),
            ],
        }
    }
}

impl<T: Payload, M: Memory> Latest<T, M> {
    /// Returns one that holds `value`, in any memory.
    pub fn new_in(value: T) -> Self {
        Self {
            state: Line(M::AtomicU32::new(0)),
            slots: std::array::from_fn(|_| Line(Slot::new_in(value))),
        }
    }

    /// Makes this the newest value. One writer at a time; see the type. A process that writes
    /// repeatedly uses a [`writer`](Self::writer), which need not look up which slot is its own.
    #[inline]
    pub fn write(&self, value: T) {
        self.writer().write(value);
    }

    /// Returns this process as the writer. One at a time; no process calls [`write`](Self::write)
    /// beside it.
    ///
    /// ```
    /// use forkcheck::publish::Latest;
    /// static POSITION: Latest<[f64; 2]> = Latest::new([0.0, 0.0]);
    /// let mut writer = POSITION.writer();
    /// (0..100).for_each(|n| writer.write([n.into(), 0.0]));
    /// assert_eq!(POSITION.read(), [99.0, 0.0]);
    /// ```
    #[inline]
    pub fn writer(&self) -> LatestWriter<'_, T, M> {
        LatestWriter {
            // Relaxed: which slot is at the back was decided by the last exchange of a writer, ours or before ours.
            state: State(self.state.load(Relaxed)),
            latest: self,
        }
    }

    /// Writes, given the expected state of the word, and returns the state to expect at the next
    /// write. It does not matter for the slot at the back whether the reader has made an exchange
    /// meanwhile: that slot stays where it is.
    #[inline]
    fn write_from(&self, mut state: State, value: T) -> State {
        self.slots[state.back()].store(value);
        // Release: pairs with the Acquire of the exchange in `read`; the reader that takes the slot
        // sees the value.
        // Acquire: pairs with the Release of that exchange; the slot we get is one the reader is
        // done with.
        // It fails if the expected state was wrong, or if the reader has taken a slot meanwhile. In
        // the latter case the middle slot is not fresh, so that cannot happen twice.
        while let Err(now) =
            self.state
                .compare_exchange(state.0, state.published().0, AcqRel, Relaxed)
        {
            state = State(now);
        }
        // The most likely state at the next write: a reader that took the last value takes this
        // one, too.
        let published = state.published();
        if state.is_fresh() {
            published
        } else {
            published.taken()
        }
    }

    /// Returns the newest value. One reader at a time; see the type.
    #[inline]
    pub fn read(&self) -> T {
        // Relaxed: which slot is in front was decided by the reader's own last exchange, which also saw its value.
        let mut state = State(self.state.load(Relaxed));
        while state.is_fresh() {
            // Acquire: pairs with the Release of the exchange in `write`; we see the value in the slot that we get.
            // Release: pairs with the Acquire of that exchange; the slot that we give away is read to its end.
            match self
                .state
                .compare_exchange(state.0, state.taken().0, AcqRel, Relaxed)
            {
                Ok(_) => state = state.taken(),
                Err(now) => state = State(now),
            }
        }
        self.slots[state.front()].load()
    }
}

/// The writer of a [`Latest`]: it remembers from one write to the next which slot is its own.
pub struct LatestWriter<'a, T: Payload, M: Memory = Hardware> {
    latest: &'a Latest<T, M>,
    /// The expected state of the word. If it is wrong, an exchange fails and returns the state.
    state: State,
}

impl<T: Payload, M: Memory> LatestWriter<'_, T, M> {
    /// Makes this the newest value.
    #[inline]
    pub fn write(&mut self, value: T) {
        self.state = self.latest.write_from(self.state, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_gives_each_slot_to_one() {
        for word in 0..16 {
            let state = State(word);
            let middle = ((word & 3) + 1 + state.over()) as usize % 3;
            let mut slots = [state.front(), middle, state.back()];
            slots.sort_unstable();
            if word & 3 < 3 {
                assert_eq!(slots, [0, 1, 2], "{word}");
            }
            // The other states are never stored by this code; they still name slots that exist.
            assert!(slots.iter().all(|&slot| slot < 3), "{word}");
        }
    }

    #[test]
    fn an_exchange_moves_two_slots_and_leaves_the_third() {
        for word in (0..16).filter(|word| word & 3 < 3) {
            let state = State(word);
            let middle = 3 - state.front() - state.back();
            let published = state.published();
            assert_eq!(
                (published.front(), published.back()),
                (state.front(), middle)
            );
            assert!(published.is_fresh());
            let taken = state.taken();
            assert_eq!((taken.front(), taken.back()), (middle, state.back()));
            assert!(!taken.is_fresh());
        }
    }
}
