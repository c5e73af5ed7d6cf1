//! Planted: a one-shot value whose flag is set *before* its data is written (crossbeam 0.2.12 had a
//! similar bug).

use super::{Pair, message, one_shot};
use crate::memory::{Atomic, Memory, Ordering, Words};
use crate::spec::{Once, OnceOp, OnceRet};
use crate::structure::Structure;
use crate::suite::Suite;

/// A value, and a flag that says whether it is set.
pub struct EarlyFlag<M: Memory> {
    set: M::AtomicU32,
    data: M::Words<Pair>,
}

impl<M: Memory> Structure for EarlyFlag<M> {
    type Memory = M;
    type Spec = Once<Pair>;
    fn new(_: &()) -> Self {
        Self {
            set: M::AtomicU32::new(0),
            data: M::Words::new([0, 0]),
        }
    }
    fn apply(&self, op: &OnceOp<Pair>) -> OnceRet<Pair> {
        match op {
            OnceOp::Set(value) => {
                let first = self.set.swap(1, Ordering::AcqRel) == 0;
                if first {
                    self.data.store(message(value[0]));
                }
                OnceRet::Set(first)
            }
            OnceOp::Get if self.set.load(Ordering::Acquire) == 0 => OnceRet::Got(None),
            OnceOp::Get => OnceRet::Got(Some(self.data.load())),
        }
    }
}

/// A suite in which one process sets and one reads.
pub fn suite() -> Suite<Once<Pair>> {
    one_shot::setter_and_getter(Suite::of_module(crate::site!()))
}
