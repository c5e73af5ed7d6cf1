//! [`OneShot`] with two setters.

use super::{Pair, message};
use crate::memory::Memory;
use crate::publish::OneShot;
use crate::spec::{Once, OnceOp, OnceRet, Spec};
use crate::structure::Structure;
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

/// A value that the first of several setters claims. It may become readable late: the setter can
/// read it once its call has returned, and every process once one of them has read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claimed {
    value: Option<Pair>,
    /// The setter that claimed the value, once its call has returned.
    setter: Option<usize>,
    seen: bool,
}

impl Spec for Claimed {
    type Setup = ();
    type Op = OnceOp<Pair>;
    type Ret = OnceRet<Pair>;
    fn start(_: &()) -> Self {
        Self {
            value: None,
            setter: None,
            seen: false,
        }
    }
    fn step(&mut self, process: usize, op: &OnceOp<Pair>) -> OnceRet<Pair> {
        match op {
            OnceOp::Set(_) if self.value.is_some() => OnceRet::Set(false),
            OnceOp::Set(value) => {
                (self.value, self.setter) = (Some(*value), Some(process));
                OnceRet::Set(true)
            }
            OnceOp::Get => OnceRet::Got(self.value),
        }
    }
    fn accept(&mut self, process: usize, op: &OnceOp<Pair>, ret: &OnceRet<Pair>) -> bool {
        match ret {
            OnceRet::Got(None) => !self.seen && self.setter != Some(process),
            OnceRet::Got(Some(_)) => {
                self.seen = true;
                self.step(process, op) == *ret
            }
            OnceRet::Set(_) => self.step(process, op) == *ret,
        }
    }
    /// A setter that is killed after its claim may leave a value that never becomes readable.
    fn crash(&mut self, _: usize, pending: &OnceOp<Pair>) {
        if self
            .value
            .is_some_and(|value| *pending == OnceOp::Set(value))
        {
            self.setter = None;
        }
    }
    fn only_reads(_: &OnceOp<Pair>, ret: &OnceRet<Pair>) -> bool {
        *ret == OnceRet::Set(false)
    }
}

/// [`OneShot`] against [`Claimed`].
pub struct CheckedOneShot<M: Memory>(OneShot<Pair, M>);

impl<M: Memory> Structure for CheckedOneShot<M> {
    type Memory = M;
    type Spec = Claimed;
    fn new(_: &()) -> Self {
        Self(OneShot::new_in())
    }
    fn apply(&self, op: &OnceOp<Pair>) -> OnceRet<Pair> {
        match op {
            OnceOp::Set(value) => OnceRet::Set(self.0.set(*value).is_ok()),
            OnceOp::Get => OnceRet::Got(self.0.get()),
        }
    }
}

/// A suite in which two processes set and one reads. Of two overlapping calls of `set`, the second
/// is refused before the first one's value can be read, which [`Once`] does not allow.
pub fn suite() -> Suite<Claimed> {
    let ops = prop_oneof![3 => sets(), 1 => Just(OnceOp::Get)];
    Suite::of_module(crate::site!())
        .role("setter", 2, 1..=2, ops.boxed())
        .role("getter", 1, 1..=3, Just(OnceOp::Get))
        .regressions(None)
}

/// Completes a suite in which one process sets and one reads.
pub(super) fn setter_and_getter(suite: Suite<Once<Pair>>) -> Suite<Once<Pair>> {
    suite
        .role("setter", 1, 1..=2, sets())
        .role("getter", 1, 1..=3, Just(OnceOp::Get))
        .regressions(None)
}

fn sets() -> impl Strategy<Value = OnceOp<Pair>> + Clone + 'static {
    any::<u8>().prop_map(|value| OnceOp::Set(message(value.into())))
}
