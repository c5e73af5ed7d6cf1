//! A set of elements.

use super::key::hashed;
use crate::spec::{Data, Spec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::hash::Hash;

/// A set: each operation says whether it changed something, or whether the element is there. Elements are independent of
/// each other, so a history is judged element by element.
///
/// ```
/// use forkcheck::spec::{Set, SetOp, Spec};
/// let mut set = Set::start(&());
/// assert!(set.step(0, &SetOp::Add(7)));
/// assert!(!set.step(0, &SetOp::Add(7)));
/// assert!(set.step(0, &SetOp::Contains(7)));
/// assert!(set.step(0, &SetOp::Remove(7)));
/// assert!(!set.step(0, &SetOp::Remove(7)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Set<T>(BTreeSet<T>);

/// An operation of [`Set`]; its result is a `bool`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetOp<T> {
    /// Adds an element: `true` if it was not there.
    Add(T),
    /// Removes an element: `true` if it was there.
    Remove(T),
    /// `true` if the element is there.
    Contains(T),
}

impl<T: Data + Ord + Hash> Spec for Set<T> {
    type Setup = ();
    type Op = SetOp<T>;
    type Ret = bool;
    fn start(_: &()) -> Self {
        Self(BTreeSet::new())
    }
    fn step(&mut self, _: usize, op: &SetOp<T>) -> bool {
        match op {
            SetOp::Add(element) => self.0.insert(element.clone()),
            SetOp::Remove(element) => self.0.remove(element),
            SetOp::Contains(element) => self.0.contains(element),
        }
    }
    fn only_reads(op: &SetOp<T>, ret: &bool) -> bool {
        matches!(op, SetOp::Contains(_)) || !ret
    }
    fn key(op: &SetOp<T>) -> u64 {
        match op {
            SetOp::Add(element) | SetOp::Remove(element) | SetOp::Contains(element) => {
                hashed(element)
            }
        }
    }
}
