//! The past of each granule of memory in this execution: the accesses to each of its bytes, by
//! process and epoch, the clock of the last release of each byte, and whether it was freed.
#![allow(unsafe_code, reason = "one `unsafe impl Table`")]

use super::clocks::{Clock, Knowledge, Order, ZERO, join};
use super::zeroed::Table;
use crate::schedule::MAX_PROCESSES;

/// The most granules of one execution; a power of two.
const GRANULES: usize = 1 << 14;
/// Slots of the table by address.
const SLOTS: usize = 2 * GRANULES;

/// A kind of access, as far as races go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Write,
    Read,
    AtomicWrite,
    AtomicRead,
    /// The memory is freed: what follows is no access to the same memory.
    Free,
}

impl Kind {
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

/// A granule: eight bytes.
#[repr(C)]
struct Granule {
    /// The number of the clock that the last release of each byte left; 0 if there was none.
    released: [u32; 8],
    /// 1 if it was freed; `by` then names the code.
    freed: u32,
    by: u32,
    /// For each byte at which an atomic begins that was accessed, as bits, the value that the last access left.
    atomics: u32,
    left: [u64; 8],
    /// Last, since few cases have as many processes: the others share its cache lines with the rest.
    past: [[Past; 4]; MAX_PROCESSES],
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
    pub(super) mine: Kind,
    /// The other process, and its access; `None`: the memory was freed.
    pub(super) other: Option<(usize, Kind)>,
    pub(super) code: u32,
}

/// An access in the form of the shadow.
#[derive(Clone, Copy)]
pub(super) struct Marked {
    pub(super) process: usize,
    pub(super) kind: Kind,
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
        (self.used, self.clocks, self.full) = (0, 1, 0);
    }

