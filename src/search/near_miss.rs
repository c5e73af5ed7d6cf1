//! Near misses: cases that are almost the same as a failing one, and pass.

use super::{NearMiss, Search, free};
use crate::case::{Access, Case, Kill, Names, Place, Schedule, Step, Turn, Until, named};
use crate::check::Verdict;
use crate::engine::{Budget, Run};
use crate::spec::Spec;
use std::collections::HashMap;

/// The most neighbours that are tried, and the executions of one that is tried in all orders.
const NEIGHBOURS: usize = 100;
/// The most neighbours if each may take seconds, until a watchdog has noticed that it hangs.
const THAT_HANG: usize = 3;
const ORDERS: u64 = 2_000;
/// The most near misses whose steps are shown.
const SHOWN: usize = 8;

impl<S: Spec> Search<'_, S> {
    /// Returns the near misses: without the kill, with the kill elsewhere, with a turn that ends
    /// one step later or earlier.
    pub(super) fn near_misses(&mut self, run: &Run<S>) -> Vec<NearMiss<S>> {
        let Schedule::Turns(turns) = &run.case.schedule else {
            return Vec::new();
        };
        let mut left = if self.runner.hangs(run) {
            THAT_HANG
        } else {
            NEIGHBOURS
        };
        let places = places(&run.steps);
        let mut passing = Vec::new();
        if !run.case.kills.is_empty() {
            let case = Case {
                kills: Vec::new(),
                ..run.case.clone()
            };
            if self.passes(&case) {
                let kills = match run.case.kills.len() {
                    1 => "the kill",
                    _ => "the kills",
                };
                let words = if self.passes(&free(case.clone())) {
                    format!(
                        "without {kills}, in every order that was tried: threads alone do not show it"
                    )
                } else {
                    format!("without {kills}, in this order")
                };
                passing.push(NearMiss {
                    words,
                    step: None,
                    case,
                    run: None,
                });
            }
        }
        let mut killed = run.steps.iter().enumerate();
        for (number, kill) in run.case.kills.iter().enumerate() {
            let (mut instead, mut last) = (Vec::new(), None);
            // The case lists kills in the order in which they came.
            let step = killed
                .by_ref()
                .find_map(|(n, step)| (step.access == Access::Killed).then_some(n));
            for place in of_operation(&places, kill) {
                if self.is_spent(&mut left) {
                    break;
                }
                let mut case = run.case.clone();
                case.kills[number].before = place.place.clone();
                if place.place != kill.before && self.passes(&case) {
                    instead.push(format!("{}:{}", file(&place.step.file), place.step.line));
                    last = Some(case);
                }
            }
            instead.dedup();
            if let Some(case) = last {
                let role = match run.case.kills.len() {
                    1 => String::new(),
                    _ => format!("{} ", named(&self.plan.roles, usize::from(kill.process))),
                };
                passing.push(NearMiss {
                    words: format!("{role}killed before {}", instead.join(", ")),
                    step,
                    case,
                    run: None,
                });
            }
        }
        for (number, turn) in turns.iter().enumerate() {
            let Until::Before(before) = &turn.until else {
                continue;
            };
            let own: Vec<&Named<'_>> = places
                .iter()
                .filter(|named| named.step.process == usize::from(turn.process))
                .collect();
            let role = named(&self.plan.roles, usize::from(turn.process));
            let with = |until: Until| {
                let mut turns = turns.clone();
                turns[number] = Turn {
                    until,
                    ..turn.clone()
                };
                Case {
                    schedule: Schedule::Turns(turns),
                    ..run.case.clone()
                }
            };
            if self.is_spent(&mut left) {
                break;
            }
            let Some(at) = own.iter().position(|named| named.place == *before) else {
                // The execution ended before that step.
                let rest = with(Until::End);
                if self.passes(&rest) {
                    passing.push(NearMiss {
                        words: format!("where {role} does the rest first, from {}", before.word),
                        step: None,
                        case: rest,
                        run: None,
                    });
                }
                continue;
            };
            let later = own
                .get(at + 1)
                .map_or(Until::End, |next| Until::Before(next.place.clone()));
            let earlier = at
                .checked_sub(1)
                .map(|at| Until::Before(own[at].place.clone()));
            let place = |named: &Named<'_>| {
                format!(
                    "{} {}:{}",
                    named.place.word,
                    file(&named.step.file),
                    named.step.line
                )
            };
            let later = with(later);
            if self.passes(&later) {
                passing.push(NearMiss {
                    words: format!(
                        "where {role} takes one more step first ({})",
                        place(own[at])
                    ),
                    step: Some(own[at].number),
                    case: later,
                    run: None,
                });
            } else if let Some(earlier) = earlier.map(with)
                && self.passes(&earlier)
            {
                passing.push(NearMiss {
                    words: format!(
                        "where {role} stops one step sooner (before {})",
                        place(own[at - 1])
                    ),
                    step: Some(own[at - 1].number),
                    case: earlier,
                    run: None,
                });
            }
        }
        self.shown(&mut passing);
        passing
    }

    /// Runs each near miss once more, for its steps.
    fn shown(&mut self, passing: &mut [NearMiss<S>]) {
        for near_miss in passing.iter_mut().take(SHOWN) {
            let budget = Budget {
                time: self.left_to_confirm(),
                shows_passing: true,
                ..self.budget()
            };
            let answer = (self.engine).search(&near_miss.case, &self.plan.roles, &budget);
            // Without kills a case needs no second look, and one that fails now and then has no execution to show.
            near_miss.run = match answer {
                Ok((_, run)) => run.filter(|run| run.verdict == Verdict::Ok),
                Err(_) => None,
            };
        }
    }

    /// Uses up one of the remaining tries; returns whether there is none, or no time for it.
    fn is_spent(&self, left: &mut usize) -> bool {
        let spent = *left == 0 || self.left_to_confirm().is_zero();
        *left = left.saturating_sub(1);
        spent
    }

    fn passes(&mut self, case: &Case<S>) -> bool {
        let budget = Budget {
            time: self.left_to_confirm(),
            executions: ORDERS.min(self.budget().executions),
            without_kills: true,
            ..self.budget()
        };
        let answer = self.engine.search(case, &self.plan.roles, &budget);
        // A neighbour that the time limit cut short did not pass.
        matches!(answer, Ok((covered, None)) if covered.timed_out == 0)
    }
}

/// A step and its name.
struct Named<'a> {
    /// The number of the step in the run.
    number: usize,
    step: &'a Step,
    place: Place,
}

/// Returns the steps of a run with their names.
fn places(steps: &[Step]) -> Vec<Named<'_>> {
    // The names of each process's current incarnation.
    let mut names: HashMap<usize, Names> = HashMap::new();
    let mut named = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match step.access {
            Access::Fence => continue,
            Access::Killed => {
                names.remove(&step.process);
                continue;
            }
            _ => {}
        }
        let source = (step.file.as_str(), step.line, step.column);
        let names = names.entry(step.process).or_default();
        let place = names.next(step.operation, step.access, source);
        named.push(Named {
            number,
            step,
            place,
        });
    }
    named
}

/// Returns the steps so far of the operation in which a process died.
fn of_operation<'a, 'b>(
    places: &'a [Named<'b>],
    kill: &'a Kill,
) -> impl Iterator<Item = &'a Named<'b>> {
    places.iter().filter(move |named| {
        named.step.process == usize::from(kill.process)
            && named.place.operation == kill.before.operation
    })
}

fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
