//! The past of each granule of memory in this execution: the accesses to each of its bytes, by
//! process and epoch, the clock of the last release of each byte, and whether it was freed.
#![allow(unsafe_code, reason = "one `unsafe impl Table`")]

use super::clocks::{Clock, Knowledge, Order, ZERO, join};
use super::touched::{Sharers, Touched};
use super::zeroed::Table;
use crate::schedule::MAX_PROCESSES;

/// The most granules of one execution; a power of two.
const GRANULES: usize = 1 << 14;
/// Slots of the table by address.
const SLOTS: usize = 2 * GRANULES;

/// The mode of an access, as far as races go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Write,
    Read,
    AtomicWrite,
    AtomicRead,
    /// The memory is freed: what follows is no access to the same memory.
    Free,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Write, Self::Read, Self::AtomicWrite, Self::AtomicRead];

    /// Returns whether two accesses of these kinds are a race, if happens-before does not order
    /// them: one writes, and one is not atomic.
    fn races(self, other: Self) -> bool {
        let writes = |kind| matches!(kind, Self::Write | Self::AtomicWrite | Self::Free);
        let plain = |kind| matches!(kind, Self::Write | Self::Read | Self::Free);
        (writes(self) || writes(other)) && (plain(self) || plain(other))
    }
}

/// An access of a process.
#[repr(C)]
#[derive(Clone, Copy)]
struct Past {
    /// The process's epoch; 0 if there was no access.
    epoch: u32,
    code: u32,
    bytes: u8,
}

impl Past {
    const NEVER: Self = Self {
        epoch: 0,
        code: 0,
        bytes: 0,
    };
}

/// The accesses of a process to a granule in this execution.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pasts {
    /// The epoch of the last one. If it is 0 there was none, and `each` is of an earlier execution.
    newest: u32,
    /// The last one of each kind.
    each: [Past; 4],
}

/// A granule: eight bytes. It begins with what only atomics use.
#[repr(C, align(64))]
struct Granule {
    /// The value that the last access left of each atomic, by its first byte.
    left: [u64; 8],
    /// The number of the clock that its last release left.
    released: [u32; 8],
    /// As bits, the bytes for which there is a value in `left`, and those for which there is a number in `released`.
    atomics: u32,
    releases: u32,
    /// 1 if it was freed; `by` then names the code.
    freed: u32,
    by: u32,
    sharers: Sharers,
    past: [Pasts; MAX_PROCESSES],
}

/// A granule that was found in the shadow.
#[derive(Clone, Copy)]
pub(super) struct Found(usize);

#[repr(C)]
#[derive(Clone, Copy)]
struct Slot {
    number: u64,
    generation: u32,
    granule: u32,
}

/// An access that happens-before does not order with another one, or an access of freed memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) mine: Mode,
    /// The other process, and its access; `None`: the memory was freed.
    pub(super) other: Option<(usize, Mode)>,
    pub(super) code: u32,
}

/// An access in the form of the shadow.
#[derive(Clone, Copy)]
pub(super) struct Marked {
    pub(super) process: usize,
    pub(super) kind: Mode,
    pub(super) code: u32,
}

#[repr(C)]
pub(super) struct Shadow {
    generation: u32,
    used: u32,
    clocks: u32,
    /// Whether more memory was accessed than there is room for: races there are not seen.
    pub(super) full: u32,
    slots: [Slot; SLOTS],
    granules: [Granule; GRANULES],
    given: [Clock; GRANULES],
}

// SAFETY: Table. Integers and arrays of structs of integers, without a niche.
unsafe impl Table for Shadow {}

impl Shadow {
    /// Begins a new execution.
    pub(super) fn begin(&mut self) {
        self.generation = self.generation.wrapping_add(1).max(1);
        (self.used, self.clocks, self.full) = (0, 0, 0);
    }

