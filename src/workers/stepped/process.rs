//! A process in the plan, and the operations in which processes died. Plain integers, on the board.

use super::fairness::Patience;

/// A process. Others seldom read it, so its cache line stays where it is.
#[repr(C, align(128))]
#[derive(Clone, Copy)]
pub(super) struct Process {
    pub(super) life: u32,
    /// The process's operation, counted from 1; 0 while it attaches.
    pub(super) operation: u32,
    /// The number of its operations.
    pub(super) operations: u32,
    /// The process's pending step.
    pub(super) kind: u32,
    pub(super) word: u64,
    /// The time at which the operation began; 0: it has not made a step.
    pub(super) invoked: u64,
    /// The steps of this incarnation, and those of them before this operation.
    pub(super) steps: u32,
    pub(super) before: u32,
    /// The steps of the operation that do not count against its bound, and whether it is within an operation:
    /// attaching and detaching are none.
    pub(super) exempt_steps: u32,
    pub(super) inside: u32,
    pub(super) patience: Patience,
    /// The position among the processes that wait.
    pub(super) queue: u64,
}

/// An operation in which a process died.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Death {
    pub(super) process: u32,
    /// The operation, counted from 1; 0 while it attached.
    pub(super) operation: u32,
    pub(super) invoked: u64,
    pub(super) died: u64,
}

impl Process {
    /// Returns the steps of this operation.
    #[inline]
    pub(super) fn of_operation(&self) -> u32 {
        self.steps.wrapping_sub(self.before)
    }

    /// Begins another incarnation, or another execution.
    pub(super) fn begin_incarnation(&mut self) {
        (self.operation, self.invoked, self.steps, self.before) = (0, 0, 0, 0);
        self.inside = 0;
        (self.patience, self.queue) = (Patience::NEW, 0);
    }
}
