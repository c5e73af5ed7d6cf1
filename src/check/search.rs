//! The search for an order of the calls of one key that explains their results.
//!
//! Calls that follow each other in real time stand in one **lane**: there are as many lanes as
//! calls overlap at a time, whatever the number of processes. A part of an order is then one
//! position for each lane, and the set of pending calls that took effect. With the state of the
//! spec that is a node; a node is tried once.
//!
//! A call that only reads ([`Spec::only_reads`]) and may come next **comes next**, and nothing else
//! is tried there: in any order that explains the rest it can be moved to the front. Not where it passes over another call.
//!
//! **A call in which its process died** is two items of its lane, the effect and the death. Each may come next, or be passed
//! over: it comes no more once a call comes that began after its time. Calls of others may come between the two.
//!
//! **Pending calls** are tried last, in chains; see [`linearizable`](super::linearizable) for why that is enough. Of two nodes
//! that differ only in which pending calls took effect, the one with more of them is not tried.

mod chains;
mod lanes;
mod next;
mod order;
mod pending;

use chains::Chains;
pub(super) use lanes::Of;
use lanes::{Item, Move, Pending, bound, classes, lanes};

use super::seen::Seen;
use super::{Blocked, Explanation, Limits, Order, Watcher, asked, bits};
use crate::case::Call;
use crate::spec::Spec;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Condition on the state after the last call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Any,
    /// In this state every pending call may wait; none of them has taken effect.
    AllBlocked,
}

/// Result of a search.
pub(super) enum Answer<S: Spec> {
    /// The order that leads to this node explains the calls.
    Explained(u32),
    /// No order does.
    Inexplicable(Explanation<S>),
    /// A limit was reached.
    Spent,
}

/// Alternatives that remain to be tried at a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Calls that only read.
    Reads,
    /// Other calls.
    Calls,
    Deaths,
    Chains,
    Done,
}

/// An item that may come next, in the order of trying: its return, lane and position.
type Candidate = (u64, usize, u32);

/// A node, and what to try next from it.
struct Frame {
    node: u32,
    /// Calls that returned and are not in the order yet.
    left: usize,
    /// No call that is still to come may have returned before this time.
    bound: u64,
    stage: Stage,
    /// The candidate tried last in this stage: its return, lane and position.
    last: Option<Candidate>,
    chains: Option<Box<Chains>>,
    /// The number of calls in the order, and that of deaths.
    length: (usize, usize),
}

pub(super) struct Search<'a, S: Spec> {
    lanes: Vec<Vec<Item<'a, S>>>,
    pending: Vec<Pending<'a, S>>,
    /// The number of items before each lane, and before the pending calls.
    begins: Vec<u32>,
    /// Whether a process died in one of the calls.
    has_deaths: bool,
    /// The first pending call of the same operation as each.
    classes: Vec<usize>,
    /// Whether pending calls of one operation were seen to have different effects, by that first one.
    differs: Vec<bool>,
    /// The state after the pending calls of a class in a state.
    effects: HashMap<(usize, u32), Option<u32>>,
    /// Whether such a difference was seen after one of them was left out in favour of another.
    is_stale: bool,
    order: Order,
    ending: Ending,
    limits: Limits,
    /// A call that may have returned any result.
    any: Option<(usize, usize)>,
    seen: Seen<S>,
    at: Vec<u32>,
    used: Vec<u64>,
    /// The moves to the state that was found last.
    moves: Vec<u32>,
    /// A state by its number, and a copy of it to try calls on.
    copy: Option<(u32, S)>,
    steps: u64,
    watcher: Watcher<'a>,
    /// Whether the watcher ended the search.
    is_ended: bool,
}

