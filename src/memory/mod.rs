//! The memory that a protocol runs on: atomic words, payloads made of words, guarded cells, fences,
//! and liveness.
//!
//! A publication is written once, generic over [`Memory`], with bodies that read as they would over
//! `core::sync::atomic`. [`Hardware`] is the machine itself, at no cost; each engine brings a memory of
//! its own (loom's model, for one), and `Weakened` is any of them with one ordering weakened.
//! This module imports nothing of ours.

mod boolean;
mod hardware;
mod integer;
pub(crate) mod part;
pub(crate) mod pidfd;
mod resident;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod weakened;
#[cfg(feature = "harness")]
mod words;

#[doc(hidden)]
pub use boolean::HardwareBool;
pub use hardware::Hardware;
pub(crate) use hardware::mark;
#[cfg(feature = "harness")]
pub(crate) use hardware::refusal_of_futex;
#[doc(hidden)]
pub use hardware::{HardwareCell, HardwareWords};
pub use integer::Integer;
#[doc(hidden)]
pub use resident::shape;
pub use resident::{Line, Reading, Resident};
#[cfg(feature = "harness")]
#[doc(hidden)]
pub use words::WordsOf;

use serde::{Deserialize, Serialize};
#[doc(no_inline)]
pub use std::sync::atomic::Ordering;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The words, cells and fences that a protocol is written against.
///
/// All methods that touch shared memory are `#[track_caller]`, so that an engine knows the source line
/// of each access.
///
/// ```
/// use forkcheck::prelude::*;
/// /// A lock. It runs on each engine, and `Lock<Hardware>` is what ships.
/// struct Lock<M: Memory>(M::AtomicU32);
/// impl<M: Memory> Lock<M> {
///     fn lock(&self) {
///         while self.0.swap(1, Ordering::Acquire) == 1 { M::spin_loop(); }
///     }
/// }
/// let lock = Lock::<Hardware>(Atomic::new(0));
/// lock.lock();
/// assert_eq!(lock.0.load(Ordering::Relaxed), 1);
/// ```
pub trait Memory: Sized + Send + Sync + 'static {
    /// A flag: a byte, since in shared memory any byte may stand where a `bool` was.
    type AtomicBool: Atomic<bool>;
    /// A byte.
    type AtomicU8: Atomic<u8>;
    /// A 16-bit word.
    type AtomicU16: Atomic<u16>;
    /// A 32-bit word.
    type AtomicU32: Atomic<u32>;
    /// A 64-bit word.
    type AtomicU64: Atomic<u64>;
    /// A 32-bit word with a sign.
    type AtomicI32: Atomic<i32>;
    /// A 64-bit word with a sign.
    type AtomicI64: Atomic<i64>;
    /// A word as wide as a pointer. For a pointer itself, store an index into an array of the structure, or an offset that
    /// [`Region::get`](crate::Region::get) takes: an address means something else in a process that has the region mapped
    /// at another one.
    type AtomicUsize: Atomic<usize>;
    /// A payload held as `Relaxed` words: a torn copy is a value to reject, never undefined behaviour.
    type Words<T: Payload>: Words<T>;
    /// A value to which the protocol promises exclusive or shared access. `Cell<()>` beside
    /// [`Words`] is a race guard: zero-sized on hardware, a race detector in models.
    type Cell<T: Send + 'static>: MemoryCell<T>;

    /// The calls of [`spin_loop`](Memory::spin_loop) after which a process that waits for another
    /// asks whether that one is [`alive`](Memory::alive): asking takes microseconds on hardware,
    /// and a step in a model.
    const PATIENCE: u32;

    /// `std::sync::atomic::fence`.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// fn publish<M: Memory>(value: &M::AtomicU64, is_there: &M::AtomicBool) {
    ///     value.store(7, Ordering::Relaxed);
    ///     M::fence(Ordering::Release); // pairs with an Acquire load of the flag
    ///     is_there.store(true, Ordering::Relaxed);
    /// }
    /// let (value, is_there) = (Atomic::new(0), Atomic::new(false));
    /// publish::<Hardware>(&value, &is_there);
    /// assert!(is_there.load(Ordering::Acquire) && value.load(Ordering::Relaxed) == 7);
    /// ```
    ///
    /// # Panics
    /// If `order` is `Relaxed`.
    #[track_caller]
    fn fence(order: Ordering);

    /// `std::hint::spin_loop`: says that nothing changes here until another process writes.
    #[track_caller]
    fn spin_loop();

    /// Returns the calling process's [`Incarnation`], which fits a word, so that other processes can ask
    /// whether it is alive.
    fn me() -> Incarnation;

    /// Returns whether that process still runs. A zombie does not, nor does a process whose pid was
    /// reused. The result means nothing for a process in another pid namespace: here its number is
    /// that of another process, or of none.
    ///
    /// ```
    /// use forkcheck::memory::{Hardware, Incarnation, Memory};
    /// let child = forkcheck::process::run(|| Hardware::me().to_bits())?;
    /// assert!(!Hardware::alive(Incarnation::from_bits(child))); // it has ended
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    #[track_caller]
    fn alive(incarnation: Incarnation) -> bool;

    /// Sleeps while `word` holds `seen`. Returns at once if it does not, and may wake up spuriously
    /// (as a futex does), so call it in a loop that looks at the word again.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// use std::sync::atomic::AtomicU32;
    /// let word = AtomicU32::new(1);
    /// while word.load(Ordering::Acquire) == 0 { Hardware::wait(&word, 0); }
    /// Hardware::wake(&word, u32::MAX); // no process sleeps on it
    /// ```
    #[track_caller]
    fn wait(word: &Self::AtomicU32, seen: u32);

    /// Sleeps as [`wait`](Memory::wait) does, but for at most `left`, and leaves there the
    /// remaining time: zero says that the time is up. Call it in the same loop until then. In a
    /// model there is no time: at each wait it may be up, or not.
    #[track_caller]
    fn wait_timeout(word: &Self::AtomicU32, seen: u32, left: &mut Duration);

    /// Wakes at most `n` of the processes that [`wait`](Memory::wait) on `word`.
    #[track_caller]
    fn wake(word: &Self::AtomicU32, n: u32);
}

