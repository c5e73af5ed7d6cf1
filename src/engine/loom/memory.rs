//! loom's atomics as a [`Memory`], with each access noted as a step.
//!
//! loom runs all threads of a model on one thread of the system, so the notes are thread-local. They are taken
//! only between `start_execution` and `take_steps`; a plain `loom::model` takes none.

use crate::case::{Access, Step};
use crate::memory::{Atomic, Life, Memory, MemoryCell, Payload, WordsOf};
use loom::sync::atomic as model;
use loom::sync::{Condvar, Mutex};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// loom's model of memory. Nobody is killed in it, so everybody is [`alive`](Memory::alive).
#[derive(Debug, Clone, Copy)]
pub struct Loom;

/// Steps of one execution that are kept.
const STEPS: usize = 4_096;

/// Turns of a spin in one operation after which no other orders are tried.
const SPINS_EXPLORED: usize = 2;

thread_local! {
    static NOTES: RefCell<Option<Notes>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Notes {
    steps: Vec<Step>,
    /// Addresses of words in the order in which they were first touched.
    words: Vec<usize>,
}

thread_local! {
    /// Whether a load or a store asked for `SeqCst`.
    static SEQ_CST: Cell<bool> = const { Cell::new(false) };
}

/// loom takes `SeqCst` loads and stores for weaker ones, so it knows executions that there are not.
fn look_at(order: Ordering) {
    if order == Ordering::SeqCst {
        SEQ_CST.set(true);
    }
}

/// Whether a load or a store asked for `SeqCst`, in any execution so far.
pub(super) fn met_seq_cst() -> bool {
    SEQ_CST.get()
}

loom::thread_local! {
    /// The process that a thread of the model is, and the operation that it is in.
    static SELF: Cell<(usize, Option<usize>)> = Cell::new((0, None));
    /// Turns of `spin_loop` in that operation.
    static SPINS: Cell<usize> = Cell::new(0);
}

thread_local! {
    static REST: Cell<Rest> = const { Cell::new(Rest { processes: 0, done: 0, asleep: 0, all: false }) };
}

/// Who is left to wake somebody. Not in loom's memory: counting is no access, and whoever comes last sees that it does.
#[derive(Clone, Copy)]
struct Rest {
    /// 0: a plain `loom::model`, in which loom says who waits for ever.
    processes: usize,
    done: usize,
    asleep: usize,
    /// All that are not done sleep, and will for ever.
    all: bool,
}

impl Rest {
    fn update(with: impl FnOnce(&mut Rest)) -> bool {
        let mut rest = REST.get();
        with(&mut rest);
        rest.all |= rest.asleep > 0 && rest.done + rest.asleep == rest.processes;
        REST.set(rest);
        rest.all
    }
}

/// What unwinds an operation that sleeps for ever.
struct Abandoned;

/// Does an operation: `None` if it came to sleep for ever, and so did all that might have woken it.
pub(super) fn unless_abandoned<R>(operation: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(operation)) {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<Abandoned>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

pub(super) fn start_execution(processes: usize) {
    NOTES.set(Some(Notes::default()));
    REST.set(Rest {
        processes,
        done: 0,
        asleep: 0,
        all: false,
    });
}
/// This process has done its program.
pub(super) fn leave() {
    if Rest::update(|rest| rest.done += 1) {
        // Under the lock, so that who is on its way to sleep is there, and hears it.
        let queue = FUTEX
            .queue
            .lock()
            .expect("no thread of the model panics with it");
        FUTEX.woken.notify_all();
        drop(queue);
    }
}
/// Whether the execution ended with some asleep.
pub(super) fn rests() -> bool {
    REST.get().all
}
pub(super) fn take_steps() -> Vec<Step> {
    NOTES.take().map(|notes| notes.steps).unwrap_or_default()
}
pub(super) fn enter(process: usize) {
    SELF.with(|own| own.set((process, None)));
}
pub(super) fn enter_operation(number: usize) {
    SELF.with(|own| own.set((own.get().0, Some(number))));
    SPINS.with(|spins| spins.set(0));
}

fn note(access: Access, word: Option<usize>, value: u64, at: &Location<'_>) {
    NOTES.with_borrow_mut(|notes| {
        let Some(notes) = notes else { return };
        let (process, operation) = SELF.with(Cell::get);
        if operation.is_none() || notes.steps.len() >= STEPS {
            return;
        }
        let word = word.map(|address| {
            notes
                .words
                .iter()
                .position(|&known| known == address)
                .unwrap_or_else(|| {
                    notes.words.push(address);
                    notes.words.len() - 1
                })
        });
        notes.steps.push(Step {
            process,
            operation,
            access,
            word,
            offset: None,
            element: None,
            part: None,
            value,
            now: (access == Access::Store).then_some(value),
            file: at.file().into(),
            line: at.line(),
            column: at.column(),
        });
    });
}

/// A word of loom's, that notes what is done to it.
#[derive(Debug)]
pub struct Word<A>(A);

impl<A> Word<A> {
    fn note(&self, access: Access, value: u64, at: &Location<'_>) {
        note(access, Some((&raw const self.0).addr()), value, at);
    }
}

macro_rules! loom_atomic {
    ($($Word:ident $Value:ty),*) => {$(
        impl Atomic<$Value> for Word<model::$Word> {
            fn new(value: $Value) -> Self {
                Self(model::$Word::new(value))
            }
            fn load(&self, order: Ordering) -> $Value {
                look_at(order);
                let value = self.0.load(order);
                self.note(Access::Load, value as u64, Location::caller());
                value
            }
            fn store(&self, value: $Value, order: Ordering) {
                look_at(order);
                self.0.store(value, order);
                self.note(Access::Store, value as u64, Location::caller());
            }
            fn compare_exchange(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                let result = self.0.compare_exchange(current, new, success, failure);
                self.note_exchange(result, Location::caller());
                result
            }
            fn compare_exchange_weak(&self, current: $Value, new: $Value, success: Ordering, failure: Ordering) -> Result<$Value, $Value> {
                let result = self.0.compare_exchange_weak(current, new, success, failure);
                self.note_exchange(result, Location::caller());
                result
            }
            loom_atomic!(@update $Value, swap fetch_add fetch_sub fetch_and fetch_or fetch_max);
        }
        impl Word<model::$Word> {
            fn note_exchange(&self, result: Result<$Value, $Value>, at: &Location<'_>) {
                match result {
                    Ok(found) => self.note(Access::Update, found as u64, at),
                    Err(found) => self.note(Access::Miss, found as u64, at),
                }
            }
        }
    )*};
    (@update $Value:ty, $($method:ident)*) => {$(
        fn $method(&self, value: $Value, order: Ordering) -> $Value {
            let found = self.0.$method(value, order);
            self.note(Access::Update, found as u64, Location::caller());
            found
        }
    )*};
}
loom_atomic!(AtomicU32 u32, AtomicU64 u64, AtomicUsize usize);

/// A cell of loom's: it panics when accesses race.
#[derive(Debug)]
pub struct LoomCell<T>(loom::cell::UnsafeCell<T>);

#[allow(
    unsafe_code,
    reason = "loom's cell is not Sync by itself: it checks what Sync would promise"
)]
// SAFETY: Send and Sync.
// 1. All threads of a model run on one thread of the system, so no two accesses are ever at the same time.
// 2. Whether they would race elsewhere is what loom's cell finds out.
unsafe impl<T: Send> Sync for LoomCell<T> {}
#[allow(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl<T: Send> Send for LoomCell<T> {}

