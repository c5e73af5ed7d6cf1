//! One process, as the plan knows it, and the operations that processes died in. Plain integers, on the board.

use super::fairness::Patience;

/// One process. Others seldom look into it, so its line of the cache stays where it is.
#[repr(C, align(128))]
#[derive(Clone, Copy)]
pub(super) struct Process {
    pub(super) life: u32,
    /// Its operation, counted from 1; 0 while it sits down.
    pub(super) operation: u32,
    /// How many it has.
    pub(super) operations: u32,
    /// Its pending step.
    pub(super) kind: u32,
    pub(super) word: u64,
    /// When the operation began; 0: it has not made a step.
    pub(super) invoked: u64,
    /// Steps of this life, and of this operation.
    pub(super) steps: u32,
    pub(super) of_operation: u32,
    /// Those of them that are not held against it, and whether it is within an operation: getting up and sitting down are none.
    pub(super) exempt_steps: u32,
    pub(super) inside: u32,
    pub(super) patience: Patience,
    /// The order of those that wait.
    pub(super) queue: u64,
}

/// An operation that a process died in.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Death {
    pub(super) process: u32,
    /// Counted from 1; 0 while it sat down.
    pub(super) operation: u32,
    pub(super) invoked: u64,
    pub(super) died: u64,
}

impl Process {
    /// Another life, or another execution, begins.
    pub(super) fn begin_incarnation(&mut self) {
        (self.operation, self.invoked, self.steps, self.of_operation) = (0, 0, 0, 0);
        self.inside = 0;
        (self.patience, self.queue) = (Patience::NEW, 0);
    }
}
