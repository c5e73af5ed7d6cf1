//! Whether some order of the calls explains a history: the search of Wing and Gong with the cache of Lowe
//! ("Testing for linearizability", 2017), as porcupine does it, and a search of its own for pending calls.
//!
//! A process makes one call after the other, so a part of an order is one position for each process, and
//! (positions, state of the spec) is what the cache remembers.
//!
//! **Pending calls** never returned: each took effect at some time after it began, or not at all. Trying all subsets
//! in all orders is exponential, and needless: whatever can be explained can be explained with the fewest of them, each
//! as late as possible. So they are only ever put right before another call, in a chain of which each member
//! is noticed by the next: where the next call could as well come first, or come without, the chain is not tried.
//! Of pending calls of the same operation only the first is tried. Where each call is noticed by the next whatever their
//! order, as pushes to one queue, that prunes little: ten of those and an impossible pop end as `Unknown`. (Swapping two neighbours is possible because
//! nothing has to come after a call that never returned; leaving one out, because it need not have taken effect.)

use super::seen::Seen;
use super::verdict::{Finding, Kind};
use super::{Blocked, Explanation, Verdict};
use crate::case::{Call, History};
use crate::subject::Spec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which orders of the calls count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Criterion {
    /// Those that keep real time: a call that returned before another began comes first (linearizability).
    RealTime,
    /// Those that keep each process's own order (sequential consistency): for models, which have no clock.
    ProgramOrder,
}

/// How much one search may take. It is deterministic: no clock decides.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// States remembered: memory. Each takes its own size and four bytes for each process.
    pub states: usize,
    /// Steps of the spec: time.
    pub steps: u64,
}

impl Default for Limits {
    /// A million states, 32 million steps: some seconds.
    fn default() -> Self {
        Self {
            states: 1 << 20,
            steps: 1 << 25,
        }
    }
}

/// Judges a history: [`Verdict::Ok`], a [`Finding`] with the reason why no order explains it, or
/// [`Verdict::Unknown`] when the limits are spent.
///
/// In real time a history is judged key by key ([`Spec::key`]); sequential consistency cannot be taken apart so.
///
/// ```
/// use forkcheck::case::{Call, History};
/// use forkcheck::check::{Criterion, Kind, Limits, Verdict, explain};
/// use forkcheck::subject::{Register, RegisterOp::*, RegisterRet::*};
///
/// let write = Call { op: Write(7), ret: Some(Written), invoked: 0, returned: 1 };
/// let read = |value, invoked| Call { op: Read, ret: Some(Value(value)), invoked, returned: 9 };
/// let history = |read| History::<Register<u32>> { calls: vec![vec![write.clone()], vec![read]] };
/// let verdict = |read| explain(&0, &history(read), Criterion::RealTime, Limits::default());
///
/// assert_eq!(verdict(read(7, 2)), Verdict::Ok);
/// let Verdict::Finding(stale) = verdict(read(0, 2)) else { panic!() };
/// assert_eq!(stale.kind, Kind::NotLinearizable);
/// // A read that overlaps the write may come before it.
/// assert_eq!(verdict(read(0, 0)), Verdict::Ok);
/// ```
pub fn explain<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    criterion: Criterion,
    limits: Limits,
) -> Verdict<S> {
    judge(setup, history, criterion, limits, Ending::Any)
}

/// Judges an execution in which every process is done or sleeps, and so nobody will ever move: [`Verdict::Ok`] if
/// some order of the calls that returned ends in a state in which every other call may wait ([`Spec::may_block`]),
/// else a deadlock.
pub fn rest<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    criterion: Criterion,
    limits: Limits,
) -> Verdict<S> {
    match judge(setup, history, criterion, limits, Ending::AtRest) {
        Verdict::Finding(finding) => Verdict::Finding(Finding {
            kind: Kind::Deadlock,
            ..finding
        }),
        verdict => verdict,
    }
}

/// What the state after the last call has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Any,
    /// One in which every pending call may wait; none of them has taken effect.
    AtRest,
}

