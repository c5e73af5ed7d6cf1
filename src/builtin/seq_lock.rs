//! [`SeqLock`] against [`Register`].

use super::{Pair, message};
use crate::memory::Memory;
use crate::publish::{SeqLock, Writer, WriterGone};
use crate::spec::{Register, RegisterOp, RegisterRet};
use crate::structure::{Role, WithHandles};
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, any};

/// [`SeqLock`] against [`Register`].
pub struct CheckedSeqLock<M: Memory>(SeqLock<Pair, M>);

impl<M: Memory> WithHandles for CheckedSeqLock<M> {
    type Memory = M;
    type Spec = Register<Pair>;
    type Handle<'a> = SeqLockHandle<'a, M>;
    fn new(first: &Pair) -> Self {
        Self(SeqLock::new_in(*first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> SeqLockHandle<'a, M> {
        SeqLockHandle {
            lock: &self.0,
            writer: self.0.writer(),
        }
    }
    fn apply(handle: &mut SeqLockHandle<'_, M>, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                handle.writer.write(*value);
                RegisterRet::Written
            }
            RegisterOp::Read => match handle.lock.read() {
                Ok(value) => RegisterRet::Value(value),
                Err(WriterGone) => RegisterRet::WriterGone,
            },
        }
    }
}

/// A handle of [`CheckedSeqLock`]; only the writer uses its `writer`.
pub struct SeqLockHandle<'a, M: Memory> {
    lock: &'a SeqLock<Pair, M>,
    writer: Writer<'a, Pair, M>,
}

/// A suite in which one process writes and one reads.
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
