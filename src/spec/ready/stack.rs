//! A last-in, first-out stack.

use crate::spec::{Data, Spec};
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// A last-in, first-out stack without a bound.
///
/// ```
/// use forkcheck::spec::{Spec, Stack, StackOp, StackRet};
/// let mut stack = Stack::start(&());
/// assert_eq!(stack.step(0, &StackOp::Push(7)), StackRet::Pushed);
/// assert_eq!(stack.step(0, &StackOp::Push(8)), StackRet::Pushed);
/// assert_eq!(stack.step(0, &StackOp::Pop), StackRet::Popped(8));
/// assert_eq!(stack.step(0, &StackOp::Pop), StackRet::Popped(7));
/// assert_eq!(stack.step(0, &StackOp::Pop), StackRet::Empty);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stack<T>(Vec<T>);

/// An operation of [`Stack`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StackOp<T> {
    /// Puts an item on top.
    Push(T),
    /// Takes the item on top.
    Pop,
}

/// A result of [`Stack`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StackRet<T> {
    /// The item is on top.
    Pushed,
    /// The item that was on top.
    Popped(T),
    /// There was none.
    Empty,
}

impl<T: Data + Eq + Hash> Spec for Stack<T> {
    type Setup = ();
    type Op = StackOp<T>;
    type Ret = StackRet<T>;
    fn start(_: &()) -> Self {
        Self(Vec::new())
    }
    fn step(&mut self, _: usize, op: &StackOp<T>) -> StackRet<T> {
        match op {
            StackOp::Push(item) => {
                self.0.push(item.clone());
                StackRet::Pushed
            }
            StackOp::Pop => self.0.pop().map_or(StackRet::Empty, StackRet::Popped),
        }
    }
    fn only_reads(_: &StackOp<T>, ret: &StackRet<T>) -> bool {
        *ret == StackRet::Empty
    }
}
