//! The spec of a scenario, whose assertions decide what is right.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Formatter};

/// The promise of the process bodies of [`scenario!`](crate::scenario!): they return. Their
/// assertions decide the rest.
///
/// ```
/// use forkcheck::spec::{Assertions, Run, Spec};
/// let mut scenario = Assertions::start(&());
/// assert!(scenario.accept(0, &Run::of("sender"), &()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assertions;

/// The operation of [`Assertions`]: the body of one role.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run(String);

impl Run {
    /// The body of this role.
    #[must_use]
    pub fn of(role: &str) -> Self {
        Self(role.to_owned())
    }

    /// Returns whether it is the body of this role.
    #[must_use]
    pub fn is(&self, role: &str) -> bool {
        self.0 == role
    }
}

impl Debug for Run {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Spec for Assertions {
    type Setup = ();
    type Op = Run;
    type Ret = ();
    fn start(_: &()) -> Self {
        Self
    }
    fn step(&mut self, _: usize, _: &Run) {}
    fn only_reads(_: &Run, _: &()) -> bool {
        true
    }
}