fn judge<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    criterion: Criterion,
    limits: Limits,
    ending: Ending,
) -> Verdict<S> {
    let ops = || history.calls.iter().flatten().map(|call| S::key(&call.op));
    let mut keys: BTreeSet<u64> = match criterion {
        Criterion::RealTime => ops().collect(),
        Criterion::ProgramOrder => BTreeSet::new(),
    };
    // One key, or none, is the whole history.
    let one = keys.len() <= 1;
    if one {
        keys = BTreeSet::from([0]);
    }
    for key in keys {
        let of_key = |call: &Call<S>| one || S::key(&call.op) == key;
        let calls = history.calls.iter().map(|calls| {
            let numbered = calls.iter().enumerate();
            numbered.filter(|(_, call)| of_key(call)).collect()
        });
        let search = Search {
            calls: calls.collect(),
            criterion,
            limits,
            ending,
            at: vec![0; history.calls.len()],
            steps: 0,
        };
        let verdict = search.verdict(S::start(setup));
        if verdict != Verdict::Ok {
            return verdict;
        }
    }
    Verdict::Ok
}

/// A state of the spec that was reached, and what to try next from it.
struct Frame<S> {
    state: S,
    /// The next single call to try; after all of them the chains.
    next: usize,
    chains: Option<Vec<Next<S>>>,
    /// How many calls the order held before this frame's own.
    before: usize,
}

/// The way from one state to another: pending calls, the call that notices them, and the state after it.
struct Next<S> {
    chain: Vec<usize>,
    process: usize,
    state: S,
}

struct Search<'a, S: Spec> {
    /// The calls of each process, with their numbers in the history.
    calls: Vec<Vec<(usize, &'a Call<S>)>>,
    criterion: Criterion,
    limits: Limits,
    ending: Ending,
    /// How many calls of each process the order holds so far.
    at: Vec<u32>,
    steps: u64,
}

