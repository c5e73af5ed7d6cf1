//! The nodes of a search: the calls that came before each, the state after them, and the moves that
//! led there.

use super::bits;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// No node, no state.
const NONE: u32 = u32::MAX;

/// The nodes, without an allocation for each. Each distinct state is held once.
pub(super) struct Seen<S> {
    lanes: usize,
    /// Words of a set of pending calls.
    words: usize,
    states: Newest<S>,
    /// The newest node of each hash of positions and state.
    heads: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    nodes: Vec<Node>,
    /// The positions of node `n` begin at `n * lanes`, its pending calls at `n * words`.
    positions: Vec<u32>,
    pending: Vec<u64>,
    /// The moves of all nodes; those of a node end at its `moves`, and begin where those of the node before it end.
    moves: Vec<u32>,
}

struct Node {
    /// The next older node of the same hash.
    older: u32,
    state: u32,
    /// The node from which the moves led here.
    parent: u32,
    moves: usize,
}

/// States by their numbers.
struct Newest<S> {
    heads: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    /// The next older state of the same hash, and the state.
    entries: Vec<(u32, S)>,
}

impl<S: Hash + Eq> Seen<S> {
    /// Returns the nodes of a search that begins with no call, in this state, which gets number 0.
    pub(super) fn new(lanes: usize, pending: usize, start: S) -> Self {
        let words = pending.div_ceil(64);
        let mut seen = Self {
            lanes,
            words,
            states: Newest {
                heads: HashMap::default(),
                entries: Vec::new(),
            },
            heads: HashMap::default(),
            nodes: Vec::new(),
            positions: Vec::new(),
            pending: Vec::new(),
            moves: Vec::new(),
        };
        let state = seen.number(start);
        seen.insert(&vec![0; lanes], &vec![0; words], state, 0, &[]);
        seen
    }

    /// Returns the number of nodes.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the number of distinct states.
    pub(super) fn states(&self) -> usize {
        self.states.entries.len()
    }

    /// Returns the number of a state.
    pub(super) fn number(&mut self, state: S) -> u32 {
        let mut hasher = Mix::default();
        state.hash(&mut hasher);
        let Newest { heads, entries } = &mut self.states;
        let head = heads.entry(hasher.finish()).or_insert(NONE);
        let mut entry = *head;
        while entry != NONE {
            let (older, same) = &entries[entry as usize];
            if *same == state {
                return entry;
            }
            entry = *older;
        }
        entries.push((*head, state));
        *head = entries.len() as u32 - 1;
        *head
    }

    pub(super) fn state(&self, number: u32) -> &S {
        &self.states.entries[number as usize].1
    }

    /// Returns the state of a node.
    pub(super) fn state_of(&self, node: u32) -> u32 {
        self.nodes[node as usize].state
    }

    /// Returns the positions of a node, and the pending calls that took effect before it.
    pub(super) fn at(&self, node: u32) -> (&[u32], &[u64]) {
        let node = node as usize;
        (
            &self.positions[node * self.lanes..][..self.lanes],
            &self.pending[node * self.words..][..self.words],
        )
    }

    /// Adds a node to which `moves` led from `parent`. Returns `None` if another node has the same
    /// positions and state, and no more pending calls have taken effect there: whatever explains
    /// the rest from here explains it from that node.
    pub(super) fn insert(
        &mut self,
        at: &[u32],
        pending: &[u64],
        state: u32,
        parent: u32,
        moves: &[u32],
    ) -> Option<u32> {
        let mut hasher = Mix::default();
        at.iter().for_each(|&n| hasher.write_u32(n));
        hasher.write_u32(state);
        let hash = hasher.finish();
        let newest = self.heads.get(&hash).copied().unwrap_or(NONE);
        let mut node = newest;
        while node != NONE {
            let (positions, fewer) = self.at(node);
            let known = &self.nodes[node as usize];
            if known.state == state && positions == at && bits::within(fewer, pending) {
                return None;
            }
            node = known.older;
        }
        let node = self.nodes.len() as u32;
        self.heads.insert(hash, node);
        self.moves.extend_from_slice(moves);
        self.nodes.push(Node {
            older: newest,
            state,
            parent,
            moves: self.moves.len(),
        });
        self.positions.extend_from_slice(at);
        self.pending.extend_from_slice(pending);
        Some(node)
    }

    /// Returns all moves from the start to a node.
    pub(super) fn way(&self, mut node: u32) -> Vec<u32> {
        let mut way = Vec::new();
        while node != 0 {
            let begin = self.nodes[node as usize - 1].moves;
            let end = self.nodes[node as usize].moves;
            way.extend(self.moves[begin..end].iter().rev());
            node = self.nodes[node as usize].parent;
        }
        way.reverse();
        way
    }
}

/// A hash of few instructions, as in rustc's FxHash. The states come from the spec, not from an
/// attacker, and every match is compared.
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
        // The hash table takes bits from both ends.
        self.0 ^ self.0 >> 32
    }
}

/// A hasher whose key is already a hash.
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

    /// A state of which all values have one hash.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Alike(u8);
    impl Hash for Alike {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    #[test]
    fn equal_hashes_are_not_equal_states() {
        let mut seen = Seen::new(2, 0, Alike(0));
        let mut insert = |at: &[u32], state: u8| {
            let state = seen.number(Alike(state));
            seen.insert(at, &[], state, 0, &[1]).is_some()
        };
        assert!(insert(&[1, 2], 1));
        assert!(insert(&[1, 2], 2));
        assert!(!insert(&[1, 2], 1));
        assert!(insert(&[2, 1], 1));
        assert_eq!(seen.len(), 4);
        assert_eq!(seen.state(seen.state_of(2)), &Alike(2));
    }

    #[test]
    fn a_node_with_more_pending_calls_than_one_that_is_known_is_known() {
        let mut seen = Seen::new(1, 3, Alike(0));
        let mut insert = |pending: u64| seen.insert(&[1], &[pending], 0, 0, &[0]).is_some();
        assert!(insert(0b011));
        assert!(!insert(0b111));
        assert!(insert(0b101));
        assert!(insert(0b001));
        assert!(!insert(0b101));
    }

    #[test]
    fn the_way_to_a_node_is_all_moves_that_led_there() {
        let mut seen = Seen::new(1, 0, 0u8);
        let first = seen.insert(&[1], &[], 0, 0, &[3, 4]).unwrap();
        let aside = seen.insert(&[2], &[], 0, 0, &[5]).unwrap();
        let second = seen.insert(&[3], &[], 0, first, &[6]).unwrap();
        assert_eq!(seen.way(second), [3, 4, 6]);
        assert_eq!(seen.way(aside), [5]);
        assert_eq!(seen.way(0), [0u32; 0]);
    }
}
