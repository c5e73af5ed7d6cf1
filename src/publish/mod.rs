//! Publications: protocols that make a writer's data visible to readers in other processes.
//!
//! | | promise | writers, readers | a writer killed at any step leaves | a survivor |
//! |---|---|---|---|---|
//! | [`OneShot`] | set once; a reader sees nothing or all of it | any, any | nothing to see, or all | continues to read; no process can set it any more if the writer had begun |
//! | [`SeqLock`] | readers see some complete value, writers never wait | one at a time, any | a complete value, or, between its two stores of the sequence number, an odd number | gets [`WriterGone`] from [`read`](SeqLock::read) until the next incarnation of the writer has written |
//! | [`Latest`] | the newest complete value, no process ever waits | one, one | the last complete value | continues |
//! | [`Ring`] | first in, first out, at most N; full and empty as far as the caller can see | one, one | a prefix of the pushed values; the value that was being taken can be taken again | continues |
//! | [`EventCount`] | a process sleeps until its condition holds: no wake-up is lost | any, any | sleepers that its notification was for; if it slept itself, only a mark | notifies when it replaces the dead process |
//!
//! Each is written once over a [`Memory`]: the code that ships is the code that the models explore.
//! On hardware they live in place in a [`Region`](crate::Region), whose zeros are a valid start.
//! A reader gets a copy, never a reference to bytes that another process may write.
//!
//! # Words that another process has overwritten
//!
//! No word of a publication is trusted. These bounds hold whatever a process has written to it:
//!
//! | word | bound |
//! |---|---|
//! | the state of a [`OneShot`] | anything but "set" is not set |
//! | the sequence number and owner of a [`SeqLock`] | [`read`](SeqLock::read) waits while the owner, a number, is that of a living process; [`try_read`](SeqLock::try_read) never waits |
//! | the state of a [`Latest`] | slots are taken modulo 3; a write and a read try again only when the word changed meanwhile |
//! | the indices of a [`Ring`] | one of 2 N or more, or more than N from the other, leaves nothing to pop and no room to push |
//! | the sleepers of an [`EventCount`] | from 2^31 on it counts as 2^30, so that it does not stay near zero after it wrapped around |
//! | the epoch of an [`EventCount`] | a wait returns, and asks again |
//!
//! The caller checks the bytes of a value: any bytes are a value of a payload. A wait ends when its
//! condition holds. If the process that makes the condition true may die or lie, the caller limits
//! the wait, by [`wait_timeout`](EventCount::wait_timeout) or [`try_read`](SeqLock::try_read).
//!
//! # Common jobs
//!
//! All of them work on every backing of a region; the examples use the usual ones.
//!
//! **A progress counter** is a plain atomic word; anonymous memory is enough:
//! ```
//! use forkcheck::{Region, process};
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//!
//! let region = Region::anonymous(size_of::<AtomicU64>())?;
//! let done: &AtomicU64 = region.get(0)?;
//! let mut child = process::spawn(|| for _file in 0..100 { done.fetch_add(1, Relaxed); })?;
//! println!("{} of 100", done.load(Relaxed)); // at any time
//! child.wait()?;
//! assert_eq!(done.load(Relaxed), 100);
//! # Ok::<(), forkcheck::Error>(())
//! ```
//! **A result slot** that a child fills while its parent does other work; a killed child leaves it
//! empty:
//! ```
//! use forkcheck::publish::{EventCount, OneShot};
//! use forkcheck::{Region, process};
//! use std::time::Duration;
//!
//! forkcheck::layout! { struct Slot { result: OneShot<[u64; 2]>, there: EventCount } }
//! let region = Region::anonymous(size_of::<Slot>())?;
//! let slot: &Slot = region.get(0)?;
//! let _child = process::spawn(|| {
//!     slot.result.set([6 * 7, 1]).expect("no other process sets it");
//!     slot.there.notify();
//! })?;
//! let limit = Duration::from_secs(60); // a killed child sets nothing
//! assert_eq!(slot.there.wait_timeout(limit, || slot.result.get()), Some([42, 1]));
//! # Ok::<(), forkcheck::Error>(())
//! ```
//! **A live page of statistics** under a name, which other programs read and cannot write:
//! ```
//! use forkcheck::Region;
//! use forkcheck::publish::SeqLock;
//! use forkcheck::region::{Layout, Name, View};
//!
//! type Page = SeqLock<[u64; 3]>; // requests, errors, bytes: always of the same moment
//! let name = Name::posix(&format!("/statistics-{}", std::process::id()))?;
//! let region = Region::create(&name, Layout::of::<Page>())?;
//! let mut page = region.get::<Page>(0)?.writer();
//! page.write([1, 0, 512]);
//!
//! let view = View::open(&name, Layout::of::<Page>())?; // in another program
//! assert_eq!(view.get::<Page>(0)?.read(), Ok([1, 0, 512]));
//! # Ok::<(), forkcheck::Error>(())
//! ```
//! **A work queue from a parent to forked workers**, with a ring for each; a worker sleeps while
//! there is nothing to do:
//! ```
//! use forkcheck::memory::Line;
//! use forkcheck::publish::{EventCount, Ring};
//! use forkcheck::{Region, process};
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//!
//! forkcheck::layout! {
//!     struct Worker { jobs: Ring<u32, 16>, more: Line<EventCount>, room: Line<EventCount>, sum: Line<AtomicU64> }
//! }
//! const STOP: u32 = 0;
//! let region = Region::anonymous(size_of::<[Worker; 2]>())?;
//! let workers: &[Worker; 2] = region.get(0)?;
//! let mut children = Vec::new();
//! for worker in workers {
//!     children.push(process::spawn(|| loop {
//!         let job = worker.more.wait(|| worker.jobs.pop());
//!         worker.room.notify();
//!         if job == STOP { break }
//!         worker.sum.fetch_add(job.into(), Relaxed);
//!     })?);
//! }
//! let send = |worker: &Worker, job| {
//!     worker.room.wait(|| worker.jobs.push(job).ok());
//!     worker.more.notify();
//! };
//! (1..=100).for_each(|job| send(&workers[job as usize % 2], job));
//! for (worker, mut child) in workers.iter().zip(children) {
//!     send(worker, STOP);
//!     child.wait()?;
//! }
//! assert_eq!(workers.iter().map(|worker| worker.sum.load(Relaxed)).sum::<u64>(), 5050);
//! # Ok::<(), forkcheck::Error>(())
//! ```
//! **A ring between two programs** that know a name; `examples/two-programs` of the repository
//! contains such a pair, with a test:
//! ```
//! use forkcheck::Region;
//! use forkcheck::publish::Ring;
//! use forkcheck::region::{Layout, Name};
//!
//! type Orders = Ring<[u64; 2], 64>;
//! let path = std::env::temp_dir().join(format!("orders-{}", std::process::id()));
//! let name = Name::file(&path)?;
//! let taking = Region::create(&name, Layout::of::<Orders>())?; // the one that is there first
//!
//! let sending = Region::open(&name, Layout::of::<Orders>())?; // the other one
//! sending.get::<Orders>(0)?.push([7, 100]).expect("there is room for 64");
//!
//! assert_eq!(taking.get::<Orders>(0)?.pop(), Some([7, 100]));
//! # Ok::<(), forkcheck::Error>(())
//! ```