impl<S: Spec> Search<'_, S> {
    fn verdict(mut self, start: S) -> Verdict<S> {
        let mut seen = Seen::new(self.at.len());
        // The processes whose calls took effect, in this order.
        let mut order: Vec<usize> = Vec::new();
        let mut furthest = (order.clone(), self.at.clone(), start.clone());
        let mut frames = vec![Frame {
            state: start,
            next: 0,
            chains: None,
            before: 0,
        }];
        while let Some(frame) = frames.last_mut() {
            if frame.next == 0 && self.explained(&frame.state) {
                return Verdict::Ok;
            }
            let next = self.next(frame);
            if seen.len() > self.limits.states || self.steps > self.limits.steps {
                return Verdict::Unknown(format!(
                    "the check of a history remembered {} states after {} steps of the spec and was not done; \
                     use fewer operations or fewer processes",
                    seen.len(),
                    self.steps
                ));
            }
            let Some(Next {
                chain,
                process,
                state,
            }) = next
            else {
                for process in order.drain(frame.before..) {
                    self.at[process] -= 1;
                }
                frames.pop();
                continue;
            };
            let before = order.len();
            order.extend(chain);
            order.push(process);
            for &process in &order[before..] {
                self.at[process] += 1;
            }
            if !seen.insert(&self.at, &state) {
                for process in order.drain(before..) {
                    self.at[process] -= 1;
                }
                continue;
            }
            if order.len() > furthest.0.len() {
                furthest = (order.clone(), self.at.clone(), state.clone());
            }
            frames.push(Frame {
                state,
                next: 0,
                chains: None,
                before,
            });
        }
        let (order, at, state) = furthest;
        self.at = at;
        Verdict::Finding(Finding {
            kind: match self.criterion {
                Criterion::RealTime => Kind::NotLinearizable,
                Criterion::ProgramOrder => Kind::NotSequentiallyConsistent,
            },
            detail: String::new(),
            explanation: Some(Explanation {
                longest: self.numbered(&order),
                state: format!("{state:?}"),
                blocked: self.blocked(&state),
            }),
        })
    }

    /// The next call of a process that the order does not hold yet.
    fn call(&self, process: usize) -> Option<&Call<S>> {
        let at = self.at[process] as usize;
        self.calls[process].get(at).map(|&(_, call)| call)
    }

    /// Every call that returned has its place.
    fn explained(&self, state: &S) -> bool {
        let mut left = (0..self.at.len()).flat_map(|p| {
            self.calls[p][self.at[p] as usize..]
                .iter()
                .map(move |c| (p, c))
        });
        left.all(|(process, (_, call))| {
            let waits = call.returned == Call::<S>::NEVER;
            let may = self.ending == Ending::Any || state.may_block(process, &call.op);
            call.ret.is_none() && (!waits || may)
        })
    }

    /// Nothing that is still to come may have returned before this time.
    fn bound(&self) -> u64 {
        let returns = (0..self.at.len()).filter_map(|process| self.call(process));
        match self.criterion {
            Criterion::RealTime => returns.map(|call| call.returned).min().unwrap_or(0),
            Criterion::ProgramOrder => u64::MAX,
        }
    }

    /// The state after the next call of `process`, if it may come next from `state`.
    fn take(&mut self, process: usize, bound: u64, state: &S) -> Option<S> {
        let at = self.at[process] as usize;
        let &(_, call) = self.calls[process].get(at)?;
        if call.invoked > bound || call.ret.is_none() {
            return None;
        }
        self.steps += 1;
        returned(process, call, state)
    }

    /// The state after a pending call, if it takes effect in `state`.
    fn effect(&mut self, process: usize, bound: u64, state: &S) -> Option<S> {
        let at = self.at[process] as usize;
        let &(_, call) = self.calls[process].get(at)?;
        if call.invoked > bound || call.ret.is_some() || state.may_block(process, &call.op) {
            return None;
        }
        self.steps += 1;
        let mut after = state.clone();
        after.step(process, &call.op);
        // What changes nothing is noticed by nobody.
        (after != *state).then_some(after)
    }

    /// The state after the death of a process in its next call, where that is a case of its own.
    fn crash(&mut self, process: usize, bound: u64, state: &S) -> Option<S> {
        let call = self.call(process)?;
        if !self.died_in(process, bound) {
            return None;
        }
        let mut after = state.clone();
        after.crash(process, &call.op);
        (after != *state).then_some(after)
    }

    /// The same where the call took effect before its process died: what it did stands, and what the process held is gone.
    fn effect_and_crash(&mut self, process: usize, bound: u64, state: &S) -> Option<S> {
        if !self.died_in(process, bound) {
            return None;
        }
        let effect = self.effect(process, bound, state)?;
        let after = self.crash(process, bound, &effect)?;
        // Where the crash undoes the effect, or hides it, it was tried already.
        (after != *state && self.crash(process, bound, state).as_ref() != Some(&after))
            .then_some(after)
    }

    /// `process` died in its next call: what has not taken effect before others began never will.
    fn died_in(&self, process: usize, bound: u64) -> bool {
        let last = self.at[process] as usize + 1 == self.calls[process].len();
        self.call(process).is_some_and(|call| {
            call.ret.is_none()
                && call.invoked <= bound
                && (call.returned != Call::<S>::NEVER || !last)
        })
    }

    /// The state after the next call of `process`, which returned, or which it died in.
    fn advance(&mut self, process: usize, bound: u64, state: &S) -> Option<S> {
        if self.died_in(process, bound) {
            self.effect(process, bound, state)
        } else {
            self.take(process, bound, state)
        }
    }

    /// What to try next from a frame: each call that returned, then each with a chain of pending ones before it.
    /// A call that its process died in took effect, or did not, or left what a crash does, or took effect and then that.
    fn next(&mut self, frame: &mut Frame<S>) -> Option<Next<S>> {
        let (bound, processes) = (self.bound(), self.at.len());
        while frame.next < 4 * processes {
            let process = frame.next % processes;
            let state = match frame.next / processes {
                0 => self.advance(process, bound, &frame.state),
                1 => self.died_in(process, bound).then(|| frame.state.clone()),
                2 => self.crash(process, bound, &frame.state),
                _ => self.effect_and_crash(process, bound, &frame.state),
            };
            frame.next += 1;
            if let Some(state) = state {
                return Some(Next {
                    chain: Vec::new(),
                    process,
                    state,
                });
            }
        }
        if frame.chains.is_none() {
            let mut chains = Vec::new();
            if self.ending == Ending::Any {
                self.chains(bound, &frame.state, &mut Vec::new(), None, &mut chains);
            }
            frame.chains = Some(chains);
        }
        frame.chains.as_mut().and_then(Vec::pop)
    }

    /// All chains that go on from `chain`, which ends in `state`; `last` is its last member and the state before it.
    fn chains(
        &mut self,
        bound: u64,
        state: &S,
        chain: &mut Vec<usize>,
        last: Option<(usize, &S)>,
        found: &mut Vec<Next<S>>,
    ) {
        if let Some((last, before)) = last {
            for process in 0..self.at.len() {
                if chain.contains(&process) {
                    continue;
                }
                let Some(after) = self.advance(process, bound, state) else {
                    continue;
                };
                if let Some(without) = self.advance(process, bound, before)
                    && (without == after || self.later(last, &without).as_ref() == Some(&after))
                {
                    continue;
                }
                found.push(Next {
                    chain: chain.clone(),
                    process,
                    state: after,
                });
            }
        }
        for process in 0..self.at.len() {
            if self.steps > self.limits.steps {
                return;
            }
            if chain.contains(&process) || self.died_in(process, bound) {
                continue;
            }
            let Some(after) = self.effect(process, bound, state) else {
                continue;
            };
            if self.has_a_twin(process, bound, chain, state, &after) {
                continue;
            }
            if let Some((last, before)) = last
                && let Some(without) = self.effect(process, bound, before)
                && (without == after
                    || last > process && self.later(last, &without).as_ref() == Some(&after))
            {
                continue;
            }
            chain.push(process);
            self.chains(bound, &after, chain, Some((process, state)), found);
            chain.pop();
        }
    }

    /// The state after a pending call that was moved to a later place.
    fn later(&mut self, process: usize, state: &S) -> Option<S> {
        self.effect(process, u64::MAX, state)
    }

    /// Another process has the same operation pending, with the same effect here, and is tried first.
    fn has_a_twin(
        &mut self,
        process: usize,
        bound: u64,
        chain: &[usize],
        state: &S,
        after: &S,
    ) -> bool {
        let alike = |p: usize| {
            let (Some(call), Some(other)) = (self.call(process), self.call(p)) else {
                return false;
            };
            // Who may wait here, and after it, may depend on the process.
            let waits = |p: usize| (state.may_block(p, &call.op), after.may_block(p, &call.op));
            call.op == other.op && waits(p) == waits(process)
        };
        let twins: Vec<usize> = (0..process)
            .filter(|p| !chain.contains(p) && alike(*p) && !self.died_in(*p, bound))
            .collect();
        let mut twins = twins.into_iter();
        twins.any(|p| self.effect(p, bound, state).as_ref() == Some(after))
    }

    /// An order of processes as (process, number of its call in the history).
    fn numbered(&self, order: &[usize]) -> Vec<(usize, usize)> {
        let mut count = vec![0; self.at.len()];
        let numbered = order.iter().map(|&process| {
            count[process] += 1;
            (process, self.calls[process][count[process] - 1].0)
        });
        numbered.collect()
    }

    fn blocked(&self, state: &S) -> Vec<Blocked<S>> {
        let bound = self.bound();
        let waits =
            |call: &Call<S>| self.ending == Ending::AtRest && call.returned == Call::<S>::NEVER;
        let stuck = |call: &Call<S>| call.ret.is_some() || waits(call);
        (0..self.at.len())
            .filter_map(|process| {
                let (number, call) = *self.calls[process].get(self.at[process] as usize)?;
                (call.invoked <= bound && stuck(call)).then(|| Blocked {
                    process,
                    call: number,
                    expected: (!state.may_block(process, &call.op))
                        .then(|| state.clone().step(process, &call.op)),
                })
            })
            .collect()
    }
}

/// The state after a call that returned, if it may return there what it did.
fn returned<S: Spec>(process: usize, call: &Call<S>, state: &S) -> Option<S> {
    let ret = call.ret.as_ref()?;
    if state.may_block(process, &call.op) {
        return None;
    }
    let mut after = state.clone();
    after.allows(process, &call.op, ret).then_some(after)
}
