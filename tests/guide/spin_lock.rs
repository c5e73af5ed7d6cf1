//! A spin lock, whose operations are drawn in pairs.
use forkcheck::prelude::*;
use forkcheck::proptest::collection::vec;
use forkcheck::spec::{Lock, LockOp, LockRet};

struct SpinLock<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for SpinLock<M> {
    type Memory = M;
    type Spec = Lock;
    fn new(_: &()) -> Self {
        SpinLock(Atomic::new(0))
    }
    fn apply(&self, op: &LockOp) -> LockRet {
        match op {
            LockOp::Lock | LockOp::TryLock => {
                while self.0.swap(1, Ordering::Acquire) == 1 {
                    M::spin_loop();
                }
                LockRet::Acquired
            }
            LockOp::Unlock => {
                self.0.store(0, Ordering::Release);
                LockRet::Released
            }
        }
    }
}

forkcheck::suite! {
    spin_lock: SpinLock<_>,
    owner: 2 processes, ops in vec(Just([LockOp::Lock, LockOp::Unlock]), 1..=2).prop_map(|rounds| rounds.concat()),
    with: .cases(2).without("kills", "an owner that is killed takes the lock along"),
    with: .regressions(None).seed(1), // of the test alone
}
