//! Ready specs: a register, a value that is set once, a bounded queue, and a queue whose sides may
//! be late to see each other. In a file each: a barrier, a stream of bytes, a register with
//! compare-and-swap, a counter, an event, a lock, a map, a relaxed queue, a semaphore, a set, a
//! stack, and the assertions of a scenario.

mod assertions;
mod barrier;
mod byte_stream;
mod cas;
mod counter;
mod event;
mod key;
mod lock;
mod map;
mod relaxed_queue;
mod semaphore;
mod set;
mod stack;

pub use assertions::{Assertions, Run};
pub use barrier::{Barrier, BarrierOp, BarrierRet};
pub use byte_stream::{ByteStream, ByteStreamOp, ByteStreamRet};
pub use cas::{CasOp, CasRegister, CasRet};
pub use counter::{Counter, CounterOp, CounterRet};
pub use event::{Event, EventOp, EventRet};
pub use lock::{Lock, LockOp, LockRet};
pub use map::{Map, MapOp, MapRet};
pub use relaxed_queue::RelaxedQueue;
pub use semaphore::{Semaphore, SemaphoreOp, SemaphoreRet};
pub use set::{Set, SetOp};
pub use stack::{Stack, StackOp, StackRet};

use super::{Data, Spec};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::hash::Hash;

/// A register: reads return the last value written. It is the spec of a seqlock or a configuration
/// page. Where a writer is killed in a write, reads may say so until the next write.
///
/// ```
/// use forkcheck::spec::{Register, RegisterOp, RegisterRet, Spec};
/// let mut register = Register::start(&0);
/// assert_eq!(register.step(0, &RegisterOp::Write(7)), RegisterRet::Written);
/// assert_eq!(register.step(0, &RegisterOp::Read), RegisterRet::Value(7));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Register<T> {
    value: T,
    /// Whether a writer died in a write, and there was no write since.
    torn: bool,
}

impl<T: Debug> Debug for Register<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { value, torn } = self;
        if *torn {
            f.write_str("Register(half written)")
        } else {
            f.debug_tuple("Register").field(value).finish()
        }
    }
}

/// An operation of [`Register`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegisterOp<T> {
    /// Makes this the value.
    Write(T),
    /// Reads the value.
    Read,
}

/// A result of [`Register`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegisterRet<T> {
    /// The write is done.
    Written,
    /// The value read.
    Value(T),
    /// There is no value: its writer is dead.
    WriterGone,
}

impl<T: Data + Eq + Hash> Spec for Register<T> {
    type Setup = T;
    type Op = RegisterOp<T>;
    type Ret = RegisterRet<T>;
    fn start(first: &T) -> Self {
        Self {
            value: first.clone(),
            torn: false,
        }
    }
    fn step(&mut self, _: usize, op: &RegisterOp<T>) -> RegisterRet<T> {
        match op {
            RegisterOp::Write(value) => {
                (self.value, self.torn) = (value.clone(), false);
                RegisterRet::Written
            }
            RegisterOp::Read if self.torn => RegisterRet::WriterGone,
            RegisterOp::Read => RegisterRet::Value(self.value.clone()),
        }
    }
    fn only_reads(op: &RegisterOp<T>, _: &RegisterRet<T>) -> bool {
        *op == RegisterOp::Read
    }
    fn crash(&mut self, _: usize, pending: &RegisterOp<T>) {
        self.torn |= matches!(pending, RegisterOp::Write(_));
    }
}

/// A value that is set once: later sets are refused, and reads return nothing or the value.
///
/// ```
/// use forkcheck::spec::{Once, OnceOp, OnceRet, Spec};
/// let mut once = Once::start(&());
/// assert_eq!(once.step(0, &OnceOp::Set(7)), OnceRet::Set(true));
/// assert_eq!(once.step(0, &OnceOp::Set(8)), OnceRet::Set(false));
/// assert_eq!(once.step(0, &OnceOp::Get), OnceRet::Got(Some(7)));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Once<T> {
    value: Option<T>,
    /// Whether a process died that had begun to set it: there is no value, and no process can set
    /// one any more.
    lost: bool,
}

impl<T: Debug> Debug for Once<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { value, lost } = self;
        if *lost {
            f.write_str("Once(lost)")
        } else {
            f.debug_tuple("Once").field(value).finish()
        }
    }
}

/// An operation of [`Once`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnceOp<T> {
    /// Sets the value if there is none.
    Set(T),
    /// Reads it.
    Get,
}

/// A result of [`Once`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnceRet<T> {
    /// Whether this call set the value.
    Set(bool),
    /// The value, if there is one.
    Got(Option<T>),
}

