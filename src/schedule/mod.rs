//! Strategies, which choose the process that takes the next step. A strategy is pure: it sees a
//! [`SchedulePoint`] and answers with a [`Choice`].
//!
//! The state of a strategy is plain integers, so that it can lie in memory that several processes share: the
//! process that holds the turn asks the strategy. A [`Scheduler`] is one strategy for a sequence of
//! executions; [`begin`](Scheduler::begin) starts the next one, and [`end`](Scheduler::end) returns
//! whether there is another one to try.

mod bounded;
mod pct;
mod random;
mod script;

use bounded::Bounded;
use pct::Pct;
use random::Random;
use script::{Choices, Script};
pub(crate) use script::{MAX_KILLS, MAX_STEPS, MAX_TURNS};

/// The most processes of a case: a set of them is a mask of bits.
pub(crate) const MAX_PROCESSES: usize = 16;
/// The number that stands for no process.
pub(crate) const NO_PROCESS: u32 = u32::MAX;

/// The state that a strategy sees between two steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchedulePoint {
    /// The processes that can take a step, as bits.
    pub(crate) enabled: u32,
    /// The sleeping processes, which can be killed as well.
    pub(crate) asleep: u32,
    /// The processes that may be killed at all.
    pub(crate) killable: u32,
    /// The process that took the last step, or `NO_PROCESS`.
    pub(crate) current: u32,
    /// The number of steps so far.
    pub(crate) step: u32,
    /// Whether the order of the pending step of `current` and those of other processes can make a
    /// difference.
    pub(crate) conflicts: bool,
    /// Nothing has changed since all enabled processes were found to wait: they continue, to see
    /// whether they give up.
    pub(crate) probes: bool,
}

impl SchedulePoint {
    fn can(&self, process: u32) -> bool {
        process < MAX_PROCESSES as u32 && self.enabled >> process & 1 == 1
    }
    /// Returns the process that moves by default: the last one, or else the first that can.
    fn default(&self) -> u32 {
        if self.can(self.current) {
            self.current
        } else {
            self.enabled.trailing_zeros()
        }
    }
}

/// A decision of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This process takes its pending step.
    Step(usize),
    /// This process is killed before that step.
    Kill(usize),
}

impl Choice {
    /// Returns the choice as a byte: the process, and the top bit for a kill.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Step(process) => process as u8,
            Self::Kill(process) => process as u8 | 0x80,
        }
    }
    pub(crate) fn from_byte(byte: u8) -> Self {
        let process = (byte & 0x7f) as usize % MAX_PROCESSES;
        if byte & 0x80 == 0 {
            Self::Step(process)
        } else {
            Self::Kill(process)
        }
    }
}

/// A strategy, with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exploration {
    /// Any enabled process, with equal chances; `kills` kills in an execution.
    Random { seed: u64, kills: u32 },
    /// Probabilistic concurrency testing: priorities, and `points` points at which the first
    /// process falls behind all others.
    Pct { seed: u64, points: u32, kills: u32 },
    /// All executions with at most `preemptions` preemptions and `kills` kills, one after the
    /// other.
    Bounded { preemptions: u32, kills: u32 },
    /// The choices that were given to [`Scheduler::follow`], then the process that moved last.
    Follow,
    /// The turns that were given to [`Scheduler::script`].
    Script,
}

/// A strategy and its state. Each strategy writes only to cache lines that the others do not read.
#[repr(C, align(64))]
pub(crate) struct Scheduler {
    kind: u32,
    random: Random,
    pct: Pct,
    bounded: Bounded,
    choices: Choices,
    pub(crate) turns: Script,
}

impl Scheduler {
    /// Starts a strategy.
    pub(crate) fn set(&mut self, strategy: Exploration) {
        self.kind = match strategy {
            Exploration::Random { seed, kills } => {
                self.random.set(seed, kills);
                0
            }
            Exploration::Pct {
                seed,
                points,
                kills,
            } => {
                self.pct.set(seed, points, kills);
                1
            }
            Exploration::Bounded { preemptions, kills } => {
                self.bounded.set(preemptions, kills);
                2
            }
            Exploration::Follow => 3,
            Exploration::Script => 4,
        };
    }

    /// Sets the choices that [`Exploration::Follow`] follows.
    pub(crate) fn follow(&mut self, choices: &[u8]) {
        self.choices.set(choices);
    }

    /// Lets a process die at one of these choices in each execution, by their positions among those that are followed.
    pub(crate) fn kill_instead(&mut self, at: &[usize]) {
        self.choices.kill_instead(at);
    }

    /// Sets the turns of [`Exploration::Script`]: for each its process, and whether it ends before
    /// a named step.
    pub(crate) fn script(&mut self, turns: impl Iterator<Item = (usize, bool)>) {
        self.turns.set(turns);
    }

    /// Begins a new execution of `processes` processes.
    pub(crate) fn begin(&mut self, processes: usize) {
        match self.kind {
            0 => self.random.begin(),
            1 => self.pct.begin(processes),
            2 => self.bounded.begin(),
            3 => self.choices.begin(),
            _ => self.turns.begin(),
        }
    }

    /// Returns the choice at this point, at which some process can move.
    #[inline(always)]
    pub(crate) fn choose(&mut self, point: &SchedulePoint) -> Choice {
        match self.kind {
            0 => self.random.choose(point),
            1 => self.pct.choose(point),
            // A copy: the point of the others then stays in registers.
            2 => self.bounded.choose(&{ *point }),
            3 => self.choices.choose(&{ *point }),
            _ => self.turns.choose(&{ *point }),
        }
    }

    /// Ends an execution of this many steps; returns whether there is another one to try.
    pub(crate) fn end(&mut self, steps: u32) -> bool {
        match self.kind {
            0 => true,
            1 => {
                self.pct.learn(steps);
                true
            }
            2 => self.bounded.next(),
            3 => self.choices.next(),
            _ => true,
        }
    }

    /// Returns whether the strategy uses [`SchedulePoint::conflicts`], which takes time to compute.
    #[inline]
    pub(crate) fn asks_for_conflicts(&self) -> bool {
        self.kind == 2
    }

    /// Returns whether the strategy has to know a process's pending step before it lets it begin.
    #[inline]
    pub(crate) fn asks_what_is_pending(&self) -> bool {
        match self.kind {
            0 => self.random.kills(),
            1 => self.pct.kills(),
            _ => true,
        }
    }

    /// Returns whether [`Exploration::Bounded`] left executions out, because one was too long for
    /// its records.
    pub(crate) fn truncated(&self) -> bool {
        self.kind == 2 && self.bounded.truncated()
    }
}

/// Returns the next number of the SplitMix64 generator (Steele, Lea, Flood 2014).
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns a number below `n`.
fn below(state: &mut u64, n: u32) -> u32 {
    (((split_mix(state) >> 32) * u64::from(n)) >> 32) as u32
}

/// Returns the nth member of a set.
#[inline]
fn nth(mut set: u32, n: u32) -> u32 {
    let (first, last) = (set.trailing_zeros(), set.checked_ilog2().unwrap_or(0));
    if set.count_ones() == 2 {
        // Without a branch, which nothing could predict.
        return [first, last][(n & 1) as usize];
    }
    for _ in 0..n {
        set &= set - 1;
    }
    set.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_of_a_set_is_the_one_of_its_number() {
        for set in 1..1u32 << 10 {
            let members = (0..u32::BITS).filter(|member| set >> member & 1 == 1);
            for (number, member) in members.enumerate() {
                assert_eq!(nth(set, number as u32), member, "{number} of {set:b}");
            }
        }
    }
}
