//! The events of an execution: calls with their results in real-time order, and the steps between.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};

/// The calls of each process, in the order in which it made them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct History<S: Spec> {
    /// `calls[process][n]` is the n-th call of that process.
    pub calls: Vec<Vec<Call<S>>>,
}

impl<S: Spec> History<S> {
    /// Returns the number of calls that returned.
    pub fn responses(&self) -> usize {
        self.calls
            .iter()
            .flatten()
            .filter(|call| call.ret.is_some())
            .count()
    }

    /// Returns whether two calls of different processes were under way at the same time.
    ///
    /// ```
    /// use forkcheck::case::{Call, History};
    /// use forkcheck::spec::{Counter, CounterOp::Read, CounterRet::Value};
    /// let read = |invoked| Call { op: Read, ret: Some(Value(0)), invoked, returned: invoked + 5 };
    /// let history = History::<Counter> { calls: vec![vec![read(0)], vec![read(3)]] };
    /// assert!(history.overlaps());
    /// assert_eq!((history.responses(), history.first()), (2, Some(0)));
    /// ```
    pub fn overlaps(&self) -> bool {
        let calls = || {
            self.calls
                .iter()
                .enumerate()
                .flat_map(|(p, calls)| calls.iter().map(move |c| (p, c)))
        };
        calls().any(|(p, a)| {
            calls().any(|(q, b)| p < q && a.invoked < b.returned && b.invoked < a.returned)
        })
    }

    /// Returns the process that called first after the prefix, if there is one.
    pub fn first(&self) -> Option<usize> {
        let firsts = self.calls.iter().enumerate();
        let own = |calls: &'_ Vec<Call<S>>| {
            let mut own = calls.iter().filter(|call| !call.is_of_prefix());
            own.next().map(|call| call.invoked)
        };
        let firsts = firsts.filter_map(|(p, calls)| Some((own(calls)?, p)));
        firsts.min().map(|(_, p)| p)
    }
}

/// One operation from its call to its return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Call<S: Spec> {
    /// The operation with its arguments.
    pub op: S::Op,
    /// The result; `None` if the call never returned, so that it took effect or did not.
    pub ret: Option<S::Ret>,
    /// The time of the call, on a clock that all processes share. A call of a case's prefix has one time for call and return.
    pub invoked: u64,
    /// The time of the return; [`Call::NEVER`] where there was none. Where a process died in a
    /// call, the time at which its next incarnation made the next call, or [`Call::DIED`].
    pub returned: u64,
}

impl<S: Spec> Call<S> {
    /// The time of a return that never came.
    pub const NEVER: u64 = u64::MAX;
    /// The time of a return that never came, where the process died in the call and had no next
    /// incarnation.
    pub const DIED: u64 = u64::MAX - 1;
}

/// One access to shared memory, with the source line that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// The process that made it.
    pub process: usize,
    /// The number of its operation, counted from 0; `None` before the first.
    pub operation: Option<usize>,
    /// The kind of access.
    pub access: Access,
    /// The word, numbered among those that the execution touches: by address, or, in loom's model
    /// (which has none), in the order in which it first touches them. `None` for fences and spins.
    pub word: Option<usize>,
    /// The byte of the structure at which that word begins, or the payload that it is a part of,
    /// where the engine knows.
    pub offset: Option<usize>,
    /// The element of an array of the structure, where the engine can tell.
    pub element: Option<usize>,
    /// The part of a payload, where that is copied in several steps: `[1]` of a `[u64; 2]`,
    /// `[8..12]` of a `[u8; 12]`, `[bytes 8..16]` of anything else.
    pub part: Option<String>,
    /// The value read or written; for an exchange, the one found.
    pub value: u64,
    /// The form in which that value and `now` are written: a word holds them as bits.
    #[serde(default)]
    pub form: Form,
    /// The value of the word from now on, where this changed it and the engine knows.
    pub now: Option<u64>,
    /// Of a load that found an earlier value, as weak memory allows: the step that had stored the
    /// later one.
    pub stale: Option<usize>,
    /// The source file, as the compiler knows it.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// The column there.
    pub column: u32,
}

#[cfg(test)]
impl Step {
    /// Makes a step in the first operation of a process, of no word, at a file, a line and a column.
    pub(crate) fn at(process: usize, access: Access, place: (&str, u32, u32)) -> Self {
        let (file, line, column) = place;
        Self {
            process,
            operation: Some(0),
            access,
            word: None,
            offset: None,
            element: None,
            part: None,
            value: 0,
            form: Form::Unsigned,
            now: None,
            stale: None,
            file: file.into(),
            line,
            column,
        }
    }
}

/// The form in which the value of a word is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Form {
    /// As a number without a sign.
    #[default]
    Unsigned,
    /// As a number with a sign.
    Signed,
    /// As `true` or `false`.
    Bool,
    /// As a byte of the structure, or of its heap behind it: the value is the address of that byte.
    Address,
}

impl Form {
    /// Returns a value as the source would write it.
    pub(crate) fn shown(self, value: u64) -> String {
        match self {
            Self::Unsigned => value.to_string(),
            Self::Signed => value.cast_signed().to_string(),
            Self::Bool => (value != 0).to_string(),
            Self::Address => format!("@{value}"),
        }
    }
}

/// A kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Access {
    /// An atomic load.
    Load,
    /// An atomic store.
    Store,
    /// An atomic read-modify-write that changed the word.
    Update,
    /// A compare-exchange that found another value.
    Miss,
    /// The data of a cell was read.
    Read,
    /// The data of a cell may have been written.
    Write,
    /// A write that the process may not do: its mapping is read-only.
    Refused,
    /// A fence.
    Fence,
    /// An iteration of `spin_loop`.
    Spin,
    /// A wait on a word that held the value given, or did not.
    Wait,
    /// The end of a wait that is limited in time: 1 if a process woke it, 0 if its time was up.
    Timeout,
    /// A wake of the processes that wait on a word.
    Wake,
    /// A question whether a process is alive.
    Alive,
    /// No access: the process was killed before the step at this line of the source.
    Killed,
}