    /// Returns the granule of an address; `None` if there is no room for another. A new one takes its sharers from `touched`,
    /// which does not change while an execution looks at them.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        address: usize,
        processes: usize,
        touched: &Touched,
    ) -> Option<Found> {
        let number = (address >> 3) as u64;
        let mut at = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 49) as usize % SLOTS;
        loop {
            let slot = &mut self.slots[at];
            if slot.generation != self.generation {
                return self.add(at, address, processes, touched);
            }
            if slot.number == number {
                return Some(Found(slot.granule as usize % GRANULES));
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// Adds the granule of an address in this slot.
    #[inline(never)]
    fn add(
        &mut self,
        at: usize,
        address: usize,
        processes: usize,
        touched: &Touched,
    ) -> Option<Found> {
        let used = self.used as usize;
        if used >= GRANULES {
            self.full = 1;
            return None;
        }
        self.slots[at] = Slot {
            number: (address >> 3) as u64,
            generation: self.generation,
            granule: self.used,
        };
        let granule = &mut self.granules[used];
        for past in &mut granule.past[..processes] {
            past.newest = 0;
        }
        (granule.atomics, granule.releases, granule.freed) = (0, 0, 0);
        granule.sharers = touched.sharers(address);
        self.used += 1;
        Some(Found(used))
    }

    /// Returns whether the order of an access to a granule with those of other processes makes a difference.
    #[inline]
    pub(super) fn conflicts(&self, Found(at): Found, process: usize, writes: bool) -> bool {
        self.granules[at].sharers.conflict(process, writes)
    }

    /// Notes an access within one granule, and returns another that it clashes with.
    #[inline]
    pub(super) fn mark(
        &mut self,
        Found(at): Found,
        (address, length): (usize, usize),
        me: Marked,
        known: &[Knowledge],
    ) -> Option<Clash> {
        let granule = &mut self.granules[at];
        let bytes = (((1u32 << length) - 1) << (address & 7)) as u8;
        let clash = |other, code| {
            Some(Clash {
                mine: me.kind,
                other,
                code,
            })
        };
        if granule.freed != 0 {
            return clash(None, granule.by);
        }
        let clock = &known[me.process].clock;
        for (process, past) in granule.past[..known.len()].iter().enumerate() {
            // Nearly always all accesses of a process happened before, and its own did.
            if past.newest <= clock[process] {
                continue;
            }
            for (kind, past) in Mode::ALL.into_iter().zip(&past.each) {
                if past.epoch > clock[process]
                    && past.bytes & bytes != 0
                    && past.epoch >= known[process].born
                    && kind.races(me.kind)
                {
                    return clash(Some((process, kind)), past.code);
                }
            }
        }
        if me.kind == Mode::Free {
            (granule.freed, granule.by) = (1, me.code);
            return None;
        }
        let mine = &mut granule.past[me.process];
        let now = clock[me.process];
        if mine.newest == 0 {
            mine.each = [Past::NEVER; 4];
        }
        mine.newest = now;
        let past = &mut mine.each[me.kind as usize];
        let before = if past.epoch == now { past.bytes } else { 0 };
        *past = Past {
            epoch: now,
            code: me.code,
            bytes: before | bytes,
        };
        None
    }

    /// Notes the value that an access of an atomic leaves, and returns whether the one that it `found` is another than the
    /// last access left: code that is not seen wrote it.
    #[inline]
    pub(super) fn leave(
        &mut self,
        Found(at): Found,
        address: usize,
        found: Option<u64>,
        left: u64,
    ) -> bool {
        let granule = &mut self.granules[at];
        let atomic = address & 7;
        let is_known = granule.atomics >> atomic & 1 == 1;
        let unseen = is_known && found.is_some_and(|found| found != granule.left[atomic]);
        granule.atomics |= 1 << atomic;
        granule.left[atomic] = left;
        unseen
    }

    /// An atomic was read, or read and written, or written alone: what orders it with others.
    #[inline]
    pub(super) fn synchronise(
        &mut self,
        Found(at): Found,
        address: usize,
        (process, known): (usize, &mut [Knowledge]),
        (reads, writes): (bool, bool),
        order: Order,
    ) {
        let (granule, atomic, processes) = (&mut self.granules[at], address & 7, known.len());
        let released = granule.releases >> atomic & 1 == 1;
        let released = released.then(|| granule.released[atomic] as usize % GRANULES);
        let me = &mut known[process];
        if reads && let Some(number) = released {
            me.read(&self.given[number], order, processes);
        }
        if !writes {
            return;
        }
        match (released, me.given(process, order)) {
            (None, None) => return,
            (None, Some(_)) if self.clocks as usize >= GRANULES => self.full = 1,
            (None, Some(given)) => {
                self.given[self.clocks as usize] = *given;
                granule.releases |= 1 << atomic;
                granule.released[atomic] = self.clocks;
                self.clocks += 1;
            }
            // An update continues the release sequence that it found.
            (Some(number), Some(given)) if reads => {
                join(&mut self.given[number], given, processes);
            }
            (Some(_), None) if reads => {}
            (Some(number), given) => self.given[number] = *given.unwrap_or(&ZERO),
        }
        me.wrote(process, order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stepped::instrumented::zeroed::zeroed;

    const RELAXED: Order = Order(0);
    const ACQUIRE: Order = Order(2);
    const RELEASE: Order = Order(3);

    struct Two {
        shadow: &'static mut Shadow,
        touched: &'static Touched,
        known: Vec<Knowledge>,
    }

    impl Two {
        fn new() -> Self {
            let shadow: &mut Shadow = zeroed().unwrap();
            shadow.begin();
            Self {
                shadow,
                touched: zeroed().unwrap(),
                known: (0..2).map(Knowledge::of_first).collect(),
            }
        }
        fn find(&mut self, address: usize) -> Option<Found> {
            self.shadow.find(address, 2, self.touched)
        }
        fn clashes(&mut self, process: usize, kind: Mode, address: usize, length: usize) -> bool {
            let code = process as u32;
            let me = Marked {
                process,
                kind,
                code,
            };
            let Some(at) = self.find(address) else {
                return false;
            };
            let bytes = (address, length);
            self.shadow.mark(at, bytes, me, &self.known).is_some()
        }
        fn synchronise(&mut self, process: usize, writes: bool, order: Order) {
            let reads = !writes;
            let at = self.find(64).unwrap();
            let known = (process, &mut self.known[..]);
            self.shadow
                .synchronise(at, 64, known, (reads, writes), order);
        }
    }

    #[test]
    fn a_value_that_no_access_left_was_written_by_code_that_is_not_seen() {
        let mut two = Two::new();
        let mut leave = |address, found, left| {
            let at = two.find(address).unwrap();
            two.shadow.leave(at, address, found, left)
        };
        assert!(!leave(64, Some(7), 7), "the first access");
        assert!(!leave(64, Some(7), 8));
        assert!(!leave(64, None, 3), "a store finds nothing");
        assert!(!leave(68, Some(5), 5), "another atomic of the granule");
        assert!(!leave(64, Some(3), 3), "the first one again");
        assert!(leave(68, Some(6), 6));
        assert!(!leave(64, Some(3), 3));
        assert!(leave(64, Some(4), 4));
        two.shadow.begin();
        let at = two.find(64).unwrap();
        assert!(!two.shadow.leave(at, 64, Some(5), 5), "another execution");
    }

    #[test]
    fn an_access_conflicts_by_what_was_learned_before_the_execution() {
        let mut two = Two::new();
        let learned: &mut Touched = zeroed().unwrap();
        learned.add(64, 0, true);
        two.touched = learned;
        let at = two.find(68).unwrap();
        assert!(two.shadow.conflicts(at, 1, false), "another process writes");
        assert!(!two.shadow.conflicts(at, 0, true), "its own");
        two.touched = zeroed().unwrap();
        two.shadow.begin();
        let at = two.find(68).unwrap();
        assert!(!two.shadow.conflicts(at, 1, false), "another program");
    }

    #[test]
    fn two_accesses_clash_if_one_writes_and_one_is_plain_and_their_bytes_meet() {
        use Mode::{AtomicRead, AtomicWrite, Read, Write};
        for (first, second, clash) in [
            (Write, Write, true),
            (Write, Read, true),
            (Read, Write, true),
            (Read, AtomicWrite, true),
            (AtomicRead, Write, true),
            (AtomicWrite, AtomicWrite, false),
            (Read, AtomicRead, false),
            (Read, Read, false),
        ] {
            let mut two = Two::new();
            assert!(!two.clashes(0, first, 8, 4));
            assert!(!two.clashes(0, Write, 16, 8), "its own");
            assert!(!two.clashes(1, second, 12, 4), "other bytes");
            assert_eq!(two.clashes(1, second, 11, 1), clash, "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_release_that_is_acquired_orders_what_came_before_it_and_a_relaxed_store_does_not() {
        for (store, clash) in [(RELEASE, false), (RELAXED, true)] {
            let mut two = Two::new();
            two.clashes(0, Mode::Write, 8, 8);
            two.synchronise(0, true, store);
            two.synchronise(1, false, ACQUIRE);
            assert_eq!(two.clashes(1, Mode::Read, 8, 8), clash);
        }
        let mut two = Two::new();
        two.synchronise(0, true, RELEASE);
        two.clashes(0, Mode::Write, 8, 8);
        two.synchronise(1, false, ACQUIRE);
        assert!(
            two.clashes(1, Mode::Read, 8, 8),
            "it came after the release"
        );
    }

    #[test]
    fn a_word_gives_nothing_of_what_its_neighbour_released() {
        let mut two = Two::new();
        two.clashes(0, Mode::Write, 8, 8);
        two.synchronise(0, true, RELEASE);
        // Another word of the same eight bytes.
        let (reads, writes) = (true, false);
        let at = two.find(68).unwrap();
        let known = (1, &mut two.known[..]);
        two.shadow
            .synchronise(at, 68, known, (reads, writes), ACQUIRE);
        assert!(two.clashes(1, Mode::Read, 8, 8));
    }

    #[test]
    fn an_incarnation_that_was_killed_clashes_with_none() {
        let mut two = Two::new();
        two.clashes(0, Mode::Write, 8, 8);
        two.known[0].end_incarnation(0);
        assert!(!two.clashes(1, Mode::Read, 8, 8));
    }

    #[test]
    fn a_free_clashes_with_an_access_that_nothing_orders_before_it() {
        let mut two = Two::new();
        two.clashes(0, Mode::Read, 8, 1);
        assert!(two.clashes(1, Mode::Free, 8, 8));
    }

    #[test]
    fn freed_memory_clashes_with_each_access_until_the_next_execution() {
        let mut two = Two::new();
        assert!(!two.clashes(0, Mode::Free, 8, 8));
        assert!(two.clashes(0, Mode::Read, 8, 1) && two.clashes(1, Mode::AtomicRead, 8, 8));
        two.shadow.begin();
        assert!(!two.clashes(0, Mode::Read, 8, 1));
    }

    #[test]
    fn accesses_and_releases_of_an_earlier_execution_are_forgotten() {
        let mut two = Two::new();
        two.clashes(0, Mode::Write, 8, 8);
        two.synchronise(0, true, RELEASE);
        two.known = (0..2).map(Knowledge::of_first).collect();
        two.shadow.begin();
        // Of all its accesses, this one alone is of this execution.
        assert!(!two.clashes(0, Mode::Read, 8, 8));
        assert!(!two.clashes(1, Mode::Read, 8, 8));
        two.synchronise(1, false, ACQUIRE);
        two.clashes(0, Mode::Write, 16, 8);
        assert!(two.clashes(1, Mode::Read, 16, 8), "nothing was released");
    }

    #[test]
    fn more_granules_than_there_is_room_for_are_said_and_not_followed() {
        let mut two = Two::new();
        for granule in 0..GRANULES + 2 {
            two.clashes(0, Mode::Write, 8 * granule, 8);
        }
        assert_eq!(two.shadow.full, 1);
        assert!(!two.clashes(1, Mode::Write, 8 * GRANULES, 8));
        assert!(two.clashes(1, Mode::Write, 0, 8));
    }
}
