//! A linearization that is found without backtracking: the next call is one that the spec accepts and that does not change the
//! state, or else the first to return that the spec accepts. Most histories have such an order, and it needs no memory of
//! states. Where the order cannot be continued, the [search](super::search) decides.

use super::search::Of;
use super::{Limits, Watcher};
use crate::case::Call;
use crate::spec::Spec;

/// The calls of one key that are not in the order yet, and the state after those that are.
struct Order<'a, S: Spec> {
    calls: &'a [Of<'a, S>],
    /// The number of calls of each process in the order.
    at: Vec<usize>,
    state: S,
    /// A copy of the state to try calls on.
    copy: Option<S>,
    steps: u64,
}

/// Returns whether such an order explains the calls, and the steps of the spec that it took. A call that did not return
/// has several ways to come next, which only a search tries.
pub(super) fn explains<'a, S: Spec>(
    calls: &'a [Of<'a, S>],
    start: S,
    (limits, watcher): (Limits, Watcher<'_>),
) -> (bool, u64) {
    let number = calls.iter().map(|(_, calls)| calls.len()).sum();
    if !calls.iter().all(|(_, calls)| in_time(calls)) || number >= limits.states {
        return (false, 0);
    }
    let mut order = Order {
        calls,
        at: vec![0; calls.len()],
        state: start,
        copy: None,
        steps: 0,
    };
    let bounds = (limits, watcher);
    let explained = (0..number).all(|_| order.grow(true, bounds) || order.grow(false, bounds));
    (explained, order.steps)
}

/// Returns whether the calls of a process all returned, each before the next.
fn in_time<S: Spec>(calls: &[(usize, &Call<S>)]) -> bool {
    let returned =
        |&(_, call): &(usize, &Call<S>)| call.ret.is_some() && call.invoked <= call.returned;
    let follows = |two: &[(usize, &Call<S>)]| two[0].1.returned <= two[1].1.invoked;
    calls.iter().all(returned) && calls.windows(2).all(follows)
}

impl<'a, S: Spec> Order<'a, S> {
    /// Returns the next call of a process, by its place in the list.
    fn next(&self, place: usize) -> Option<&'a Call<S>> {
        let (_, calls) = &self.calls[place];
        calls.get(self.at[place]).map(|&(_, call)| call)
    }

    /// Adds a call that only reads, or one that does not, if one fits.
    fn grow(&mut self, reads: bool, (limits, watcher): (Limits, Watcher<'_>)) -> bool {
        let places = 0..self.calls.len();
        let returns = (places.clone()).filter_map(|place| Some(self.next(place)?.returned));
        let Some(bound) = returns.min() else {
            return false;
        };
        let mut last = None;
        loop {
            let candidates = places.clone().filter_map(|place| {
                let call = self.next(place)?;
                let candidate = (call.returned, place);
                let comes = call.invoked <= bound && last < Some(candidate);
                let kind = (call.ret.as_ref()).map(|ret| S::only_reads(&call.op, ret));
                (comes && kind == Some(reads)).then_some(candidate)
            });
            let Some(candidate) = candidates.min() else {
                return false;
            };
            last = Some(candidate);
            if self.steps >= limits.steps || !watcher() {
                return false;
            }
            self.steps += 1;
            if self.accepts(candidate.1, reads) {
                self.at[candidate.1] += 1;
                return true;
            }
        }
    }

    /// Returns whether the next call of a process fits the state, which is then the one after it.
    fn accepts(&mut self, place: usize, reads: bool) -> bool {
        let process = self.calls[place].0;
        let Some(Call {
            op, ret: Some(ret), ..
        }) = self.next(place)
        else {
            return false;
        };
        if self.state.blocks(process, op) {
            return false;
        }
        let mut after = self.copy.take().unwrap_or_else(|| self.state.clone());
        if !after.accept(process, op, ret) {
            return false;
        }
        if reads {
            // The search reports a spec in which such a call changes the state.
            let same = after == self.state;
            self.copy = same.then_some(after);
            return same;
        }
        self.state = after;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Register, RegisterOp::*, RegisterRet::*};

    type Calls<'a> = &'a [Call<Register<u8>>];

    /// Returns whether an order is found for the calls of two processes within these limits.
    fn within(first: Calls<'_>, second: Calls<'_>, limits: Limits) -> bool {
        let numbered = [first, second].map(|calls| calls.iter().enumerate().collect());
        let [first, second] = numbered;
        let calls = [(0, first), (1, second)];
        explains(&calls, Register::start(&0), (limits, &|| true)).0
    }

    fn found(first: Calls<'_>, second: Calls<'_>) -> bool {
        within(first, second, Limits::default())
    }

    fn write(value: u8, invoked: u64, returned: u64) -> Call<Register<u8>> {
        Call {
            op: Write(value),
            ret: Some(Written),
            invoked,
            returned,
        }
    }

    fn read(value: u8, invoked: u64, returned: u64) -> Call<Register<u8>> {
        Call {
            op: Read,
            ret: Some(Value(value)),
            invoked,
            returned,
        }
    }

    #[test]
    fn an_order_is_found_that_keeps_real_time_and_no_other() {
        let writes = [write(1, 1, 2), write(2, 3, 6)];
        assert!(found(&writes, &[read(1, 4, 5), read(2, 7, 8)]));
        assert!(found(&writes, &[read(0, 1, 5)]));
        // It begins after a write returned; the second goes back; no process wrote 3.
        assert!(!found(&writes, &[read(0, 3, 5)]));
        assert!(!found(&writes, &[read(2, 4, 5), read(1, 7, 8)]));
        assert!(!found(&writes, &[read(3, 4, 5)]));
    }

    #[test]
    fn what_takes_a_way_back_or_has_a_call_that_did_not_return_is_left_to_the_search() {
        // The write that returns first comes last.
        let last = [write(2, 1, 3)];
        assert!(!found(&[write(1, 1, 4), read(2, 5, 6)], &last));
        assert!(found(&[write(1, 1, 4), read(1, 5, 6)], &last));
        let pending = Call {
            ret: None,
            ..write(1, 1, u64::MAX)
        };
        assert!(!found(&[pending], &[read(0, 1, 2)]));
        let (writes, reads) = ([write(1, 1, 2)], [read(1, 3, 4)]);
        let limits = |states, steps| Limits { states, steps };
        assert!(within(&writes, &reads, limits(3, 2)));
        assert!(!within(&writes, &reads, limits(3, 1)));
        assert!(!within(&writes, &reads, limits(2, 2)));
    }
}
