//! What a protocol runs on: atomic words, payloads made of words, guarded cells, fences, and who is alive.
//!
//! A publication is written once, generic over [`Memory`], with bodies that read as they would over
//! `core::sync::atomic`. [`Hardware`] is the machine itself, at no cost; each engine brings a memory of
//! its own (loom's model, for one), and `Weakened` is any of them with one ordering taken away.
//! This module imports nothing of ours.

mod hardware;
pub(crate) mod pidfd;
mod resident;
#[cfg(feature = "harness")]
pub mod weakened;
#[cfg(feature = "harness")]
mod words;

pub(crate) use hardware::mark;
#[cfg(feature = "harness")]
pub(crate) use hardware::refusal_of_futex;
pub use hardware::{Hardware, HardwareCell, HardwareWords};
#[doc(hidden)]
pub use resident::shape;
pub use resident::{Line, Reading, Resident};
#[cfg(feature = "harness")]
pub use words::WordsOf;

use serde::{Deserialize, Serialize};
pub use std::sync::atomic::Ordering;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The words, cells and fences that a protocol is written against.
///
/// All methods that touch shared memory are `#[track_caller]`, so that an engine knows the source line
/// of each access.
pub trait Memory: Sized + Send + Sync + 'static {
    /// A byte, and what a flag is: in shared memory any byte may stand where a `bool` was.
    type AtomicU8: Atomic<u8>;
    /// A 16-bit word.
    type AtomicU16: Atomic<u16>;
    /// A 32-bit word.
    type AtomicU32: Atomic<u32>;
    /// A 64-bit word.
    type AtomicU64: Atomic<u64>;
    /// A word as wide as a pointer.
    type AtomicUsize: Atomic<usize>;
    /// A payload held as `Relaxed` words: a torn copy is a value to reject, never undefined behaviour.
    type Words<T: Payload>: Words<T>;
    /// A value of which the protocol promises exclusive or shared access. `Cell<()>` beside [`Words`] is a
    /// race guard: zero-sized on hardware, a race detector in models.
    type Cell<T: Send + 'static>: MemoryCell<T>;

    /// Turns of [`spin_loop`](Memory::spin_loop) after which a process that waits for another asks whether that is
    /// [`alive`](Memory::alive): asking takes microseconds on hardware, and a step in a model.
    const PATIENCE: u32;

    /// `std::sync::atomic::fence`.
    #[track_caller]
    fn fence(order: Ordering);

    /// `std::hint::spin_loop`: says that nothing changes here until another process writes.
    #[track_caller]
    fn spin_loop();

    /// The life that calls: fit to be stored in a word, so that others can ask whether it is alive.
    fn me() -> Life;

    /// Whether that life still runs. A zombie does not; neither does a pid that was given away again. Of a process in
    /// another namespace of pids nothing can be said: its number is that of somebody else here, or of nobody.
    #[track_caller]
    fn alive(life: Life) -> bool;

    /// Sleeps while `word` holds `seen`; returns at once if it does not, and possibly for no reason
    /// (as a futex does), so call it in a loop that looks at the word again.
    #[track_caller]
    fn wait(word: &Self::AtomicU32, seen: u32);

    /// As [`wait`](Memory::wait), but for at most `left`, and leaves in it what is left of that: zero says that the time
    /// is up. Call it in the same loop until then. In a model there is no time: at each wait it may be up, or not.
    #[track_caller]
    fn wait_timeout(word: &Self::AtomicU32, seen: u32, left: &mut Duration);

    /// Wakes at most `n` of those that [`wait`](Memory::wait) on `word`.
    #[track_caller]
    fn wake(word: &Self::AtomicU32, n: u32);
}

