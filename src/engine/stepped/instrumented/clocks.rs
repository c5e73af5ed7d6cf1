//! Vector clocks: how much of each process's past another process knows. Lamport, CACM 1978;
//! Mattern, 1989.

use crate::schedule::MAX_PROCESSES;

/// The last epoch of each process whose accesses happened before the event of the clock.
pub(super) type Clock = [u32; MAX_PROCESSES];

pub(super) const ZERO: Clock = [0; MAX_PROCESSES];

/// The entries that are joined at once.
const LANES: usize = 4;

/// Adds the events of another clock to one, where the execution has this many processes: all other entries are 0.
#[inline]
pub(super) fn join(clock: &mut Clock, other: &Clock, processes: usize) {
    let lanes = clock.chunks_exact_mut(LANES).zip(other.chunks_exact(LANES));
    for (mine, other) in lanes.take(processes.div_ceil(LANES)) {
        for (mine, other) in mine.iter_mut().zip(other) {
            *mine = (*mine).max(*other);
        }
    }
}

/// A process knows all that the others have done so far. They begin an epoch each, so that it does not know what they do next.
pub(super) fn knows_all(known: &mut [Knowledge], process: usize) {
    let (mut clock, processes) = (known[process].clock, known.len());
    for (other, knows) in known.iter_mut().enumerate() {
        if other != process {
            join(&mut clock, &knows.clock, processes);
            knows.clock[other] += 1;
        }
    }
    known[process].clock = clock;
}

/// All others know what a process has done so far.
pub(super) fn tells_all(known: &mut [Knowledge], process: usize) {
    let (clock, processes) = (known[process].clock, known.len());
    for knows in known.iter_mut() {
        join(&mut knows.clock, &clock, processes);
    }
    known[process].clock[process] += 1;
}

/// A memory order, by the number that the pass gives (C11's).
#[derive(Clone, Copy)]
pub(super) struct Order(pub(super) i32);

impl Order {
    /// Consume counts as acquire, as compilers take it.
    pub(super) fn acquires(self) -> bool {
        matches!(self.0 & 7, 1 | 2 | 4 | 5)
    }
    pub(super) fn releases(self) -> bool {
        matches!(self.0 & 7, 3..=5)
    }
}

/// The most words that are remembered because a process slept on them.
const SLEPT: usize = 4;

/// The knowledge of one process.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Knowledge {
    /// The events that happened before its next access; its own entry is its epoch.
    pub(super) clock: Clock,
    /// The clock of its last release fence, for the relaxed stores after it.
    released: Clock,
    /// The clocks that its relaxed loads have read, for the next acquire fence.
    acquired: Clock,
    /// Words that it slept on, whose locks it may take and give back in code that is not seen; 0 if
    /// there is none.
    slept: [usize; SLEPT],
    /// The epoch in which its incarnation began: earlier accesses are of a dead one.
    pub(super) born: u32,
}

impl Knowledge {
    pub(super) fn of_first(process: usize) -> Self {
        let mut clock = ZERO;
        clock[process] = 1;
        Self {
            clock,
            released: ZERO,
            acquired: ZERO,
            slept: [0; SLEPT],
            born: 1,
        }
    }

    /// Notes that the process was killed: the next incarnation knows as much, and has an epoch of
    /// its own.
    pub(super) fn end_incarnation(&mut self, process: usize) {
        self.clock[process] += 1;
        self.born = self.clock[process];
        (self.released, self.acquired, self.slept) = (ZERO, ZERO, [0; SLEPT]);
    }

    /// Returns whether it slept on any word.
    #[inline]
    pub(super) fn has_slept(&self) -> bool {
        self.slept[0] != 0
    }
    /// Returns the words that it slept on.
    pub(super) fn slept_on(&self) -> impl Iterator<Item = usize> + use<> {
        self.slept.into_iter().filter(|&word| word != 0)
    }
    /// Notes that it sleeps on a word.
    pub(super) fn sleeps_on(&mut self, word: usize) {
        if !self.slept.contains(&word) {
            self.slept.rotate_right(1);
            self.slept[0] = word;
        }
    }

    /// Notes a read of an atomic whose last release left `given`.
    #[inline]
    pub(super) fn read(&mut self, given: &Clock, order: Order, processes: usize) {
        let clock = match order.acquires() {
            true => &mut self.clock,
            false => &mut self.acquired,
        };
        join(clock, given, processes);
    }

