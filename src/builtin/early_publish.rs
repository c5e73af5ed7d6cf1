//! Planted: a seqlock whose writer publishes the new sequence number *before* it encodes and copies the message.

use super::{Pair, message, seq_lock};
use crate::memory::{Atomic, Memory, Ordering, Words};
use crate::spec::{Register, RegisterOp, RegisterRet};
use crate::structure::{Role, WithHandles};
use crate::suite::Suite;

/// A message, and the sequence number that should say that the message is whole.
pub struct EarlyPublish<M: Memory> {
    sequence: M::AtomicU64,
    data: M::Words<Pair>,
}

/// A handle of [`EarlyPublish`], with the writer's own count.
pub struct EarlyHandle<'a, M: Memory> {
    page: &'a EarlyPublish<M>,
    sequence: u64,
}

impl<M: Memory> EarlyHandle<'_, M> {
    fn write(&mut self, value: u64) {
        self.sequence = self.sequence.wrapping_add(2);
        self.page.sequence.store(self.sequence, Ordering::Release);
        self.page.data.store(message(value));
    }
    fn read(&self) -> Pair {
        loop {
            let before = self.page.sequence.load(Ordering::Acquire);
            let value = self.page.data.load();
            M::fence(Ordering::Acquire);
            if self.page.sequence.load(Ordering::Relaxed) == before {
                return value;
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory> WithHandles for EarlyPublish<M> {
    type Memory = M;
    type Spec = Register<Pair>;
    type Handle<'a> = EarlyHandle<'a, M>;
    fn new(first: &Pair) -> Self {
        Self {
            sequence: M::AtomicU64::new(0),
            data: M::Words::new(*first),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> EarlyHandle<'a, M> {
        EarlyHandle {
            page: self,
            sequence: 0,
        }
    }
    fn apply(handle: &mut EarlyHandle<'_, M>, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                handle.write(value[0]);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(handle.read()),
        }
    }
}

/// The suite of [`EarlyPublish`], as that of [`seq_lock`].
pub fn suite() -> Suite<Register<Pair>> {
    seq_lock::writer_and_reader(Suite::of_module(crate::site!()))
}
