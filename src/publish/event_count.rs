//! Sleeping until a condition holds, without losing a wake-up: the other publications only spin or
//! return.
//!
//! A process that is about to sleep announces it and then looks at the condition again; a process
//! that has published then looks for announcements. Each puts a full fence between its two halves
//! (as in Dekker's algorithm), so at least one of them sees the other. The sleep itself is a futex
//! on a number that each notification raises: H. Franke, R. Russell, M. Kirkwood, "Fuss, futexes
//! and furwocks", OLS 2002; U. Drepper, "Futexes are tricky", 2011.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use crate::memory::{Atomic, Hardware, Memory, Resident, shape};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

/// The number of sleeping processes from which on the word counts as overwritten: there are never
/// that many processes.
const TOO_MANY: u32 = 1 << 31;
/// The number that replaces an overwritten one: the sleeping processes that wake up cannot bring it
/// down to zero.
const MANY: u32 = 1 << 30;

/// A place to sleep until a condition holds, and to wake the processes that sleep there.
///
/// Promise: if [`notify`](Self::notify) is called after the condition was made true, no process
/// goes on sleeping in [`wait`](Self::wait) for it. It says nothing about the condition itself,
/// which belongs to another publication or to any words. If no process sleeps, a notification is a
/// fence and a load. A wait for a condition that holds already costs nothing.
///
/// Any number of processes wait and notify. A killed sleeper, or one whose `ready` panics, leaves
/// its mark: from then on a notification takes a system call whether or not a process sleeps. **A
/// notifier that is killed between making the condition true and `notify`** leaves the others
/// asleep until the next notification. Its next incarnation has to begin with `notify`; where there
/// may be none, the waiters use [`wait_timeout`](Self::wait_timeout). A waiter that sleeps through
/// exactly 2^32 notifications between two looks at these words would miss them.
///
/// ```
/// use forkcheck::publish::{EventCount, Ring};
/// use forkcheck::{Region, process};
/// forkcheck::layout! {
///     struct Page { jobs: Ring<u64, 8>, more: EventCount }
/// }
/// let region = Region::anonymous(size_of::<Page>())?;
/// let page: &Page = region.get(0)?;
/// let worker = process::spawn(|| (0..4).map(|_| page.more.wait(|| page.jobs.pop())).sum::<u64>())?;
/// for job in 1..=4 {
///     page.jobs.push(job).expect("there is room for eight");
///     page.more.notify();
/// }
/// assert_eq!(worker.value()?, 10);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[repr(C)]
pub struct EventCount<M: Memory = Hardware> {
    /// The count of the notifications that a process might sleep through. Wraps around.
    epoch: M::AtomicU32,
    /// The number of processes that sleep, are about to, or were killed while they did.
    sleepers: M::AtomicU32,
}

// SAFETY: Resident.
// 1. Integers: any bytes are values. 2. All of it is accessed through atomics only; the kernel too
// reads the futex's word as one of 32 bits. 3. No pointer. 4. No Drop. Zeros are one on which no
// process waits.
unsafe impl Resident for EventCount {
    const SHAPE: u64 = shape("event count", &[]);
}

impl EventCount {
    /// Returns one on which no process waits, for statics and plain variables; in a region, zeros
    /// are one already.
    pub const fn new() -> Self {
        Self {
            epoch: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
        }
    }
}

impl Default for EventCount {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Memory> EventCount<M> {
    /// Returns what `new` returns, in any memory.
    pub fn new_in() -> Self {
        Self {
            epoch: M::AtomicU32::new(0),
            sleepers: M::AtomicU32::new(0),
        }
    }

    /// Calls `ready` until it returns a value, and sleeps in between.
    pub fn wait<R>(&self, mut ready: impl FnMut() -> Option<R>) -> R {
        loop {
            let asked =
                ready().or_else(|| self.unless(&mut ready, |epoch| M::wait(&self.epoch, epoch)));
            if let Some(result) = asked {
                return result;
            }
        }
    }

    /// Waits as [`wait`](Self::wait) does, for about `limit` at most. Returns `None` if `ready` had
    /// no value when the time was up.
    ///
    /// ```
    /// use forkcheck::publish::EventCount;
    /// use std::time::Duration;
    /// let more = EventCount::new();
    /// let nothing: Option<u32> = more.wait_timeout(Duration::from_millis(1), || None);
    /// assert_eq!(nothing, None); // no process notified it in time
    /// ```
    pub fn wait_timeout<R>(
        &self,
        limit: Duration,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let mut left = limit;
        loop {
            let asked = ready();
            if asked.is_some() || left.is_zero() {
                return asked;
            }
            let asked = self.unless(&mut ready, |epoch| {
                M::wait_timeout(&self.epoch, epoch, &mut left);
            });
            if asked.is_some() {
                return asked;
            }
        }
    }

    /// Wakes all processes that [`wait`](Self::wait). Call it after the data that they wait for was
    /// published.
    #[inline]
    pub fn notify(&self) {
        // SeqCst: pairs with the fence in `unless`. Either this load sees that a process is about
        // to sleep, or that process sees the data that was published before.
        M::fence(SeqCst);
        if self.sleepers.load(Relaxed) != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // Relaxed: the futex looks at the word itself, ordered by the kernel; a woken process calls
        // `ready` from the start.
        self.epoch.fetch_add(1, Relaxed);
        M::wake(&self.epoch, u32::MAX);
    }

    /// Sleeps by `block`, unless `ready` returns a value after all.
    #[cold]
    fn unless<R>(
        &self,
        ready: &mut impl FnMut() -> Option<R>,
        block: impl FnOnce(u32),
    ) -> Option<R> {
        self.add_sleeper();
        // Relaxed: where the notifier's fence comes after ours, this is the number before the
        // notifier raised it.
        let epoch = self.epoch.load(Relaxed);
        // SeqCst: pairs with the fence in `notify`.
        M::fence(SeqCst);
        let asked = ready();
        if asked.is_none() {
            block(epoch);
        }
        self.sleepers.fetch_sub(1, Relaxed);
        asked
    }

    /// Adds one to the number of sleeping processes. It does not pass zero, at which a notifier
    /// would wake none: an overwritten number is replaced, and does not wrap around.
    fn add_sleeper(&self) {
        // Most often no process sleeps.
        let mut seen = 0;
        loop {
            let more = if seen >= TOO_MANY { MANY } else { seen + 1 };
            // Relaxed: ordered with the notifier's load by the fences.
            match (self.sleepers).compare_exchange(seen, more, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_of_sleepers_does_not_pass_zero() {
        const ROUNDS: u32 = 1_000_000;
        let event = EventCount::new();
        event.sleepers.store(u32::MAX, Relaxed);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                for _ in 0..ROUNDS {
                    event.sleepers.store(u32::MAX, Relaxed);
                    event.unless(&mut || Some(()), |_| ());
                }
            });
            while !sleeper.is_finished() {
                assert_ne!(
                    event.sleepers.load(Relaxed),
                    0,
                    "a notifier wakes no process"
                );
            }
        });
    }
}
