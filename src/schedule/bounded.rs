//! All executions within a bound on preemptions (Musuvathi, Qadeer, PLDI 2007) and on kills, depth first: each execution
//! follows the last one up to the last branch that has an option left. With the bound rising from 0, the first failure
//! has the fewest preemptions.

use super::{Choice, MAX_PROCESSES, SchedulePoint};

/// The most branches of one execution that are remembered; after them the default is taken, and
/// executions are left out.
const MAX_BRANCHES: usize = 4_096;
/// Options are bits: a step of each process, then the kill of each.
const KILLS: u32 = MAX_PROCESSES as u32;
const STEPS: u32 = (1 << KILLS) - 1;
const _: () = assert!(2 * KILLS <= u32::BITS, "an option is a bit of 32");

/// A point with more than one option.
#[repr(C)]
#[derive(Clone, Copy)]
struct Branch {
    /// The option taken, and those not tried yet.
    taken: u32,
    left: u32,
}

#[repr(C)]
pub(super) struct Bounded {
    preemptions: u32,
    kills: u32,
    /// The preemptions and kills so far of the current execution, and the branches passed.
    preempted: u32,
    killed: u32,
    passed: u32,
    /// The number of branches to be taken as before.
    depth: u32,
    truncated: u32,
    branches: [Branch; MAX_BRANCHES],
}

impl Bounded {
    pub(super) fn set(&mut self, preemptions: u32, kills: u32) {
        (self.preemptions, self.kills) = (preemptions, kills);
        (self.depth, self.truncated) = (0, 0);
    }

    pub(super) fn begin(&mut self) {
        (self.preempted, self.killed, self.passed) = (0, 0, 0);
    }

    pub(super) fn choose(&mut self, point: &SchedulePoint) -> Choice {
        let options = self.options(point);
        let first = first(options, point);
        let taken = if options.count_ones() == 1 {
            first
        } else if self.passed as usize >= MAX_BRANCHES {
            self.truncated = 1;
            first
        } else {
            let branch = &mut self.branches[self.passed as usize];
            if self.passed >= self.depth {
                *branch = Branch {
                    taken: first,
                    left: options & !(1 << first),
                };
                self.depth = self.passed + 1;
            }
            self.passed += 1;
            // If it is another option than before, the structure is not deterministic, and the run
            // ends soon.
            if options >> branch.taken & 1 == 1 {
                branch.taken
            } else {
                first
            }
        };
        let process = taken % KILLS;
        if point.can(point.current) && process != point.current {
            self.preempted += 1;
        }
        if taken >= KILLS {
            self.killed += 1;
            Choice::Kill(process as usize)
        } else {
            Choice::Step(process as usize)
        }
    }

    /// Returns the options within the bounds.
    fn options(&self, point: &SchedulePoint) -> u32 {
        let goes_on = point.can(point.current);
        let may_preempt = point.conflicts && self.preempted < self.preemptions;
        let next = if goes_on && !may_preempt {
            1 << point.current
        } else {
            point.enabled
        };
        let mut dies = 0;
        if self.killed < self.kills && !point.probes {
            dies = next;
            if !goes_on {
                dies |= point.asleep;
            }
            dies &= point.killable;
        }
        (next & STEPS) | (dies & STEPS) << KILLS
    }

    /// Goes to the next execution; returns `false` if there is none.
    pub(super) fn next(&mut self) -> bool {
        while let Some(last) = (self.depth as usize).checked_sub(1) {
            let branch = &mut self.branches[last % MAX_BRANCHES];
            if branch.left != 0 {
                branch.taken = branch.left.trailing_zeros();
                branch.left &= branch.left - 1;
                return true;
            }
            self.depth -= 1;
        }
        false
    }

    pub(super) fn truncated(&self) -> bool {
        self.truncated != 0
    }
}

/// Returns the option that is tried first: the last process goes on.
fn first(options: u32, point: &SchedulePoint) -> u32 {
    if point.can(point.current) && options >> point.current & 1 == 1 {
        point.current
    } else {
        options.trailing_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = STEPS;

    fn bounded(preemptions: u32, kills: u32) -> Bounded {
        let mut bounded = Bounded {
            preemptions: 0,
            kills: 0,
            preempted: 0,
            killed: 0,
            passed: 0,
            depth: 0,
            truncated: 0,
            branches: [Branch { taken: 0, left: 0 }; MAX_BRANCHES],
        };
        bounded.set(preemptions, kills);
        bounded
    }

    /// Returns every choice at one point, in the order in which they are tried.
    fn tried(kills: u32, point: &SchedulePoint) -> Vec<Choice> {
        let mut bounded = bounded(1, kills);
        let mut choices = Vec::new();
        loop {
            bounded.begin();
            choices.push(bounded.choose(point));
            if !bounded.next() {
                return choices;
            }
        }
    }

    #[test]
    fn each_of_sixteen_processes_takes_the_step_once_and_is_killed_once() {
        let last = MAX_PROCESSES - 1;
        let mut point = SchedulePoint {
            enabled: ALL,
            asleep: 0,
            killable: u32::MAX,
            current: last as u32,
            step: 1,
            conflicts: true,
            probes: false,
        };
        let steps = || (0..MAX_PROCESSES).map(Choice::Step);
        let kills = || (0..MAX_PROCESSES).map(Choice::Kill);
        // The process that took the last step goes on first.
        let first = || std::iter::once(Choice::Step(last)).chain(steps().take(last));
        assert!(tried(0, &point).into_iter().eq(first()));
        assert!(tried(1, &point).into_iter().eq(first().chain(kills())));
        point.killable = 1 << last;
        let spared = first().chain([Choice::Kill(last)]);
        assert!(tried(1, &point).into_iter().eq(spared));
        // A sleeping process dies where none could go on.
        (point.enabled, point.asleep) = (1, 1 << last);
        let asleep = [Choice::Step(0), Choice::Kill(last)];
        assert_eq!(tried(1, &point), asleep);
    }
}
