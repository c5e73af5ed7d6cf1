//! A record is read by a plain copy while it is written. LMDB ITS#7635.

use super::*;
use forkcheck::publish::{SeqLock, WriterGone};
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

struct Page<M: Memory, const MENDED: bool> {
    bare: M::Words<[u64; 2]>,
    lock: SeqLock<[u64; 2], M>,
}

impl<M: Memory, const MENDED: bool> Structure for Page<M, MENDED> {
    type Memory = M;
    type Spec = Register<[u64; 2]>;
    fn new(_: &[u64; 2]) -> Self {
        Self {
            bare: Words::new([0; 2]),
            lock: SeqLock::new_in([0; 2]),
        }
    }
    fn apply(&self, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match op {
            RegisterOp::Write(value) if MENDED => self.lock.writer().write(*value),
            RegisterOp::Write(value) => self.bare.store(*value),
            RegisterOp::Read if MENDED => {
                return match self.lock.read() {
                    Ok(value) => RegisterRet::Value(value),
                    Err(WriterGone) => RegisterRet::WriterGone,
                };
            }
            RegisterOp::Read => return RegisterRet::Value(self.bare.load()),
        }
        RegisterRet::Written
    }
}

fn page() -> Suite<Register<[u64; 2]>> {
    super::suite("plain_copy")
        .setup(Just([0; 2]))
        .role(
            "writer",
            1,
            1..=2,
            (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
        )
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
}

#[test]
fn plain_copy() {
    side_by_side::<Page<_, false>>(&page().executions(20_000), Kind::NotLinearizable, 4);
    caught::<Stepped, Page<_, false>>(&page(), Kind::NotLinearizable, 2);
    caught::<Kills, Page<_, false>>(&page(), Kind::NotLinearizable, 2);
    page().test::<Processes, Page<_, true>>();
    passes::<Stepped, Page<_, true>>(&page());
    passes::<Kills, Page<_, true>>(&page());
}
