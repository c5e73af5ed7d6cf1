//! The machine's own words in the shared region, with a step of the scheduler before each access.
//!
//! Outside of an execution (the structure is built, a test calls it by hand) there is no scheduler
//! to ask, and an access is what it is on hardware.

use crate::case::Access;
use crate::engine::MAX_PROCESSES;
use crate::engine::stepped::stepper::{self, Done, Part};
use crate::engine::value::Value;
use crate::memory::part::{bytes_of, pieces};
use crate::memory::{
    Atomic, Hardware, HardwareBool, HardwareCell, HardwareWords, Incarnation, Memory, MemoryCell,
    Payload, Words,
};
use std::any::type_name;
use std::ops::Range;
use std::panic::Location;
use std::sync::atomic::{
    AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    Ordering::Relaxed,
};
use std::time::Duration;

/// Words that processes of an execution touch one step at a time: the execution is sequentially
/// consistent.
#[derive(Debug, Clone, Copy)]
pub struct SteppedMemory;

/// A word whose accesses are steps.
#[derive(Debug)]
#[repr(transparent)]
pub struct SteppedWord<A>(A);

fn address<T>(word: &T) -> u64 {
    (&raw const *word).addr() as u64
}

fn stored(value: impl Value, changes: bool) -> Done {
    Done {
        now: changes.then_some(value.to_bits()),
        ..seen(Access::Store, value)
    }
}

fn updated<V: Value + PartialEq>(found: V, now: V) -> Done {
    Done {
        now: (now != found).then_some(now.to_bits()),
        ..seen(Access::Update, found)
    }
}

/// Returns a step that changed nothing.
fn seen<V: Value>(kind: Access, value: V) -> Done {
    Done {
        form: V::FORM,
        ..Done::seen(kind, value.to_bits())
    }
}

macro_rules! stepped_atomic {
    ($($Word:ident $Value:ty),*: $methods:tt) => {$(stepped_atomic! { @one $Word $Value, $methods })*};
    (@one $Word:ident $Value:ty, ($($method:ident)*)) => {
        impl Atomic<$Value> for SteppedWord<$Word> {
            fn new(value: $Value) -> Self {
                Self($Word::new(value))
            }
            fn load(&self, order: Ordering) -> $Value {
                stepper::step(Access::Load, address(self), Location::caller(), || {
                    let value = self.0.load(order);
                    (value, seen(Access::Load, value))
                })
            }
            fn store(&self, value: $Value, order: Ordering) {
                stepper::step(Access::Store, address(self), Location::caller(), || {
                    let changes = self.0.load(Relaxed) != value;
                    self.0.store(value, order);
                    ((), stored(value, changes))
                })
            }
            fn compare_exchange(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                stepper::step(Access::Update, address(self), Location::caller(), || {
                    match self.0.compare_exchange(current, new, success, failure) {
                        Ok(found) => (Ok(found), updated(found, new)),
                        Err(found) => (Err(found), seen(Access::Miss, found)),
                    }
                })
            }
            fn compare_exchange_weak(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                self.compare_exchange(current, new, success, failure)
            }
            $(
                fn $method(&self, value: $Value, order: Ordering) -> $Value {
                    stepper::step(Access::Update, address(self), Location::caller(), || {
                        let found = self.0.$method(value, order);
                        (found, updated(found, self.0.load(Relaxed)))
                    })
                }
            )*
        }
    };
}
stepped_atomic!(
    AtomicU8 u8, AtomicU16 u16, AtomicU32 u32, AtomicU64 u64, AtomicI32 i32, AtomicI64 i64, AtomicUsize usize:
    (swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min)
);
stepped_atomic!(HardwareBool bool: (swap fetch_and fetch_or fetch_xor));

/// A payload in place; an access to each word, and to each byte of its tail, is a step.
#[repr(transparent)]
pub struct SteppedWords<T>(HardwareWords<T>);

impl<T: Payload> SteppedWords<T> {
    /// Takes a step on some bytes of it.
    fn step<A, R>(
        kind: Access,
        word: &A,
        bytes: Range<usize>,
        at: &Location<'_>,
        access: impl FnOnce() -> (R, Done),
    ) -> R {
        stepper::step(kind, address(word), at, || {
            let (result, mut done) = access();
            let whole = bytes.len() == size_of::<T>();
            done.part = (!whole).then_some(Part {
                bytes,
                of: type_name::<T>(),
            });
            (result, done)
        })
    }
}

