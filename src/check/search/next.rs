//! The items of the lanes that may come next.

use super::lanes::Item;
use super::{Candidate, Frame, Search, Stage};
use crate::check::Order;
use crate::spec::Spec;
use std::ops::Range;

impl<S: Spec> Search<'_, S> {
    /// Returns the positions of a lane that may come next, where the lane stands at `at`: those of calls in which a process died,
    /// and of the first other call.
    pub(super) fn next_in(&self, lane: usize, at: u32) -> Range<u32> {
        let rest = &self.lanes[lane][at as usize..];
        let passed = rest.iter().take_while(|item| item.died()).count();
        at..at + rest.len().min(passed + 1) as u32
    }

    /// Returns the item that may come next, after those that this stage has tried.
    pub(super) fn candidate(&self, frame: &Frame) -> Option<Candidate> {
        let mut first: Option<Candidate> = None;
        for lane in 0..self.lanes.len() {
            for position in self.next_in(lane, self.at[lane]) {
                let item = &self.lanes[lane][position as usize];
                let place = (item.returned, lane, position);
                let comes = item.invoked <= frame.bound
                    && frame.last.is_none_or(|last| place > last)
                    && first.is_none_or(|first| place < first);
                let comes_first = || item.reads && self.passes_nothing(lane, position);
                let fits = || match frame.stage {
                    Stage::Reads => comes_first(),
                    Stage::Calls => !item.is_death && !comes_first(),
                    _ => item.is_death,
                };
                if comes && fits() {
                    first = Some(place);
                }
            }
        }
        first
    }

    /// Returns whether all calls may still come after that item that may come before it.
    fn passes_nothing(&self, lane: usize, position: u32) -> bool {
        let invoked = self.lanes[lane][position as usize].invoked;
        let is_over = |(lane, &at): (&Vec<Item<S>>, &u32)| {
            let first = lane.get(at as usize);
            first.is_some_and(|item| item.died() && item.returned < invoked)
        };
        !self.has_deaths
            || position == self.at[lane]
                && (self.order != Order::RealTime || !self.lanes.iter().zip(&self.at).any(is_over))
    }
}
