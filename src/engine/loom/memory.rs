//! loom's atomics as a [`Memory`]; each access is noted in the [execution](super::execution).

use super::execution;
use super::known::{self, KnownWord};
use crate::case::Access;
use crate::engine::value::Value;
use crate::memory::{Atomic, Incarnation, Memory, MemoryCell, Payload, WordsOf};
use loom::sync::atomic as model;
use loom::sync::{Condvar, Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// loom's model of memory. No process is killed in it, so every process is
/// [`alive`](Memory::alive).
#[derive(Debug, Clone, Copy)]
pub struct Loom;

/// A word of loom's, and the execution's knowledge of it.
#[derive(Debug)]
pub struct Word<A> {
    model: A,
    known: KnownWord,
}

macro_rules! loom_atomic {
    ($($Word:ident $Value:ty),*: $methods:tt) => {$(loom_atomic! { @one $Word $Value, $methods })*};
    (@one $Word:ident $Value:ty, {$($method:ident: $new:expr),*}) => {
        impl Atomic<$Value> for Word<model::$Word> {
            fn new(value: $Value) -> Self {
                Self { model: model::$Word::new(value), known: KnownWord::new(value.to_bits(), <$Value>::FORM) }
            }
            fn load(&self, order: Ordering) -> $Value {
                execution::look_at(order);
                if !execution::goes_on() {
                    return Value::from_bits(self.known.last());
                }
                let value = self.model.load(order);
                self.known.loaded(value.to_bits(), order, Location::caller());
                value
            }
            fn store(&self, value: $Value, order: Ordering) {
                execution::look_at(order);
                if execution::goes_on() {
                    self.model.store(value, order);
                    self.known.stored(value.to_bits(), order, Location::caller());
                }
            }
            fn compare_exchange(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                if !execution::goes_on() {
                    let last = <$Value as Value>::from_bits(self.known.last());
                    return if last == current { Ok(last) } else { Err(last) };
                }
                let result = self.model.compare_exchange(current, new, success, failure);
                match result {
                    Ok(found) => self.known.exchanged((found.to_bits(), new.to_bits()), success, Location::caller()),
                    Err(found) => self.known.missed(found.to_bits(), failure, Location::caller()),
                }
                result
            }
            fn compare_exchange_weak(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                self.compare_exchange(current, new, success, failure)
            }
            $(
                fn $method(&self, value: $Value, order: Ordering) -> $Value {
                    if !execution::goes_on() {
                        return Value::from_bits(self.known.last());
                    }
                    let found = self.model.$method(value, order);
                    let new: fn($Value, $Value) -> $Value = $new;
                    self.known.exchanged((found.to_bits(), new(found, value).to_bits()), order, Location::caller());
                    found
                }
            )*
        }
    };
}
loom_atomic!(AtomicU8 u8, AtomicU16 u16, AtomicU32 u32, AtomicU64 u64, AtomicI32 i32, AtomicI64 i64, AtomicUsize usize: {
    swap: |_, value| value,
    fetch_add: |found, value| found.wrapping_add(value),
    fetch_sub: |found, value| found.wrapping_sub(value),
    fetch_and: |found, value| found & value,
    fetch_or: |found, value| found | value,
    fetch_xor: |found, value| found ^ value,
    fetch_max: Ord::max,
    fetch_min: Ord::min
});
loom_atomic!(AtomicBool bool: {
    swap: |_, value| value,
    fetch_and: |found, value| found & value,
    fetch_or: |found, value| found | value,
    fetch_xor: |found, value| found ^ value
});

/// A cell beside one of loom's, which panics when accesses race.
#[derive(Debug)]
pub struct LoomCell<T> {
    guard: loom::cell::UnsafeCell<()>,
    key: execution::Key,
    data: std::cell::UnsafeCell<T>,
}

#[allow(
    unsafe_code,
    reason = "loom's cell is not Sync by itself: it checks what Sync would promise"
)]
// SAFETY: Send and Sync.
// 1. All threads of a model run on one thread of the system, so no two accesses overlap.
// 2. loom's cell detects whether they would race on real threads.
unsafe impl<T: Send> Sync for LoomCell<T> {}
#[allow(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl<T: Send> Send for LoomCell<T> {}

impl<T: Send + 'static> MemoryCell<T> for LoomCell<T> {
    fn new(value: T) -> Self {
        Self {
            guard: loom::cell::UnsafeCell::new(()),
            key: execution::Key::default(),
            data: std::cell::UnsafeCell::new(value),
        }
    }
    fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        if !execution::goes_on() {
            return access(self.data.get());
        }
        known::access(&self.key, false, Location::caller());
        let result = self.guard.with(|_| access(self.data.get()));
        known::accessed(&self.key, false);
        result
    }
    fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        if !execution::goes_on() {
            return access(self.data.get());
        }
        known::access(&self.key, true, Location::caller());
        let result = self.guard.with_mut(|_| access(self.data.get()));
        known::accessed(&self.key, true);
        result
    }
}

/// The kernel's queue of the processes that wait on a word; one serves all words of an execution.
struct Futex {
    queue: Mutex<Queue>,
    woken: Condvar,
}
#[derive(Default)]
struct Queue {
    next: u64,
    waiting: Vec<Ticket>,
}

/// One wait.
#[derive(Clone, Copy, PartialEq)]
struct Ticket {
    /// The address of the word.
    address: usize,
    number: u64,
    /// The sleeping process, if the wait does not end by itself.
    sleeper: Option<usize>,
}

impl Queue {
    fn ticket(&mut self, address: usize, sleeper: Option<usize>) -> Ticket {
        self.next += 1;
        let ticket = Ticket {
            address,
            number: self.next,
            sleeper,
        };
        self.waiting.push(ticket);
        ticket
    }
}

