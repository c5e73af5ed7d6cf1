//! Shrinking of a failing case to the smallest one that fails in the same way: fewer and smaller
//! operations, then fewer kills, then fewer context switches. Its limits are counts, so that a seed
//! leads to the same case on every machine.

use super::runner::kind;
use super::{Origin, Search, free};
use crate::case::{Case, Schedule};
use crate::engine::{Budget, Run};
use crate::spec::Spec;
use proptest::strategy::ValueTree;
use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Instant;

/// The most candidates of a shrinking.
const CANDIDATES: u64 = 500;
/// The most candidates where each takes seconds, since a watchdog has to notice that it hangs.
const THAT_HANG: u64 = 6;
/// The most executions of a shrinking, as a multiple of those of one program.
const PROGRAMS: u64 = 20;
/// The executions in which a candidate has to fail, as a multiple of those that the drawn case
/// took.
const PLACED: u64 = 4;
/// This multiple where chance plays a part: the candidate may fail more rarely.
const SAMPLED: u64 = 20;
/// The fewest executions in which a candidate has to fail.
const FEWEST: u64 = 200;

/// The effort of shrinking: spent, and allowed.
struct Effort {
    started: Instant,
    candidates: u64,
    executions: u64,
    /// The executions of one candidate.
    each: u64,
    timed_out: bool,
}

