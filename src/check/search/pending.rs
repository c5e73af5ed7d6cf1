//! Chains of pending calls: the next call observes the effect of the one before it, and a call that
//! returned observes the last.

use super::chains::{Chains, Link};
use super::lanes::{Move, Pending};
use super::{Ending, Frame, Search, bits};
use crate::spec::Spec;
use std::collections::{HashMap, VecDeque};

impl<S: Spec> Search<'_, S> {
    /// Returns the next chain of a frame.
    pub(super) fn next_chain(&mut self, frame: &mut Frame, state: u32) -> Option<u32> {
        if self.ending == Ending::AllBlocked || self.pending.is_empty() {
            return None;
        }
        let mut chains = frame.chains.take().unwrap_or_else(|| {
            Box::new(Chains {
                queue: VecDeque::from([Link {
                    moves: Vec::new(),
                    at: self.at.clone(),
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
                for position in self.next_in(lane, link.at[lane]) {
                    if self.lanes[lane][position as usize].invoked > bound {
                        continue;
                    }
                    let Some(after) = self.after(lane, position, link.state) else {
                        continue;
                    };
                    // The call could also come without the last member, or before it.
                    if let Some(without) = self.after(lane, position, before)
                        && (without == after || self.pending_effect(last, without) == Some(after))
                    {
                        continue;
                    }
                    let mut moves = link.moves.clone();
                    moves.push(self.step(Move::Lane(lane, position)));
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
            if alone || self.has_a_twin(pending, bound, link) {
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
            moves.push(self.step(Move::Pending(pending)));
            let mut at = link.at.clone();
            self.advance(Move::Pending(pending), &mut at);
            chains.queue.push_back(Link {
                moves,
                at,
                pending: with,
                state: after,
                last: Some((pending, link.state)),
            });
        }
    }

    /// Returns the state after a pending call. Calls of one operation are asked together, because only one of them is tried as
    /// long as their effects are the same.
    pub(super) fn pending_effect(&mut self, pending: usize, state: u32) -> Option<u32> {
        let class = self.classes[pending];
        if self.differs[class] {
            return self.effect_of(pending, state);
        }
        if let Some(&after) = self.effects.get(&(class, state)) {
            return after;
        }
        let after = self.effect_of(pending, state);
        let others = (class..self.pending.len()).filter(|&other| other != pending);
        let others: Vec<_> = others
            .filter(|&other| self.classes[other] == class)
            .collect();
        if others
            .into_iter()
            .any(|other| self.effect_of(other, state) != after)
        {
            self.differs[class] = true;
            self.is_stale = true;
        } else {
            self.effects.insert((class, state), after);
        }
        after
    }

    fn effect_of(&mut self, pending: usize, state: u32) -> Option<u32> {
        let item = &self.pending[pending].item;
        let (process, call) = (item.process, item.call);
        self.effect(process, call, state)
    }

    pub(super) fn may_begin(&self, pending: usize, bound: u64) -> bool {
        let Pending { item, after } = &self.pending[pending];
        let is_done = |(lane, position): (usize, u32)| {
            let (at, end) = (self.at[lane], position + 1);
            at >= end
                || (self.lanes[lane][at as usize..end as usize].iter()).all(|item| item.died())
        };
        item.invoked <= bound && after.is_none_or(is_done)
    }

    /// Returns whether another process has the same operation pending, and is tried first. Not if calls in which its process died
    /// may still come: behind its pending call they may not, and behind the other one they may.
    fn has_a_twin(&self, pending: usize, bound: u64, link: &Link) -> bool {
        let class = self.classes[pending];
        let passes_nothing = |twin: usize| {
            let after = self.pending[twin].after;
            after.is_none_or(|(lane, position)| link.at[lane] > position)
        };
        !self.differs[class]
            && (class..pending).any(|twin| {
                self.classes[twin] == class
                    && !bits::has(&link.pending, twin)
                    && self.may_begin(twin, bound)
                    && passes_nothing(twin)
            })
    }
}
