//! The newest complete value, without a wait for the writer: a sequence number that is odd during a
//! write.
//!
//! H.-J. Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012: the payload is
//! `Relaxed` words, and two fences order them with the sequence number.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use crate::memory::{
    Atomic, Hardware, HardwareWords, Incarnation, Memory, Payload, Reading, Resident, Words, shape,
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A value of plain bytes that one process writes and any number read.
///
/// Promise: a reader gets a value that was written whole, never older than one it got before, and
/// never older than the last one whose [`write`](Writer::write) happened before. Writers never
/// wait; readers wait while one writes.
///
/// **One writer at a time** is the caller's promise: two at once can leave a mixture that readers
/// take for a value (of plain bytes: never undefined behaviour). A killed writer leaves the last
/// value, or the new one, or, between its two stores of the sequence number, an odd number. Readers
/// then get [`WriterGone`], as soon as they have asked whether the writer is alive, until its next
/// incarnation has written. No reader spins indefinitely if both are in one pid namespace,
/// whichever `/proc` shows. Between pid namespaces, a reader cannot tell whether the writer is
/// alive.
///
/// ```
/// use forkcheck::publish::SeqLock;
/// static POSITION: SeqLock<[f64; 2]> = SeqLock::new([0.0, 0.0]);
/// POSITION.writer().write([1.5, 2.5]);
/// assert_eq!(POSITION.read(), Ok([1.5, 2.5]));
/// ```
/// From a parent to its child:
/// ```
/// use forkcheck::{Region, process, publish::SeqLock};
/// let region = Region::anonymous(size_of::<SeqLock<[u32; 2]>>())?;
/// let page: &SeqLock<[u32; 2]> = region.get(0)?;
/// page.writer().write([3, 4]);
/// assert_eq!(process::run(|| page.read().ok())?, Some([3, 4]));
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[repr(C)]
pub struct SeqLock<T: Payload, M: Memory = Hardware> {
    /// Even: complete. Odd: a writer is at work, or was killed at work. Wraps around.
    sequence: M::AtomicU64,
    /// The writer that made it odd, or a later one; zero: there was none yet.
    owner: M::AtomicU64,
    data: M::Words<T>,
}

/// The writer died in the middle of a write, and no process has written since. The next write
/// repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the writer died in the middle of a write; write again to repair it")]
pub struct WriterGone;

/// The writing side of a [`SeqLock`]. Make it in the process that writes: one inherited over a fork
/// names the parent, whose death means nothing here.
pub struct Writer<'a, T: Payload, M: Memory = Hardware> {
    lock: &'a SeqLock<T, M>,
    me: Incarnation,
    /// Whether the lock names this process as its owner.
    known: bool,
}

// SAFETY: Resident.
// 1. Integers and a payload: any bytes are values; an owner that no writer stored names no process
// that is alive.
// 2. All of it is accessed through atomics only. 3. No pointer. 4. No Drop. Zeros are a complete
// value of zeros.
unsafe impl<T: Payload> Resident for SeqLock<T> {
    const SHAPE: u64 = shape("seqlock", &[size_of::<T>() as u64, align_of::<T>() as u64]);
}

impl<T: Payload> SeqLock<T> {
    /// Returns one that holds `value`, for statics and plain variables; in a region, zeros are one
    /// already.
    pub const fn new(value: T) -> Self {
        Self {
            sequence: AtomicU64::new(0),
            owner: AtomicU64::new(0),
            data: HardwareWords::new_const(value),
        }
    }
}

impl<T: Payload, M: Memory> SeqLock<T, M> {
    /// Returns one that holds `value`, in any memory.
    pub fn new_in(value: T) -> Self {
        Self {
            sequence: M::AtomicU64::new(0),
            owner: M::AtomicU64::new(0),
            data: M::Words::new(value),
        }
    }

    /// Returns this process as the writer. One at a time; see the type.
    pub fn writer(&self) -> Writer<'_, T, M> {
        Writer {
            lock: self,
            me: M::me(),
            known: false,
        }
    }

    /// Returns the value, or `None` if a writer was at work meanwhile.
    ///
    /// ```
    /// use forkcheck::publish::SeqLock;
    /// static PAIR: SeqLock<[u64; 2]> = SeqLock::new([1, 2]);
    /// assert_eq!(PAIR.try_read(), Some([1, 2])); // no writer is at work
    /// ```
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

    /// Returns the value. It spins while a writer is at work, and asks now and then whether that
    /// one is alive. A process that lies about it can make this wait as long as it likes: if the
    /// other side is not trusted, use [`try_read`](Self::try_read).
    ///
    /// # Errors
    /// [`WriterGone`], if that writer is dead.
    #[inline]
    pub fn read(&self) -> Result<T, WriterGone> {
        let mut turns = 0u32;
        loop {
            if let Some(value) = self.try_read() {
                return Ok(value);
            }
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(M::PATIENCE) && self.is_orphaned() {
                return Err(WriterGone);
            }
            M::spin_loop();
        }
    }

    /// Returns whether the value is half written and its writer is dead.
    #[cold]
    fn is_orphaned(&self) -> bool {
        // Acquire: pairs with the Release fence in `introduce`. The process that made it odd is the
        // owner that we read, or a later one is, which came only because the one before it was
        // gone.
        let sequence = self.sequence.load(Acquire);
        if sequence & 1 == 0 {
            return false;
        }
        let owner = Incarnation::from_bits(self.owner.load(Relaxed));
        // Relaxed: if it is still the same odd number, no process repaired it before we asked.
        !M::alive(owner) && self.sequence.load(Relaxed) == sequence
    }
}

impl<T: Payload, M: Memory> Writer<'_, T, M> {
    /// Replaces the value.
    #[inline]
    pub fn write(&mut self, value: T) {
        if !self.known {
            self.introduce();
        }
        let SeqLock { sequence, data, .. } = self.lock;
        // Relaxed: only writers store it, and there is one at a time. A dead writer's odd number counts as even.
        let even = sequence.load(Relaxed) & !1;
        sequence.store(even.wrapping_add(1), Relaxed);
        // Release: pairs with the Acquire fence in `try_read`. A reader that saw a word of the new data sees the
        // odd number when it looks again, and rejects what it has.
        M::fence(Release);
        data.store(value);
        // Release: pairs with the Acquire load in `try_read`. A reader that starts from this number sees all of
        // the new data.
        sequence.store(even.wrapping_add(2), Release);
    }

    /// Names this process as the owner. Not before its first write: until then, an odd number that
    /// a dead writer left is that writer's.
    #[cold]
    fn introduce(&mut self) {
        self.lock.owner.store(self.me.to_bits(), Relaxed);
        // Release: pairs with the Acquire load in `is_orphaned`, through each odd number that we store from here on.
        M::fence(Release);
        self.known = true;
    }
}

impl<T: Payload> Reading<'_, SeqLock<T>> {
    /// Returns what [`SeqLock::try_read`] returns.
    pub fn try_read(self) -> Option<T> {
        self.0.try_read()
    }

    /// Returns what [`SeqLock::read`] returns.
    ///
    /// # Errors
    /// [`WriterGone`], if the writer that left it half written is dead.
    pub fn read(self) -> Result<T, WriterGone> {
        self.0.read()
    }
}
