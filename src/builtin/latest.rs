//! [`Latest`] against [`Register`].

use super::{Pair, seq_lock, tests};
use crate::memory::Memory;
use crate::publish::Latest;
use crate::subject::{Register, RegisterOp, RegisterRet, Role, Subject};
use crate::suite::Suite;

/// [`Latest`] against [`Register`].
pub struct LatestSubject<M: Memory>(Latest<Pair, M>);

impl<M: Memory> Subject<M> for LatestSubject<M> {
    type Spec = Register<Pair>;
    type Seat<'a> = &'a Self;
    fn new(first: &Pair) -> Self {
        Self(Latest::new_in(*first))
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
    seq_lock::writer_and_reader(Suite::of_module(crate::site!()))
}

tests!(LatestSubject);
