//! Seeded random: at each step whoever can move, with equal chances. Kills fall on steps drawn before.

use super::{Choice, SchedulePoint, below, nth, split_mix};

/// Kills in one execution, at most.
pub(super) const MAX_KILLS: usize = 4;

/// When processes die: before which of the execution's steps. Learns how long executions are.
#[repr(C)]
#[derive(Default)]
pub(super) struct Deaths {
    kills: u32,
    length: u32,
    at: [u32; MAX_KILLS],
}

impl Deaths {
    pub(super) fn set(&mut self, kills: u32) {
        self.kills = kills.min(MAX_KILLS as u32);
        self.length = 16;
    }
    pub(super) fn any(&self) -> bool {
        self.kills > 0
    }
    pub(super) fn begin(&mut self, state: &mut u64) {
        if !self.any() {
            return;
        }
        let length = self.length.max(1);
        for at in &mut self.at {
            *at = below(state, length);
        }
    }
    /// What `process` is to do at this point.
    #[inline]
    pub(super) fn of(&mut self, process: u32, point: &SchedulePoint) -> Choice {
        if !self.any() {
            return Choice::Step(process as usize);
        }
        self.length = self.length.max(point.step + 1);
        if process < u32::BITS && point.killable >> process & 1 == 0 {
            return Choice::Step(process as usize);
        }
        // One that fell on a process that is not to die comes with the next that may.
        let dies = self.at[..(self.kills as usize).min(MAX_KILLS)]
            .iter_mut()
            .find(|at| **at <= point.step);
        match dies {
            Some(at) => {
                // Once: a kill is no step, so the point comes again.
                *at = u32::MAX;
                Choice::Kill(process as usize)
            }
            None => Choice::Step(process as usize),
        }
    }
}

#[repr(C)]
pub(super) struct Random {
    seed: u64,
    execution: u64,
    state: u64,
    deaths: Deaths,
}

impl Random {
    pub(super) fn set(&mut self, seed: u64, kills: u32) {
        (self.seed, self.execution) = (seed, 0);
        self.deaths.set(kills);
    }
    pub(super) fn begin(&mut self) {
        self.state = self.seed.wrapping_add(self.execution);
        self.state = split_mix(&mut self.state);
        self.execution += 1;
        self.deaths.begin(&mut self.state);
    }
    pub(super) fn kills(&self) -> bool {
        self.deaths.any()
    }
    #[inline(always)]
    pub(super) fn choose(&mut self, point: &SchedulePoint) -> Choice {
        let process = match point.enabled.count_ones() {
            1 => point.enabled.trailing_zeros(),
            n => nth(point.enabled, below(&mut self.state, n)),
        };
        self.deaths.of(process, point)
    }
}
