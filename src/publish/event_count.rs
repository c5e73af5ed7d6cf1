//! Sleeping until something is there, without losing a wake-up: what the other publications spin for, or ask again for.
//!
//! Who is about to sleep says so and looks once more; who has published looks whether anybody said so. Each puts a
//! full fence between its two halves (Dekker's), so at least one of them sees the other. The sleep itself is a futex
//! on a number that each notification raises: H. Franke, R. Russell, M. Kirkwood, "Fuss, futexes and furwocks", OLS 2002;
//! U. Drepper, "Futexes are tricky", 2011.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use crate::memory::{Atomic, Hardware, Memory, Resident, shape};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

/// The number of sleepers from which on the word counts as overwritten: there are never that many processes.
const TOO_MANY: u32 = 1 << 31;
/// The number that replaces an overwritten one: no number of sleepers that wake brings it down to zero.
const MANY: u32 = 1 << 30;

/// Where processes sleep until a condition holds, and those that made it hold wake them.
///
/// Promise: if [`notify`](Self::notify) is called after the condition was made true, nobody goes on sleeping in
/// [`wait`](Self::wait) for it. It says nothing about the condition itself: that is another publication's, or any words'.
/// Where nobody sleeps, a notification is a fence and a load, and a wait for what is there already is nothing at all.
///
/// Any number of processes wait and notify. A killed sleeper, or one whose `ready` panics, leaves its mark: from then on a notification takes a
/// system call whether or not anybody sleeps. **A notifier that is killed between making the condition true and
/// `notify`** leaves the others asleep until the next notification. Who takes its place begins with `notify`; where
/// nobody may come, [`wait_timeout`](Self::wait_timeout) is for the waiters. A waiter that between two looks at
/// the words here sleeps through exactly 2^32 notifications would miss them.
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
    /// Raised by each notification that somebody might sleep through. Wraps around.
    epoch: M::AtomicU32,
    /// Those that sleep, or are about to, or were killed while they did.
    sleepers: M::AtomicU32,
}

// SAFETY: Resident.
// 1. Integers: any bytes are values. 2. All of it is accessed through atomics only; the kernel too reads the futex's
// word as one of 32 bits. 3. No pointer. 4. No Drop. Zeros are one for which nobody waits.
unsafe impl Resident for EventCount {
    const SHAPE: u64 = shape("event count", &[]);
}

impl EventCount {
    /// One for which nobody waits, for statics and plain variables; in a region, zeros are one already.
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
    /// As `new`, in any memory.
    pub fn new_in() -> Self {
        Self {
            epoch: M::AtomicU32::new(0),
            sleepers: M::AtomicU32::new(0),
        }
    }

    /// Asks `ready` until it gives something, and sleeps in between.
    pub fn wait<R>(&self, mut ready: impl FnMut() -> Option<R>) -> R {
        loop {
            let asked =
                ready().or_else(|| self.unless(&mut ready, |epoch| M::wait(&self.epoch, epoch)));
            if let Some(result) = asked {
                return result;
            }
        }
    }

    /// As [`wait`](Self::wait), for about `limit` at most: `None` if `ready` gave nothing when the time was up.
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

    /// Wakes all that [`wait`](Self::wait). Call it after what they wait for was published.
    #[inline]
    pub fn notify(&self) {
        // SeqCst: pairs with the fence in `unless`. Either we see that somebody is about to sleep, or it sees what we
        // published before.
        M::fence(SeqCst);
        if self.sleepers.load(Relaxed) != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // Relaxed: the futex looks at the word itself, ordered by the kernel; who is woken asks `ready` from the start.
        self.epoch.fetch_add(1, Relaxed);
        M::wake(&self.epoch, u32::MAX);
    }

    /// Sleeps by `block`, unless `ready` gives something after all.
    #[cold]
    fn unless<R>(
        &self,
        ready: &mut impl FnMut() -> Option<R>,
        block: impl FnOnce(u32),
    ) -> Option<R> {
        self.add_sleeper();
        // Relaxed: where the notifier's fence comes after ours, this is the number from before it raised it.
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

    /// Adds one to the number of sleepers. It does not pass zero, where a notifier would wake nobody: an overwritten number is
    /// replaced, and does not wrap around.
    fn add_sleeper(&self) {
        // Most often nobody sleeps.
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
                assert_ne!(event.sleepers.load(Relaxed), 0, "a notifier wakes nobody");
            }
        });
    }
}
