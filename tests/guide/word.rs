//! A word that one process writes and two read.
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

struct Word<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Word<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Word(Atomic::new(*first))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::Acquire)),
        }
    }
}

forkcheck::suite! {
    word: Word<_>,
    setup: any::<u64>(),
    writer: 1..=3 ops of any::<u64>().prop_map(RegisterOp::Write),
    reader: 2 processes, 1..=3 ops of Just(RegisterOp::Read),
    with: .cases(8),
    with: .regressions(None).seed(1), // of the test alone
}
