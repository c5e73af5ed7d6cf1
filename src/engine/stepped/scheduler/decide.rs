//! The decision between two steps: the process that goes next, or the reason why none does.

use super::{Plan, writes};
use crate::case::Access;
use crate::engine::stepped::scheduler::decision::{Decision, Stop};
use crate::engine::stepped::scheduler::fairness::probe;
use crate::schedule::{Choice, MAX_STEPS, SchedulePoint};

impl Plan {
    /// Returns whether the order of the current process's pending step and those of others can matter.
    fn conflicts(&self) -> bool {
        let current = self.now.current as usize;
        let Some(at) = self.processes[..self.count()].get(current) else {
            return true;
        };
        let reads = at.kind == Access::Load as u32 || at.kind == Access::Read as u32;
        let plain = reads || writes(at.kind);
        self.every != 0
            || at.invoked == 0
            || !plain
            || self.watched != 0 && writes(at.kind)
            || self.footprint.shared(at.word, current, writes(at.kind))
    }

    /// Decides which process is next.
    #[inline]
    pub(in crate::engine::stepped) fn decide(&mut self) -> Decision {
        let now = &mut self.now;
        probe(&mut now.states, &mut now.probes);
        let states = self.now.states;
        if self.now.too_long != 0 {
            return Decision::Stop(Stop::TooLong);
        }
        if states.fresh() != 0 && self.scheduler.asks_what_is_pending() {
            return Decision::Run(states.fresh().trailing_zeros() as usize);
        }
        if std::mem::take(&mut self.now.decided) != 0 {
            return Decision::Run(self.now.current as usize);
        }
        let point = SchedulePoint {
            enabled: states.enabled().into(),
            asleep: states.asleep().into(),
            killable: self.killable,
            current: self.now.current,
            step: self.now.step,
            conflicts: self.scheduler.asks_for_conflicts()
                && self.now.probes == 0
                && self.conflicts(),
            probes: self.now.probes > 0,
        };
        if point.enabled == 0 {
            return if point.asleep == 0 {
                Decision::Stop(Stop::Over)
            } else {
                Decision::Stop(Stop::Stuck)
            };
        }
        let decision = self.now.decisions as usize;
        if decision >= MAX_STEPS {
            return Decision::Stop(Stop::TooLong);
        }
        if self.step_bound > 0 && point.asleep != 0 && point.enabled.count_ones() == 1 {
            let only = &self.processes[point.enabled.trailing_zeros() as usize];
            if only.inside != 0 && only.invoked > 0 {
                return Decision::Stop(Stop::Waits);
            }
        }
        let choice = self.scheduler.choose(&point);
        self.choices[decision] = choice.to_byte();
        self.now.decisions += 1;
        match choice {
            Choice::Step(process) => {
                self.now.current = process as u32;
                self.now.decided = (states.fresh() >> process & 1) as u8;
                Decision::Run(process)
            }
            Choice::Kill(process) => Decision::Kill(process),
        }
    }
}
