//! Publications: protocols that make a writer's data visible to readers in other processes.
//!
//! | | promise | writers, readers | a writer killed at any step leaves | a survivor |
//! |---|---|---|---|---|
//! | [`OneShot`] | set once; a reader sees nothing or all of it | any, any | nothing to see, or all | reads on; nobody can set it any more if the writer had begun |
//! | [`SeqLock`] | readers see some complete value, writers never wait | one at a time, any | a complete value, or, between its two stores of the sequence number, an odd number | gets [`WriterGone`] from [`read`](SeqLock::read) until a successor has written |
//! | [`Latest`] | the newest complete value, nobody ever waits | one, one | the last complete value | goes on |
//! | [`Ring`] | first in, first out, at most N; full and empty as far as the caller can see | one, one | a prefix of what was pushed; the value that was being taken is there again | goes on |
//! | [`EventCount`] | who waits for something sleeps until it is there: no wake-up is lost | any, any | sleepers that its notification was for; if it slept itself, nothing but a mark | notifies as it takes the dead one's place |
//!
//! Each is written once over a [`Memory`]: the code that ships is the code that the models
//! explore. On hardware they live in place in a [`Region`](crate::Region), whose zeros are a valid start.
//! What a reader gets is a copy; nobody is ever handed a reference to bytes that another process may write.

mod event_count;
mod latest;
mod one_shot;
mod ring;
mod seq_lock;

pub use event_count::EventCount;
pub use latest::Latest;
pub use one_shot::OneShot;
pub use ring::{Full, Ring};
pub use seq_lock::{SeqLock, Writer, WriterGone};

use crate::memory::{Hardware, HardwareCell, HardwareWords, Memory, MemoryCell, Payload, Words};

/// A payload that its protocol gives to one writer at a time, or to readers.
#[repr(C)]
struct Slot<T: Payload, M: Memory> {
    /// Tells a model that nobody reads while one writes; nothing on hardware.
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
