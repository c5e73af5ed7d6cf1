//! A process in the plan, and the operations in which processes died. Plain integers, on the board.

use super::fairness::Patience;

/// A process. Others seldom read it, so its cache line stays where it is.
#[repr(C, align(128))]
#[derive(Clone, Copy)]
pub(in super::super) struct Process {
    pub(in super::super) incarnation: u32,
    /// The process's operation, counted from 1; 0 while it attaches.
    pub(in super::super) operation: u32,
    /// The number of its operations.
    pub(in super::super) operations: u32,
    /// The process's pending step.
    pub(in super::super) kind: u32,
    pub(in super::super) word: u64,
    /// The time at which the operation began; 0: it has not made a step.
    pub(in super::super) invoked: u64,
    /// The steps of this incarnation, and those of them before this operation.
    pub(in super::super) steps: u32,
    pub(in super::super) before: u32,
    /// The steps of the operation that do not count against its bound, and whether it is within an operation:
    /// attaching and detaching are none.
    pub(in super::super) exempt_steps: u32,
    pub(in super::super) inside: u32,
    pub(in super::super) patience: Patience,
    /// The position among the processes that wait.
    pub(in super::super) queue: u64,
}

/// An operation in which a process died.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in super::super) struct Death {
    pub(in super::super) process: u32,
    /// The operation, counted from 1; 0 while it attached.
    pub(in super::super) operation: u32,
    pub(in super::super) invoked: u64,
    pub(in super::super) died: u64,
}

impl Process {
    /// Returns the steps of this operation.
    #[inline]
    pub(super) fn of_operation(&self) -> u32 {
        self.steps.wrapping_sub(self.before)
    }

    /// Begins another incarnation, or another execution.
    pub(in super::super) fn begin_incarnation(&mut self) {
        (self.operation, self.invoked, self.steps, self.before) = (0, 0, 0, 0);
        self.inside = 0;
        (self.patience, self.queue) = (Patience::NEW, 0);
    }
}
