//! A register with compare-and-swap.

use crate::spec::{Data, Spec};
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// A register with compare-and-swap: a swap takes place if the value is the expected one, and
/// returns whether it did.
///
/// ```
/// use forkcheck::spec::{CasOp, CasRegister, CasRet, Spec};
/// let mut register = CasRegister::start(&0);
/// assert_eq!(register.step(0, &CasOp::Cas(0, 7)), CasRet::Swapped(true));
/// assert_eq!(register.step(0, &CasOp::Cas(0, 8)), CasRet::Swapped(false));
/// assert_eq!(register.step(0, &CasOp::Read), CasRet::Value(7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CasRegister<T>(T);

/// An operation of [`CasRegister`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CasOp<T> {
    /// Reads the value.
    Read,
    /// Makes this the value.
    Write(T),
    /// Makes the second the value if it is the first.
    Cas(T, T),
}

/// A result of [`CasRegister`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CasRet<T> {
    /// The value read.
    Value(T),
    /// The write is done.
    Written,
    /// Whether the value was the expected one.
    Swapped(bool),
}

impl<T: Data + Eq + Hash> Spec for CasRegister<T> {
    type Setup = T;
    type Op = CasOp<T>;
    type Ret = CasRet<T>;
    fn start(first: &T) -> Self {
        Self(first.clone())
    }
    fn step(&mut self, _: usize, op: &CasOp<T>) -> CasRet<T> {
        match op {
            CasOp::Read => CasRet::Value(self.0.clone()),
            CasOp::Write(value) => {
                self.0.clone_from(value);
                CasRet::Written
            }
            CasOp::Cas(expected, value) => {
                let swaps = self.0 == *expected;
                if swaps {
                    self.0.clone_from(value);
                }
                CasRet::Swapped(swaps)
            }
        }
    }
    fn only_reads(op: &CasOp<T>, ret: &CasRet<T>) -> bool {
        *op == CasOp::Read || *ret == CasRet::Swapped(false)
    }
}
