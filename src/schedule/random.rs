//! Seeded random: at each step any enabled process, with equal chances. Kills fall on steps drawn
//! beforehand.

use super::draw::{below, nth, split_mix};
use super::{Choice, SchedulePoint};

/// The most kills of an execution.
pub(super) const MAX_KILLS: usize = 4;

/// The steps of an execution before which processes are killed. Learns how long executions are.
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
    /// Returns the choice for `process` at this point.
    #[inline(always)]
    pub(super) fn of(&mut self, process: u32, point: &SchedulePoint) -> Choice {
        if !self.any() {
            return Choice::Step(process as usize);
        }
        self.drawn(process, point)
    }
    fn drawn(&mut self, process: u32, point: &SchedulePoint) -> Choice {
        self.length = self.length.max(point.step + 1);
        if process < u32::BITS && point.killable >> process & 1 == 0 {
            return Choice::Step(process as usize);
        }
        // A kill that falls on a process that must not be killed comes with the next one that may.
        let dies = self.at[..(self.kills as usize).min(MAX_KILLS)]
            .iter_mut()
            .find(|at| **at <= point.step);
        match dies {
            Some(at) => {
                // Only once: a kill is no step, so the point comes again.
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
