//! The results of the last execution and of the last batch, for the engine that requested them.

use super::Crew;
use crate::case::{Case, History};
use crate::engine::StopAt;
use crate::engine::stepped::scheduler::{Outside, Tally};
use crate::engine::stepped::stepper::Note;
use crate::spec::Spec;

impl<S: Spec> Crew<S> {
    /// Returns the history of the last execution.
    pub(crate) fn history(&self, case: &Case<S>) -> History<S> {
        self.shared.history(case)
    }
    /// Returns the choices of the last execution.
    pub(crate) fn choices(&self) -> Vec<u8> {
        self.shared.board.plan(|plan| plan.choices().to_vec())
    }
    /// Returns whether the last execution had a step of a kind that none had before.
    pub(crate) fn is_novel(&self) -> bool {
        self.shared.board.plan(|plan| plan.novel != 0)
    }
    /// Returns a number for the steps of the last execution: the same for the same steps.
    pub(crate) fn sum(&self) -> u64 {
        self.shared.board.plan(|plan| plan.sum)
    }
    /// Returns the notes of the last execution, if it was traced.
    pub(crate) fn notes(&self) -> Vec<Note> {
        self.shared.notes().records()
    }
    pub(crate) fn tally(&self) -> Tally {
        self.shared.board.plan(|plan| plan.tally)
    }
    /// Returns how many turns ended before the step that they name, and how many processes were killed, in the last
    /// execution.
    pub(crate) fn matched(&self) -> (u32, u32) {
        self.shared
            .board
            .plan(|plan| (plan.scheduler.turns.matched(), plan.died))
    }
    /// Returns the process that had the turn at the end of the last execution.
    pub(crate) fn current(&self) -> Option<u16> {
        let current = self.shared.board.plan(|plan| plan.current());
        u16::try_from(current).ok()
    }
    /// Returns whether a process was killed at this step of its first incarnation, in any execution so far.
    pub(crate) fn was_killed(&self, process: usize, step: u32) -> bool {
        let board = &self.shared.board;
        board.plan(|plan| plan.points.was_killed(process, step))
    }
    /// Returns the kill points of first incarnations, those used and all of them, and then those of later incarnations.
    pub(crate) fn kill_points(&self) -> [(u64, u64); 2] {
        self.shared.board.plan(|plan| plan.points.counted())
    }
    /// Returns whether the structure changed without a step, in the last execution that was traced.
    pub(crate) fn unscheduled(&self) -> bool {
        self.shared.board.plan(|plan| plan.unscheduled != 0)
    }
    /// Returns the most steps of its own that an operation needed.
    pub(crate) fn worst(&self) -> u32 {
        self.shared.board.plan(|plan| plan.worst)
    }
    /// Returns whether the executions so far touched no word that was unknown before the last batch.
    pub(crate) fn footprint_stable(&self) -> bool {
        self.shared.board.plan(|plan| plan.footprint.is_stable())
    }
    /// Returns whether the strategy left executions out: they were too long for its records.
    pub(crate) fn truncated(&self) -> bool {
        self.shared.board.plan(|plan| plan.scheduler.truncated())
    }
    /// Returns the processes that wait outside of an operation, after [`Stop::Stuck`].
    pub(crate) fn outside(&self) -> Vec<(usize, Outside)> {
        self.shared.board.plan(|plan| plan.outside())
    }
    /// Stops the process of this step in the next execution that is traced.
    pub(crate) fn stop_before(&self, stop: Option<StopAt>) {
        self.shared.board.pause.set(stop);
    }
}