/// One word, with the methods of `std::sync::atomic` under their names.
pub trait Atomic<V: Copy + Eq>: Send + Sync + 'static {
    /// A word that holds `value`.
    #[track_caller]
    fn new(value: V) -> Self;
    /// See `AtomicU64::load`.
    #[track_caller]
    fn load(&self, order: Ordering) -> V;
    /// See `AtomicU64::store`.
    #[track_caller]
    fn store(&self, value: V, order: Ordering);
    /// See `AtomicU64::swap`.
    #[track_caller]
    fn swap(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::compare_exchange`.
    ///
    /// # Errors
    /// The value found, where it is not `current`.
    #[track_caller]
    fn compare_exchange(
        &self,
        current: V,
        new: V,
        success: Ordering,
        failure: Ordering,
    ) -> Result<V, V>;
    /// See `AtomicU64::compare_exchange_weak`: may fail for no reason.
    ///
    /// # Errors
    /// The value found.
    #[track_caller]
    fn compare_exchange_weak(
        &self,
        current: V,
        new: V,
        success: Ordering,
        failure: Ordering,
    ) -> Result<V, V>;
    /// See `AtomicU64::fetch_add`: wraps around.
    #[track_caller]
    fn fetch_add(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::fetch_sub`: wraps around.
    #[track_caller]
    fn fetch_sub(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::fetch_and`.
    #[track_caller]
    fn fetch_and(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::fetch_or`.
    #[track_caller]
    fn fetch_or(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::fetch_xor`.
    #[track_caller]
    fn fetch_xor(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::fetch_max`.
    #[track_caller]
    fn fetch_max(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::fetch_min`.
    #[track_caller]
    fn fetch_min(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::fetch_update`: a load, and exchanges until one succeeds or `update` gives nothing.
    ///
    /// # Errors
    /// The value found for which `update` gave nothing.
    #[track_caller]
    fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        mut update: impl FnMut(V) -> Option<V>,
    ) -> Result<V, V> {
        let mut found = self.load(fetch_order);
        while let Some(next) = update(found) {
            match self.compare_exchange_weak(found, next, set_order, fetch_order) {
                Ok(found) => return Ok(found),
                Err(other) => found = other,
            }
        }
        Err(found)
    }
}

/// What may travel through a publication: plain bytes of which every pattern is a value, without padding,
/// pointers or atomics. Derive zerocopy's `FromBytes`, `IntoBytes` and `Immutable` for it; nothing else is needed.
///
/// ```
/// use forkcheck::memory::Payload;
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Config { rate: u32, burst: u32 }
///
/// fn is_payload<T: Payload>() {}
/// is_payload::<Config>();
/// ```
/// A reference is none, nor is a type of which some bytes are no value:
/// ```compile_fail
/// fn is_payload<T: forkcheck::memory::Payload>() {}
/// is_payload::<bool>();
/// ```
pub trait Payload: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static {}
impl<T: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static> Payload for T {}

/// A payload held as words, copied in and out one `Relaxed` access at a time.
pub trait Words<T: Payload>: Send + Sync + 'static {
    /// Words that hold `value`.
    #[track_caller]
    fn new(value: T) -> Self;
    /// A copy, possibly torn: bytes of several values where a writer is at work.
    #[track_caller]
    fn load(&self) -> T;
    /// Writes `value`, a word at a time.
    #[track_caller]
    fn store(&self, value: T);
}

/// A value behind a pointer; the closures tell a model how long the access lasts.
pub trait MemoryCell<T>: Send + Sync + 'static {
    /// A cell that holds `value`.
    #[track_caller]
    fn new(value: T) -> Self;
    /// Reads: no writer may be at work meanwhile.
    #[track_caller]
    fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R;
    /// Writes: nobody else may be at work meanwhile.
    #[track_caller]
    fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R;
}

/// One process from its birth to its death, as a number that fits a word and is never given to another.
///
/// On hardware: the pid in the low 32 bits, the low 32 bits of its start time (in clock ticks since boot)
/// in the high ones, since a pid alone is given away again. Never zero: a word of zeros means nobody.
///
/// ```
/// use forkcheck::memory::{Hardware, Life, Memory};
/// let me = Hardware::me();
/// assert!(Hardware::alive(Life::from_bits(me.to_bits())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Life(u64);

impl Life {
    /// The life that a word names.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
    /// The word that names it.
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}
