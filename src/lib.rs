//! forkcheck checks the memory that processes share.
//!
//! A test has a structure, which is plain Rust over a [`Memory`], and a [`Spec`] that says what it should do. [`suite!`] draws
//! programs for several processes, runs them on each engine, and checks the results; [`scenario!`] runs processes with assertions
//! in place of a spec.
//!
//! ```
//! # #[cfg(feature = "harness")]
//! # mod tests {
//! use forkcheck::prelude::*;
//! use forkcheck::spec::{Counter, CounterOp, CounterRet};
//!
//! /// A number that several processes add to.
//! struct Sum<M: Memory>(M::AtomicI64);
//!
//! impl<M: Memory> Structure for Sum<M> {
//!     type Memory = M;
//!     type Spec = Counter;
//!     fn new(first: &i64) -> Self { Sum(Atomic::new(*first)) }
//!     fn apply(&self, op: &CounterOp) -> CounterRet {
//!         match op {
//!             CounterOp::Add(n) => { self.0.fetch_add(*n, Ordering::AcqRel); CounterRet::Added }
//!             CounterOp::Read => CounterRet::Value(self.0.load(Ordering::Acquire)),
//!         }
//!     }
//! }
//!
//! // The tests `sum::processes`, `sum::stepped`, `sum::kills` and `sum::loom`.
//! forkcheck::suite! {
//!     sum: Sum<_>,
//!     setup: Just(0),
//!     adder: 2 processes, 1..=3 ops of (1i64..9).prop_map(CounterOp::Add),
//!     reader: 1..=3 ops of Just(CounterOp::Read),
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! | to | see |
//! |---|---|
//! | check a structure | [`suite!`], [`Suite`] for a test that calls it, [`Structure`], [`WithHandles`] for producers and consumers |
//! | say what is right | [`spec`]: ready ones, [`Spec`] for another, [`Sequential`](suite::Sequential) for none; [`scenario!`] for assertions |
//! | know what ran and what did not | [`engine`], [`Report`], [`reached!`], [`sometimes!`] |
//! | judge a history that was recorded elsewhere | [`recorded`], [`check`] |
//! | read cases and verdicts as data | [`case`], [`check`], [`report`] |
//! | write a structure, and ship it | [`memory`]: words, payloads, fences, which process is alive; [`publish`]: ready protocols |
//! | share memory between processes | [`region`], [`process`] |
//!
//! The last two rows are the core and build alone (`default-features = false`); the rest is the harness. Data flows one way: a
//! program is drawn, an engine runs it and records a history, a check gives its verdict, and a report shows it.

// The table above names the harness even where that is left out.
#![cfg_attr(not(feature = "harness"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod builtin;
#[cfg(feature = "harness")]
pub mod case;
#[cfg(feature = "harness")]
pub mod check;
#[cfg(feature = "harness")]
pub mod engine;
#[cfg(feature = "harness")]
pub mod heap;
pub mod memory;
pub mod process;
pub mod publish;
#[cfg(feature = "harness")]
pub mod recorded;
pub mod region;
#[cfg(feature = "harness")]
pub mod report;
#[cfg(feature = "harness")]
pub mod spec;
#[cfg(feature = "harness")]
pub mod structure;
#[cfg(feature = "harness")]
pub mod suite;

mod error;
mod marks;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod reached;
#[cfg(feature = "harness")]
mod regression;
#[cfg(feature = "harness")]
mod schedule;
#[cfg(feature = "harness")]
mod search;
#[cfg(feature = "harness")]
mod settings;
#[cfg(feature = "harness")]
mod source;
#[cfg(feature = "harness")]
mod workers;

pub use error::Error;
pub use memory::{Hardware, Memory};
pub use region::Region;
#[cfg(feature = "harness")]
pub use {
    report::Report,
    search::Outcome,
    spec::Spec,
    structure::{Structure, WithHandles},
    suite::Suite,
};

/// The strategies of proptest, in the version that suites are written with.
#[cfg(feature = "harness")]
pub use proptest;

/// The names that a file with a structure and its suite uses.
pub mod prelude {
    pub use crate::Region;
    #[doc(no_inline)]
    pub use crate::memory::Ordering;
    pub use crate::memory::{Atomic, Hardware, Memory, MemoryCell, Words};
    #[cfg(feature = "harness")]
    pub use crate::{
        spec::Spec,
        structure::{OpOf, RetOf, Role, SetupOf, Structure, WithHandles},
        suite::Suite,
    };
    #[cfg(feature = "harness")]
    #[doc(no_inline)]
    pub use proptest::prelude::{Just, Strategy, any, prop_oneof};
}

/// The samples of the README, compiled.
#[cfg(all(doctest, feature = "harness"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The samples of the guide, compiled.
#[cfg(all(doctest, feature = "loom"))]
mod guide {
    #[doc = include_str!("../docs/src/tutorial.md")]
    struct Tutorial;
    #[doc = include_str!("../docs/src/suites.md")]
    struct Suites;
    #[doc = include_str!("../docs/src/specs.md")]
    struct Specs;
    #[doc = include_str!("../docs/src/recovery.md")]
    struct Recovery;
    #[doc = include_str!("../docs/src/loom.md")]
    struct Loom;
    #[doc = include_str!("../docs/src/state_machines.md")]
    struct StateMachines;
    #[doc = include_str!("../docs/src/foreign.md")]
    struct Foreign;
    #[doc = include_str!("../docs/src/histories.md")]
    struct Histories;
    #[doc = include_str!("../docs/src/core.md")]
    struct Core;
}
