//! The moves of the search, and the order that leads to a node.

use super::Search;
use super::lanes::{Item, Move};
use crate::check::Order;
use crate::spec::Spec;

impl<'a, S: Spec> Search<'a, S> {
    /// Encodes a move.
    pub(super) fn step(&self, of: Move) -> u32 {
        match of {
            Move::Lane(lane, position) => self.begins[lane] + position,
            Move::Pending(pending) => self.begins[self.lanes.len()] + pending as u32,
        }
    }

    /// Decodes a move.
    pub(super) fn moved(&self, step: u32) -> Move {
        let lane = self.begins.partition_point(|&begin| begin <= step) - 1;
        let position = step - self.begins[lane];
        if lane < self.lanes.len() {
            Move::Lane(lane, position)
        } else {
            Move::Pending(position as usize)
        }
    }

    /// Takes a move. Positions pass over what comes no more: calls in which a process died, and deaths, that had to come before.
    pub(super) fn advance(&self, of: Move, at: &mut [u32]) {
        let invoked = match of {
            Move::Lane(lane, position) => {
                at[lane] = position + 1;
                self.lanes[lane][position as usize].invoked
            }
            Move::Pending(pending) => {
                let pending = &self.pending[pending];
                if let Some((lane, position)) = pending.after {
                    at[lane] = at[lane].max(position + 1);
                }
                pending.item.invoked
            }
        };
        if self.order == Order::RealTime && self.has_deaths {
            for (lane, at) in self.lanes.iter().zip(at) {
                let rest = lane[*at as usize..].iter();
                let is_over = |item: &&Item<S>| item.died() && item.returned < invoked;
                *at += rest.take_while(is_over).count() as u32;
            }
        }
    }

    /// Returns the item of a move.
    fn item_of(&self, of: Move) -> &Item<'a, S> {
        match of {
            Move::Lane(lane, position) => &self.lanes[lane][position as usize],
            Move::Pending(pending) => &self.pending[pending].item,
        }
    }

    /// Returns the order that leads to a node: each call as (process, its number).
    pub(super) fn order(&self, node: u32) -> Vec<(usize, usize)> {
        let way = self.seen.way(node).into_iter();
        let items = way.map(|step| self.item_of(self.moved(step)));
        let mut calls = Vec::new();
        for item in items {
            let call = (item.process, item.number);
            // A death may come without the effect of its call.
            if !item.is_death || !calls.contains(&call) {
                calls.push(call);
            }
        }
        calls
    }

    /// Returns the calls in which a process died that may come behind a node and leave its state as it is, in an order in which
    /// they may. The search does not try them, because no other call notices them.
    pub(super) fn unnoticed(&self, node: u32) -> Vec<(usize, usize)> {
        let (state, bound) = (self.seen.state_of(node), self.frame(node, 0, (0, 0)).bound);
        let before = self.seen.state(state);
        let comes = |item: &&Item<S>| {
            let (process, op) = (item.process, &item.call.op);
            let may = item.died() && !item.is_death && item.invoked <= bound;
            let leaves = || {
                let mut after = before.clone();
                after.step(process, op);
                after == *before
            };
            may && !before.blocks(process, op) && leaves()
        };
        let lanes = self.lanes.iter().zip(&self.at).enumerate();
        let next = lanes.flat_map(|(number, (lane, &at))| {
            let next = self.next_in(number, at);
            &lane[next.start as usize..next.end as usize]
        });
        let mut unnoticed: Vec<_> = next.filter(comes).collect();
        if self.order == Order::RealTime {
            // A lane is in this order already.
            unnoticed.sort_by_key(|item| item.invoked);
        }
        let calls = unnoticed.into_iter();
        calls.map(|item| (item.process, item.number)).collect()
    }

    /// Returns the state before a call in the order that leads to a node.
    pub(in super::super) fn state_before(&mut self, node: u32, call: (usize, usize)) -> Option<S> {
        let mut state = 0;
        for step in self.seen.way(node) {
            let of = self.moved(step);
            let item = self.item_of(of);
            if (item.process, item.number) == call && !item.is_death {
                return Some(self.seen.state(state).clone());
            }
            state = match of {
                Move::Lane(lane, position) => self.after(lane, position, state),
                Move::Pending(pending) => self.pending_effect(pending, state),
            }?;
        }
        None
    }
}
