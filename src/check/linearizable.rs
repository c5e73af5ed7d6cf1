//! Whether some order of the calls explains a history: the search of Wing and Gong with the cache of Lowe
//! ("Testing for linearizability", 2017), as porcupine does it.
//!
//! A process makes one call after the other, so a partial order of the calls is one position for each
//! process, and (positions, state of the spec) is what the cache remembers. A call that never returned took
//! effect at some time after it began, or not at all.

use super::verdict::{Finding, Kind};
use super::{Blocked, Explanation, Verdict};
use crate::case::History;
use crate::subject::Spec;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Which orders of the calls count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Criterion {
    /// Those that keep real time: a call that returned before another began comes first (linearizability).
    RealTime,
    /// Those that keep each process's own order (sequential consistency): for models, which have no clock.
    ProgramOrder,
}

/// Judges a history: [`Verdict::Ok`], a [`Finding`] with the reason why no order explains it, or
/// [`Verdict::Unknown`] when more than `states` states of the search would have to be remembered.
///
/// ```
/// use forkcheck::case::{Call, History};
/// use forkcheck::check::{Criterion, Kind, Verdict, explain};
/// use forkcheck::subject::{Register, RegisterOp::*, RegisterRet::*};
///
/// let write = Call { op: Write(7), ret: Some(Written), invoked: 0, returned: 1 };
/// let read = |value, invoked| Call { op: Read, ret: Some(Value(value)), invoked, returned: 9 };
/// let history = |read| History::<Register<u32>> { calls: vec![vec![write.clone()], vec![read]] };
///
/// assert_eq!(explain(&0, &history(read(7, 2)), Criterion::RealTime, 1_000), Verdict::Ok);
/// let Verdict::Finding(stale) = explain(&0, &history(read(0, 2)), Criterion::RealTime, 1_000) else { panic!() };
/// assert_eq!(stale.kind, Kind::NotLinearizable);
/// // A read that overlaps the write may come before it.
/// assert_eq!(explain(&0, &history(read(0, 0)), Criterion::RealTime, 1_000), Verdict::Ok);
/// ```
pub fn explain<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    criterion: Criterion,
    states: usize,
) -> Verdict<S> {
    let mut search = Search {
        history,
        criterion,
        at: vec![0; history.calls.len()],
    };
    let mut seen: HashSet<(Box<[u32]>, S)> = HashSet::new();
    let mut frames = vec![Frame {
        state: S::start(setup),
        next: 0,
        came: None,
    }];
    let mut furthest = Furthest {
        order: Vec::new(),
        at: search.at.clone(),
        state: frames[0].state.clone(),
    };
    while let Some(frame) = frames.last_mut() {
        if search.explained() {
            return Verdict::Ok;
        }
        if frame.next == search.moves() {
            let came = frames.pop().and_then(|frame| frame.came);
            if let Some(process) = came {
                search.at[process] -= 1;
            }
            continue;
        }
        let (process, took_effect) = search.decode(frame.next);
        frame.next += 1;
        let Some(state) = search.take(process, took_effect, &frame.state) else {
            continue;
        };
        search.at[process] += 1;
        if !seen.insert((search.at.iter().map(|&n| n as u32).collect(), state.clone())) {
            search.at[process] -= 1;
            continue;
        }
        if seen.len() > states {
            return Verdict::Unknown(format!(
                "the check remembered {states} states and was not done; use fewer operations or fewer processes"
            ));
        }
        frames.push(Frame {
            state,
            next: 0,
            came: Some(process),
        });
        if frames.len() > furthest.order.len() + 1 {
            furthest = Furthest {
                order: search.order(&frames),
                at: search.at.clone(),
                state: frames[frames.len() - 1].state.clone(),
            };
        }
    }
    search.at.clone_from(&furthest.at);
    Verdict::Finding(Finding {
        kind: match criterion {
            Criterion::RealTime => Kind::NotLinearizable,
            Criterion::ProgramOrder => Kind::NotSequentiallyConsistent,
        },
        detail: String::new(),
        explanation: Some(Explanation {
            longest: furthest.order,
            state: format!("{:?}", furthest.state),
            blocked: search.blocked(&furthest.state),
        }),
    })
}

/// A state of the spec that was reached, and the move to try next from it.
struct Frame<S> {
    state: S,
    next: usize,
    came: Option<usize>,
}

struct Furthest<S> {
    order: Vec<(usize, usize)>,
    at: Vec<usize>,
    state: S,
}

struct Search<'a, S: Spec> {
    history: &'a History<S>,
    criterion: Criterion,
    /// How many calls of each process the order holds so far.
    at: Vec<usize>,
}

impl<S: Spec> Search<'_, S> {
    /// Every call that returned has its place.
    fn explained(&self) -> bool {
        let rest = self
            .history
            .calls
            .iter()
            .zip(&self.at)
            .flat_map(|(calls, &at)| &calls[at..]);
        rest.into_iter().all(|call| call.ret.is_none())
    }
    /// The next call of each process takes effect; or, tried last, one that never returned does not.
    fn moves(&self) -> usize {
        2 * self.at.len()
    }
    fn decode(&self, number: usize) -> (usize, bool) {
        (number % self.at.len(), number < self.at.len())
    }
    /// The state after the next call of `process`, if that call may come next.
    fn take(&self, process: usize, took_effect: bool, state: &S) -> Option<S> {
        let call = self.history.calls[process].get(self.at[process])?;
        if !self.may_come_next(process) {
            return None;
        }
        let mut state = state.clone();
        match (&call.ret, took_effect) {
            (Some(ret), true) => state.allows(process, &call.op, ret).then_some(state),
            (Some(_), false) => None,
            (None, true) => {
                state.step(&call.op);
                Some(state)
            }
            (None, false) => Some(state),
        }
    }
    /// Nothing that is still to come had returned before it began.
    fn may_come_next(&self, process: usize) -> bool {
        let Some(call) = self.history.calls[process].get(self.at[process]) else {
            return false;
        };
        self.criterion == Criterion::ProgramOrder
            || self.history.calls.iter().zip(&self.at).all(|(calls, &at)| {
                calls
                    .get(at)
                    .is_none_or(|other| call.invoked <= other.returned)
            })
    }
    fn order(&self, frames: &[Frame<S>]) -> Vec<(usize, usize)> {
        let mut count = vec![0; self.at.len()];
        let came = frames.iter().filter_map(|frame| frame.came);
        came.map(|process| {
            count[process] += 1;
            (process, count[process] - 1)
        })
        .collect()
    }
    fn blocked(&self, state: &S) -> Vec<Blocked<S>> {
        (0..self.at.len())
            .filter(|&process| self.may_come_next(process))
            .filter(|&process| self.history.calls[process][self.at[process]].ret.is_some())
            .map(|process| {
                let call = self.at[process];
                let expected = state.clone().step(&self.history.calls[process][call].op);
                Blocked {
                    process,
                    call,
                    expected,
                }
            })
            .collect()
    }
}
