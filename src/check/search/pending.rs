//! Chains of pending calls: the next call observes the effect of the one before it, and a call that
//! returned observes the last.

use super::chains::{Chains, Link};
use super::lanes::{Pending, Way};
use super::{Ending, Frame, Search, bits};
use crate::spec::Spec;
use std::collections::{HashMap, VecDeque};

impl<S: Spec> Search<'_, S> {
    /// Returns the next chain of a frame.
    pub(super) fn next_chain(&mut self, frame: &mut Frame, state: u32) -> Option<u32> {
        if self.ending == Ending::AtRest || self.pending.is_empty() {
            return None;
        }
        let mut chains = frame.chains.take().unwrap_or_else(|| {
            Box::new(Chains {
                queue: VecDeque::from([Link {
                    moves: Vec::new(),
                    pending: self.used.clone(),
                    state,
                    last: None,
                }]),
                known: HashMap::new(),
                ready: Vec::new(),
            })
        });
        let next = loop {
            if let Some((moves, state)) = chains.ready.pop() {
                self.moves = moves;
                break Some(state);
            }
            match chains.queue.pop_front() {
                Some(link) if !self.is_spent() => self.grow(&link, frame.bound, &mut chains),
                _ => break None,
            }
        };
        frame.chains = Some(chains);
        next
    }

    /// Extends a chain by a call that observes its last member, or by one more pending call.
    fn grow(&mut self, link: &Link, bound: u64, chains: &mut Chains) {
        if let Some((last, before)) = link.last {
            for lane in 0..self.lanes.len() {
                let Some(item) = self.item(lane).filter(|item| item.invoked <= bound) else {
                    continue;
                };
                let ways: &[Way] = match (item.died(), item.is_death) {
                    (false, _) => &[Way::Effect],
                    (true, false) => &[Way::Effect, Way::Crash, Way::EffectThenCrash],
                    (true, true) => &[Way::Crash],
                };
                for &way in ways {
                    let Some(after) = self.after(lane, way, link.state) else {
                        continue;
                    };
                    // The call could also come without the last member, or before it.
                    if let Some(without) = self.after(lane, way, before)
                        && (without == after || self.pending_effect(last, without) == Some(after))
                    {
                        continue;
                    }
                    let mut moves = link.moves.clone();
                    moves.push((lane as u32) << 2 | way as u32);
                    chains.ready.push((moves, after));
                }
            }
        }
        for pending in 0..self.pending.len() {
            if self.is_spent() {
                return;
            }
            if bits::has(&link.pending, pending) || !self.may_begin(pending, bound) {
                continue;
            }
            let Some(after) = self.pending_effect(pending, link.state) else {
                continue;
            };
            let alone = link.last.is_some_and(|(_, before)| {
                // The last member changes nothing for this one.
                self.pending_effect(pending, before) == Some(after)
            });
            if alone || self.has_a_twin(pending, bound, link, after) {
                continue;
            }
            let mut with = link.pending.clone();
            bits::add(&mut with, pending);
            let known = chains.known.entry(after).or_default();
            if known.iter().any(|few| bits::within(few, &with)) {
                continue;
            }
            known.push(with.clone());
            let mut moves = link.moves.clone();
            moves.push(((self.lanes.len() + pending) as u32) << 2);
            chains.queue.push_back(Link {
                moves,
                pending: with,
                state: after,
                last: Some((pending, link.state)),
            });
        }
    }

    pub(super) fn pending_effect(&mut self, pending: usize, state: u32) -> Option<u32> {
        let item = &self.pending[pending].item;
        let (process, call) = (item.process, item.call);
        self.effect(process, call, state)
    }

    pub(super) fn may_begin(&self, pending: usize, bound: u64) -> bool {
        let Pending { item, after } = &self.pending[pending];
        item.invoked <= bound && after.is_none_or(|(lane, position)| self.at[lane] > position)
    }

    /// Returns whether another process has the same operation pending, with the same effect here,
    /// and is tried first.
    fn has_a_twin(&mut self, pending: usize, bound: u64, link: &Link, after: u32) -> bool {
        for twin in 0..pending {
            if bits::has(&link.pending, twin) || !self.may_begin(twin, bound) {
                continue;
            }
            let (item, other) = (&self.pending[pending].item, &self.pending[twin].item);
            let states = [self.seen.state(link.state), self.seen.state(after)];
            // Which processes wait in these two states may depend on the process.
            let waits = |process| states.map(|state| state.blocks(process, &item.call.op));
            if item.call.op == other.call.op
                && waits(item.process) == waits(other.process)
                && self.pending_effect(twin, link.state) == Some(after)
            {
                return true;
            }
        }
        false
    }
}
