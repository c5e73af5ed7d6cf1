//! Planted: the newest value in two slots, where three are needed. The writer fills the slot that
//! is not the newest, and a reader may still be decoding its message there in place.

use super::{Pair, message, seq_lock};
use crate::memory::{Atomic, Memory, Ordering};
use crate::spec::{Register, RegisterOp, RegisterRet};
use crate::structure::Structure;
use crate::suite::Suite;

/// Two messages, and which of them is newer.
pub struct DoubleBuffer<M: Memory> {
    newest: M::AtomicU32,
    slots: [[M::AtomicU64; 2]; 2],
}

impl<M: Memory> Structure for DoubleBuffer<M> {
    type Memory = M;
    type Spec = Register<Pair>;
    fn new(first: &Pair) -> Self {
        Self {
            newest: M::AtomicU32::new(0),
            slots: [first.map(Atomic::new), first.map(Atomic::new)],
        }
    }
    fn apply(&self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                let other = 1 - self.newest.load(Ordering::Relaxed);
                for (word, value) in self.slots[other as usize].iter().zip(value) {
                    word.store(*value, Ordering::Relaxed);
                }
                self.newest.store(other, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let newest = self.newest.load(Ordering::Acquire);
                let [value, sum] = &self.slots[newest as usize];
                let value = value.load(Ordering::Relaxed);
                // The decoded message is used whatever its check sum says.
                std::hint::black_box(message(value));
                RegisterRet::Value([value, sum.load(Ordering::Relaxed)])
            }
        }
    }
}

/// The suite of [`DoubleBuffer`], as that of [`seq_lock`].
pub fn suite() -> Suite<Register<Pair>> {
    seq_lock::writer_and_reader(Suite::of_module(crate::site!()))
}
