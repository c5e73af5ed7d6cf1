//! All benchmarks as a list: `table` prints their ratios, `track` gives them to criterion.

mod backings;
mod between;
mod by_hand;
mod engines;
mod histories;
mod peers;
mod publications;

use std::time::Duration;

/// One figure.
pub(crate) struct Measured {
    /// The group in which it is compared with others.
    pub(crate) group: String,
    /// The name in the group.
    pub(crate) name: String,
    /// The unit of a turn: an execution, a write and a read, ...
    pub(crate) unit: &'static str,
    /// The least number of turns that is worth measuring.
    pub(crate) turns: u64,
    /// Returns the time that this number of turns takes.
    pub(crate) run: Box<dyn FnMut(u64) -> Duration>,
    /// Returns a note on the last run: overlap, findings.
    pub(crate) note: Box<dyn Fn() -> String>,
}

impl Measured {
    fn new(
        group: impl Into<String>,
        name: impl Into<String>,
        unit: &'static str,
        turns: u64,
        run: impl FnMut(u64) -> Duration + 'static,
    ) -> Self {
        Self {
            group: group.into(),
            name: name.into(),
            unit,
            turns,
            run: Box::new(run),
            note: Box::new(String::new),
        }
    }
}

/// Returns all figures, group by group; the others of a group are compared with its first.
pub(crate) fn all() -> Vec<Measured> {
    let mut all = engines::all();
    all.extend(histories::all());
    all.extend(publications::all());
    all.extend(between::all());
    all.extend(backings::all());
    all
}

/// Ends the child that rusty-fork starts for its figure. Call it first in `main`.
pub(crate) fn is_a_child() {
    engines::end_rusty_child();
}
