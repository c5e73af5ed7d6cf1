//! The times of calls and returns.

use super::{Now, Plan};

impl Plan {
    /// Returns whether each call and each return has a time of its own. After a death they have: an interrupted operation
    /// may take effect until the next call of its process, whose order among calls then matters.
    #[inline]
    pub(super) fn is_exact(&self) -> bool {
        self.exact != 0 || self.died != 0
    }
}

impl Now {
    /// Returns the time of a call. Calls that no return separates have one time, and so have returns that no call
    /// separates, unless each event is to have a time of its own. A verdict depends on which call preceded which other
    /// and on nothing else, so that executions which do not differ in that have one history, and are judged once.
    #[inline]
    pub(super) fn time_of_call(&mut self, of_its_own: bool) -> u64 {
        if of_its_own || self.calls_are_later != 0 {
            (self.clock, self.calls_are_later) = (self.clock + 1, 0);
        }
        self.clock
    }

    /// Returns the time of a return, see [`time_of_call`](Self::time_of_call).
    #[inline]
    pub(super) fn time_of_return(&mut self, of_its_own: bool) -> u64 {
        if of_its_own || self.calls_are_later == 0 {
            (self.clock, self.calls_are_later) = (self.clock + 1, 1);
        }
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use crate::case::Access;
    use crate::engine::stepped::board::BoardRef;
    use crate::engine::stepped::scheduler::Plan;
    use proptest::collection::vec;
    use proptest::prelude::prop_assert_eq;
    use proptest::test_runner::Config;

    const PROCESSES: usize = 4;

    /// Calls by process, each with the times of its call and its return.
    type Times = Vec<Vec<(u64, u64)>>;

    /// Lets a process call or return at each event, or die where the event says so, and returns the times. As in a
    /// history, a call in which its process died returned with the next call of that process, or never.
    fn times(events: &[(usize, bool)], exact: bool) -> Times {
        let board = BoardRef::new().unwrap();
        let run = |plan: &mut Plan| {
            plan.set_case(&[events.len(); PROCESSES]);
            plan.exact = exact.into();
            plan.begin();
            let mut times: Times = vec![Vec::new(); PROCESSES];
            let mut open = [false; PROCESSES];
            for &(process, dies) in events {
                let calls = &mut times[process];
                if !open[process] {
                    plan.enter(process, calls.len());
                    plan.publish(process, Access::Load, 8);
                    plan.take(process);
                    let invoked = plan.of(process).invoked;
                    if let Some((_, returned)) = calls.last_mut() {
                        *returned = (*returned).min(invoked);
                    }
                    calls.push((invoked, u64::MAX));
                } else if dies {
                    plan.die(process);
                    plan.replace_dead(process, 0);
                } else if let Some(call) = calls.last_mut() {
                    *call = plan.leave(process);
                }
                open[process] = !open[process];
            }
            times
        };
        board.plan(run)
    }

    /// Returns for each two calls whether the first returned before the other began.
    fn order(times: &Times) -> Vec<bool> {
        let calls = || times.iter().flatten();
        let pairs =
            calls().flat_map(|(_, returned)| calls().map(move |(invoked, _)| returned < invoked));
        pairs.collect()
    }

    proptest::proptest! {
        #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

        #[test]
        fn calls_of_one_time_precede_the_same_calls_as_with_times_of_their_own(
            events in vec((0..PROCESSES, proptest::bool::weighted(0.1)), 0..24),
        ) {
            prop_assert_eq!(order(&times(&events, false)), order(&times(&events, true)));
        }
    }

    #[test]
    fn calls_that_no_return_separates_have_one_time_and_a_coarser_clock_is_noticed() {
        let events = [0, 1, 0, 1, 1, 0, 0, 1].map(|process| (process, false));
        let merged = times(&events, false);
        assert_eq!(
            merged,
            [[(1, 2), (3, 4)], [(1, 2), (3, 4)]]
                .map(Vec::from)
                .into_iter()
                .chain([vec![], vec![]])
                .collect::<Times>()
        );
        let coarser: Times = merged
            .iter()
            .map(|calls| calls.iter().map(|&(a, b)| (a / 4, b / 4)).collect())
            .collect();
        assert_ne!(order(&coarser), order(&times(&events, true)));
    }
}
