//! Everything that is measured, as a list: `table` prints ratios of it, `track` gives it to criterion.

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
    /// What it is compared with others in.
    pub(crate) group: String,
    /// Its name there.
    pub(crate) name: String,
    /// What one turn is: an execution, a write and a read, ...
    pub(crate) unit: &'static str,
    /// So many turns and no fewer are worth measuring at a time.
    pub(crate) turns: u64,
    /// How long so many turns take.
    pub(crate) run: Box<dyn FnMut(u64) -> Duration>,
    /// What else is to be said after the last run: overlap, findings.
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

/// All of them, group by group; the first of a group is what the others are compared with.
pub(crate) fn all() -> Vec<Measured> {
    let mut all = engines::all();
    all.extend(histories::all());
    all.extend(publications::all());
    all.extend(between::all());
    all.extend(backings::all());
    all
}

/// To be called first in `main`: the child that rusty-fork starts for its figure ends in here.
pub(crate) fn is_a_child() {
    engines::end_rusty_child();
}
