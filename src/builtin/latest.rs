//! [`Latest`] against [`Register`].

use super::{Pair, seq_lock, tests};
use crate::memory::Memory;
use crate::publish::{Latest, LatestWriter};
use crate::subject::{Register, RegisterOp, RegisterRet, Role, Subject};
use crate::suite::Suite;

/// [`Latest`] against [`Register`].
pub struct LatestSubject<M: Memory>(Latest<Pair, M>);

impl<M: Memory> Subject<M> for LatestSubject<M> {
    type Spec = Register<Pair>;
    /// Whoever writes goes on as the writer that it is.
    type Seat<'a> = (&'a Latest<Pair, M>, Option<LatestWriter<'a, Pair, M>>);
    fn new(first: &Pair) -> Self {
        Self(Latest::new_in(*first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Self::Seat<'a> {
        (&self.0, None)
    }
    fn apply((latest, writer): &mut Self::Seat<'_>, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                let writer = writer.get_or_insert_with(|| latest.writer());
                writer.write(*value);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(latest.read()),
        }
    }
}

/// One process writes, one reads.
pub fn suite() -> Suite<Register<Pair>> {
    seq_lock::writer_and_reader(Suite::of_module(crate::site!()))
}

tests!(LatestSubject);
