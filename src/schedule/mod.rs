//! Strategies, which choose the process that takes the next step. A strategy is pure: it sees a
//! [`SchedulePoint`] and answers with a [`Choice`].
//!
//! The state of a strategy is plain integers, so that it can lie in memory that several processes share: the
//! process that holds the turn asks the strategy. A [`Scheduler`] is one strategy for a sequence of
//! executions; [`begin`](Scheduler::begin) starts the next one, and [`end`](Scheduler::end) returns
//! whether there is another one to try.

mod bounded;
mod draw;
mod pct;
mod point;
mod random;
mod script;

use bounded::Bounded;
pub(crate) use draw::split_mix;
use pct::Pct;
pub(crate) use point::{Choice, MAX_PROCESSES, NO_PROCESS, SchedulePoint};
use random::Random;
use script::{Choices, Script};
pub(crate) use script::{MAX_KILLS, MAX_STEPS, MAX_TURNS};

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
