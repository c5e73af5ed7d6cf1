//! Publications: protocols that make a writer's data visible to readers in other processes.
//!
//! | | promise | writers, readers | a writer killed at any step leaves | a survivor |
//! |---|---|---|---|---|
//! | [`OneShot`] | set once; a reader sees nothing or all of it | any, any | nothing to see, or all | reads on; nobody can set it any more if the writer had begun |
//! | [`SeqLock`] | readers see some complete value, writers never wait | one at a time, any | a complete value, or, between its two stores of the sequence number, an odd number | [`try_read`](SeqLock::try_read) says `None` from then on and [`read`](SeqLock::read) never returns; [`write`](SeqLock::write) by a successor repairs it |
//!
//! Each is written once over a [`Memory`](crate::memory::Memory): the code that ships is the code that the models
//! explore. On hardware they live in place in a [`Region`](crate::Region), whose zeros are a valid start.
//! What a reader gets is a copy; nobody is ever handed a reference to bytes that another process may write.

mod one_shot;
mod seq_lock;

pub use one_shot::OneShot;
pub use seq_lock::SeqLock;
