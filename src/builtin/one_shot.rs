//! [`OneShot`] against [`Once`].

use super::{Pair, message, tests};
use crate::memory::Memory;
use crate::publish::OneShot;
use crate::subject::{Once, OnceOp, OnceRet, Role, Subject};
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, any};

/// [`OneShot`] against [`Once`].
pub struct OneShotSubject<M: Memory>(OneShot<Pair, M>);

impl<M: Memory> Subject<M> for OneShotSubject<M> {
    type Spec = Once<Pair>;
    type Seat<'a> = &'a Self;
    fn new(_: &()) -> Self {
        Self(OneShot::new_in())
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(seat: &mut &Self, op: &OnceOp<Pair>) -> OnceRet<Pair> {
        match op {
            OnceOp::Set(value) => OnceRet::Set(seat.0.set(*value).is_ok()),
            OnceOp::Get => OnceRet::Got(seat.0.get()),
        }
    }
}

/// One process sets, one reads. (Of two that set at the same time, the one that comes second is refused before
/// the other's value can be read, which [`Once`] does not allow.)
pub fn suite() -> Suite<Once<Pair>> {
    setter_and_getter(Suite::of_module(crate::site!()))
}

pub(super) fn setter_and_getter(suite: Suite<Once<Pair>>) -> Suite<Once<Pair>> {
    let sets = any::<u8>().prop_map(|value| OnceOp::Set(message(value.into())));
    suite
        .role("setter", 1, 1..=2, sets)
        .role("getter", 1, 1..=3, Just(OnceOp::Get))
        .regressions(None)
}

tests!(OneShotSubject);