loom::lazy_static! {
    static ref FUTEX: Futex = Futex { queue: Mutex::new(Queue::default()), woken: Condvar::new() };
}

/// The queue, while its lock is held.
struct Locked(Option<MutexGuard<'static, Queue>>);

const UNPOISONED: &str = "no thread of the model panics with the lock";

impl Locked {
    fn lock() -> Self {
        let queue = FUTEX.queue.lock().expect(UNPOISONED);
        execution::lock();
        Self(Some(queue))
    }
    /// Releases the lock until the process is woken.
    fn wait(&mut self) {
        execution::unlock();
        if let Some(queue) = self.0.take() {
            self.0 = Some(FUTEX.woken.wait(queue).expect(UNPOISONED));
        }
        execution::lock();
    }
}
impl Deref for Locked {
    type Target = Queue;
    fn deref(&self) -> &Queue {
        self.0.as_ref().expect("held from lock to drop")
    }
}
impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Queue {
        self.0.as_mut().expect("held from lock to drop")
    }
}
impl Drop for Locked {
    fn drop(&mut self) {
        execution::unlock();
    }
}

/// Ends this process's part; if the execution has ended, the sleeping processes learn of it.
pub(super) fn leave() {
    if execution::leave() {
        // Under the lock, so that a process about to sleep is in the queue and learns of it.
        let queue = Locked::lock();
        FUTEX.woken.notify_all();
        drop(queue);
    }
}

impl Memory for Loom {
    type AtomicBool = Word<model::AtomicBool>;
    type AtomicU8 = Word<model::AtomicU8>;
    type AtomicU16 = Word<model::AtomicU16>;
    type AtomicU32 = Word<model::AtomicU32>;
    type AtomicU64 = Word<model::AtomicU64>;
    type AtomicI32 = Word<model::AtomicI32>;
    type AtomicI64 = Word<model::AtomicI64>;
    type AtomicUsize = Word<model::AtomicUsize>;
    type Words<T: Payload> = WordsOf<T, Word<model::AtomicU64>>;
    type Cell<T: Send + 'static> = LoomCell<T>;
    // No process dies in it.
    const PATIENCE: u32 = u32::MAX;

    fn fence(order: Ordering) {
        if execution::goes_on() {
            model::fence(order);
            known::fence(order, Location::caller());
        }
    }
    /// Yields: loom lets the other processes go first.
    fn spin_loop() {
        if execution::goes_on() {
            execution::spin(Location::caller());
        }
    }
    /// Returns the process's number, counted from 1.
    fn me() -> Incarnation {
        Incarnation::from_bits(execution::process().unwrap_or(0) as u64 + 1)
    }
    fn alive(_: Incarnation) -> bool {
        true
    }
    /// Waits as the kernel does it: look at the word once more under the queue's lock, then sleep
    /// until woken. As there, a wake-up that comes too early is lost. If all processes sleep, the
    /// execution ends.
    fn wait(word: &Self::AtomicU32, seen: u32) {
        if !execution::goes_on() {
            return;
        }
        let mut queue = Locked::lock();
        let Some(ticket) = word.ticket(&mut queue, seen, execution::process()) else {
            drop(queue);
            execution::goes_on();
            return;
        };
        word.known
            .note(Access::Wait, seen.into(), Location::caller());
        if execution::falls_asleep() {
            FUTEX.woken.notify_all();
        }
        while queue.waiting.contains(&ticket) && execution::ended().is_none() {
            queue.wait();
        }
        drop(queue);
        execution::goes_on();
    }
    /// Lets other processes go first or not; the time is up if none of them wakes this one.
    fn wait_timeout(word: &Self::AtomicU32, seen: u32, left: &mut Duration) {
        if !execution::goes_on() {
            *left = Duration::ZERO;
            return;
        }
        let ticket = word.ticket(&mut Locked::lock(), seen, None);
        let Some(ticket) = ticket else {
            execution::goes_on();
            return;
        };
        word.known
            .note(Access::Wait, seen.into(), Location::caller());
        // Between the two locks another process may wake this one, or none does. That is a choice.
        // Offered without end in one operation it would have no end, so after some waits the others
        // always go first.
        if execution::waited_too_often() {
            Self::spin_loop();
        }
        let mut queue = Locked::lock();
        let before = queue.waiting.len();
        queue.waiting.retain(|waiting| *waiting != ticket);
        let woken = queue.waiting.len() == before;
        drop(queue);
        word.known
            .note(Access::Timeout, woken.into(), Location::caller());
        if !woken {
            *left = Duration::ZERO;
        }
    }
    fn wake(word: &Self::AtomicU32, n: u32) {
        if !execution::goes_on() {
            return;
        }
        let address = word.address();
        let mut queue = Locked::lock();
        let mut left = n;
        queue.waiting.retain(|waiting| {
            waiting.address != address || left == 0 || {
                left -= 1;
                if let Some(sleeper) = waiting.sleeper {
                    execution::wake(sleeper);
                }
                false
            }
        });
        drop(queue);
        FUTEX.woken.notify_all();
    }
}

impl Word<model::AtomicU32> {
    fn address(&self) -> usize {
        (&raw const self.model).addr()
    }

    /// Returns a place in the queue, if the word still holds `seen`.
    fn ticket(&self, queue: &mut Locked, seen: u32, sleeper: Option<usize>) -> Option<Ticket> {
        let value = self.model.load(Ordering::SeqCst);
        if let Some(why) = self.known.looked_at(value.into()) {
            execution::stop(why);
            return None;
        }
        (value == seen).then(|| queue.ticket(self.address(), sleeper))
    }
}
