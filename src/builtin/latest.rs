//! [`Latest`] against a register; its writer writes once or twice in an operation.

use super::{Pair, message};
use crate::memory::Memory;
use crate::publish::{Latest, LatestWriter};
use crate::spec::{Register, RegisterOp, RegisterRet, Spec};
use crate::structure::{Role, WithHandles};
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use serde::{Deserialize, Serialize};

/// A register whose killed writer has either written its value or changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Newest(Register<Pair>);

/// An operation of [`CheckedLatest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Makes this the newest value.
    Write(Pair),
    /// Writes twice. The writer reuses a reader's slot at its third write, and loom explores two
    /// operations.
    WriteTwice(Pair),
    /// Reads the newest value.
    Read,
}

impl Spec for Newest {
    type Setup = Pair;
    type Op = Op;
    type Ret = RegisterRet<Pair>;
    fn start(first: &Pair) -> Self {
        Self(Register::start(first))
    }
    fn step(&mut self, process: usize, op: &Op) -> RegisterRet<Pair> {
        let op = match op {
            Op::Write(value) | Op::WriteTwice(value) => RegisterOp::Write(*value),
            Op::Read => RegisterOp::Read,
        };
        self.0.step(process, &op)
    }
    fn only_reads(op: &Op, _: &RegisterRet<Pair>) -> bool {
        *op == Op::Read
    }
}

/// [`Latest`] against [`Newest`].
pub struct CheckedLatest<M: Memory>(Latest<Pair, M>);

impl<M: Memory> WithHandles for CheckedLatest<M> {
    type Memory = M;
    type Spec = Newest;
    /// The writer keeps its [`LatestWriter`] from one operation to the next.
    type Handle<'a> = (&'a Latest<Pair, M>, Option<LatestWriter<'a, Pair, M>>);
    fn new(first: &Pair) -> Self {
        Self(Latest::new_in(*first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Self::Handle<'a> {
        (&self.0, None)
    }
    fn apply((latest, writer): &mut Self::Handle<'_>, op: &Op) -> RegisterRet<Pair> {
        let (value, times) = match op {
            Op::Write(value) => (*value, 1),
            Op::WriteTwice(value) => (*value, 2),
            Op::Read => return RegisterRet::Value(latest.read()),
        };
        let writer = writer.get_or_insert_with(|| latest.writer());
        (0..times).for_each(|_| writer.write(value));
        RegisterRet::Written
    }
}

/// A suite in which one process writes and one reads.
pub fn suite() -> Suite<Newest> {
    let value = any::<u8>().prop_map(|value| message(value.into()));
    let writes = prop_oneof![
        value.clone().prop_map(Op::Write),
        value.prop_map(Op::WriteTwice)
    ];
    Suite::of_module(crate::site!())
        .setup(Just(message(0)))
        .role("writer", 1, 1..=4, writes.boxed())
        .role("reader", 1, 1..=4, Just(Op::Read))
        .regressions(None)
}
