//! Settings of a suite that make no sense, each with the location of the call that made it.

use crate::engine::MAX_PROCESSES;
use crate::error::Error;
use crate::reached;
use crate::settings::ENGINES;
use std::ops::RangeInclusive;
use std::panic::Location;

/// A location in the user's source.
pub(super) type At = &'static Location<'static>;

/// The most operations of one process: saved cases number them in 16 bits.
pub(super) const MOST: usize = u16::MAX as usize;

/// A setting that makes no sense: the location of its call, and the remedy.
#[derive(Clone, Debug)]
pub(super) struct Mistake {
    at: At,
    what: String,
    remedy: String,
}

impl Mistake {
    pub(super) fn new(at: At, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn error(&self) -> Error {
        let (file, line) = (self.at.file(), self.at.line());
        Error::invalid(format!("{file}:{line}: {}", self.what), &*self.remedy)
    }

    /// Checks another role of a suite that has these.
    pub(super) fn of_role<'a>(
        at: At,
        name: &str,
        processes: usize,
        operations: &RangeInclusive<usize>,
        mut others: impl Iterator<Item = (&'a str, usize)> + Clone,
    ) -> Option<Self> {
        let (least, most) = (*operations.start(), *operations.end());
        let sum = others.clone().map(|(_, processes)| processes);
        let all = sum.fold(processes, usize::saturating_add);
        let (what, remedy) = if processes == 0 {
            let what = format!("the role {name:?} has 0 processes");
            (what, "give it at least 1, or leave it out".into())
        } else if least > most {
            let what = format!("the role {name:?} has {least}..={most} operations: none is both");
            (what, format!("write {most}..={least}"))
        } else if most == 0 {
            let what =
                format!("the role {name:?} has {least}..={most} operations: it does nothing");
            (what, "let it do at least one, or leave it out".into())
        } else if most > MOST {
            let what = format!("the role {name:?} has up to {most} operations");
            (what, format!("give it at most {MOST}"))
        } else if others.any(|(other, _)| other == name) {
            let what = format!("there are two roles {name:?}");
            let remedy = "give each a name of its own, or one of them more processes";
            (what, remedy.into())
        } else if all > MAX_PROCESSES {
            let what = format!("with the role {name:?} the suite has {all} processes");
            (what, format!("give it at most {MAX_PROCESSES}"))
        } else {
            return None;
        };
        Some(Self::new(at, what, remedy))
    }

    /// Checks a number that has to be at least 1.
    pub(super) fn of_number(at: At, setting: &str, number: u64) -> Option<Self> {
        (number == 0).then(|| Self::new(at, format!("{setting}(0)"), "give it at least 1"))
    }

    /// Checks the name of an engine.
    pub(super) fn of_engine(at: At, engine: &str) -> Option<Self> {
        (!ENGINES.contains(&engine)).then(|| {
            let remedy = format!("name one of {}", ENGINES.join(", "));
            Self::new(at, format!("there is no engine {engine:?}"), remedy)
        })
    }

    /// Checks the label of a mark.
    pub(super) fn of_label(at: At, label: &str) -> Option<Self> {
        let labels = reached::labels();
        (!labels.contains(&label)).then(|| {
            let remedy = match &labels[..] {
                [] => "leave the call out: it has no marks".into(),
                labels => {
                    let quoted: Vec<String> = labels.iter().map(|it| format!("{it:?}")).collect();
                    format!("name one of {}", quoted.join(", "))
                }
            };
            let what = format!("no mark of this program has the label {label:?}");
            Self::new(at, what, remedy)
        })
    }
}
