//! Planted: the newest value in two slots where it takes three. The writer fills the slot that is not the newest, and
//! a reader that decodes its message in place is still in it.

use super::{Pair, message, seq_lock, tests};
use crate::memory::{Atomic, Memory, Ordering};
use crate::subject::{Register, RegisterOp, RegisterRet, Role, Subject};
use crate::suite::Suite;

/// Two messages, and which of them is newer.
pub struct DoubleBuffer<M: Memory> {
    newest: M::AtomicU32,
    slots: [[M::AtomicU64; 2]; 2],
}

impl<M: Memory> Subject<M> for DoubleBuffer<M> {
    type Spec = Register<Pair>;
    type Seat<'a> = &'a Self;
    fn new(first: &Pair) -> Self {
        Self {
            newest: M::AtomicU32::new(0),
            slots: [first.map(Atomic::new), first.map(Atomic::new)],
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(seat: &mut &Self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                let other = 1 - seat.newest.load(Ordering::Relaxed);
                for (word, value) in seat.slots[other as usize].iter().zip(value) {
                    word.store(*value, Ordering::Relaxed);
                }
                seat.newest.store(other, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let newest = seat.newest.load(Ordering::Acquire);
                let [value, sum] = &seat.slots[newest as usize];
                let value = value.load(Ordering::Relaxed);
                // What was decoded is used, whatever the sum says.
                std::hint::black_box(message(value));
                RegisterRet::Value([value, sum.load(Ordering::Relaxed)])
            }
        }
    }
}

/// As [`seq_lock::suite`].
pub fn suite() -> Suite<Register<Pair>> {
    seq_lock::writer_and_reader(Suite::of_module(crate::site!()))
}

tests!(
    DoubleBuffer,
    "NOT LINEARIZABLE  forkcheck::builtin::double_buffer::processes  reader: Read returned",
    "NOT LINEARIZABLE  forkcheck::builtin::double_buffer::stepped  reader: Read returned",
    "NOT LINEARIZABLE  forkcheck::builtin::double_buffer::kills  reader: Read returned",
    "NOT SEQUENTIALLY CONSISTENT  forkcheck::builtin::double_buffer::loom  reader: Read returned"
);