impl<T: Payload> Words<T> for SteppedWords<T> {
    fn new(value: T) -> Self {
        Self(HardwareWords::new_const(value))
    }
    fn load(&self) -> T {
        let at = Location::caller();
        let mut copy = T::new_zeroed();
        let whole = self.0.words().len() * 8;
        let (words, tail) = copy.as_mut_bytes().split_at_mut(whole);
        for (number, (bytes, word)) in words.chunks_mut(8).zip(self.0.words()).enumerate() {
            let part = 8 * number..8 * number + 8;
            let value = Self::step(Access::Load, word, part, at, || {
                let value = word.load(Relaxed);
                (value, seen(Access::Load, value))
            });
            bytes.copy_from_slice(&value.to_ne_bytes());
        }
        for (number, (byte, word)) in (whole..).zip(tail.iter_mut().zip(self.0.tail())) {
            *byte = Self::step(Access::Load, word, number..number + 1, at, || {
                let value = word.load(Relaxed);
                (value, seen(Access::Load, value))
            });
        }
        copy
    }
    fn store(&self, value: T) {
        let at = Location::caller();
        let whole = self.0.words().len() * 8;
        let (words, tail) = value.as_bytes().split_at(whole);
        for (number, (bytes, word)) in words.chunks(8).zip(self.0.words()).enumerate() {
            let value = u64::from_ne_bytes(bytes.try_into().expect("chunks of 8"));
            let part = 8 * number..8 * number + 8;
            Self::step(Access::Store, word, part, at, || {
                let changes = word.load(Relaxed) != value;
                word.store(value, Relaxed);
                ((), stored(value, changes))
            });
        }
        for (number, (&byte, word)) in (whole..).zip(tail.iter().zip(self.0.tail())) {
            Self::step(Access::Store, word, number..number + 1, at, || {
                let changes = word.load(Relaxed) != byte;
                word.store(byte, Relaxed);
                ((), stored(byte, changes))
            });
        }
    }
    fn load_part<P: Payload>(&self, offset: usize) -> P {
        let at = Location::caller();
        let bytes = bytes_of::<T, P>(offset);
        let (words, tail) = (self.0.words(), self.0.tail());
        let whole = 8 * words.len();
        let mut copy = P::new_zeroed();
        let part = copy.as_mut_bytes();
        for piece in pieces(&bytes, whole) {
            let (word, number) = (&words[piece.word], piece.word);
            let value = Self::step(Access::Load, word, 8 * number..8 * number + 8, at, || {
                let value = word.load(Relaxed);
                (value, seen(Access::Load, value))
            });
            piece.get(value, part);
        }
        for number in bytes.start.max(whole)..bytes.end {
            let word = &tail[number - whole];
            part[number - offset] = Self::step(Access::Load, word, number..number + 1, at, || {
                let value = word.load(Relaxed);
                (value, seen(Access::Load, value))
            });
        }
        copy
    }
    fn store_part<P: Payload>(&self, offset: usize, part: P) {
        let at = Location::caller();
        let bytes = bytes_of::<T, P>(offset);
        let (words, tail) = (self.0.words(), self.0.tail());
        let whole = 8 * words.len();
        let part = part.as_bytes();
        for piece in pieces(&bytes, whole) {
            let (word, number) = (&words[piece.word], piece.word);
            let all = piece.within.len() == 8;
            let kind = if all { Access::Store } else { Access::Update };
            Self::step(kind, word, 8 * number..8 * number + 8, at, || {
                let found = word.load(Relaxed);
                let value = piece.put(found, part);
                word.store(value, Relaxed);
                let done = if all {
                    stored(value, value != found)
                } else {
                    updated(found, value)
                };
                ((), done)
            });
        }
        for number in bytes.start.max(whole)..bytes.end {
            let (word, value) = (&tail[number - whole], part[number - offset]);
            Self::step(Access::Store, word, number..number + 1, at, || {
                let changes = word.load(Relaxed) != value;
                word.store(value, Relaxed);
                ((), stored(value, changes))
            });
        }
    }
}

/// A cell that knows which processes are in it: for each process a byte, with its incarnation and
/// whether it writes.
pub struct SteppedCell<T> {
    within: [AtomicU64; MAX_PROCESSES / PER_WORD],
    value: HardwareCell<T>,
}

const INSIDE: u64 = 0x80;
const WRITES: u64 = 0x40;
const NUMBER: u64 = 0x3f;
/// The bytes of a word.
const PER_WORD: usize = 8;