    /// Returns the granule of an address; `None` if there is no room for another.
    #[inline]
    pub(super) fn find(&mut self, address: usize, processes: usize) -> Option<Found> {
        let number = (address >> 3) as u64;
        let mut at = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 49) as usize % SLOTS;
        loop {
            let slot = &mut self.slots[at];
            if slot.generation != self.generation {
                if self.used as usize >= GRANULES {
                    self.full = 1;
                    return None;
                }
                *slot = Slot {
                    number,
                    generation: self.generation,
                    granule: self.used,
                };
                let granule = &mut self.granules[self.used as usize];
                let never = Past {
                    epoch: 0,
                    code: 0,
                    bytes: 0,
                };
                granule.past[..processes].fill([never; 4]);
                (granule.released, granule.freed, granule.atomics) = ([0; 8], 0, 0);
                self.used += 1;
                return Some(Found(slot.granule as usize));
            }
            if slot.number == number {
                return Some(Found(slot.granule as usize % GRANULES));
            }
            at = (at + 1) % SLOTS;
        }
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
            if process == me.process {
                continue;
            }
            for (kind, past) in Kind::ALL.into_iter().zip(past) {
                if past.epoch > clock[process]
                    && past.bytes & bytes != 0
                    && past.epoch >= known[process].born
                    && kind.races(me.kind)
                {
                    return clash(Some((process, kind)), past.code);
                }
            }
        }
        if me.kind == Kind::Free {
            (granule.freed, granule.by) = (1, me.code);
            return None;
        }
        let past = &mut granule.past[me.process][me.kind as usize];
        let now = clock[me.process];
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
        let released = self.granules[at].released[address & 7] as usize % GRANULES;
        let me = &mut known[process];
        if reads && released != 0 {
            me.read(&self.given[released], order);
        }
        if !writes {
            return;
        }
        let mut given = me.write(process, order);
        if reads && released != 0 {
            // An update continues the release sequence that it found.
            join(&mut given, &self.given[released]);
        }
        if released == 0 && given == ZERO {
            return;
        }
        let number = match released {
            0 if self.clocks as usize >= GRANULES => {
                self.full = 1;
                return;
            }
            0 => {
                self.clocks += 1;
                self.clocks as usize - 1
            }
            number => number,
        };
        self.given[number] = given;
        self.granules[at].released[address & 7] = number as u32;
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
        known: Vec<Knowledge>,
    }

    impl Two {
        fn new() -> Self {
            let shadow: &mut Shadow = zeroed().unwrap();
            shadow.begin();
            Self {
                shadow,
                known: (0..2).map(Knowledge::of_first).collect(),
            }
        }
        fn clashes(&mut self, process: usize, kind: Kind, address: usize, length: usize) -> bool {
            let code = process as u32;
            let me = Marked {
                process,
                kind,
                code,
            };
            let Some(at) = self.shadow.find(address, 2) else {
                return false;
            };
            let bytes = (address, length);
            self.shadow.mark(at, bytes, me, &self.known).is_some()
        }
        fn synchronise(&mut self, process: usize, writes: bool, order: Order) {
            let reads = !writes;
            let at = self.shadow.find(64, 2).unwrap();
            let known = (process, &mut self.known[..]);
            self.shadow
                .synchronise(at, 64, known, (reads, writes), order);
        }
    }

    #[test]
    fn a_value_that_no_access_left_was_written_by_code_that_is_not_seen() {
        let two = Two::new();
        let mut leave = |address, found, left| {
            let at = two.shadow.find(address, 2).unwrap();
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
        let at = two.shadow.find(64, 2).unwrap();
        assert!(!two.shadow.leave(at, 64, Some(5), 5), "another execution");
    }

    #[test]
    fn two_accesses_clash_if_one_writes_and_one_is_plain_and_their_bytes_meet() {
        use Kind::{AtomicRead, AtomicWrite, Read, Write};
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
            two.clashes(0, Kind::Write, 8, 8);
            two.synchronise(0, true, store);
            two.synchronise(1, false, ACQUIRE);
            assert_eq!(two.clashes(1, Kind::Read, 8, 8), clash);
        }
        let mut two = Two::new();
        two.synchronise(0, true, RELEASE);
        two.clashes(0, Kind::Write, 8, 8);
        two.synchronise(1, false, ACQUIRE);
        assert!(
            two.clashes(1, Kind::Read, 8, 8),
            "it came after the release"
        );
    }

    #[test]
    fn a_word_gives_nothing_of_what_its_neighbour_released() {
        let mut two = Two::new();
        two.clashes(0, Kind::Write, 8, 8);
        two.synchronise(0, true, RELEASE);
        // Another word of the same eight bytes.
        let (reads, writes) = (true, false);
        let at = two.shadow.find(68, 2).unwrap();
        let known = (1, &mut two.known[..]);
        two.shadow
            .synchronise(at, 68, known, (reads, writes), ACQUIRE);
        assert!(two.clashes(1, Kind::Read, 8, 8));
    }

    #[test]
    fn an_incarnation_that_was_killed_clashes_with_none() {
        let mut two = Two::new();
        two.clashes(0, Kind::Write, 8, 8);
        two.known[0].end_incarnation(0);
        assert!(!two.clashes(1, Kind::Read, 8, 8));
    }

    #[test]
    fn a_free_clashes_with_an_access_that_nothing_orders_before_it() {
        let mut two = Two::new();
        two.clashes(0, Kind::Read, 8, 1);
        assert!(two.clashes(1, Kind::Free, 8, 8));
    }

    #[test]
    fn freed_memory_clashes_with_each_access_until_the_next_execution() {
        let mut two = Two::new();
        assert!(!two.clashes(0, Kind::Free, 8, 8));
        assert!(two.clashes(0, Kind::Read, 8, 1) && two.clashes(1, Kind::AtomicRead, 8, 8));
        two.shadow.begin();
        assert!(!two.clashes(0, Kind::Read, 8, 1));
    }

    #[test]
    fn more_granules_than_there_is_room_for_are_said_and_not_followed() {
        let mut two = Two::new();
        for granule in 0..GRANULES + 2 {
            two.clashes(0, Kind::Write, 8 * granule, 8);
        }
        assert_eq!(two.shadow.full, 1);
        assert!(!two.clashes(1, Kind::Write, 8 * GRANULES, 8));
        assert!(two.clashes(1, Kind::Write, 0, 8));
    }
}
