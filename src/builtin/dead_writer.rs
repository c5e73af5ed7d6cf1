//! Planted: a common form of the seqlock. Every order of its steps is right, but a writer that is killed between its two
//! stores of the sequence number leaves readers spinning indefinitely.

use super::{Pair, seq_lock};
use crate::memory::{Atomic, Memory, Ordering, Words};
use crate::spec::{Register, RegisterOp, RegisterRet};
use crate::structure::Structure;
use crate::suite::Suite;

/// A message, and the number that is odd while it is written.
pub struct DeadWriter<M: Memory> {
    sequence: M::AtomicU64,
    data: M::Words<Pair>,
}

impl<M: Memory> DeadWriter<M> {
    fn write(&self, value: Pair) {
        let even = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(even + 1, Ordering::Relaxed);
        M::fence(Ordering::Release);
        self.data.store(value);
        self.sequence.store(even + 2, Ordering::Release);
    }
    fn read(&self) -> Pair {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            if before & 1 == 0 {
                let value = self.data.load();
                M::fence(Ordering::Acquire);
                if self.sequence.load(Ordering::Relaxed) == before {
                    return value;
                }
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory> Structure for DeadWriter<M> {
    type Memory = M;
    type Spec = Register<Pair>;
    fn new(first: &Pair) -> Self {
        Self {
            sequence: M::AtomicU64::new(0),
            data: M::Words::new(*first),
        }
    }
    fn apply(&self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                self.write(*value);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.read()),
        }
    }
}

/// The suite of [`DeadWriter`], as that of [`seq_lock`].
pub fn suite() -> Suite<Register<Pair>> {
    seq_lock::writer_and_reader(Suite::of_module(crate::site!()))
}
