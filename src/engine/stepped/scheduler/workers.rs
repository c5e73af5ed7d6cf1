//! The worker on which each process of an execution runs: four bits each, so that all fit the cache line that moves
//! with the turn.

use crate::schedule::MAX_PROCESSES;

/// The bits of a worker's number.
const BITS: usize = 4;
const ONE: u64 = (1 << BITS) - 1;
const _: () = assert!(MAX_PROCESSES <= 1 << BITS && MAX_PROCESSES * BITS <= u64::BITS as usize);

/// The worker of each process.
#[repr(transparent)]
#[derive(Clone, Copy, Default)]
pub(in super::super) struct Workers(u64);

impl Workers {
    #[inline]
    pub(in super::super) fn of(self, process: usize) -> usize {
        (self.0 >> (BITS * (process % MAX_PROCESSES)) & ONE) as usize
    }
    pub(in super::super) fn set(&mut self, process: usize, worker: usize) {
        let lowest = BITS * (process % MAX_PROCESSES);
        self.0 = self.0 & !(ONE << lowest) | (worker as u64 & ONE) << lowest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_the_worker_that_it_was_given_last() {
        let mut workers = Workers::default();
        for round in 0..3 {
            let given = |process: usize| (7 * process + round) % MAX_PROCESSES;
            (0..MAX_PROCESSES).for_each(|process| workers.set(process, given(process)));
            let found = (0..MAX_PROCESSES).map(|process| workers.of(process));
            assert!(found.eq((0..MAX_PROCESSES).map(given)));
        }
    }
}