/// A word, with the methods of `std::sync::atomic` under their names. Those with arithmetic exist
/// for each [`Integer`], not for `bool`.
///
/// ```
/// use forkcheck::prelude::*;
/// struct Tickets<M: Memory>(M::AtomicU64);
/// let tickets = Tickets::<Hardware>(Atomic::new(7));
/// assert_eq!(tickets.0.fetch_add(1, Ordering::Relaxed), 7);
/// ```
/// A lock, and the bits and bounds of a word:
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::prelude::Ordering::{Acquire, Relaxed, Release};
/// fn each<M: Memory>(locked: &M::AtomicBool, word: &M::AtomicU64) {
///     while locked.compare_exchange_weak(false, true, Acquire, Relaxed).is_err() { M::spin_loop() }
///     assert_eq!(locked.compare_exchange(false, true, Acquire, Relaxed), Err(true)); // the value found
///     locked.store(false, Release);
///     assert!(!locked.swap(true, Acquire));
///
///     assert_eq!(word.swap(0b1100, Relaxed), 0);
///     assert_eq!(word.fetch_or(0b0001, Relaxed), 0b1100); // each returns the value before
///     assert_eq!(word.fetch_and(0b0111, Relaxed), 0b1101);
///     assert_eq!(word.fetch_xor(0b0011, Relaxed), 0b0101);
///     assert_eq!(word.fetch_max(9, Relaxed), 0b0110);
///     assert_eq!(word.fetch_min(2, Relaxed), 9);
///     assert_eq!(word.fetch_sub(1, Relaxed), 2);
///     assert_eq!(word.load(Relaxed), 1);
/// }
/// each::<Hardware>(&Atomic::new(false), &Atomic::new(0));
/// ```
pub trait Atomic<V: Copy + Eq>: Send + Sync + 'static {
    /// Returns a word that holds `value`.
    #[track_caller]
    fn new(value: V) -> Self;
    /// See `AtomicU64::load`.
    ///
    /// # Panics
    /// If `order` is `Release` or `AcqRel`.
    #[track_caller]
    fn load(&self, order: Ordering) -> V;
    /// See `AtomicU64::store`.
    ///
    /// # Panics
    /// If `order` is `Acquire` or `AcqRel`.
    #[track_caller]
    fn store(&self, value: V, order: Ordering);
    /// See `AtomicU64::swap`.
    #[track_caller]
    fn swap(&self, value: V, order: Ordering) -> V;
    /// See `AtomicU64::compare_exchange`.
    ///
    /// # Errors
    /// The value found, where it is not `current`.
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
    #[track_caller]
    fn compare_exchange(
        &self,
        current: V,
        new: V,
        success: Ordering,
        failure: Ordering,
    ) -> Result<V, V>;
    /// See `AtomicU64::compare_exchange_weak`: may fail spuriously.
    ///
    /// # Errors
    /// The value found.
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
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
    fn fetch_add(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        fetch(self, order, |found| found.plus(value))
    }
    /// See `AtomicU64::fetch_sub`: wraps around.
    #[track_caller]
    fn fetch_sub(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        fetch(self, order, |found| found.minus(value))
    }
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
    fn fetch_max(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        fetch(self, order, |found| found.max(value))
    }
    /// See `AtomicU64::fetch_min`.
    #[track_caller]
    fn fetch_min(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        fetch(self, order, |found| found.min(value))
    }
    /// See `AtomicU64::fetch_update`: a load, and exchanges until one succeeds or `update` gives nothing.
    ///
    /// ```
    /// use forkcheck::prelude::*;
    /// fn take<M: Memory>(left: &M::AtomicU32) -> bool {
    ///     left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    /// }
    /// let one = Atomic::new(1);
    /// assert!(take::<Hardware>(&one) && !take::<Hardware>(&one));
    /// ```
    ///
    /// # Errors
    /// The value found for which `update` gave nothing.
    ///
    /// # Panics
    /// If `fetch_order` is `Release` or `AcqRel`.
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

