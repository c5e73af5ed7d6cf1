//! forkcheck checks the memory that processes share.
//!
//! | layer | what is in it |
//! |---|---|
//! | [`region`], [`process`] | memory shared over `fork`; children that return values, panics and exits, typed |
//! | [`memory`] | what a protocol is written against: [`Memory`], atomic words, payloads, fences, who is alive |
//! | [`publish`] | protocols that make a writer's data visible to readers |
//! | [`mod@structure`], [`spec`] | what you write: a [`Structure`], and the [`Spec`] that says what it should do |
//! | [`case`], [`check`] | programs and histories as plain data; the check for linearizability |
//! | [`recorded`] | the verdict and the report of a history that was recorded elsewhere |
//! | [`engine`] | ways to run a case: forked processes side by side, step by step, and with kills; loom's memory model |
//! | [`report`] | the result of a check as data, which text, JSON and pages are rendered from |
//! | [`mod@suite`] | what a test calls: [`suite!`] and [`Suite`] |
//!
//! The first four are the core and build alone (`default-features = false`); the rest is the
//! harness. Data flows one way: a program is drawn, an engine runs it and records a history, a
//! check gives its verdict, and a report shows it.
//!
//! ```
//! use forkcheck::prelude::*;
//!
//! // The old text's first program: a child sets an integer that its parent reads.
//! let region = Region::anonymous(4)?;
//! let an_int: &std::sync::atomic::AtomicI32 = region.get(0)?;
//! forkcheck::process::run(|| an_int.store(1, Ordering::Release))?;
//! assert_eq!(an_int.load(Ordering::Acquire), 1);
//! # Ok::<(), forkcheck::Error>(())
//! ```

// The table above names the harness even where that is left out.
#![cfg_attr(not(feature = "harness"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "harness")]
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
    pub use crate::memory::{Atomic, Hardware, Memory, MemoryCell, Ordering, Words};
    #[cfg(feature = "harness")]
    pub use crate::{
        spec::Spec,
        structure::{OpOf, RetOf, Role, SetupOf, Structure, WithHandles},
        suite::Suite,
    };
    #[cfg(feature = "harness")]
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
    #[doc = include_str!("../docs/src/foreign.md")]
    struct Foreign;
    #[doc = include_str!("../docs/src/histories.md")]
    struct Histories;
    #[doc = include_str!("../docs/src/core.md")]
    struct Core;
}
