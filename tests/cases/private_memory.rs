//! Structures with contents that other processes do not have: pointers to a heap or to statics, and
//! locks of one process.

use super::*;
use forkcheck::engine::{Kills, Processes, Stepped};
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

/// A register for one writer and one reader, whose structure is `T`.
#[repr(C)]
struct Holds<M: Memory, T> {
    value: M::AtomicU64,
    held: T,
}

/// A part of a structure besides its value.
trait Held<M: Memory>: Sized + Sync + 'static {
    fn new(setup: u64) -> Self;
    fn write(&self, value: u64) {
        let _ = value;
    }
}

impl<M: Memory, T: Held<M>> Structure for Holds<M, T> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&setup: &u64) -> Self {
        Self {
            value: Atomic::new(setup),
            held: T::new(setup),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.held.write(*value);
                self.value.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.value.load(Ordering::Acquire)),
        }
    }
}

fn registers(name: &str) -> Suite<Register<u64>> {
    super::suite(name)
        .setup(any::<u64>())
        .executions(200)
        .role("writer", 1, 1..=2, any::<u64>().prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
}

/// A test on each engine with really forked processes.
macro_rules! on_each {
    ($name:ident: $check:ident($Held:ident $(, $words:literal)*)) => {
        mod $name {
            use super::*;
            #[test]
            fn processes() {
                $check::<Processes, Holds<_, $Held<_>>>(stringify!($name) $(, $words)*);
            }
            #[test]
            fn stepped() {
                $check::<Stepped, Holds<_, $Held<_>>>(stringify!($name) $(, $words)*);
            }
            #[test]
            fn kills() {
                $check::<Kills, Holds<_, $Held<_>>>(stringify!($name) $(, $words)*);
            }
        }
    };
}

/// Asserts that the pointer is found in the first program, named, and found again by the token.
#[track_caller]
fn points<E: Engine, T: WithHandles<Memory = E::Memory, Spec = Register<u64>>>(
    name: &str,
    words: &str,
) {
    let suite = registers(name);
    let (outcome, report) = caught::<E, T>(&suite, Kind::PrivatePointer);
    assert!(report.contains("POINTS TO PRIVATE MEMORY"), "{report}");
    let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(words), "{report}");
    assert!(
        told.contains("memory that is private to one process"),
        "{report}"
    );
    assert_eq!(outcome.covered.programs, 1, "{report}");
    let found = outcome.found.expect("a finding is told");
    assert!(
        matches!(found.rate, Rate::Reproduced { times: again, of, .. } if again == of && of >= 3),
        "{report}"
    );
    let again = suite.replay(&found.token).check::<E, T>().unwrap();
    assert_eq!(again.verdict, outcome.verdict);
}

/// Asserts that nothing is found, and that all operations were inspected.
#[track_caller]
fn holds_nothing<E: Engine, T: WithHandles<Memory = E::Memory, Spec = Register<u64>>>(name: &str) {
    let (_, report) = passes::<E, T>(&registers(name).cases(2));
    assert!(!report.contains("looked through"), "{report}");
}

/// A value of its own on the heap.
struct Boxed<M>(Box<u64>, PhantomData<M>);
impl<M: Memory> Held<M> for Boxed<M> {
    fn new(setup: u64) -> Self {
        Self(Box::new(setup), PhantomData)
    }
    fn write(&self, _: u64) {
        std::hint::black_box(&self.0);
    }
}
on_each! {
    a_box: points(Boxed, "word 1 of the structure (byte offset 8), set in new")
}

/// Slots on the heap, as a queue between threads has them.
struct Slots<M: Memory>(Box<[M::AtomicU64]>);
impl<M: Memory> Held<M> for Slots<M> {
    fn new(setup: u64) -> Self {
        Self((0..4).map(|slot| Atomic::new(setup ^ slot)).collect())
    }
    fn write(&self, value: u64) {
        self.0[value as usize % 4].store(value, Ordering::Relaxed);
    }
}
on_each! {
    slots_on_the_heap: points(Slots, "set in new: the structure holds a pointer to memory that is private to one process: Box, Vec, Arc? For the engine `processes` forkcheck::heap!()")
}

