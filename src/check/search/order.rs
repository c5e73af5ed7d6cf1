//! The order that leads to a node.

use super::Search;
use super::lanes::{WAYS, Way};
use crate::spec::Spec;

impl<S: Spec> Search<'_, S> {
    /// Decodes a move: a lane and a way, or a pending call.
    pub(super) fn moved(&self, step: u32) -> Result<(usize, Way), usize> {
        let index = step as usize >> 2;
        if index < self.lanes.len() {
            Ok((index, WAYS[step as usize & 3]))
        } else {
            Err(index - self.lanes.len())
        }
    }

    /// Returns the order that leads to a node: each call as (process, its number).
    pub(super) fn order(&self, node: u32) -> Vec<(usize, usize)> {
        let mut at = vec![0; self.lanes.len()];
        let way = self.seen.way(node).into_iter();
        let items = way.map(|step| match self.moved(step) {
            Ok((lane, way)) => {
                let item = &self.lanes[lane][at[lane] as usize];
                at[lane] += item.taken(way);
                item
            }
            Err(pending) => &self.pending[pending].item,
        });
        let calls = items.filter(|item| !item.is_death);
        calls.map(|item| (item.process, item.number)).collect()
    }

    /// Returns the state before a call in the order that leads to a node.
    pub(in super::super) fn state_before(&mut self, node: u32, call: (usize, usize)) -> Option<S> {
        let mut state = 0;
        self.at.fill(0);
        for step in self.seen.way(node) {
            let moved = self.moved(step);
            let item = match moved {
                Ok((lane, _)) => self.item(lane)?,
                Err(pending) => &self.pending[pending].item,
            };
            if (item.process, item.number) == call && !item.is_death {
                return Some(self.seen.state(state).clone());
            }
            let after = match moved {
                Ok((lane, way)) => {
                    let taken = item.taken(way);
                    let after = self.after(lane, way, state);
                    self.at[lane] += taken;
                    after
                }
                Err(pending) => self.pending_effect(pending, state),
            };
            state = after?;
        }
        None
    }
}
