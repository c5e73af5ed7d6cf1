//! Planted: a one-shot value whose flag is set *before* the data is there (crossbeam 0.2.12 had the like).

use super::{Pair, message, one_shot, tests};
use crate::memory::{Atomic, Memory, Ordering, Words};
use crate::subject::{Once, OnceOp, OnceRet, Role, Subject};
use crate::suite::Suite;

/// A value, and whether it is there.
pub struct EarlyFlag<M: Memory> {
    set: M::AtomicU32,
    data: M::Words<Pair>,
}

impl<M: Memory> Subject<M> for EarlyFlag<M> {
    type Spec = Once<Pair>;
    type Seat<'a> = &'a Self;
    fn new(_: &()) -> Self {
        Self {
            set: M::AtomicU32::new(0),
            data: M::Words::new([0, 0]),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(seat: &mut &Self, op: &OnceOp<Pair>) -> OnceRet<Pair> {
        match op {
            OnceOp::Set(value) => {
                let first = seat.set.swap(1, Ordering::AcqRel) == 0;
                if first {
                    seat.data.store(message(value[0]));
                }
                OnceRet::Set(first)
            }
            OnceOp::Get if seat.set.load(Ordering::Acquire) == 0 => OnceRet::Got(None),
            OnceOp::Get => OnceRet::Got(Some(seat.data.load())),
        }
    }
}

/// One process sets, one reads.
pub fn suite() -> Suite<Once<Pair>> {
    one_shot::setter_and_getter(Suite::of_module(crate::site!()))
}

tests!(
    EarlyFlag,
    "NOT LINEARIZABLE  forkcheck::builtin::early_flag::processes  getter: Get returned",
    "NOT LINEARIZABLE  forkcheck::builtin::early_flag::stepped  getter: Get returned",
    "NOT LINEARIZABLE  forkcheck::builtin::early_flag::kills  getter: Get returned",
    "NOT SEQUENTIALLY CONSISTENT  forkcheck::builtin::early_flag::loom  getter: Get returned"
);
