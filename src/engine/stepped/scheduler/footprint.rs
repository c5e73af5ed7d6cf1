//! The footprint of a case: which processes have read and written which words, in all executions so far.

use crate::schedule::MAX_PROCESSES;

/// The most words that are distinguished; a power of two.
const WORDS: usize = 1 << 10;

#[repr(C)]
#[derive(Clone, Copy)]
struct Word {
    address: u64,
    readers: u32,
    writers: u32,
}

/// An open hash table by address.
#[repr(C)]
pub(in super::super) struct Footprint {
    words: [Word; WORDS],
    count: u32,
    /// Whether something was added since `is_stable` was asked.
    grew: u32,
}

impl Footprint {
    pub(in super::super) fn clear(&mut self) {
        self.words.fill(Word {
            address: 0,
            readers: 0,
            writers: 0,
        });
        (self.count, self.grew) = (0, 0);
    }

    fn place(&self, address: u64) -> usize {
        let mut at = (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize % WORDS;
        while self.words[at].address != 0 && self.words[at].address != address {
            at = (at + 1) % WORDS;
        }
        at
    }

    fn full(&self) -> bool {
        self.count as usize >= WORDS / 2
    }

    pub(in super::super) fn add(&mut self, address: u64, process: usize, writes: bool) {
        if address == 0 || self.full() {
            return;
        }
        let at = self.place(address);
        let word = &mut self.words[at];
        if word.address == 0 {
            word.address = address;
            self.count += 1;
        }
        let set = if writes {
            &mut word.writers
        } else {
            &mut word.readers
        };
        let bit = 1 << (process % MAX_PROCESSES);
        // Written only where it changes: it is in the cache of every processor.
        if *set & bit == 0 {
            *set |= bit;
            self.grew = 1;
        }
    }

    /// Returns whether another process has, in any execution, made an access whose order with this one matters.
    pub(in super::super) fn shared(&self, address: u64, process: usize, writes: bool) -> bool {
        if address == 0 || self.full() {
            return true;
        }
        let word = &self.words[self.place(address)];
        let others = !(1u32 << (process % MAX_PROCESSES));
        let conflicting = if writes {
            word.readers | word.writers
        } else {
            word.writers
        };
        conflicting & others != 0
    }

    /// Returns whether nothing was added since the last call.
    pub(in super::super) fn is_stable(&mut self) -> bool {
        std::mem::take(&mut self.grew) == 0
    }
}
