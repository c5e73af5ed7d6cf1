//! A case as plain data: the input of an execution ([`Case`]) and its events ([`History`],
//! [`Step`]).
//!
//! Engines run cases, checks judge histories, and regressions save cases.

mod extent;
mod history;
mod place;
mod prefix;

pub(crate) use extent::Extent;
pub use history::{Access, Call, Form, History, Step};
pub(crate) use place::Names;
pub use place::Place;

use crate::spec::Spec;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::marker::PhantomData;

/// The operations of each process, in order.
pub type Program<S> = Vec<Vec<<S as Spec>::Op>>;

/// One execution, as far as it is known beforehand: setup, program, schedule, kills.
///
/// ```
/// use forkcheck::case::{Case, Kill, Place, Schedule, Turn, Until};
/// use forkcheck::spec::{Counter, CounterOp};
///
/// // The adder takes its steps up to the second one on `sum`, is killed there, and then the reader runs.
/// let second = Place::new(Some(0), "sum", 2);
/// let program = vec![vec![CounterOp::Add(1)], vec![CounterOp::Read]];
/// let mut case = Case::<Counter>::free(0, program);
/// case.schedule = Schedule::Turns(vec![
///     Turn::new(0, Until::Before(second.clone())),
///     Turn::new(1, Until::End),
/// ]);
/// case.kills = vec![Kill::new(0, 0, second)];
/// assert_eq!(case.operations(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
#[non_exhaustive]
pub struct Case<S: Spec> {
    /// The setup from which the structure and its spec start.
    pub setup: S::Setup,
    /// The operations of each process, those of the prefix first.
    #[serde(deserialize_with = "program")]
    pub program: Program<S>,
    /// The order of the steps.
    #[serde(default)]
    pub schedule: Schedule,
    /// The steps at which processes die.
    #[serde(default)]
    pub kills: Vec<Kill>,
    /// The prefix: operations that are done one after the other before the processes begin. Each
    /// entry is a process that does the next operation of its program.
    #[serde(default)]
    pub prefix: Vec<u16>,
}

impl<S: Spec> Case<S> {
    /// Makes a case of a program whose steps the machine orders, without kills.
    pub fn free(setup: S::Setup, program: Program<S>) -> Self {
        Self {
            setup,
            program,
            schedule: Schedule::Free,
            kills: Vec::new(),
            prefix: Vec::new(),
        }
    }
    /// Returns the number of operations of all processes together.
    pub fn operations(&self) -> usize {
        self.program.iter().map(Vec::len).sum()
    }
}

/// The processes that take the steps, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Schedule {
    /// No order is given: the machine runs the processes side by side, or a model tries all orders.
    #[default]
    Free,
    /// Turn by turn. After the last turn its process goes on, and then the first process that can.
    Turns(Vec<Turn>),
}

/// Steps that one process takes one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Turn {
    /// The process.
    pub process: u16,
    /// The end of the turn.
    pub until: Until,
}

impl Turn {
    /// Makes a turn of this process.
    pub fn new(process: u16, until: Until) -> Self {
        Self { process, until }
    }
}

/// The end of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Until {
    /// The process is done, sleeps, or dies.
    End,
    /// Before the step of this name, which the process has not taken yet.
    Before(Place),
}

/// A step at which a process dies by SIGKILL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Kill {
    /// The process.
    pub process: u16,
    /// The incarnation of the process, counted from 0. Saved cases and tokens name it `life`.
    #[serde(rename = "life")]
    pub incarnation: u32,
    /// The step of that incarnation that the kill replaces.
    pub before: Place,
}

impl Kill {
    /// Makes a kill of this incarnation of a process, in place of the step `before`.
    pub fn new(process: u16, incarnation: u32, before: Place) -> Self {
        Self {
            process,
            incarnation,
            before,
        }
    }
}

/// The most operations that are read for one process: each has a number in [`Place::operation`].
const MOST_OPERATIONS: usize = u16::MAX as usize;

/// Reads a program, with a limit on the operations of a process: if an operation takes no bytes, a few bytes can
/// announce 2^64.
pub(crate) fn program<'de, D, T>(from: D) -> Result<Vec<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let program = Vec::<Operations<T>>::deserialize(from)?;
    Ok(program.into_iter().map(|operations| operations.0).collect())
}

/// The operations of one process, with the limit that reading them keeps.
struct Operations<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Operations<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(OneByOne(PhantomData)).map(Self)
    }
}

struct OneByOne<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneByOne<T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at most {MOST_OPERATIONS} operations")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<T>, A::Error> {
        let mut operations = Vec::new();
        while let Some(operation) = all.next_element()? {
            if operations.len() == MOST_OPERATIONS {
                return Err(A::Error::invalid_length(operations.len() + 1, &self));
            }
            operations.push(operation);
        }
        Ok(operations)
    }
}

/// Names a process by its role, with its number where several have the same role.
pub(crate) fn named(roles: &[String], process: usize) -> String {
    let role = &roles[process];
    if roles.iter().filter(|other| *other == role).count() > 1 {
        let among = roles[..process]
            .iter()
            .filter(|other| *other == role)
            .count();
        format!("{role} {}", among + 1)
    } else {
        role.clone()
    }
}
