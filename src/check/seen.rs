//! What the search remembers: which states it has been in, after which calls.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A set of (positions, state), without an allocation of its own for each.
pub(super) struct Seen<S> {
    processes: usize,
    /// The newest entry of each hash.
    heads: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    /// The next older entry of the same hash, and the state.
    entries: Vec<(Option<u32>, S)>,
    /// The positions of entry `n` begin at `n * processes`.
    positions: Vec<u32>,
}

impl<S: Hash + Eq + Clone> Seen<S> {
    pub(super) fn new(processes: usize) -> Self {
        Self {
            processes,
            heads: HashMap::default(),
            entries: Vec::new(),
            positions: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Remembers it; whether it is new.
    pub(super) fn insert(&mut self, at: &[u32], state: &S) -> bool {
        let mut hasher = Mix::default();
        at.iter().for_each(|&n| hasher.write_u32(n));
        state.hash(&mut hasher);
        let hash = hasher.finish();
        let newest = self.heads.get(&hash).copied();
        let mut entry = newest;
        while let Some(n) = entry {
            let n = n as usize;
            let (older, same) = &self.entries[n];
            let positions = &self.positions[n * self.processes..(n + 1) * self.processes];
            if positions == at && same == state {
                return false;
            }
            entry = *older;
        }
        self.heads.insert(hash, self.entries.len() as u32);
        self.entries.push((newest, state.clone()));
        self.positions.extend_from_slice(at);
        true
    }
}

/// A hash of few instructions, as in rustc's FxHash: states are ours, so nobody attacks it, and every match is compared.
#[derive(Default)]
struct Mix(u64);

impl Mix {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, n: u8) {
        self.mix(n.into());
    }
    fn write_u32(&mut self, n: u32) {
        self.mix(n.into());
    }
    fn write_u64(&mut self, n: u64) {
        self.mix(n);
    }
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }
    fn finish(&self) -> u64 {
        // The table takes its bits from both ends.
        self.0 ^ self.0 >> 32
    }
}

/// The key is a hash already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values have one hash.
    #[derive(Clone, PartialEq, Eq)]
    struct Alike(u8);
    impl Hash for Alike {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    #[test]
    fn equal_hashes_are_not_equal_states() {
        let mut seen = Seen::new(2);
        assert!(seen.insert(&[1, 2], &Alike(1)));
        assert!(seen.insert(&[1, 2], &Alike(2)));
        assert!(!seen.insert(&[1, 2], &Alike(1)));
        assert!(seen.insert(&[2, 1], &Alike(1)));
        assert_eq!(seen.len(), 3);
    }
}
