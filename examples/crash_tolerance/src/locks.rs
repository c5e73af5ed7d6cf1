//! Two numbers behind a lock, and permits behind a condition variable.
#![allow(
    unsafe_code,
    reason = "glibc's robust mutex is functions of a C library"
)]

use crate::row::{Row, row};
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet, Semaphore, SemaphoreOp, SemaphoreRet};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU32;
use std::sync::{Condvar, Mutex, RwLock};

const THREADS: &str = "threads of one process; nothing about kills";
const ROBUST: &str = "the next owner is told that the last one died";

/// The two numbers that a lock protects: equal, where no owner was killed between its writes.
type Pair = [u64; 2];

fn write(pair: &mut Pair, value: &Pair) -> RegisterRet<Pair> {
    pair[0] = value[0];
    // Two writes, and not one of both numbers.
    black_box(&mut *pair)[1] = value[1];
    RegisterRet::Written
}

macro_rules! locked {
    ($name:ident, $lock:ty, |$l:ident| $write:expr, $read:expr) => {
        struct $name($lock);
        impl Structure for $name {
            type Memory = Hardware;
            type Spec = Register<Pair>;
            fn new(first: &Pair) -> Self {
                Self(<$lock>::new(*first))
            }
            fn apply(&self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
                let $l = &self.0;
                match op {
                    RegisterOp::Write(value) => write(&mut $write, value),
                    RegisterOp::Read => RegisterRet::Value(*$read),
                }
            }
        }
    };
}
locked!(
    StdMutex,
    Mutex<Pair>,
    |l| l.lock().expect("no process panics"),
    l.lock().expect("no process panics")
);
locked!(
    StdRwLock,
    RwLock<Pair>,
    |l| l.write().expect("no process panics"),
    l.read().expect("no process panics")
);
locked!(ParkingLot, parking_lot::Mutex<Pair>, |l| l.lock(), l.lock());

/// glibc's robust mutex, tried until it is free: its own wait is a system call that no engine sees.
struct Robust {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    pair: UnsafeCell<Pair>,
    /// Whether an owner is between its two writes, or died there.
    torn: UnsafeCell<bool>,
    /// The order of its owners, which the mutex makes in code that no engine sees.
    order: AtomicU32,
}

// SAFETY: the numbers and the mark are used by the owner of the mutex alone.
unsafe impl Sync for Robust {}

impl Structure for Robust {
    type Memory = Hardware;
    type Spec = Register<Pair>;
    fn new(first: &Pair) -> Self {
        let mut attributes = MaybeUninit::uninit();
        let mut mutex = MaybeUninit::uninit();
        // SAFETY: the functions get pointers to what they initialise, and then to what is initialised.
        let mutex = unsafe {
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutexattr_setpshared(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PROCESS_SHARED,
            );
            libc::pthread_mutex_init(mutex.as_mut_ptr(), attributes.as_ptr());
            mutex.assume_init()
        };
        Self {
            mutex: UnsafeCell::new(mutex),
            pair: UnsafeCell::new(*first),
            torn: UnsafeCell::new(false),
            order: AtomicU32::new(0),
        }
    }
    fn apply(&self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        // SAFETY: the mutex was initialised by `new`, where it lies now; its bytes hold no address of their own while it is free.
        while let error @ 1.. = unsafe { libc::pthread_mutex_trylock(self.mutex.get()) } {
            if error == libc::EOWNERDEAD {
                // SAFETY: this process has the mutex.
                unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
                break;
            }
            std::thread::yield_now();
        }
        self.order.load(Ordering::Acquire);
        // SAFETY: this process has the mutex.
        let (pair, torn) = unsafe { (&mut *self.pair.get(), &mut *self.torn.get()) };
        let result = match op {
            RegisterOp::Write(value) => {
                *torn = true;
                let written = write(pair, value);
                *torn = false;
                written
            }
            RegisterOp::Read if *torn => RegisterRet::WriterGone,
            RegisterOp::Read => RegisterRet::Value(*pair),
        };
        self.order.store(1, Ordering::Release);
        // SAFETY: this process has the mutex, and uses the numbers no more.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
        result
    }
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

fn lock<T: Structure<Memory = Hardware, Spec = Register<Pair>>>(
    name: &'static str,
    promise: &'static str,
) -> Row {
    let suite = |name: &'static str| {
        Suite::new(forkcheck::site!(), name)
            .setup(Just([0, 0]))
            .role(
                "writer",
                1,
                1..=2,
                (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
            )
            .role("reader", 2, 1..=2, Just(RegisterOp::Read))
            .regressions(None)
            .seed(1)
    };
    let write = RegisterOp::Write([1, 1]);
    let program = vec![vec![write], vec![RegisterOp::Read], vec![RegisterOp::Read]];
    row::<T>(name, promise, suite, [0, 0], program)
}

pub(crate) fn rows() -> Vec<Row> {
    let permits = |name: &'static str| {
        Suite::new(forkcheck::site!(), name)
            .setup(Just(0))
            .role("taker", 2, 1..=1, Just(SemaphoreOp::Acquire))
            .role("giver", 1, 2..=2, Just(SemaphoreOp::Release))
            .regressions(None)
            .seed(1)
    };
    let (acquire, release) = (SemaphoreOp::Acquire, SemaphoreOp::Release);
    let program = vec![vec![acquire], vec![acquire], vec![release; 2]];
    vec![
        lock::<StdMutex>("std Mutex", THREADS),
        lock::<StdRwLock>("std RwLock", THREADS),
        row::<Permits>("std Condvar", THREADS, permits, 0, program),
        lock::<ParkingLot>("parking_lot Mutex", THREADS),
        lock::<Robust>("glibc robust mutex", ROBUST),
    ]
}
