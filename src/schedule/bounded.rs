//! All executions within a bound on preemptions (Musuvathi, Qadeer, PLDI 2007) and on kills, depth first: each execution
//! follows the last one up to the last branch that has an option left. With the bound rising from 0, the first failure
//! has the fewest preemptions.

use super::{Choice, MAX_PROCESSES, Moment};

/// Branches of one execution that are remembered; behind them the default is taken, and executions are left out.
const MAX_BRANCHES: usize = 4_096;
/// Options are bits: a step of each process, then the death of each.
const KILLS: u32 = MAX_PROCESSES as u32;
const STEPS: u32 = (1 << KILLS) - 1;
const _: () = assert!(2 * KILLS <= u32::BITS, "an option is a bit of 32");

/// A moment with more than one option.
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
    /// Of the execution that runs: preemptions and kills so far, and branches passed.
    preempted: u32,
    killed: u32,
    passed: u32,
    /// Branches that are to be taken as they are.
    depth: u32,
    left_out: u32,
    branches: [Branch; MAX_BRANCHES],
}

impl Bounded {
    pub(super) fn set(&mut self, preemptions: u32, kills: u32) {
        (self.preemptions, self.kills) = (preemptions, kills);
        (self.depth, self.left_out) = (0, 0);
    }

    pub(super) fn begin(&mut self) {
        (self.preempted, self.killed, self.passed) = (0, 0, 0);
    }

    pub(super) fn pick(&mut self, moment: &Moment) -> Choice {
        let options = self.options(moment);
        let first = first(options, moment);
        let taken = if options.count_ones() == 1 {
            first
        } else if self.passed as usize >= MAX_BRANCHES {
            self.left_out = 1;
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
            // Another option than there was: the subject is not deterministic, and the run ends soon.
            if options >> branch.taken & 1 == 1 {
                branch.taken
            } else {
                first
            }
        };
        let process = taken % KILLS;
        if moment.can(moment.current) && process != moment.current {
            self.preempted += 1;
        }
        if taken >= KILLS {
            self.killed += 1;
            Choice::Kill(process as usize)
        } else {
            Choice::Step(process as usize)
        }
    }

    /// What may come next within the bounds.
    fn options(&self, moment: &Moment) -> u32 {
        let goes_on = moment.can(moment.current);
        let may_preempt = moment.matters && self.preempted < self.preemptions;
        let who = if goes_on && !may_preempt {
            1 << moment.current
        } else {
            moment.enabled
        };
        let mut dies = 0;
        if self.killed < self.kills && !moment.probes {
            dies = who;
            if !goes_on {
                dies |= moment.asleep;
            }
            dies &= moment.killable;
        }
        (who & STEPS) | (dies & STEPS) << KILLS
    }

    /// Goes to the next execution; `false` if that was the last.
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

    pub(super) fn left_out(&self) -> bool {
        self.left_out != 0
    }
}

/// What is tried first: that who moved last goes on.
fn first(options: u32, moment: &Moment) -> u32 {
    if moment.can(moment.current) && options >> moment.current & 1 == 1 {
        moment.current
    } else {
        options.trailing_zeros()
    }
}