impl<T: Send + 'static> MemoryCell<T> for LoomCell<T> {
    fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }
    fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        self.0.with(access)
    }
    fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(access)
    }
}

/// The kernel's queue of those that wait on a word, one for all words of an execution.
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
    /// Of the word.
    address: usize,
    number: u64,
    /// It ends by itself, too.
    limited: bool,
}

impl Queue {
    fn ticket(&mut self, address: usize, limited: bool) -> Ticket {
        self.next += 1;
        Ticket {
            address,
            number: self.next,
            limited,
        }
    }
}

loom::lazy_static! {
    static ref FUTEX: Futex = Futex { queue: Mutex::new(Queue::default()), woken: Condvar::new() };
}

impl Memory for Loom {
    type AtomicU32 = Word<model::AtomicU32>;
    type AtomicU64 = Word<model::AtomicU64>;
    type AtomicUsize = Word<model::AtomicUsize>;
    type Words<T: Payload> = WordsOf<T, Word<model::AtomicU64>>;
    type Cell<T: Send + 'static> = LoomCell<T>;
    // Nobody dies in it.
    const PATIENCE: u32 = u32::MAX;

    fn fence(order: Ordering) {
        model::fence(order);
        note(Access::Fence, None, 0, Location::caller());
    }
    /// A yield. Two processes that spin could let each other pass without end, each time a new order to explore;
    /// so after a few turns in one operation, loom goes on with this execution but tries no others from here on.
    fn spin_loop() {
        if SELF.with(Cell::get).1.is_some()
            && SPINS.with(|spins| spins.replace(spins.get() + 1)) >= SPINS_EXPLORED
        {
            loom::skip_branch();
        }
        note(Access::Spin, None, 0, Location::caller());
        loom::hint::spin_loop();
    }
    /// The process's number, counted from 1.
    fn me() -> Life {
        Life::from_bits(SELF.with(Cell::get).0 as u64 + 1)
    }
    fn alive(_: Life) -> bool {
        true
    }
    /// As the kernel does it: look at the word once more under the queue's lock, then sleep until woken. A
    /// wake-up that comes too early is lost here too. Where all sleep, the operation is abandoned.
    fn wait(word: &Self::AtomicU32, seen: u32) {
        let mut queue = FUTEX
            .queue
            .lock()
            .expect("no thread of the model panics with it");
        if word.0.load(Ordering::SeqCst) != seen {
            return;
        }
        note(
            Access::Wait,
            Some((&raw const word.0).addr()),
            seen.into(),
            Location::caller(),
        );
        let ticket = queue.ticket((&raw const word.0).addr(), false);
        queue.waiting.push(ticket);
        if Rest::update(|rest| rest.asleep += 1) {
            FUTEX.woken.notify_all();
        }
        while queue.waiting.contains(&ticket) {
            if rests() {
                drop(queue);
                resume_unwind(Box::new(Abandoned));
            }
            queue = FUTEX
                .woken
                .wait(queue)
                .expect("no thread of the model panics with it");
        }
    }
    /// Others may go first or not: if none of them wakes it, its time is up.
    fn wait_timeout(word: &Self::AtomicU32, seen: u32, left: &mut Duration) {
        let address = (&raw const word.0).addr();
        let queue = || {
            FUTEX
                .queue
                .lock()
                .expect("no thread of the model panics with it")
        };
        let ticket = {
            let mut queue = queue();
            if word.0.load(Ordering::SeqCst) != seen {
                return;
            }
            let ticket = queue.ticket(address, true);
            queue.waiting.push(ticket);
            ticket
        };
        note(Access::Wait, Some(address), seen.into(), Location::caller());
        // Between the two locks somebody may wake it, or nobody. That is a choice; one that is offered again and again in
        // one operation has no end, so then the others go first.
        if SPINS.with(Cell::get) < SPINS_EXPLORED {
            SPINS.with(|spins| spins.set(spins.get() + 1));
        } else {
            Self::spin_loop();
        }
        let mut queue = queue();
        let before = queue.waiting.len();
        queue.waiting.retain(|waiting| *waiting != ticket);
        let woken = queue.waiting.len() == before;
        drop(queue);
        note(
            Access::Timeout,
            Some(address),
            woken.into(),
            Location::caller(),
        );
        if !woken {
            *left = Duration::ZERO;
        }
    }
    fn wake(word: &Self::AtomicU32, n: u32) {
        let address = (&raw const word.0).addr();
        let mut queue = FUTEX
            .queue
            .lock()
            .expect("no thread of the model panics with it");
        let mut left = n;
        queue.waiting.retain(|waiting| {
            waiting.address != address || left == 0 || {
                left -= 1;
                if !waiting.limited {
                    Rest::update(|rest| rest.asleep -= 1);
                }
                false
            }
        });
        drop(queue);
        FUTEX.woken.notify_all();
    }
}