impl<T: Data + Eq + Hash> Spec for Once<T> {
    type Setup = ();
    type Op = OnceOp<T>;
    type Ret = OnceRet<T>;
    fn start(_: &()) -> Self {
        Self {
            value: None,
            lost: false,
        }
    }
    fn step(&mut self, _: usize, op: &OnceOp<T>) -> OnceRet<T> {
        match op {
            OnceOp::Set(value) => {
                let first = self.value.is_none() && !self.lost;
                if first {
                    self.value = Some(value.clone());
                }
                OnceRet::Set(first)
            }
            OnceOp::Get => OnceRet::Got(self.value.clone()),
        }
    }
    fn only_reads(_: &OnceOp<T>, ret: &OnceRet<T>) -> bool {
        *ret != OnceRet::Set(true)
    }
    fn crash(&mut self, _: usize, pending: &OnceOp<T>) {
        if let OnceOp::Set(_) = pending {
            self.lost |= self.value.is_none();
        }
    }
}

/// A first-in, first-out queue of bounded capacity, which is its setup. `Full` and `Empty` are
/// exact here. A ring whose sides read each other's index without a fence promises less, and needs
/// a [`StaleQueue`]. A ring of several producers, of which a slow one hides later pushes of the
/// others, needs a [`RelaxedQueue`].
///
/// ```
/// use forkcheck::spec::{Queue, QueueOp, QueueRet, Spec};
/// let mut queue = Queue::start(&1);
/// assert_eq!(queue.step(0, &QueueOp::Push(7)), QueueRet::Pushed);
/// assert_eq!(queue.step(0, &QueueOp::Push(8)), QueueRet::Full);
/// assert_eq!(queue.step(0, &QueueOp::Pop), QueueRet::Popped(7));
/// assert_eq!(queue.step(0, &QueueOp::Pop), QueueRet::Empty);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue<T> {
    capacity: usize,
    items: VecDeque<T>,
}

/// An operation of [`Queue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueOp<T> {
    /// Appends an item.
    Push(T),
    /// Takes the oldest item.
    Pop,
}

/// A result of [`Queue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueRet<T> {
    /// The item was appended.
    Pushed,
    /// There was no room.
    Full,
    /// The oldest item.
    Popped(T),
    /// There was none.
    Empty,
}

impl<T: Data + Eq + Hash> Spec for Queue<T> {
    type Setup = usize;
    type Op = QueueOp<T>;
    type Ret = QueueRet<T>;
    fn start(capacity: &usize) -> Self {
        Self {
            capacity: *capacity,
            items: VecDeque::new(),
        }
    }
    fn step(&mut self, _: usize, op: &QueueOp<T>) -> QueueRet<T> {
        match op {
            QueueOp::Push(_) if self.items.len() == self.capacity => QueueRet::Full,
            QueueOp::Push(item) => {
                self.items.push_back(item.clone());
                QueueRet::Pushed
            }
            QueueOp::Pop => match self.items.pop_front() {
                Some(item) => QueueRet::Popped(item),
                None => QueueRet::Empty,
            },
        }
    }
    fn only_reads(_: &QueueOp<T>, ret: &QueueRet<T>) -> bool {
        matches!(ret, QueueRet::Full | QueueRet::Empty)
    }
}

/// A bounded [`Queue`] between one process that pushes and one that pops, each of which may be late
/// to see the operations of the other. `Full` is allowed where it would be right without some of
/// the latest pops, and `Empty` where it would be right without some of the latest pushes. A
/// process never unsees an operation that it has seen, and always sees its own.
///
/// A ring with one atomic index for each side promises this much, on x86 too: the store of one
/// index and the load of the other are not ordered, so a push that finds the ring full and a pop
/// that finds it empty can both be wrong.
///
/// ```
/// use forkcheck::spec::{QueueOp, QueueRet, Spec, StaleQueue};
/// let (producer, consumer) = (0, 1);
/// let mut queue = StaleQueue::start(&1);
/// assert!(queue.accept(producer, &QueueOp::Push(7), &QueueRet::Pushed));
/// assert!(queue.accept(consumer, &QueueOp::Pop, &QueueRet::Popped(7)));
/// // It has not seen the pop yet ...
/// assert!(queue.clone().accept(producer, &QueueOp::Push(8), &QueueRet::Full));
/// // ... or it has; and then it cannot be full of nothing a second time.
/// assert!(queue.accept(producer, &QueueOp::Push(8), &QueueRet::Pushed));
/// assert!(queue.accept(producer, &QueueOp::Push(9), &QueueRet::Full));
/// assert!(queue.accept(consumer, &QueueOp::Pop, &QueueRet::Popped(8)));
/// assert!(!queue.clone().accept(consumer, &QueueOp::Pop, &QueueRet::Popped(9)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StaleQueue<T> {
    queue: Queue<T>,
    /// The process that pushed last, and how many of the latest pops by others it may not have
    /// seen.
    pusher: Option<usize>,
    pops_not_seen: usize,
    /// The process that popped last, and how many of the latest pushes by others it may not have
    /// seen.
    popper: Option<usize>,
    pushes_not_seen: usize,
}

