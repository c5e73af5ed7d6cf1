//! A lock with an owner.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};

/// A lock with an owner: `Lock` waits while another process holds it, or the process itself; an `Unlock` by a process that
/// does not hold it is refused. The death of the holder may free it.
///
/// ```
/// use forkcheck::spec::{Lock, LockOp, LockRet, Spec};
/// let mut lock = Lock::start(&());
/// assert_eq!(lock.step(0, &LockOp::Lock), LockRet::Acquired);
/// assert!(lock.blocks(1, &LockOp::Lock));
/// assert_eq!(lock.step(1, &LockOp::TryLock), LockRet::Refused);
/// assert_eq!(lock.step(1, &LockOp::Unlock), LockRet::Refused);
/// assert_eq!(lock.step(0, &LockOp::Unlock), LockRet::Released);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lock {
    owner: Option<usize>,
}

/// An operation of [`Lock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockOp {
    /// Takes the lock, and waits for it if necessary.
    Lock,
    /// Takes the lock if it is free.
    TryLock,
    /// Releases the lock.
    Unlock,
}

/// A result of [`Lock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockRet {
    /// The process holds it.
    Acquired,
    /// The process no longer holds it.
    Released,
    /// It was held when it was tried, or not held by the process that unlocked it.
    Refused,
}

impl Spec for Lock {
    type Setup = ();
    type Op = LockOp;
    type Ret = LockRet;
    fn start(_: &()) -> Self {
        Self { owner: None }
    }
    fn step(&mut self, process: usize, op: &LockOp) -> LockRet {
        match op {
            LockOp::Lock | LockOp::TryLock if self.owner.is_none() => {
                self.owner = Some(process);
                LockRet::Acquired
            }
            LockOp::Unlock if self.owner == Some(process) => {
                self.owner = None;
                LockRet::Released
            }
            LockOp::Lock | LockOp::TryLock | LockOp::Unlock => LockRet::Refused,
        }
    }
    fn blocks(&self, _: usize, op: &LockOp) -> bool {
        *op == LockOp::Lock && self.owner.is_some()
    }
    fn only_reads(_: &LockOp, ret: &LockRet) -> bool {
        *ret == LockRet::Refused
    }
    fn crash(&mut self, process: usize, _: &LockOp) {
        self.owner = self.owner.filter(|owner| *owner != process);
    }
}
