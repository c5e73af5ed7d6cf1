//! The verdict of a search, from what it found and covered.

use super::{Found, Search};
use crate::check::Verdict;
use crate::engine::Covered;
use crate::spec::Spec;

/// The reason of an engine that schedules steps and had none.
const UNTOUCHED: &str = "no operation touched `Memory`: is this `std::sync::atomic`, plain memory or a crate? This engine sees \
    only accesses through the `Memory` that the structure is generic over (`M::AtomicU64`, not `AtomicU64`)";

/// The reason of an engine that kills and could not.
const UNKILLED: &str = "no process that may be killed took a step, so no kill was tried: name a role whose operations access `Memory` \
    (`.kill_only`), or give its operations something to do";

impl<S: Spec> Search<'_, S> {
    /// Returns the verdict: the finding, or the first reason why less was checked than an `ok` promises.
    pub(super) fn verdict(&self, found: Option<&Found<S>>) -> Verdict<S> {
        if let Some(found) = found {
            return found.run.verdict.clone();
        }
        if let Some(verdict) = &self.unknown {
            return verdict.clone();
        }
        if let Some(reason) = self.out_of_time() {
            return Verdict::Unknown(reason);
        }
        if self.covered.executions == 0 {
            return Verdict::Unknown("nothing was run".into());
        }
        if self.runner.explores && self.covered.accesses == 0 {
            return Verdict::Unknown(UNTOUCHED.into());
        }
        if self.runner.kills && self.drew && self.covered.kill_points == 0 {
            return Verdict::Unknown(UNKILLED.into());
        }
        if let Some(reason) = self.overlaps_too_seldom() {
            return Verdict::Unknown(reason);
        }
        if self.covered.unscheduled > 0 && !self.plan.allows_unscheduled {
            return Verdict::Unknown(format!(
                "in {} of {} programs the structure changed without an access to `Memory`: accesses through std::sync::atomic, \
                 std::sync::Mutex, plain memory or a crate, which this engine cannot schedule; use `Memory` there, or say why that \
                 may be: `.allow_unscheduled(\"the reason\")`",
                self.covered.unscheduled, self.covered.programs
            ));
        }
        Verdict::Ok
    }

    /// Returns the part of the required work that the time limit left out, as text: for an engine
    /// that samples, of the first round.
    fn out_of_time(&self) -> Option<String> {
        if self.planned.is_none() && self.covered.timed_out == 0 {
            return None;
        }
        if !self.drew {
            return Some(format!(
                "the time limit of {:.1} s ended this before the case was done; allow more (FORKCHECK_SECONDS), or ask for fewer \
                 executions (FORKCHECK_EXECUTIONS)",
                self.limit.as_secs_f64()
            ));
        }
        let programs = self.covered.programs - self.covered.timed_out.min(self.covered.programs);
        let of = self.plan.settings.cases;
        Some(format!(
            "the time limit of {:.1} s ended this after {programs} of {of} programs; allow more (FORKCHECK_SECONDS), or ask for fewer \
             programs (FORKCHECK_CASES) or executions (FORKCHECK_EXECUTIONS)",
            self.limit.as_secs_f64()
        ))
    }

    /// Returns a reason if an engine that samples hardly ever saw calls overlap, since little was
    /// tried then.
    pub(super) fn overlaps_too_seldom(&self) -> Option<String> {
        let Covered {
            overlapping,
            could_overlap,
            ..
        } = self.covered;
        (!self.runner.explores && overlapping * 1_000 < could_overlap).then(|| {
            format!(
                "in only {overlapping} of {could_overlap} executions did calls of different processes overlap, so hardly \
                 anything was tried; give it a processor for each process, or fewer processes"
            )
        })
    }
}