impl<T: Data + Eq + Hash> Spec for StaleQueue<T> {
    type Setup = usize;
    type Op = QueueOp<T>;
    type Ret = QueueRet<T>;
    fn start(capacity: &usize) -> Self {
        Self {
            queue: Queue::start(capacity),
            pusher: None,
            pops_not_seen: 0,
            popper: None,
            pushes_not_seen: 0,
        }
    }
    fn step(&mut self, process: usize, op: &QueueOp<T>) -> QueueRet<T> {
        self.queue.step(process, op)
    }
    fn accept(&mut self, process: usize, op: &QueueOp<T>, ret: &QueueRet<T>) -> bool {
        let (length, capacity) = (self.queue.items.len(), self.queue.capacity);
        match op {
            QueueOp::Push(_) => {
                self.pusher = Some(process);
                if self.popper == Some(process) {
                    self.pops_not_seen = 0;
                }
                if *ret == QueueRet::Full {
                    // It missed just as many pops as make the queue full.
                    let late = capacity - length;
                    let may = late <= self.pops_not_seen;
                    self.pops_not_seen = late;
                    return may;
                }
                if self.queue.step(process, op) != *ret {
                    return false;
                }
                // It saw enough pops to find room.
                self.pops_not_seen = self.pops_not_seen.min(capacity - length - 1);
                self.pushes_not_seen += 1;
            }
            QueueOp::Pop => {
                self.popper = Some(process);
                if self.pusher == Some(process) {
                    self.pushes_not_seen = 0;
                }
                if *ret == QueueRet::Empty {
                    let may = length <= self.pushes_not_seen;
                    self.pushes_not_seen = length;
                    return may;
                }
                if self.queue.step(process, op) != *ret {
                    return false;
                }
                self.pushes_not_seen = self.pushes_not_seen.min(length - 1);
                self.pops_not_seen += 1;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use QueueOp::{Pop, Push};
    use QueueRet::{Empty, Full, Popped, Pushed};

    /// Returns whether these calls, `(process, operation, result)`, one after the other, are
    /// allowed from capacity 2.
    fn allowed(calls: &[(usize, QueueOp<u8>, QueueRet<u8>)]) -> bool {
        let mut queue = StaleQueue::start(&2);
        calls
            .iter()
            .all(|(process, op, ret)| queue.accept(*process, op, ret))
    }

    #[test]
    fn a_process_that_is_alone_is_never_late() {
        assert!(allowed(&[
            (0, Push(1), Pushed),
            (0, Pop, Popped(1)),
            (0, Pop, Empty)
        ]));
        assert!(!allowed(&[(0, Push(1), Pushed), (0, Pop, Empty)]));
        let full = [
            (0, Push(1), Pushed),
            (0, Push(2), Pushed),
            (0, Pop, Popped(1)),
        ];
        assert!(!allowed(&[&full[..], &[(0, Push(3), Full)]].concat()));
    }

    #[test]
    fn full_needs_as_many_pushes_as_there_is_room() {
        assert!(!allowed(&[(0, Push(1), Full)]));
        assert!(!allowed(&[
            (0, Push(1), Pushed),
            (1, Pop, Popped(1)),
            (0, Push(2), Full)
        ]));
    }

    #[test]
    fn what_was_seen_once_stays_seen() {
        let both_late = [
            (0, Push(1), Pushed),
            (0, Push(2), Pushed),
            (1, Pop, Popped(1)),
        ];
        assert!(allowed(
            &[&both_late[..], &[(0, Push(3), Full), (1, Pop, Empty)]].concat()
        ));
        // The consumer got the first, so the second cannot vanish after it got that too.
        let and_the_second = [
            (1, Pop, Popped(2)),
            (0, Push(3), Pushed),
            (0, Push(4), Full),
        ];
        assert!(!allowed(
            &[
                &both_late[..],
                &and_the_second[..],
                &[(0, Push(5), Pushed), (0, Push(6), Pushed)]
            ]
            .concat()
        ));
        // A producer that found room for a third item has seen the pop, and cannot be refused for
        // lack of it.
        let room = [
            (0, Push(3), Pushed),
            (1, Pop, Popped(2)),
            (1, Pop, Popped(3)),
            (0, Push(4), Pushed),
        ];
        assert!(allowed(&[&both_late[..], &room[..]].concat()));
        assert!(allowed(
            &[
                &both_late[..],
                &room[..3],
                &[(0, Push(4), Full), (0, Push(4), Pushed)]
            ]
            .concat()
        ));
    }

    #[test]
    fn items_come_in_order_and_none_is_lost() {
        let two = [(0, Push(1), Pushed), (0, Push(2), Pushed)];
        assert!(!allowed(&[&two[..], &[(1, Pop, Popped(2))]].concat()));
        assert!(!allowed(
            &[&two[..], &[(1, Pop, Popped(1)), (1, Pop, Popped(1))]].concat()
        ));
    }
}