mod event_count;
mod latest;
mod one_shot;
mod ring;
mod seq_lock;

pub use event_count::EventCount;
pub use latest::{Latest, LatestWriter};
pub use one_shot::OneShot;
pub use ring::{Full, Ring};
pub use seq_lock::{SeqLock, Writer, WriterGone};

use crate::memory::{Hardware, HardwareCell, HardwareWords, Memory, MemoryCell, Payload, Words};

/// A payload that its protocol gives to one writer at a time, or to readers.
#[repr(C)]
struct Slot<T: Payload, M: Memory> {
    /// Tells a model that no process reads while another writes; it does nothing on hardware.
    guard: M::Cell<()>,
    data: M::Words<T>,
}

impl<T: Payload> Slot<T, Hardware> {
    const fn new(value: T) -> Self {
        Self {
            guard: HardwareCell::guard(),
            data: HardwareWords::new_const(value),
        }
    }
    const fn zeroed() -> Self {
        Self {
            guard: HardwareCell::guard(),
            data: HardwareWords::zeroed(),
        }
    }
}

impl<T: Payload, M: Memory> Slot<T, M> {
    fn new_in(value: T) -> Self {
        Self {
            guard: M::Cell::new(()),
            data: M::Words::new(value),
        }
    }
    #[inline(always)]
    fn store(&self, value: T) {
        self.guard.with_mut(|_| self.data.store(value));
    }
    #[inline(always)]
    fn load(&self) -> T {
        self.guard.with(|_| self.data.load())
    }
}
