//! The start line of an execution: all processes wait for the same moment, and start together.
//!
//! Overlapping calls find races, so the time of the line and the distance between the starts are learnt from one
//! execution to the next. Neither affects what is right or wrong, so all accesses are `Relaxed`.

use super::clock;
use super::control::Control;
use super::learnt::Learnt;
use super::position::Position;
use crate::schedule::split_mix;
use std::sync::atomic::Ordering::Relaxed;

/// In nanoseconds, from the end of one execution to the start line of the next: at the beginning, at least, at most.
const MARGIN: u64 = 1_500;
const LEAST: u64 = 100;
const MOST: u64 = 20_000;
/// The increase if a process came late to the last one, or the decrease if none did. So one in eight is late.
const LATER: u64 = 64;
const SOONER: u64 = 8;
/// In nanoseconds: the added delay of a process that was done before the others began, from then on.
const HOLD_BACK: u64 = 8;
/// The greatest distances between starts, as shifts of the length of an execution: mostly all start together, and now
/// and then so far apart that the end of one operation meets the beginning of another.
const APART: [u32; 8] = [1, 2, 3, 4, 5, 5, 6, 7];

impl Control {
    /// Forgets all that was learnt about another program.
    pub(super) fn forget_starts(&self, failed: Option<Position>) {
        self.margin.store(MARGIN, Relaxed);
        self.length.store(2 * MARGIN, Relaxed);
        self.late.store(0, Relaxed);
        self.held_back.iter().for_each(|by| by.store(0, Relaxed));
        self.pauses.forget(failed);
    }

    /// Begins the draws of a batch. Seeds of batches follow each other, as the rounds of a pool do: unmixed, the batches of two
    /// pools would draw the same.
    pub(super) fn begin_draws(&self, mut seed: u64) {
        self.seed.store(split_mix(&mut seed), Relaxed);
    }

    /// Returns the seed of the draws for the current execution, in each process.
    pub(super) fn drawn(&self) -> u64 {
        self.seed.load(Relaxed) ^ u64::from(self.round.load(Relaxed))
    }

    /// Draws the start of the next execution, of processes with these numbers of operations, and whether one pauses
    /// in it.
    pub(super) fn draw_start_line(&self, operations: &[usize], learnt: &Learnt) {
        let now = clock::now();
        self.pauses.draw(now, !self.drawn(), operations, learnt);
        self.start.store(now + self.margin.load(Relaxed), Relaxed);
    }

    /// Waits for the start line, and a short random time more.
    pub(super) fn await_start_line(&self, me: usize, alone: bool) {
        // The same number for all processes of an execution; then a different one for each.
        let mut seed = self.drawn();
        let apart = APART[split_mix(&mut seed) as usize % APART.len()];
        let apart = self.length.load(Relaxed) >> apart;
        seed ^= (me as u64 + 1) << 56;
        let chance = split_mix(&mut seed) % (apart + 1);
        let line = self.start.load(Relaxed) + self.held_back[me].load(Relaxed) + chance;
        if clock::now() > line {
            self.late.store(1, Relaxed);
            return;
        }
        // Without `spin_loop`: its pause takes as long as an operation, and would move the processes apart.
        while clock::now() < line {
            if !alone {
                std::thread::yield_now();
            }
        }
    }

    /// Learns from an execution; called by the process that finished last.
    pub(super) fn learn_from_start(&self) {
        let took = clock::now().saturating_sub(self.start.load(Relaxed));
        let length = self.length.load(Relaxed);
        self.length
            .store((7 * length + took.min(2 * MOST)) / 8, Relaxed);
        let margin = self.margin.load(Relaxed);
        let margin = if self.late.swap(0, Relaxed) == 1 {
            margin + LATER
        } else {
            margin.saturating_sub(SOONER)
        };
        self.margin.store(margin.clamp(LEAST, MOST), Relaxed);
    }

    /// Holds back the process `first`, of `processes`, which was called first and was done before any other began.
    pub(super) fn hold_back(&self, first: usize, processes: usize) {
        let held_back = &self.held_back[..processes];
        held_back[first].fetch_add(HOLD_BACK, Relaxed);
        let least = held_back.iter().map(|by| by.load(Relaxed)).min();
        for by in held_back {
            by.store((by.load(Relaxed) - least.unwrap_or(0)).min(MOST), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;
    use std::collections::BTreeSet;

    #[test]
    fn a_process_that_is_always_alone_first_is_held_back_more_and_more_up_to_a_bound() {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        control.forget_starts(None);
        let held_back = || [0, 1, 2].map(|process: usize| control.held_back[process].load(Relaxed));
        control.hold_back(1, 3);
        assert_eq!(held_back(), [0, HOLD_BACK, 0]);
        (0..10_000).for_each(|_| control.hold_back(1, 3));
        assert_eq!(held_back(), [0, MOST, 0]);
        control.hold_back(0, 3);
        assert_eq!(held_back(), [HOLD_BACK, MOST, 0]);
        control.hold_back(2, 3);
        assert_eq!(
            held_back(),
            [0, MOST - HOLD_BACK, 0],
            "no process waits in vain"
        );
    }

    #[test]
    fn batches_of_two_pools_whose_seeds_follow_each_other_share_no_draw() {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        let draws = |seed| {
            control.begin_draws(seed);
            let draw = |round| {
                control.round.store(round, Relaxed);
                control.drawn()
            };
            (2..1_000).map(draw).collect::<BTreeSet<u64>>()
        };
        assert!(draws(6).is_disjoint(&draws(7)));
        assert_eq!(draws(6), draws(6), "of one seed they are the same");
    }

    #[test]
    fn a_start_line_that_a_process_missed_is_put_off_and_comes_back() {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let control: &Control = region.get(0).unwrap();
        control.forget_starts(None);
        control.await_start_line(0, true);
        control.learn_from_start();
        assert_eq!(
            control.margin.load(Relaxed),
            MARGIN + LATER,
            "it started at 0, long ago"
        );
        let learnt = Learnt::region().unwrap();
        control.draw_start_line(&[1], learnt.get(0).unwrap());
        control.await_start_line(0, true);
        assert!(
            clock::now() >= control.start.load(Relaxed),
            "no process starts early"
        );
        control.learn_from_start();
        assert!(
            [MARGIN + LATER - SOONER, MARGIN + 2 * LATER].contains(&control.margin.load(Relaxed))
        );
        (0..10_000).for_each(|_| control.learn_from_start());
        assert_eq!(control.margin.load(Relaxed), LEAST);
    }
}