impl<S: Spec> Search<'_, S> {
    /// Returns the smallest case found that fails in the same way. It takes proptest's own steps on
    /// values and lengths first, then leaves out each operation, down to processes that do nothing.
    /// A prefix stays one that the suite draws.
    pub(super) fn shrink(
        &mut self,
        mut tree: impl ValueTree<Value = Case<S>>,
        run: Run<S>,
        took: u64,
    ) -> (Run<S>, Origin) {
        let operations = run.case.operations();
        let mut effort = self.effort(took);
        let before = (self.covered, self.unknown.clone());
        let mut best = run;
        let mut more = tree.simplify();
        while more && self.goes_on(&best, &mut effort) {
            let case = self.runner.fit(tree.current());
            let fails = case == free(best.case.clone())
                || repeated(&case.program) <= repeated(&best.case.program)
                    && self.fails_alike(&case, &mut best, &mut effort);
            more = if fails {
                tree.simplify()
            } else {
                tree.complicate()
            };
        }
        let mut best = self.leave_out_operations(best, &mut effort);
        self.leave_out_kills_and_turns(&mut best, &mut effort);
        // The coverage is that of the search, without the shrinking.
        (self.covered, self.unknown) = before;
        (
            best,
            Origin::Drawn {
                operations,
                candidates: effort.candidates,
                took: effort.started.elapsed(),
                timed_out: effort.timed_out,
            },
        )
    }

    /// Leaves operations out of a case that was not drawn; its values stay.
    pub(super) fn leave_out(&mut self, run: Run<S>) -> Run<S> {
        let mut effort = self.effort(0);
        let before = (self.covered, self.unknown.clone());
        let mut best = self.leave_out_operations(run, &mut effort);
        self.leave_out_kills_and_turns(&mut best, &mut effort);
        (self.covered, self.unknown) = before;
        best
    }

    fn leave_out_operations(&mut self, mut best: Run<S>, effort: &mut Effort) -> Run<S> {
        let mut at = (0, 0);
        while at.0 < best.case.program.len() && self.goes_on(&best, effort) {
            let of_prefix = best.case.prefix_of(at.0);
            let own = best.case.program[at.0].len() - of_prefix;
            if at.1 >= own || self.plan.extent.is_least(at.0, own) {
                at = (at.0 + 1, 0);
                continue;
            }
            let mut case = free(best.case.clone());
            case.program[at.0].remove(of_prefix + at.1);
            // Without one operation another may no longer be needed.
            let operations: usize = case.own_operations().iter().sum();
            at = if operations > 0 && self.fails_alike(&case, &mut best, effort) {
                (0, 0)
            } else {
                (at.0, at.1 + 1)
            };
        }
        best
    }

    /// Leaves out each kill, and then each turn of the schedule, so that the process of the turn
    /// before it goes on for longer. Cases found within rising bounds have the fewest turns
    /// already. Cases found by chance have some that they do not need.
    fn leave_out_kills_and_turns(&mut self, best: &mut Run<S>, effort: &mut Effort) {
        self.leave_out_last_turns(best, effort);
        let mut at = 0;
        loop {
            let Schedule::Turns(turns) = &best.case.schedule else {
                return;
            };
            let kills = best.case.kills.len();
            if at >= kills + turns.len() || !self.goes_on(best, effort) {
                return;
            }
            let mut case = best.case.clone();
            match at.checked_sub(kills) {
                None => drop(case.kills.remove(at)),
                Some(turn) => {
                    let mut turns = turns.clone();
                    turns.remove(turn);
                    // Two turns of one process in a row are one turn.
                    if let (Some(before), Some(after)) = (turn.checked_sub(1), turns.get(turn))
                        && turns[before].process == after.process
                    {
                        turns.remove(before);
                    }
                    case.schedule = Schedule::Turns(turns);
                }
            }
            // Without a turn, one before it may no longer be needed.
            at = if self.fails_alike(&case, best, effort) {
                0
            } else {
                at + 1
            };
        }
    }

    /// Leaves out all turns after the first 0, 1, 2, 4, ...: a standstill has many that repeat its
    /// cause.
    fn leave_out_last_turns(&mut self, best: &mut Run<S>, effort: &mut Effort) {
        let Schedule::Turns(turns) = &best.case.schedule else {
            return;
        };
        let turns = turns.clone();
        let mut first = 0;
        while first < turns.len() && self.goes_on(best, effort) {
            let mut case = best.case.clone();
            case.schedule = Schedule::Turns(turns[..first].to_vec());
            if self.fails_alike(&case, best, effort) {
                return;
            }
            first = (2 * first).max(1);
        }
    }

    /// Returns whether a case fails in the same way within the budget. Where chance plays a part it
    /// has to fail twice, since a form that rarely fails is of less use than a larger one.
    fn fails_alike(&mut self, case: &Case<S>, best: &mut Run<S>, effort: &mut Effort) -> bool {
        effort.candidates += 1;
        let runner = self.runner;
        let mut alike = || {
            let budget = Budget {
                executions: effort.each,
                ..self.budget()
            };
            let before = self.covered.executions;
            let run = self.run(case, &budget);
            effort.executions += self.covered.executions - before;
            run.filter(|run| kind(run) == kind(best))
        };
        let Some(run) = alike() else { return false };
        if !runner.explores && !runner.hangs(&run) && alike().is_none() {
            return false;
        }
        *best = run;
        true
    }

    /// Returns the effort for a case that failed after this many executions.
    fn effort(&self, took: u64) -> Effort {
        let (times, most) = (
            if self.runner.explores {
                PLACED
            } else {
                SAMPLED
            },
            self.budget(),
        );
        Effort {
            started: Instant::now(),
            candidates: 0,
            executions: 0,
            each: (times * took).clamp(FEWEST.min(most.executions), most.executions),
            timed_out: false,
        }
    }

    /// Returns whether another candidate may be tried.
    fn goes_on(&self, best: &Run<S>, effort: &mut Effort) -> bool {
        let candidates = if self.runner.hangs(best) {
            THAT_HANG
        } else {
            CANDIDATES
        };
        let most = self.budget().executions.saturating_mul(PROGRAMS);
        let more = effort.candidates < candidates && effort.executions < most;
        effort.timed_out |= more && self.left().is_zero();
        more && !effort.timed_out
    }
}

/// Returns how many operations of a program carry the same value as another one. A smaller form has
/// no more of them: different values tell items apart, and three equal items say nothing about
/// their order. An operation without a value, which is one word (`Pop`), does not count.
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