impl<'a, S: Spec> Search<'a, S> {
    pub(super) fn new(
        calls: &[Of<'a, S>],
        start: S,
        order: Order,
        ending: Ending,
        (limits, watcher): (Limits, Watcher<'a>),
    ) -> Self {
        let (lanes, pending) = lanes(calls, order);
        let mut begins = vec![0];
        for lane in &lanes {
            begins.push(begins[begins.len() - 1] + lane.len() as u32);
        }
        Self {
            seen: Seen::new(lanes.len(), pending.len(), start),
            at: vec![0; lanes.len()],
            used: vec![0; pending.len().div_ceil(64)],
            begins,
            has_deaths: lanes.iter().flatten().any(Item::died),
            classes: classes(&pending),
            differs: vec![false; pending.len()],
            effects: HashMap::new(),
            is_stale: false,
            lanes,
            pending,
            order,
            ending,
            limits,
            any: None,
            moves: Vec::new(),
            copy: None,
            steps: 0,
            watcher,
            is_ended: false,
        }
    }

    /// Lets the call `(process, number)` return anything.
    pub(super) fn with_any_result(mut self, call: (usize, usize)) -> Self {
        for item in self.lanes.iter_mut().flatten() {
            // With another result it may not be a read.
            item.reads &= (item.process, item.number) != call;
        }
        self.any = Some(call);
        self
    }

    fn count_step(&mut self) {
        self.steps += 1;
        self.is_ended = self.is_ended || !(self.watcher)();
    }

    /// Returns whether its watcher ended it.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Returns the number of steps of the spec that it took.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the number of states that it remembers.
    pub(super) fn states(&self) -> usize {
        // Chains of pending calls lead to states that are of no node.
        self.seen.len().max(self.seen.states())
    }

    pub(super) fn run(&mut self) -> Answer<S> {
        loop {
            let answer = self.run_once();
            // An order that was found explains the calls however it was found.
            if !self.is_stale || !matches!(answer, Answer::Inexplicable(_)) {
                return answer;
            }
            self.is_stale = false;
            let start = self.seen.state(0).clone();
            self.seen = Seen::new(self.lanes.len(), self.pending.len(), start);
            (self.copy, self.effects) = (None, HashMap::new());
            self.at.fill(0);
            self.used.fill(0);
        }
    }

    fn run_once(&mut self) -> Answer<S> {
        let calls = self.lanes.iter().flatten();
        let left = calls.filter(|item| !item.died()).count();
        if left == 0 && self.ended(0) {
            return Answer::Explained(0);
        }
        // The node with the longest order, and its length: most calls, and of those the fewest deaths.
        let (mut furthest, mut longest) = (0, (0, Reverse(0)));
        let mut frames = vec![self.frame(0, left, (0, 0))];
        while let Some(mut frame) = frames.pop() {
            let state = self.seen.state_of(frame.node);
            let next = self.next(&mut frame, state);
            if self.is_spent() {
                return Answer::Spent;
            }
            let Some(next) = next else {
                // Back to the frame before.
                if let Some(frame) = frames.last() {
                    self.stand_at(frame.node);
                }
                continue;
            };
            let (returned, length) = self.make_moves(frame.length);
            let left = frame.left - returned;
            let moves = std::mem::take(&mut self.moves);
            let node = (self.seen).insert(&self.at, &self.used, next, frame.node, &moves);
            self.moves = moves;
            let Some(node) = node else {
                self.stand_at(frame.node);
                frames.push(frame);
                continue;
            };
            if left == 0 && self.ended(next) {
                return Answer::Explained(node);
            }
            let (calls, deaths) = length;
            if (calls, Reverse(deaths)) > longest {
                (furthest, longest) = (node, (calls, Reverse(deaths)));
            }
            // A frame whose candidates were all tried need not be kept.
            if frame.stage != Stage::Done {
                frames.push(frame);
            }
            frames.push(self.frame(node, left, length));
        }
        self.stand_at(furthest);
        let mut order = self.order(furthest);
        order.extend(self.unnoticed(furthest));
        let state = self.seen.state(self.seen.state_of(furthest)).clone();
        Answer::Inexplicable(Explanation {
            longest: order,
            state: format!("{state:?}"),
            blocked: self.blocked(&state),
        })
    }

    fn is_spent(&self) -> bool {
        self.is_ended || self.states() > self.limits.states || self.steps > self.limits.steps
    }

    fn stand_at(&mut self, node: u32) {
        let (at, used) = self.seen.at(node);
        self.at.copy_from_slice(at);
        self.used.copy_from_slice(used);
    }

    /// Takes the moves from the current node. Returns how many of them are calls that returned, and the length of the order,
    /// which was `length` before.
    fn make_moves(&mut self, mut length: (usize, usize)) -> (usize, (usize, usize)) {
        let mut returned = 0;
        let mut at = std::mem::take(&mut self.at);
        for &step in &self.moves {
            let of = self.moved(step);
            self.advance(of, &mut at);
            match of {
                Move::Lane(lane, position) => {
                    let item = &self.lanes[lane][position as usize];
                    returned += usize::from(!item.died());
                    length.0 += usize::from(!item.is_death);
                    length.1 += usize::from(item.is_death);
                }
                Move::Pending(pending) => {
                    bits::add(&mut self.used, pending);
                    length.0 += 1;
                }
            }
        }
        self.at = at;
        (returned, length)
    }

    fn frame(&self, node: u32, left: usize, length: (usize, usize)) -> Frame {
        let items = self.lanes.iter().zip(&self.at);
        let must =
            items.filter_map(|(lane, &at)| lane[at as usize..].iter().find(|item| !item.died()));
        let bound = bound(must, self.order);
        Frame {
            node,
            left,
            bound,
            stage: Stage::Reads,
            last: None,
            chains: None,
            length,
        }
    }

    /// Returns the number of the state after the next candidate of a frame; the moves to it are in
    /// `moves`.
    fn next(&mut self, frame: &mut Frame, state: u32) -> Option<u32> {
        loop {
            match frame.stage {
                Stage::Done => return None,
                Stage::Chains => {
                    let next = self.next_chain(frame, state);
                    if next.is_none() {
                        frame.stage = Stage::Done;
                    }
                    return next;
                }
                Stage::Reads | Stage::Calls | Stage::Deaths => {}
            }
            let Some(candidate) = self.candidate(frame) else {
                frame.last = None;
                frame.stage = match frame.stage {
                    Stage::Reads => Stage::Calls,
                    Stage::Calls => Stage::Deaths,
                    _ => Stage::Chains,
                };
                continue;
            };
            frame.last = Some(candidate);
            let (_, lane, position) = candidate;
            let after = self.after(lane, position, state);
            if after.is_some() {
                if frame.stage == Stage::Reads {
                    frame.stage = Stage::Done;
                }
                self.moves.clear();
                self.moves.push(self.step(Move::Lane(lane, position)));
                return after;
            }
        }
    }

    /// Returns the state after an item of a lane, if it may come next.
    fn after(&mut self, lane: usize, position: u32, state: u32) -> Option<u32> {
        let item = &self.lanes[lane][position as usize];
        let (process, call) = (item.process, item.call);
        if item.is_death {
            self.crash(process, call, state)
        } else if item.died() {
            self.effect(process, call, state)
        } else {
            self.returned(process, item.number, call, state)
        }
    }

    /// Returns the state after a call that returned, if its result is allowed there.
    fn returned(
        &mut self,
        process: usize,
        number: usize,
        call: &Call<S>,
        state: u32,
    ) -> Option<u32> {
        let ret = call.ret.as_ref()?;
        self.count_step();
        let before = self.seen.state(state);
        if before.blocks(process, &call.op) {
            return None;
        }
        let mut after = match self.copy.take() {
            Some((same, copy)) if same == state => copy,
            _ => before.clone(),
        };
        let fits = if self.any == Some((process, number)) {
            after.step(process, &call.op);
            true
        } else {
            after.accept(process, &call.op, ret)
        };
        if after == *before {
            self.copy = Some((state, after));
            return fits.then_some(state);
        }
        assert!(
            !fits || self.any == Some((process, number)) || !S::only_reads(&call.op, ret),
            "only_reads says that {:?} -> {ret:?} leaves the state as it is, and it made {after:?} of {before:?}",
            call.op
        );
        fits.then(|| self.seen.number(after))
    }

    /// Returns the state after a call that did not return, if it takes effect.
    fn effect(&mut self, process: usize, call: &Call<S>, state: u32) -> Option<u32> {
        self.count_step();
        let before = self.seen.state(state);
        if before.blocks(process, &call.op) {
            return None;
        }
        let mut after = before.clone();
        after.step(process, &call.op);
        let after = self.seen.number(after);
        // A call that changes nothing is noticed by no other.
        (after != state).then_some(after)
    }

    /// Returns the state after the death of a process in a call, where that is a case of its own.
    fn crash(&mut self, process: usize, call: &Call<S>, state: u32) -> Option<u32> {
        self.count_step();
        let mut after = self.seen.state(state).clone();
        after.crash(process, &call.op);
        let after = self.seen.number(after);
        (after != state).then_some(after)
    }

    /// Returns whether an order may end in this state.
    fn ended(&self, state: u32) -> bool {
        let state = self.seen.state(state);
        let rest = (self.lanes.iter().zip(&self.at)).flat_map(|(lane, &at)| &lane[at as usize..]);
        let mut sleeping = (rest.chain(self.pending.iter().map(|pending| &pending.item)))
            .filter(|item| item.returned == Call::<S>::NEVER);
        self.ending == Ending::Any || sleeping.all(|item| state.blocks(item.process, &item.call.op))
    }

    /// Returns the calls that could come next, none of which fits `state`.
    fn blocked(&self, state: &S) -> Vec<Blocked<S>> {
        let sleeps =
            |item: &Item<S>| self.ending == Ending::AllBlocked && item.returned == Call::<S>::NEVER;
        // A call that its process died in may come or not, and hides none behind it.
        let is_certain = |item: &&Item<S>| !item.died() || sleeps(item);
        let lanes = self.lanes.iter().zip(&self.at);
        let next = lanes.filter_map(|(lane, &at)| lane[at as usize..].iter().find(is_certain));
        let bound = bound(next.clone(), self.order);
        let next = next.filter(|item| item.invoked <= bound);
        let pending = (0..self.pending.len()).filter(|&pending| self.may_begin(pending, bound));
        let pending = pending.map(|pending| &self.pending[pending].item);
        let mut blocked: Vec<_> = next
            .chain(pending.filter(|item| sleeps(item)))
            .map(|item| Blocked::at(state, item.process, item.number, item.call))
            .collect();
        blocked.sort_by_key(|blocked| blocked.process);
        blocked
    }
}

impl<S: Spec> Blocked<S> {
    /// Makes one of a call that does not fit `state`, with the result that would.
    pub(super) fn at(state: &S, process: usize, number: usize, call: &Call<S>) -> Self {
        let waits = state.blocks(process, &call.op);
        let step = || state.clone().step(process, &call.op);
        Self {
            process,
            call: number,
            // `step` may panic where `accept` decides.
            expected: (!waits).then(|| asked::words_of_panic(step).ok()).flatten(),
            waits,
        }
    }
}
