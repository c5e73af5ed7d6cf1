//! From a failing case to the smallest one that fails in the same way: fewer and smaller operations, then fewer kills, then
//! fewer switches.

use super::{Origin, PATIENCE, Search, fit, free, kind};
use crate::case::{Case, Schedule};
use crate::engine::{Budget, Engine, Run};
use crate::subject::Subject;
use proptest::strategy::ValueTree;
use std::collections::HashSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Shrinking ends here, with the smallest case so far.
const CANDIDATES: u64 = 500;
const SHRINKING: Duration = Duration::from_secs(30);
/// The time that a smaller form has to fail, for engines that place steps.
const CANDIDATE: Duration = Duration::from_secs(4);

impl<E: Engine, S: Subject<E::Memory>> Search<'_, E, S> {
    /// The smallest case found that fails in the same way: first proptest's own steps, on values and lengths,
    /// then each operation left out, down to processes that do nothing.
    pub(super) fn shrink(
        &mut self,
        mut tree: impl ValueTree<Value = Case<S::Spec>>,
        run: Run<S::Spec>,
    ) -> (Run<S::Spec>, Origin) {
        let (started, operations) = (Instant::now(), run.case.operations());
        let before = (self.covered, self.unknown.clone());
        let mut best = run;
        let mut candidates = 0;
        let mut more = tree.simplify();
        while more && candidates < CANDIDATES && started.elapsed() < SHRINKING {
            let case = fit::<E, S>(tree.current());
            let fails = case == free(best.case.clone())
                || repeated(&case.program) <= repeated(&best.case.program) && {
                    candidates += 1;
                    self.fails_alike(&case, &mut best)
                };
            more = if fails {
                tree.simplify()
            } else {
                tree.complicate()
            };
        }
        let mut best = self.leave_out_operations(best, &mut candidates, started);
        self.leave_out_kills_and_turns(&mut best, &mut candidates, started);
        // What was covered is what was searched, not what was shrunk.
        (self.covered, self.unknown) = before;
        (
            best,
            Origin::Drawn {
                operations,
                candidates,
                took: started.elapsed(),
            },
        )
    }

    /// The same for a case that was not drawn: its values stay.
    pub(super) fn leave_out(&mut self, run: Run<S::Spec>) -> Run<S::Spec> {
        let (started, mut candidates) = (Instant::now(), 0);
        let before = (self.covered, self.unknown.clone());
        let mut best = self.leave_out_operations(run, &mut candidates, started);
        self.leave_out_kills_and_turns(&mut best, &mut candidates, started);
        (self.covered, self.unknown) = before;
        best
    }

    fn leave_out_operations(
        &mut self,
        mut best: Run<S::Spec>,
        candidates: &mut u64,
        started: Instant,
    ) -> Run<S::Spec> {
        let mut at = (0, 0);
        while at.0 < best.case.program.len()
            && *candidates < CANDIDATES
            && started.elapsed() < SHRINKING
        {
            let operations = best.case.program[at.0].len();
            if at.1 >= operations || self.plan.extent.is_least(at.0, operations) {
                at = (at.0 + 1, 0);
                continue;
            }
            let mut case = free(best.case.clone());
            case.program[at.0].remove(at.1);
            *candidates += 1;
            // Leaving one out may make another needless that was needed before.
            at = if case.operations() > 0 && self.fails_alike(&case, &mut best) {
                (0, 0)
            } else {
                (at.0, at.1 + 1)
            };
        }
        best
    }

    /// Without each kill; then without each turn, so that whoever has the one before goes on for longer. What the bounds
    /// found has the fewest already; what was found by chance has some that it does not need.
    fn leave_out_kills_and_turns(
        &mut self,
        best: &mut Run<S::Spec>,
        candidates: &mut u64,
        started: Instant,
    ) {
        self.leave_out_last_turns(best, candidates);
        let mut at = 0;
        loop {
            let Schedule::Turns(turns) = &best.case.schedule else {
                return;
            };
            let kills = best.case.kills.len();
            if at >= kills + turns.len()
                || *candidates >= CANDIDATES
                || started.elapsed() >= SHRINKING
            {
                return;
            }
            let mut case = best.case.clone();
            match at.checked_sub(kills) {
                None => drop(case.kills.remove(at)),
                Some(turn) => {
                    let mut turns = turns.clone();
                    turns.remove(turn);
                    // Two of one process in a row are one.
                    if let (Some(before), Some(after)) = (turn.checked_sub(1), turns.get(turn))
                        && turns[before].process == after.process
                    {
                        turns.remove(before);
                    }
                    case.schedule = Schedule::Turns(turns);
                }
            }
            *candidates += 1;
            // A turn that is gone may make one before it needless.
            at = if self.fails_alike(&case, best) {
                0
            } else {
                at + 1
            };
        }
    }

    /// Without the turns after the first 0, 1, 2, 4, ...: a standstill has many that repeat what led to it.
    fn leave_out_last_turns(&mut self, best: &mut Run<S::Spec>, candidates: &mut u64) {
        let Schedule::Turns(turns) = &best.case.schedule else {
            return;
        };
        let turns = turns.clone();
        let mut first = 0;
        while first < turns.len() {
            let mut case = best.case.clone();
            case.schedule = Schedule::Turns(turns[..first].to_vec());
            *candidates += 1;
            if self.fails_alike(&case, best) {
                return;
            }
            first = (2 * first).max(1);
        }
    }

    /// Whether it fails in the same way within the budget; where chance plays a part, twice, since a form that hardly
    /// ever fails is of less use than a larger one.
    fn fails_alike(&mut self, case: &Case<S::Spec>, best: &mut Run<S::Spec>) -> bool {
        // Where a failure has its schedule, the smaller form has one that is found as soon, or is not worth waiting for.
        let placed = best.case.schedule != Schedule::Free;
        let budget = Budget {
            time: if placed {
                CANDIDATE.min(self.plan.settings.time)
            } else {
                self.plan.settings.time
            },
            executions: self.budget().executions * PATIENCE,
            ..self.budget()
        };
        let mut alike = || {
            self.run(case, &budget)
                .filter(|run| kind(run) == kind(best))
        };
        let Some(run) = alike() else { return false };
        if !E::EXPLORES && alike().is_none() {
            return false;
        }
        *best = run;
        true
    }
}

/// How many operations of a program carry the same value as another one: a smaller form has no more of them, since values
/// that were different tell which is which, and three equal items say nothing about their order. An operation without a
/// value, which is one word (`Pop`), is what it is.
fn repeated<Op: Debug>(program: &[Vec<Op>]) -> usize {
    let mut seen = HashSet::new();
    let operations = program.iter().flatten().map(|op| format!("{op:?}"));
    let with_value = operations.filter(|op| !is_one_word(op));
    with_value.filter(|op| !seen.insert(op.clone())).count()
}

fn is_one_word(text: &str) -> bool {
    text.starts_with(char::is_alphabetic) && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code, reason = "their Debug is what counts")]
    enum Op {
        Push(u8),
        Pop,
    }
    use Op::{Pop, Push};

    #[test]
    fn what_is_repeated_is_a_value_and_not_a_word() {
        assert_eq!(repeated(&[vec![Push(1), Push(2)], vec![Pop, Pop]]), 0);
        assert_eq!(repeated(&[vec![Push(1), Push(2)], vec![Push(1), Pop]]), 1);
        assert_eq!(repeated(&[vec![Push(1), Push(1)], vec![Push(1)]]), 2);
        assert_eq!(repeated(&[vec![7, 7], vec![8]]), 1);
        assert_eq!(repeated(&[vec![(), ()]]), 1);
    }
}
