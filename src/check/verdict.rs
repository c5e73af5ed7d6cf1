//! The results of checks.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of a check. Only `Ok` is green: a verdict that is none of these counts as red.
///
/// ```
/// use forkcheck::check::Verdict;
/// use forkcheck::spec::Counter;
///
/// fn exit_code(verdict: &Verdict<Counter>) -> i32 {
///     match verdict {
///         Verdict::Ok => 0,
///         Verdict::Finding(_) => 1,
///         _ => 2, // nothing was decided
///     }
/// }
/// assert_eq!(exit_code(&Verdict::Unknown("the time was up".into())), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub enum Verdict<S: Spec> {
    /// Nothing wrong was seen, within what was covered.
    Ok,
    /// Something is wrong.
    Finding(Finding<S>),
    /// Not decided: a budget was spent, nothing ran, too little overlapped. Never green.
    Unknown(String),
    /// This engine cannot run here, with the reason. Never green unless it was allowed by name.
    Unavailable(String),
}

/// A failure and its explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Finding<S: Spec> {
    /// The kind.
    pub kind: Kind,
    /// One sentence in words, for the kinds that no history explains.
    pub detail: String,
    /// The reason why no order of the calls explains the history, for the kinds that a history
    /// shows.
    pub explanation: Option<Explanation<S>>,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// No order of the calls that keeps real time gives these results.
    NotLinearizable,
    /// No order of the calls gives these results, even if it only keeps each process's own order.
    NotSequentiallyConsistent,
    /// The structure panicked.
    Panic,
    /// The structure's invariant does not hold after a step.
    InvariantViolated,
    /// The user's spec panicked, so the structure cannot be judged by it.
    SpecPanic,
    /// A process of the case ended before its program did: abort, exit, a signal.
    Died,
    /// An operation uses processor time without end.
    Endless,
    /// An operation sleeps and no process is left to wake it.
    Deadlock,
    /// Each process that is not done spins, and no process will ever change the words that they
    /// read.
    Livelock,
    /// A process waits indefinitely for an action of a killed process.
    NotCrashTolerant,
    /// A process waits for one that is delayed, though the suite promised lock-freedom.
    NotLockFree,
    /// An operation takes more steps than the engine allows, or than the suite promised.
    StepBound,
    /// Two accesses to the same data that happens-before does not order, one of them a write.
    DataRace,
    /// An access to memory that was freed.
    UseAfterFree,
    /// A process whose mapping is to be read-only wrote.
    WriteToReadOnly,
    /// The structure holds a pointer to memory that is private to one process.
    PrivatePointer,
    /// A repetition of the steps in their order gave another result.
    NotDeterministic,
}

impl Kind {
    /// Returns whether a history shows it. The other kinds end the execution in which they are
    /// found.
    ///
    /// ```
    /// use forkcheck::check::Kind;
    /// assert!(Kind::NotLinearizable.is_of_history() && !Kind::Deadlock.is_of_history());
    /// ```
    pub fn is_of_history(self) -> bool {
        matches!(
            self,
            Kind::NotLinearizable | Kind::NotSequentiallyConsistent
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::NotLinearizable => "NOT LINEARIZABLE",
            Kind::NotSequentiallyConsistent => "NOT SEQUENTIALLY CONSISTENT",
            Kind::Panic => "PANIC",
            Kind::InvariantViolated => "INVARIANT VIOLATED",
            Kind::SpecPanic => "PANIC IN THE SPEC",
            Kind::Died => "DIED",
            Kind::Endless => "ENDLESS",
            Kind::Deadlock => "DEADLOCK",
            Kind::Livelock => "LIVELOCK",
            Kind::NotCrashTolerant => "NOT CRASH-TOLERANT",
            Kind::NotLockFree => "NOT LOCK-FREE",
            Kind::StepBound => "STEP BOUND",
            Kind::DataRace => "DATA RACE",
            Kind::UseAfterFree => "USE AFTER FREE",
            Kind::WriteToReadOnly => "WRITE TO READ-ONLY MEMORY",
            Kind::PrivatePointer => "POINTS TO PRIVATE MEMORY",
            Kind::NotDeterministic => "NOT DETERMINISTIC",
        })
    }
}

/// The reason why no order of the calls gives the results that were seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Explanation<S: Spec> {
    /// The longest order that works, as (process, number of its call).
    pub longest: Vec<(usize, usize)>,
    /// The state after it, in the spec's own words (`Debug`).
    pub state: String,
    /// The calls that could come next, none of which may return its result there.
    pub blocked: Vec<Blocked<S>>,
}

/// A call that no order allows at the point that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Blocked<S: Spec> {
    /// The process that called.
    pub process: usize,
    /// The number of the call among those of its process.
    pub call: usize,
    /// Result that the spec expects; `None` where the call waits, or where `step` panics because `accept` decides.
    pub expected: Option<S::Ret>,
    /// Whether the spec lets it wait there.
    pub waits: bool,
}

#[cfg(test)]
mod tests {
    use super::Kind::*;

    #[test]
    fn a_history_shows_what_no_order_explains_and_no_other_kind() {
        for (kind, words) in [
            (NotLinearizable, "NOT LINEARIZABLE"),
            (NotSequentiallyConsistent, "NOT SEQUENTIALLY CONSISTENT"),
        ] {
            assert!(kind.is_of_history());
            assert_eq!(kind.to_string(), words);
        }
        for kind in [Panic, Died, Deadlock, NotCrashTolerant, DataRace] {
            assert!(!kind.is_of_history(), "{kind}");
        }
    }
}
