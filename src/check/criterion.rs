//! The terms on which a history is judged: the orders that count, the limits, and the functions that watch and judge.

use crate::case::{Case, History};
use serde::{Deserialize, Serialize};

/// The orders of the calls that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Criterion {
    /// Orders that keep real time: a call that returned before another began comes first
    /// (linearizability).
    RealTime,
    /// Orders that keep each process's own order (sequential consistency): for models, which have
    /// no clock.
    ProgramOrder,
}

/// A criterion as engines ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// [`Criterion::RealTime`].
    RealTime,
    /// [`Criterion::ProgramOrder`].
    OfProcesses,
    /// [`Criterion::ProgramOrder`] after a prefix: calls that have one time for call and return
    /// come before all others, in the order of these times.
    AfterPrefix,
}

impl From<Criterion> for Order {
    fn from(criterion: Criterion) -> Self {
        match criterion {
            Criterion::RealTime => Self::RealTime,
            Criterion::ProgramOrder => Self::OfProcesses,
        }
    }
}

/// Limits of the check of one history. They are deterministic: no clock decides.
///
/// ```
/// use forkcheck::check::Limits;
/// let patient = Limits { steps: 1 << 30, ..Limits::default() };
/// assert_eq!(patient.states, 1 << 20);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// States remembered at a time: memory. Each takes its own size, and four bytes for each call that overlaps it.
    pub states: usize,
    /// Steps of the spec, for all keys together: time.
    pub steps: u64,
}

impl Default for Limits {
    /// Returns limits of a million states and 32 million steps: some seconds.
    fn default() -> Self {
        Self {
            states: 1 << 20,
            steps: 1 << 25,
        }
    }
}

/// A function that is called at each step of the spec: the check ends, and is unknown, where it returns false.
pub(crate) type Watcher<'a> = &'a dyn Fn() -> bool;

/// A function that returns whether a history is Ok, inside a worker: cheap, without a reason. The
/// supervisor asks for the reason.
pub(crate) type Judge<S> = fn(&Case<S>, &History<S>, Watcher<'_>) -> bool;
