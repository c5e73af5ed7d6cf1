//! Chains of pending calls that remain to be tried from one frame of the search.

use std::collections::{HashMap, VecDeque};

/// The chains of pending calls from one frame, short ones first.
pub(super) struct Chains {
    pub(super) queue: VecDeque<Link>,
    /// The sets of pending calls that led to each state.
    pub(super) known: HashMap<u32, Vec<Vec<u64>>>,
    /// Chains with the call that observes them, and the state after that call.
    pub(super) ready: Vec<(Vec<u32>, u32)>,
}

/// A chain of pending calls, the state after it, and its last member with the state before that.
pub(super) struct Link {
    pub(super) moves: Vec<u32>,
    /// The positions in the lanes after it.
    pub(super) at: Vec<u32>,
    pub(super) pending: Vec<u64>,
    pub(super) state: u32,
    pub(super) last: Option<(usize, u32)>,
}
