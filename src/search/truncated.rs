//! Programs that were cut to fit an engine, and stand still because of the missing operations.

use super::Search;
use super::runner::kind;
use crate::check::Kind;
use crate::engine::Run;
use crate::spec::Spec;

impl<S: Spec> Search<'_, S> {
    /// Returns in words whether a run stands still only because its program was cut below the range
    /// of a role. The suite's own programs need not stand still there. The results of calls that
    /// returned still count; calls that never returned do not.
    pub(super) fn waits_for_what_was_truncated(&self, run: &Run<S>) -> Option<String> {
        let waits = matches!(
            kind(run),
            Some(Kind::Deadlock | Kind::Endless | Kind::Livelock | Kind::StepBound)
        );
        let extent = &self.plan.extent;
        let short = extent.cut_short(&run.case).or_else(|| {
            let sequence = extent.cut_sequence(&run.case);
            sequence.filter(|_| self.is_truncated)
        });
        let short = short.filter(|_| waits)?;
        Some(format!(
            "a program that was cut to what {} explores stands still, and may do so for want of what was cut: {short}; let \
             the suite draw shorter programs, or run it without this engine",
            self.runner.name
        ))
    }
}
