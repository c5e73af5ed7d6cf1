//! A number with additions.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};

/// A counter: the setup is its first value, and additions wrap.
///
/// ```
/// use forkcheck::spec::{Counter, CounterOp, CounterRet, Spec};
/// let mut counter = Counter::start(&40);
/// assert_eq!(counter.step(0, &CounterOp::Add(2)), CounterRet::Added);
/// assert_eq!(counter.step(0, &CounterOp::Read), CounterRet::Value(42));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter(i64);

/// An operation of [`Counter`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CounterOp {
    /// Adds a number, which may be negative.
    Add(i64),
    /// Reads the value.
    Read,
}

/// A result of [`Counter`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CounterRet {
    /// The number was added.
    Added,
    /// The value read.
    Value(i64),
}

impl Spec for Counter {
    type Setup = i64;
    type Op = CounterOp;
    type Ret = CounterRet;
    fn start(first: &i64) -> Self {
        Self(*first)
    }
    fn step(&mut self, _: usize, op: &CounterOp) -> CounterRet {
        match op {
            CounterOp::Add(number) => {
                self.0 = self.0.wrapping_add(*number);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0),
        }
    }
    fn only_reads(op: &CounterOp, _: &CounterRet) -> bool {
        matches!(op, CounterOp::Read | CounterOp::Add(0))
    }
}