impl<T> SteppedCell<T> {
    /// Returns the byte of a process.
    fn byte(&self, process: usize) -> u64 {
        let word = self.within[process / PER_WORD].load(Relaxed);
        word >> (8 * (process % PER_WORD)) & 0xff
    }
    /// Sets the byte of a process.
    fn say(&self, process: usize, byte: u64) {
        let within = &self.within[process / PER_WORD];
        let lowest = 8 * (process % PER_WORD);
        let word = within.load(Relaxed) & !(0xff << lowest) | byte << lowest;
        match stepper::writable_alias(address(within)) {
            None => within.store(word, Relaxed),
            Some((region, offset)) => {
                let same: &AtomicU64 = region.get(offset).expect("it is in the structure");
                same.store(word, Relaxed);
            }
        }
    }
    /// Enters the cell; returns the number of steps that the process took before.
    fn enter(&self, writes: bool) -> u32 {
        let Some((me, number)) = stepper::incarnation() else {
            return 0;
        };
        let steps = stepper::enter_cell();
        let words = self.within.iter().zip((0..MAX_PROCESSES).step_by(PER_WORD));
        // Most often no process is in it.
        let words = words.filter(|(word, _)| word.load(Relaxed) != 0);
        let others = words.flat_map(|(_, first)| first..first + PER_WORD);
        for other in others.filter(|&other| other != me) {
            let byte = self.byte(other);
            if byte & INSIDE != 0 && (writes || byte & WRITES != 0) {
                stepper::race(other, (byte & NUMBER) as u32);
            }
        }
        let mine = INSIDE | if writes { WRITES } else { 0 } | u64::from(number) & NUMBER;
        self.say(me, mine);
        steps
    }
    fn leave(&self) {
        if let Some((me, _)) = stepper::incarnation() {
            self.say(me, 0);
            stepper::leave_cell();
        }
    }
}

impl<T: Send + 'static> MemoryCell<T> for SteppedCell<T> {
    fn new(value: T) -> Self {
        Self {
            within: [const { AtomicU64::new(0) }; MAX_PROCESSES / PER_WORD],
            value: HardwareCell::new(value),
        }
    }
    fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        let steps = self.enter(false);
        let result = self.value.with(access);
        stepper::use_cell(steps, Access::Read, address(self), Location::caller());
        self.leave();
        result
    }
    fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        stepper::write(address(self), Location::caller());
        let steps = self.enter(true);
        let result = self.value.with_mut(access);
        stepper::use_cell(steps, Access::Write, address(self), Location::caller());
        self.leave();
        result
    }
}

impl Memory for SteppedMemory {
    type AtomicBool = SteppedWord<HardwareBool>;
    type AtomicU8 = SteppedWord<AtomicU8>;
    type AtomicU16 = SteppedWord<AtomicU16>;
    type AtomicU32 = SteppedWord<AtomicU32>;
    type AtomicU64 = SteppedWord<AtomicU64>;
    type AtomicI32 = SteppedWord<AtomicI32>;
    type AtomicI64 = SteppedWord<AtomicI64>;
    type AtomicUsize = SteppedWord<AtomicUsize>;
    type Words<T: Payload> = SteppedWords<T>;
    type Cell<T: Send + 'static> = SteppedCell<T>;
    const PATIENCE: u32 = 1;

    fn fence(_: Ordering) {
        stepper::fence(Location::caller());
    }
    fn spin_loop() {
        stepper::spin(Location::caller());
    }
    fn me() -> Incarnation {
        stepper::identity::me().unwrap_or_else(Hardware::me)
    }
    fn alive(incarnation: Incarnation) -> bool {
        stepper::identity::alive(incarnation, Location::caller())
            .unwrap_or_else(|| Hardware::alive(incarnation))
    }
    fn wait(word: &Self::AtomicU32, seen: u32) {
        stepper::wait(address(word), Location::caller(), || {
            let value = word.0.load(Relaxed);
            (value == seen, value.into())
        });
    }
    fn wait_timeout(word: &Self::AtomicU32, seen: u32, left: &mut Duration) {
        let in_time = stepper::wait_timeout(address(word), Location::caller(), || {
            let value = word.0.load(Relaxed);
            (value == seen, value.into())
        });
        if !in_time {
            *left = Duration::ZERO;
        }
    }
    fn wake(word: &Self::AtomicU32, n: u32) {
        stepper::wake(address(word), n, Location::caller());
    }
}
