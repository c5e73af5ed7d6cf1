//! Structures of the standard library's parts, between processes that share a heap: waits are those of the schedule, and memory
//! that was freed is not to be touched.
#![allow(unsafe_code, reason = "a stack of raw pointers, as C++ has it")]

use forkcheck::prelude::*;
use forkcheck::spec::{
    Once, OnceOp, OnceRet, Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Semaphore,
    SemaphoreOp, SemaphoreRet,
};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};

const PRIVATE: &str = "its heap is private to a process that is not built by cargo forkcheck";

/// A queue behind a lock, both on the heap.
struct Locked(Arc<Mutex<VecDeque<u64>>>);

impl Structure for Locked {
    type Memory = Hardware;
    type Spec = Queue<u64>;
    fn new(_: &usize) -> Self {
        Self(Arc::default())
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        let mut items = self.0.lock().expect("no process panics");
        match op {
            QueueOp::Push(item) => {
                items.push_back(*item);
                QueueRet::Pushed
            }
            QueueOp::Pop => items.pop_front().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
}

forkcheck::suite! {
    mutex: Locked,
    setup: Just(99),
    user: 3 processes, 1..=2 ops of prop_oneof![(1u64..9).prop_map(QueueOp::Push), Just(QueueOp::Pop)],
    with: .without("processes", PRIVATE).without("kills", "a killed owner keeps the lock"),
}

/// Two locks that processes take in two orders, one of them by number.
struct Crossed([Mutex<u64>; 2]);

impl WithHandles for Crossed {
    type Memory = Hardware;
    type Spec = Register<u64>;
    type Handle<'a> = (&'a Self, usize);
    fn new(first: &u64) -> Self {
        Self([*first, *first].map(Mutex::new))
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> (&'a Self, usize) {
        (self, role.process % 2)
    }
    fn apply((both, first): &mut (&Self, usize), op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let mut one = both.0[*first].lock().expect("no process panics");
        let mut other = both.0[1 - *first].lock().expect("no process panics");
        match op {
            RegisterOp::Write(value) => {
                (*one, *other) = (*value, *value);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(*one),
        }
    }
}

forkcheck::suite! {
    #[should_panic(expected = "DEADLOCK")]
    crossed: Crossed,
    setup: Just(0),
    writer: 1..=2 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=2 ops of Just(RegisterOp::Read),
    with: .regressions(None),
}

/// A stack whose pop frees what another pop may still look at.
struct Stack {
    top: AtomicPtr<Node>,
}

struct Node {
    item: u64,
    next: *mut Node,
}

// SAFETY: nodes are handed over by the top; that one is freed too soon is what is to be found.
unsafe impl Sync for Stack {}

/// Of one item at most in the programs here, so a queue's spec says the same.
impl Structure for Stack {
    type Memory = Hardware;
    type Spec = Queue<u64>;
    fn new(_: &usize) -> Self {
        let top = Box::into_raw(Box::new(Node {
            item: 1,
            next: null_mut(),
        }));
        let stack = Self {
            top: AtomicPtr::new(null_mut()),
        };
        stack.top.store(top, Ordering::Release);
        let popped = Structure::apply(&stack, &QueueOp::Pop);
        assert_eq!(popped, QueueRet::Popped(1));
        stack
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        let mut top = self.top.load(Ordering::Acquire);
        match op {
            QueueOp::Push(item) => {
                let node = Box::into_raw(Box::new(Node {
                    item: *item,
                    next: top,
                }));
                while let Err(found) =
                    self.top
                        .compare_exchange(top, node, Ordering::AcqRel, Ordering::Acquire)
                {
                    top = found;
                    // SAFETY: this process alone knows the node.
                    unsafe { (*node).next = top };
                }
                QueueRet::Pushed
            }
            QueueOp::Pop => loop {
                if top.is_null() {
                    return QueueRet::Empty;
                }
                // SAFETY: this is the mistake: another process may have freed it.
                let next = unsafe { (*top).next };
                let taken =
                    self.top
                        .compare_exchange(top, next, Ordering::AcqRel, Ordering::Acquire);
                match taken {
                    Ok(_) => {
                        // SAFETY: it was taken off the stack, by this process alone.
                        let node = unsafe { Box::from_raw(top) };
                        return QueueRet::Popped(node.item);
                    }
                    Err(found) => top = found,
                }
            },
        }
    }
}

forkcheck::suite! {
    // Without instrumentation its nodes are private to a process.
    #[should_panic(expected = "waits::freed::")]
    freed: Stack,
    setup: Just(99),
    pusher: 1..=1 ops of (1u64..9).prop_map(QueueOp::Push),
    popper: 2 processes, 1..=1 ops of Just(QueueOp::Pop),
    with: .regressions(None),
}

/// A number that each process has for itself: threads would share it.
struct InAStatic;

static VALUE: AtomicU64 = AtomicU64::new(0);

impl Structure for InAStatic {
    type Memory = Hardware;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        VALUE.store(*first, Ordering::SeqCst);
        Self
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                VALUE.store(*value, Ordering::SeqCst);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(VALUE.load(Ordering::SeqCst)),
        }
    }
}

forkcheck::suite! {
    #[should_panic(expected = "NOT LINEARIZABLE")]
    in_a_static: InAStatic,
    setup: Just(0),
    writer: 1..=2 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=2 ops of Just(RegisterOp::Read),
    with: .regressions(None),
}

/// Permits behind a lock and a condition variable.
struct Permits {
    free: Mutex<u64>,
    more: Condvar,
}

impl Structure for Permits {
    type Memory = Hardware;
    type Spec = Semaphore;
    fn new(permits: &u64) -> Self {
        Self {
            free: Mutex::new(*permits),
            more: Condvar::new(),
        }
    }
    fn apply(&self, op: &SemaphoreOp) -> SemaphoreRet {
        let mut free = self.free.lock().expect("no process panics");
        match op {
            SemaphoreOp::Acquire => {
                while *free == 0 {
                    free = self.more.wait(free).expect("no process panics");
                }
                *free -= 1;
                SemaphoreRet::Acquired
            }
            _ => {
                *free += 1;
                drop(free);
                self.more.notify_one();
                SemaphoreRet::Released
            }
        }
    }
}

forkcheck::suite! {
    condvar: Permits,
    setup: Just(0),
    taker: 2 processes, 1..=1 ops of Just(SemaphoreOp::Acquire),
    giver: 2..=2 ops of Just(SemaphoreOp::Release),
    with: .without("processes", "a private futex wakes no other process").without("kills", "a killed owner keeps the lock"),
}

/// A value that is made by the first that asks, in code of the standard library that is not seen.
struct Lazy(OnceLock<Box<[u64; 2]>>);

impl Structure for Lazy {
    type Memory = Hardware;
    type Spec = Once<[u64; 2]>;
    fn new(_: &()) -> Self {
        Self(OnceLock::new())
    }
    fn apply(&self, op: &OnceOp<[u64; 2]>) -> OnceRet<[u64; 2]> {
        match op {
            OnceOp::Set(value) => OnceRet::Set(self.0.set(Box::new(*value)).is_ok()),
            OnceOp::Get => OnceRet::Got(self.0.get().map(|value| **value)),
        }
    }
}

forkcheck::suite! {
    once_lock: Lazy,
    setter: 2 processes, 1..=1 ops of any::<[u64; 2]>().prop_map(OnceOp::Set),
    getter: 1..=2 ops of Just(OnceOp::Get),
    with: .without("processes", PRIVATE).without("kills", "a killed setter keeps the others out"),
}

/// Two numbers behind a lock of readers and writers. A reader whose exchange failed, since another one came in between, takes the
/// lock in code of the standard library that is not seen, and does not wait there.
struct Read(RwLock<[u64; 2]>);

impl Structure for Read {
    type Memory = Hardware;
    type Spec = Register<[u64; 2]>;
    fn new(first: &[u64; 2]) -> Self {
        Self(RwLock::new(*first))
    }
    fn apply(&self, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match op {
            RegisterOp::Write(value) => {
                *self.0.write().expect("no process panics") = *value;
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(*self.0.read().expect("no process panics")),
        }
    }
}

forkcheck::suite! {
    rw_lock: Read,
    setup: Just([0, 0]),
    writer: 1..=2 ops of (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
    reader: 2 processes, 1..=2 ops of Just(RegisterOp::Read),
    with: .without("processes", "a private futex wakes no other process").without("kills", "a killed owner keeps the lock"),
}

/// The same numbers, which readers read without the lock, beside an exchange of theirs that fails.
struct ReadUnlocked {
    lock: RwLock<()>,
    numbers: UnsafeCell<[u64; 2]>,
    never: AtomicU64,
}

// SAFETY: that readers do not take the lock is what is to be found.
unsafe impl Sync for ReadUnlocked {}

impl Structure for ReadUnlocked {
    type Memory = Hardware;
    type Spec = Register<[u64; 2]>;
    fn new(first: &[u64; 2]) -> Self {
        Self {
            lock: RwLock::new(()),
            numbers: UnsafeCell::new(*first),
            never: AtomicU64::new(0),
        }
    }
    fn apply(&self, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match op {
            RegisterOp::Write(value) => {
                let _writes = self.lock.write().expect("no process panics");
                // SAFETY: this is the one writer.
                unsafe { *self.numbers.get() = *value };
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let missed =
                    self.never
                        .compare_exchange(1, 2, Ordering::Relaxed, Ordering::Relaxed);
                assert!(missed.is_err());
                // SAFETY: this is the mistake.
                RegisterRet::Value(unsafe { *self.numbers.get() })
            }
        }
    }
}

mod read_unlocked {
    use super::*;

    #[test]
    #[should_panic(expected = "DATA RACE")]
    #[cfg_attr(not(forkcheck_instrumented), ignore = "run: cargo forkcheck test")]
    fn stepped() {
        forkcheck::probe!();
        Suite::new(forkcheck::site!(), "read_unlocked")
            .setup(Just([0, 0]))
            .role(
                "writer",
                1,
                1..=2,
                (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
            )
            .role("reader", 1, 1..=2, Just(RegisterOp::Read))
            .regressions(None)
            .test::<forkcheck::engine::SteppedCode, ReadUnlocked>();
    }
}