/// A value that a publication can carry: plain bytes of which every pattern is a value, without
/// padding, pointers or atomics. Derive zerocopy's `FromBytes`, `IntoBytes` and `Immutable` for it;
/// nothing else is needed. Numbers and arrays of them have these traits, so a crate that publishes only those needs no zerocopy.
/// Another one has zerocopy 0.8 in its own `Cargo.toml`: through this crate, each type would need `#[zerocopy(crate = "...")]`.
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
/// A reference is not one, nor is a type that has invalid byte patterns:
/// ```compile_fail
/// fn is_payload<T: forkcheck::memory::Payload>() {}
/// is_payload::<bool>();
/// ```
pub trait Payload: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static {}
impl<T: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static> Payload for T {}

/// A payload held as words, copied in and out one `Relaxed` access at a time.
///
/// ```
/// use forkcheck::prelude::*;
/// struct Page<M: Memory>(M::Words<[u64; 2]>);
/// let page = Page::<Hardware>(Words::new([1, 2]));
/// page.0.store([3, 4]);
/// assert_eq!(page.0.load(), [3, 4]);
/// ```
pub trait Words<T: Payload>: Send + Sync + 'static {
    /// Returns words that hold `value`.
    #[track_caller]
    fn new(value: T) -> Self;
    /// Returns a copy, possibly torn: bytes of several values while a writer is at work.
    #[track_caller]
    fn load(&self) -> T;
    /// Writes `value`, a word at a time.
    #[track_caller]
    fn store(&self, value: T);
    /// Returns a copy of the part that begins at the byte `offset`: a field of a structure,
    /// elements of an array. It reads only the words that hold the part.
    ///
    /// ```
    /// use forkcheck::memory::{HardwareWords, Words};
    /// use std::mem::offset_of;
    /// use zerocopy::{FromBytes, Immutable, IntoBytes};
    ///
    /// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
    /// #[repr(C)]
    /// struct Config { rate: u32, burst: u32, limits: [u64; 8] }
    ///
    /// let config = HardwareWords::new(Config { rate: 1, burst: 2, limits: [0; 8] });
    /// config.store_part(offset_of!(Config, burst), 3u32);
    /// assert_eq!(config.load_part::<[u32; 2]>(0), [1, 3]);
    /// ```
    ///
    /// # Panics
    /// If the part is not within the payload.
    #[track_caller]
    fn load_part<P: Payload>(&self, offset: usize) -> P;
    /// Writes the part that begins at the byte `offset`, a word at a time. A word that also holds
    /// other bytes is changed by one read-modify-write: another process may write those meanwhile,
    /// and neither write is lost.
    ///
    /// # Panics
    /// If the part is not within the payload.
    #[track_caller]
    fn store_part<P: Payload>(&self, offset: usize, part: P);
}

/// A value behind a pointer; its closures tell a model how long an access lasts.
///
/// ```
/// use forkcheck::memory::{Hardware, Memory, MemoryCell};
/// let cell = <Hardware as Memory>::Cell::<[u64; 2]>::new([1, 2]);
/// let first = cell.with_mut(|value| value.cast::<u64>()); // a protocol writes it with `unsafe`, under its lock
/// cell.with(|value| assert_eq!(value.cast::<u64>(), first)); // and reads it so
/// ```
pub trait MemoryCell<T>: Send + Sync + 'static {
    /// Returns a cell that holds `value`.
    #[track_caller]
    fn new(value: T) -> Self;
    /// Reads the value: no writer may be at work meanwhile.
    #[track_caller]
    fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R;
    /// Writes the value: no other process may be at work meanwhile.
    #[track_caller]
    fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R;
}

/// One process from its start to its end, as a number that fits a word and is never reused.
///
/// On hardware: the pid in the low 32 bits, the low 32 bits of its start time (in clock ticks since
/// boot) in the high ones, since a pid alone is reused. It is never zero: a word of zeros names no
/// process.
///
/// ```
/// use forkcheck::memory::{Hardware, Incarnation, Memory};
/// let me = Hardware::me();
/// assert!(Hardware::alive(Incarnation::from_bits(me.to_bits())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incarnation(u64);

impl Incarnation {
    /// Returns the process that a word names.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
    /// Returns the word that names the process.
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

/// Replaces the value of a word by `new` of it, and returns the value found, for memories that have
/// no such access.
#[track_caller]
fn fetch<V: Integer + Eq>(
    word: &(impl Atomic<V> + ?Sized),
    order: Ordering,
    new: impl Fn(V) -> V,
) -> V {
    let result = word.fetch_update(order, Ordering::Relaxed, |found| Some(new(found)));
    result.unwrap_or_else(|found| found)
}
