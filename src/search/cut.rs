//! Programs that were cut to fit an engine, and stand still for what was cut.

use super::{Search, kind};
use crate::check::Kind;
use crate::engine::Run;
use crate::spec::Spec;

impl<S: Spec> Search<'_, S> {
    /// A program that was cut below the range of a role may stand still for what was cut, though the suite's programs do not:
    /// what its calls returned counts, and that some of them never returned does not. Returns that in words.
    pub(super) fn waits_for_what_was_cut(&self, run: &Run<S>) -> Option<String> {
        let waits = matches!(
            kind(run),
            Some(Kind::Deadlock | Kind::Endless | Kind::Livelock | Kind::StepBound)
        );
        let extent = &self.plan.extent;
        let short = extent.cut_short(&run.case).or_else(|| {
            let sequence = extent.cut_sequence(&run.case);
            sequence.filter(|_| self.is_cut)
        });
        let short = short.filter(|_| waits)?;
        Some(format!(
            "a program that was cut to what {} explores stands still, and may do so for want of what was cut: {short}; let \
             the suite draw shorter programs, or run it without this engine",
            self.runner.name
        ))
    }
}
