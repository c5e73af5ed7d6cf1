//! A case as plain data: what is run ([`Case`]) and what came of it ([`History`], [`Step`]).
//!
//! Engines turn the one into the other, checks judge the other, regressions save the one.

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

/// For each process, in order, its operations.
pub type Program<S> = Vec<Vec<<S as Spec>::Op>>;

/// One execution, as far as it can be told beforehand: setup, program, schedule, kills.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct Case<S: Spec> {
    /// From where the structure and its spec start.
    pub setup: S::Setup,
    /// What each process does, operations of the prefix first.
    #[serde(deserialize_with = "program")]
    pub program: Program<S>,
    /// Who takes each step.
    #[serde(default)]
    pub schedule: Schedule,
    /// Who dies at which step.
    #[serde(default)]
    pub kills: Vec<Kill>,
    /// The prefix: operations that are done one after the other before the processes begin. Each entry is a process, of which
    /// the next operation of its program is done.
    #[serde(default)]
    pub prefix: Vec<u16>,
}

impl<S: Spec> Case<S> {
    /// A program whose steps the machine orders, with nobody killed.
    pub fn free(setup: S::Setup, program: Program<S>) -> Self {
        Self {
            setup,
            program,
            schedule: Schedule::Free,
            kills: Vec::new(),
            prefix: Vec::new(),
        }
    }
    /// How many operations all processes have together.
    pub fn operations(&self) -> usize {
        self.program.iter().map(Vec::len).sum()
    }
}

/// Who takes each step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// Nobody says: the machine runs the processes side by side, or a model tries all orders.
    #[default]
    Free,
    /// Turn by turn; after the last, whoever moved last goes on, and then the first that can.
    Turns(Vec<Turn>),
}

/// Steps that one process takes one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The process.
    pub process: u16,
    /// How long.
    pub until: Until,
}

/// Where a turn ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// Where the process is done, sleeps, or dies.
    End,
    /// Before the step that is named so, which is then still to come.
    Before(Place),
}

/// A step at which a process dies by SIGKILL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// The process.
    pub process: u16,
    /// Which of its lives, counted from 0.
    pub life: u32,
    /// Instead of which of that life's steps.
    pub before: Place,
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

/// The operations of one process, as they are read.
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

/// A process by its role, with its number where several have the same.
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
