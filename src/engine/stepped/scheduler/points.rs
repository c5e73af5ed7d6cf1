//! Kill points: the steps of first incarnations that run undisturbed, those of later incarnations, which have
//! something to repair, and which of them were killed at. Plain integers, on the board.

use crate::schedule::MAX_PROCESSES;

/// The most steps that are counted for each process.
const MAX_POINTS: usize = 1 << 12;

type Steps = [[u64; MAX_POINTS / 64]; MAX_PROCESSES];

#[repr(C)]
pub(in super::super) struct Points {
    /// As bits: the steps that exist; those before which a process was killed.
    there: Steps,
    killed: Steps,
    /// Both sets for later incarnations, as far as they came.
    later: Steps,
    later_killed: Steps,
}

impl Points {
    pub(in super::super) fn clear(&mut self) {
        self.there = [[0; MAX_POINTS / 64]; MAX_PROCESSES];
        self.killed = [[0; MAX_POINTS / 64]; MAX_PROCESSES];
        self.later = [[0; MAX_POINTS / 64]; MAX_PROCESSES];
        self.later_killed = [[0; MAX_POINTS / 64]; MAX_PROCESSES];
    }
    #[inline]
    pub(in super::super) fn come_past(&mut self, process: usize, step: u32) {
        mark(&mut self.there, process, step);
    }
    #[inline]
    pub(in super::super) fn come_past_later(&mut self, process: usize, step: u32) {
        mark(&mut self.later, process, step);
    }
    pub(in super::super) fn kill(&mut self, process: usize, incarnation: u32, step: u32) {
        let killed = if incarnation == 0 {
            &mut self.killed
        } else {
            // It would have been the next step.
            mark(&mut self.later, process, step);
            &mut self.later_killed
        };
        mark(killed, process, step);
    }

    /// Returns whether a process was killed before this step of its first incarnation.
    pub(in super::super) fn was_killed(&self, process: usize, step: u32) -> bool {
        let steps = self.killed.get(process);
        let word = steps.and_then(|steps| steps.get(step as usize / 64));
        word.is_some_and(|word| word >> (step % 64) & 1 == 1)
    }

    /// Returns the number of steps with a kill and of all steps; and the same for later incarnations.
    pub(in super::super) fn counted(&self) -> [(u64, u64); 2] {
        [
            among(&self.there, &self.killed),
            among(&self.later, &self.later_killed),
        ]
    }
}

fn among(there: &Steps, killed: &Steps) -> (u64, u64) {
    let mut counted = (0, 0);
    for (there, killed) in there.iter().zip(killed) {
        for (there, killed) in there.iter().zip(killed) {
            counted.0 += u64::from((there & killed).count_ones());
            counted.1 += u64::from(there.count_ones());
        }
    }
    counted
}

#[inline]
fn mark(steps: &mut Steps, process: usize, step: u32) {
    if let Some(word) = steps[process].get_mut(step as usize / 64) {
        *word |= 1 << (step % 64);
    }
}