    /// Returns the clock for the readers of a write of an atomic; `None` if it orders nothing.
    #[inline]
    pub(super) fn given(&self, process: usize, order: Order) -> Option<&Clock> {
        match order.releases() {
            true => Some(&self.clock),
            // A fence has left its own epoch there, which is not 0.
            false => (self.released[process] != 0).then_some(&self.released),
        }
    }
    /// Notes a write of an atomic whose clock is given.
    #[inline]
    pub(super) fn wrote(&mut self, process: usize, order: Order) {
        self.clock[process] += u32::from(order.releases());
    }

    pub(super) fn fence(&mut self, process: usize, order: Order) {
        if order.acquires() {
            let acquired = self.acquired;
            join(&mut self.clock, &acquired, MAX_PROCESSES);
        }
        if order.releases() {
            self.released = self.clock;
            self.clock[process] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAXED: Order = Order(0);
    const ACQUIRE: Order = Order(2);
    const RELEASE: Order = Order(3);

    /// Returns whether accesses of process 0 before a store are known to process 1 after its load.
    fn is_known(store: Order, fence: Option<Order>, load: Order, fenced: Option<Order>) -> bool {
        let (mut writer, mut reader) = (Knowledge::of_first(0), Knowledge::of_first(1));
        if let Some(order) = fence {
            writer.fence(0, order);
        }
        let given = *writer.given(0, store).unwrap_or(&ZERO);
        writer.wrote(0, store);
        reader.read(&given, load, 2);
        if let Some(order) = fenced {
            reader.fence(1, order);
        }
        reader.clock[0] >= 1
    }

    #[test]
    fn a_store_is_known_by_its_release_and_the_acquire_of_a_load_or_by_fences_beside_them() {
        assert!(is_known(RELEASE, None, ACQUIRE, None));
        assert!(is_known(RELAXED, Some(RELEASE), ACQUIRE, None));
        assert!(is_known(RELEASE, None, RELAXED, Some(ACQUIRE)));
        assert!(is_known(RELAXED, Some(RELEASE), RELAXED, Some(ACQUIRE)));
        assert!(!is_known(RELAXED, None, ACQUIRE, None));
        assert!(!is_known(RELEASE, None, RELAXED, None));
        assert!(!is_known(RELAXED, Some(ACQUIRE), RELAXED, Some(RELEASE)));
    }

    #[test]
    fn a_process_that_knows_all_or_is_known_by_all_is_so_for_what_was_done_and_not_for_what_will_be()
     {
        let mut known: Vec<_> = (0..3).map(Knowledge::of_first).collect();
        let done = known[0].clock[0];
        knows_all(&mut known, 1);
        assert!(known[1].clock[0] >= done);
        assert!(known[1].clock[0] < known[0].clock[0], "another epoch");
        assert_eq!((known[0].clock[1], known[2].clock[0]), (0, 0), "the others");
        let done = known[1].clock[1];
        tells_all(&mut known, 1);
        assert!(known[0].clock[1] >= done && known[2].clock[1] >= done);
        assert!(known[2].clock[1] < known[1].clock[1], "another epoch");
    }

    #[test]
    fn a_join_has_the_later_epoch_of_each_process() {
        let (even, odd) = (0..MAX_PROCESSES as u32).fold((ZERO, ZERO), |(mut a, mut b), n| {
            (a[n as usize], b[n as usize]) = if n % 2 == 0 { (n + 1, 1) } else { (1, n + 1) };
            (a, b)
        });
        for processes in 1..=MAX_PROCESSES {
            let mut clock = even;
            join(&mut clock, &odd, processes);
            assert!((1..).zip(&clock[..processes]).all(|(n, epoch)| n == *epoch));
        }
    }

    #[test]
    fn the_last_words_that_a_process_slept_on_are_known_until_it_is_killed() {
        let mut process = Knowledge::of_first(0);
        for word in [8, 16, 16, 24, 32, 40] {
            process.sleeps_on(word);
        }
        assert_eq!(process.slept_on().collect::<Vec<_>>(), [40, 32, 24, 16]);
        assert!(process.has_slept());
        process.end_incarnation(0);
        assert_eq!(process.slept_on().count(), 0);
        assert!(!process.has_slept());
    }
}
