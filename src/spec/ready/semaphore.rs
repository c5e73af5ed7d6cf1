//! A semaphore: permits that processes take and give back.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};

/// A counting semaphore: `Acquire` waits while there is no permit, `TryAcquire` is refused then,
/// `Release` adds one. The setup is the number of permits at first. Permits have no owners: any
/// process may release, and a process that dies keeps the permits that it took.
///
/// ```
/// use forkcheck::spec::{Semaphore, SemaphoreOp, SemaphoreRet, Spec};
/// let mut semaphore = Semaphore::start(&1);
/// assert_eq!(semaphore.step(0, &SemaphoreOp::Acquire), SemaphoreRet::Acquired);
/// assert!(semaphore.blocks(1, &SemaphoreOp::Acquire));
/// assert_eq!(semaphore.step(1, &SemaphoreOp::TryAcquire), SemaphoreRet::Refused);
/// assert_eq!(semaphore.step(1, &SemaphoreOp::Release), SemaphoreRet::Released);
/// assert_eq!(semaphore.step(1, &SemaphoreOp::TryAcquire), SemaphoreRet::Acquired);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Semaphore {
    permits: u64,
}

/// An operation of [`Semaphore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SemaphoreOp {
    /// Takes a permit, and waits for one if need be.
    Acquire,
    /// Takes a permit if there is one.
    TryAcquire,
    /// Adds a permit.
    Release,
}

/// A result of [`Semaphore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SemaphoreRet {
    /// The process took a permit.
    Acquired,
    /// There was no permit.
    Refused,
    /// There is one permit more.
    Released,
}

impl Spec for Semaphore {
    type Setup = u64;
    type Op = SemaphoreOp;
    type Ret = SemaphoreRet;
    fn start(permits: &u64) -> Self {
        Self { permits: *permits }
    }
    fn step(&mut self, _: usize, op: &SemaphoreOp) -> SemaphoreRet {
        match op {
            SemaphoreOp::Release => {
                self.permits = self.permits.saturating_add(1);
                SemaphoreRet::Released
            }
            SemaphoreOp::Acquire | SemaphoreOp::TryAcquire if self.permits == 0 => {
                SemaphoreRet::Refused
            }
            SemaphoreOp::Acquire | SemaphoreOp::TryAcquire => {
                self.permits -= 1;
                SemaphoreRet::Acquired
            }
        }
    }
    fn blocks(&self, _: usize, op: &SemaphoreOp) -> bool {
        *op == SemaphoreOp::Acquire && self.permits == 0
    }
    fn only_reads(_: &SemaphoreOp, ret: &SemaphoreRet) -> bool {
        *ret == SemaphoreRet::Refused
    }
}
