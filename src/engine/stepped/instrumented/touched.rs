//! Memory that more than one process touches. Plain accesses to it are steps, and no other plain
//! accesses are: the order of accesses to memory of one process makes no difference.
//!
//! It is learned in some executions of a program before the search begins, in which all plain
//! accesses are steps. It does not change afterwards, so that the steps of a schedule are the same
//! each time, also where a saved case is replayed. Memory that turns out to be shared later is
//! still checked for races.
#![allow(unsafe_code, reason = "one `unsafe impl Table`")]

use super::zeroed::Table;
use crate::schedule::MAX_PROCESSES;

/// The most granules, of eight bytes; a power of two.
const GRANULES: usize = 1 << 14;

#[repr(C)]
#[derive(Clone, Copy)]
struct Granule {
    /// The number of the granule; 0 if there is none, which is no granule's number.
    number: u64,
    readers: u32,
    writers: u32,
}

/// The processes that read and that write the same memory, as bits.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Sharers {
    readers: u32,
    writers: u32,
}

impl Sharers {
    /// The sharers of memory of which nothing is known: all processes.
    const ALL: Self = Self {
        readers: u32::MAX,
        writers: u32::MAX,
    };

    /// Returns whether the order of an access with those of other processes makes a difference.
    #[inline]
    pub(super) fn conflict(self, process: usize, writes: bool) -> bool {
        let conflicting = match writes {
            true => self.readers | self.writers,
            false => self.writers,
        };
        conflicting & !(1 << (process % MAX_PROCESSES)) != 0
    }
}

#[repr(C)]
pub(super) struct Touched {
    granules: [Granule; GRANULES],
    used: u32,
}

// SAFETY: Table. Integers and arrays of structs of integers, without a niche.
unsafe impl Table for Touched {}

impl Touched {
    /// Returns the processes that touched the eight bytes of an address, in the executions in which memory was learned.
    #[inline]
    pub(super) fn sharers(&self, address: usize) -> Sharers {
        if self.is_full() {
            return Sharers::ALL;
        }
        let Granule {
            readers, writers, ..
        } = self.granules[self.place(address)];
        Sharers { readers, writers }
    }

    pub(super) fn clear(&mut self) {
        self.granules.fill(Granule {
            number: 0,
            readers: 0,
            writers: 0,
        });
        self.used = 0;
    }

    fn place(&self, address: usize) -> usize {
        let number = (address >> 3) as u64;
        let mut at = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50) as usize % GRANULES;
        while self.granules[at].number != 0 && self.granules[at].number != number {
            at = (at + 1) % GRANULES;
        }
        at
    }

    fn is_full(&self) -> bool {
        self.used as usize >= GRANULES / 2
    }

    pub(super) fn add(&mut self, address: usize, process: usize, writes: bool) {
        if self.is_full() {
            return;
        }
        let at = self.place(address);
        let granule = &mut self.granules[at];
        if granule.number == 0 {
            granule.number = (address >> 3) as u64;
            self.used += 1;
        }
        let set = match writes {
            true => &mut granule.writers,
            false => &mut granule.readers,
        };
        *set |= 1 << (process % MAX_PROCESSES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stepped::instrumented::zeroed::zeroed;

    #[test]
    fn an_access_conflicts_where_another_process_writes_or_reads_what_it_writes() {
        let touched: &mut Touched = zeroed().unwrap();
        touched.add(8, 0, true);
        touched.add(12, 1, false);
        let conflicts = |touched: &Touched, address, process, writes| {
            touched.sharers(address).conflict(process, writes)
        };
        assert!(
            conflicts(touched, 9, 1, false),
            "another writes these eight bytes"
        );
        assert!(conflicts(touched, 8, 0, true), "another reads them");
        assert!(!conflicts(touched, 8, 0, false), "its own");
        assert!(!conflicts(touched, 16, 1, true), "no other process's");
        touched.clear();
        assert!(!conflicts(touched, 9, 1, false));
    }

    #[test]
    fn where_there_is_no_room_for_more_each_access_conflicts() {
        let touched: &mut Touched = zeroed().unwrap();
        for granule in 1..=GRANULES / 2 {
            touched.add(8 * granule, 0, false);
        }
        assert!(touched.sharers(1 << 40).conflict(0, false));
    }
}
