//! Ready specs: a register, a value that is set once, a bounded queue.

use super::{Data, Spec};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::Hash;

/// A register: reads return the last value written. The spec of a seqlock or a configuration page.
///
/// ```
/// use forkcheck::subject::{Register, RegisterOp, RegisterRet, Spec};
/// let mut register = Register::start(&0);
/// assert_eq!(register.step(&RegisterOp::Write(7)), RegisterRet::Written);
/// assert_eq!(register.step(&RegisterOp::Read), RegisterRet::Value(7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Register<T>(T);

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
}

impl<T: Data + Eq + Hash> Spec for Register<T> {
    type Setup = T;
    type Op = RegisterOp<T>;
    type Ret = RegisterRet<T>;
    fn start(first: &T) -> Self {
        Self(first.clone())
    }
    fn step(&mut self, op: &RegisterOp<T>) -> RegisterRet<T> {
        match op {
            RegisterOp::Write(value) => {
                self.0 = value.clone();
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.clone()),
        }
    }
}

/// A value that is set once: later sets are refused, reads see nothing or the value.
///
/// ```
/// use forkcheck::subject::{Once, OnceOp, OnceRet, Spec};
/// let mut once = Once::start(&());
/// assert_eq!(once.step(&OnceOp::Set(7)), OnceRet::Set(true));
/// assert_eq!(once.step(&OnceOp::Set(8)), OnceRet::Set(false));
/// assert_eq!(once.step(&OnceOp::Get), OnceRet::Got(Some(7)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Once<T>(Option<T>);

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
        Self(None)
    }
    fn step(&mut self, op: &OnceOp<T>) -> OnceRet<T> {
        match op {
            OnceOp::Set(value) => {
                let first = self.0.is_none();
                if first {
                    self.0 = Some(value.clone());
                }
                OnceRet::Set(first)
            }
            OnceOp::Get => OnceRet::Got(self.0.clone()),
        }
    }
}

/// A first-in, first-out queue of bounded capacity, which is its setup. `Full` and `Empty` are exact here:
/// a ring whose sides look at each other's index without a fence promises less, and needs a spec of its own.
///
/// ```
/// use forkcheck::subject::{Queue, QueueOp, QueueRet, Spec};
/// let mut queue = Queue::start(&1);
/// assert_eq!(queue.step(&QueueOp::Push(7)), QueueRet::Pushed);
/// assert_eq!(queue.step(&QueueOp::Push(8)), QueueRet::Full);
/// assert_eq!(queue.step(&QueueOp::Pop), QueueRet::Popped(7));
/// assert_eq!(queue.step(&QueueOp::Pop), QueueRet::Empty);
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
    fn step(&mut self, op: &QueueOp<T>) -> QueueRet<T> {
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
}
