//! [`SeqLock`] against [`Register`].

use super::{Pair, message, tests};
use crate::memory::Memory;
use crate::publish::SeqLock;
use crate::subject::{Register, RegisterOp, RegisterRet, Role, Subject};
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, any};

/// [`SeqLock`] against [`Register`].
pub struct SeqLockSubject<M: Memory>(SeqLock<Pair, M>);

impl<M: Memory> Subject<M> for SeqLockSubject<M> {
    type Spec = Register<Pair>;
    type Seat<'a> = &'a Self;
    fn new(first: &Pair) -> Self {
        Self(SeqLock::new_in(*first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(seat: &mut &Self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                seat.0.write(*value);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(seat.0.read()),
        }
    }
}

/// One process writes, one reads.
pub fn suite() -> Suite<Register<Pair>> {
    writer_and_reader(Suite::of_module(crate::site!()))
}

pub(super) fn writer_and_reader(suite: Suite<Register<Pair>>) -> Suite<Register<Pair>> {
    let writes = any::<u8>().prop_map(|value| RegisterOp::Write(message(value.into())));
    suite
        .setup(Just(message(0)))
        .role("writer", 1, 1..=4, writes)
        .role("reader", 1, 1..=4, Just(RegisterOp::Read))
        .regressions(None)
}

tests!(SeqLockSubject, ,);