/// A count of its users.
struct Counted<M>(Arc<u64>, PhantomData<M>);
impl<M: Memory> Held<M> for Counted<M> {
    fn new(setup: u64) -> Self {
        Self(Arc::new(setup), PhantomData)
    }
    fn write(&self, _: u64) {
        drop(Arc::clone(&self.0));
    }
}
on_each! {
    an_arc: points(Counted, "set in new")
}

/// A list that is empty at first: its pointer dangles then, and leads nowhere.
struct Grown<M>(Mutex<Vec<u64>>, PhantomData<M>);
impl<M: Memory> Held<M> for Grown<M> {
    fn new(_: u64) -> Self {
        Self(Mutex::new(Vec::new()), PhantomData)
    }
    fn write(&self, value: u64) {
        self.0.lock().unwrap().push(value);
    }
}
on_each! {
    a_vec_that_grows: points(Grown, "of writer: the structure holds a pointer")
}

/// The address of the newest value, a new one for each write.
struct Stored<M: Memory>(M::AtomicUsize);
impl<M: Memory> Held<M> for Stored<M> {
    fn new(_: u64) -> Self {
        Self(Atomic::new(0))
    }
    fn write(&self, value: u64) {
        let new = Box::leak(Box::new(value));
        self.0.store((&raw const *new).addr(), Ordering::Release);
    }
}
on_each! {
    a_pointer_that_an_operation_stores: points(Stored, "of writer: the structure holds a pointer")
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A count of each process's own.
struct Global<M>(&'static AtomicU64, PhantomData<M>);
impl<M: Memory> Held<M> for Global<M> {
    fn new(_: u64) -> Self {
        Self(&COUNT, PhantomData)
    }
    fn write(&self, _: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
on_each! {
    a_reference_to_a_static: points(Global, "a reference to a static?")
}

/// Numbers that look like pointers, and pointers that every forked process has.
struct Right<M: Memory> {
    name: Option<&'static str>,
    hash: fn(u64) -> u64,
    process: u32,
    /// The address of a heap allocation that was freed, as a number.
    number: usize,
    literal: usize,
    offset: M::AtomicUsize,
    copy: M::AtomicU64,
    /// Slots that were never written.
    slots: [MaybeUninit<u64>; 32],
    list: Vec<u64>,
}
impl<M: Memory> Held<M> for Right<M> {
    fn new(setup: u64) -> Self {
        let list: Vec<String> = (0..4).map(|n| format!("{n}")).collect();
        let number = list[2].as_ptr().addr();
        drop(list);
        Self {
            name: Some("a register"),
            hash: |value| value.rotate_left(7),
            process: std::process::id(),
            number,
            literal: 0x7fff_f7c0_1230,
            offset: Atomic::new(64),
            copy: Atomic::new(setup),
            slots: slots(),
            list: Vec::new(),
        }
    }
    fn write(&self, value: u64) {
        let hashed = (self.hash)(value) ^ u64::from(self.process);
        let like = self.number ^ self.literal ^ self.name.map_or(0, str::len) ^ self.slots.len();
        self.offset.store(like ^ hashed as usize, Ordering::Relaxed);
        self.copy.store(value, Ordering::Relaxed);
        assert!(self.list.is_empty());
    }
}
/// Returns slots on a part of the stack that was used before.
fn slots() -> [MaybeUninit<u64>; 32] {
    fn used() -> usize {
        let boxes: [Box<usize>; 32] = std::array::from_fn(Box::new);
        boxes.iter().map(|n| **n).sum()
    }
    let sum = used();
    let mut slots = [const { MaybeUninit::uninit() }; 32];
    slots[0].write(sum as u64);
    slots
}
on_each! {
    what_only_looks_like_a_pointer: holds_nothing(Right)
}

/// A value behind a lock of std's, without a word that an engine could schedule. It works until two
/// processes contend for it.
struct Locked<M>(Mutex<u64>, PhantomData<M>);
impl<M: Memory> Structure for Locked<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&setup: &u64) -> Self {
        Self(Mutex::new(setup), PhantomData)
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let mut value = self.0.lock().unwrap();
        match op {
            RegisterOp::Write(new) => {
                *value = *new;
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(*value),
        }
    }
}

/// A lock that operations take from the second on, so the process that holds it may be preempted.
struct LockedLater<M: Memory>(Mutex<()>, M::AtomicU64);
/// One process's handle, and whether it has done an operation.
struct Later<'a, M: Memory>(&'a LockedLater<M>, bool);
impl<M: Memory> WithHandles for LockedLater<M> {
    type Memory = M;
    type Spec = Register<u64>;
    type Handle<'a> = Later<'a, M>;
    fn new(&setup: &u64) -> Self {
        Self(Mutex::new(()), Atomic::new(setup))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Later<'a, M> {
        Later(self, false)
    }
    fn apply(later: &mut Later<'_, M>, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let locks = std::mem::replace(&mut later.1, true);
        let _guard = locks.then(|| later.0.0.lock());
        match op {
            RegisterOp::Write(value) => {
                later.0.1.store(*value, Ordering::Relaxed);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(later.0.1.load(Ordering::Relaxed)),
        }
    }
}

/// Asserts that a process that waits for the lock is never woken.
#[track_caller]
fn sleeps<E: Engine, T: WithHandles<Memory = E::Memory, Spec = Register<u64>>>(
    name: &str,
    words: &str,
) {
    let suite = super::suite(name)
        .setup(Just(0))
        .executions(200)
        .role("writer", 1, 2..=2, Just(RegisterOp::Write(1)))
        .role("reader", 1, 2..=2, Just(RegisterOp::Read));
    let (outcome, report) = caught::<E, T>(&suite, Kind::Deadlock);
    let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("waits on a private futex"), "{report}");
    assert!(told.contains("other processes never wake it"), "{report}");
    assert!(told.contains(words), "{report}");
    let found = outcome.found.expect("a finding is told");
    assert!(
        matches!(found.rate, Rate::Reproduced { times: again, of, .. } if again == of && of >= 3),
        "{report}"
    );
}

#[test]
fn a_std_mutex_on_processes() {
    sleeps::<Processes, Locked<_>>("std_mutex", "where another process holds the lock");
}

#[test]
fn a_std_mutex_on_stepped() {
    sleeps::<Stepped, Locked<_>>("std_mutex", "where another process holds the lock");
}

#[test]
fn a_std_mutex_on_kills() {
    sleeps::<Kills, Locked<_>>("std_mutex", "where another process holds the lock");
}

#[test]
fn a_std_mutex_that_later_operations_take_on_stepped() {
    sleeps::<Stepped, LockedLater<_>>("std_mutex_later", "of the structure's memory");
}

#[test]
fn a_std_mutex_that_later_operations_take_on_kills() {
    sleeps::<Kills, LockedLater<_>>("std_mutex_later", "of the structure's memory");
}

/// A structure whose reader parks, where the writer cannot unpark it.
struct Parks<M: Memory>(M::AtomicU64);
impl<M: Memory> Structure for Parks<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&setup: &u64) -> Self {
        Self(Atomic::new(setup))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        if let RegisterOp::Write(value) = op {
            self.0.store(*value, Ordering::Relaxed);
            return RegisterRet::Written;
        }
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn park_on_processes() {
    sleeps::<Processes, Parks<_>>("park", "in its own memory");
}

#[test]
fn park_on_stepped() {
    sleeps::<Stepped, Parks<_>>("park", "in its own memory");
}
