//! Strategies: who takes the next step. Pure: a strategy sees a [`SchedulePoint`] and answers with a [`Choice`].
//!
//! Their state is plain integers, so that it can lie in memory that several processes share: whoever holds the turn asks
//! the strategy. A [`Scheduler`] is one strategy for one execution after another; the next is begun by
//! [`begin`](Scheduler::begin), and [`end`](Scheduler::end) says whether there is another one to try.

mod bounded;
mod pct;
mod random;
mod script;

use bounded::Bounded;
use pct::Pct;
use random::Random;
use script::{Choices, Script};
pub(crate) use script::{MAX_STEPS, MAX_TURNS};

/// Processes of one case, at most: a set of them is a mask of bits.
pub(crate) const MAX_PROCESSES: usize = 16;
/// Nobody.
pub(crate) const NOBODY: u32 = u32::MAX;

/// What a strategy sees: between two steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchedulePoint {
    /// Who can take a step, as bits.
    pub(crate) enabled: u32,
    /// Who could be killed besides: processes that sleep.
    pub(crate) asleep: u32,
    /// The processes that may be killed at all.
    pub(crate) killable: u32,
    /// Who took the last step, or `NOBODY`.
    pub(crate) current: u32,
    /// Steps taken so far.
    pub(crate) step: u32,
    /// Whether it can make a difference who goes before the pending step of `current`.
    pub(crate) conflicts: bool,
    /// Nothing has changed since all that can move were found to wait: they are let go on to see whether they give up.
    pub(crate) probes: bool,
}

impl SchedulePoint {
    fn can(&self, process: u32) -> bool {
        process < MAX_PROCESSES as u32 && self.enabled >> process & 1 == 1
    }
    /// Who moves if nobody has a reason: who moved last, else the first that can.
    fn default(&self) -> u32 {
        if self.can(self.current) {
            self.current
        } else {
            self.enabled.trailing_zeros()
        }
    }
}

/// Who moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This process takes its pending step.
    Step(usize),
    /// This process dies instead of taking it.
    Kill(usize),
}

impl Choice {
    /// As a byte: the process, and the top bit for a kill.
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

/// Which strategy, with what bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exploration {
    /// Whoever can move, with equal chances; so many kills in an execution.
    Random { seed: u64, kills: u32 },
    /// Probabilistic concurrency testing: priorities, and so many points at which the first falls behind all others.
    Pct { seed: u64, points: u32, kills: u32 },
    /// All executions with at most so many preemptions and kills, one after the other.
    Bounded { preemptions: u32, kills: u32 },
    /// The choices that were given to [`Scheduler::follow`], then whoever moved last.
    Follow,
    /// The turns that were given to [`Scheduler::script`].
    Script,
}

/// One strategy and its state. What one strategy writes is in no line of the cache that the others read.
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
    /// Begins a strategy anew.
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

    /// The choices that [`Exploration::Follow`] follows.
    pub(crate) fn follow(&mut self, choices: &[u8]) {
        self.choices.set(choices);
    }

    /// The turns that [`Exploration::Script`] gives: whose each is, and whether it ends before a step that is named.
    pub(crate) fn script(&mut self, turns: impl Iterator<Item = (usize, bool)>) {
        self.turns.set(turns);
    }

    /// A new execution of so many processes begins.
    pub(crate) fn begin(&mut self, processes: usize) {
        match self.kind {
            0 => self.random.begin(),
            1 => self.pct.begin(processes),
            2 => self.bounded.begin(),
            3 => self.choices.begin(),
            _ => self.turns.begin(),
        }
    }

    /// Who moves. Somebody can.
    #[inline(always)]
    pub(crate) fn choose(&mut self, point: &SchedulePoint) -> Choice {
        match self.kind {
            0 => self.random.choose(point),
            1 => self.pct.choose(point),
            2 => self.bounded.choose(point),
            3 => self.choices.choose(point),
            _ => self.turns.choose(point),
        }
    }

    /// The execution is over; whether there is another one to try.
    pub(crate) fn end(&mut self, steps: u32) -> bool {
        match self.kind {
            0 => true,
            1 => {
                self.pct.learn(steps);
                true
            }
            2 => self.bounded.next(),
            _ => true,
        }
    }

    /// Whether it looks at [`SchedulePoint::conflicts`], which takes time to find out.
    #[inline]
    pub(crate) fn asks_for_conflicts(&self) -> bool {
        self.kind == 2
    }

    /// Whether it has to know what a process is about to do before it lets it begin.
    #[inline]
    pub(crate) fn asks_what_is_pending(&self) -> bool {
        match self.kind {
            0 => self.random.kills(),
            1 => self.pct.kills(),
            _ => true,
        }
    }

    /// Whether [`Exploration::Bounded`] had to leave executions out: one was too long for its records.
    pub(crate) fn truncated(&self) -> bool {
        self.kind == 2 && self.bounded.truncated()
    }
}

/// One number of the SplitMix64 generator (Steele, Lea, Flood 2014).
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `n`.
fn below(state: &mut u64, n: u32) -> u32 {
    (((split_mix(state) >> 32) * u64::from(n)) >> 32) as u32
}

/// The n-th of a set.
fn nth(mut set: u32, n: u32) -> u32 {
    for _ in 0..n {
        set &= set - 1;
    }
    set.trailing_zeros()
}
