//! Panics in the process of a model. loom reports by panics of its own, and code that it then
//! unwinds panics again, so such a panic ends the process from within its hook. A panic of the
//! structure may be caught by its operation, and is a finding only if it is not.

use crate::check::{Finding, Kind, Verdict};
use crate::spec::Spec;
use std::any::Any;
use std::cell::RefCell;
use std::panic::PanicHookInfo;

/// Accesses of one execution before loom gives up on it.
pub(super) const BRANCHES: usize = 10_000;
/// The stack of each thread of the model: as large as that of a process, of which only used pages
/// take memory.
pub(super) const STACK_MIB: usize = 8;

thread_local! {
    /// The location and the message of the structure's last panic.
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// The owner of a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Loom,
    /// The crate that makes loom's threads.
    Generator,
    Structure,
    /// A destructor or a function that cannot unwind: the process is about to abort.
    Aborting,
}

/// A panic as the hook sees it.
pub(super) struct Panic<'a> {
    pub(super) of: Of,
    place: String,
    message: &'a str,
}

impl<'a> Panic<'a> {
    pub(super) fn new(info: &'a PanicHookInfo<'_>) -> Self {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = words(info.payload()).trim();
        // The crate is in a registry, or vendored.
        let is_in = |name: &str| {
            place.contains(&format!("/{name}-0.")) || place.contains(&format!("/{name}/src/"))
        };
        let of = if is_in("loom") {
            Of::Loom
        } else if is_in("generator") {
            Of::Generator
        } else if message.starts_with("panic in a ") && place.contains("core/src/panicking.rs") {
            Of::Aborting
        } else {
            Of::Structure
        };
        Self { of, place, message }
    }

    /// Notes the panic for [`uncaught`].
    pub(super) fn note(self) {
        LAST.set(Some((self.place, self.message.to_owned())));
    }

    /// Returns the verdict of a panic that ends the process. `unwinds` says that it came while an
    /// ended execution was unwound; `race` says which accesses race.
    pub(super) fn verdict<S: Spec>(
        &self,
        unwinds: bool,
        race: impl FnOnce() -> String,
    ) -> Verdict<S> {
        let (place, message) = (&self.place, self.message);
        let of_loom = self.of == Of::Loom;
        if unwinds {
            Verdict::Unknown(format!(
                "an operation panicked as it was unwound from an execution that loom does not follow to its end, at {place}: {message}; \
                 ask `stepped`"
            ))
        } else if of_loom && message.starts_with("deadlock") {
            finding(
                Kind::Deadlock,
                "every process that is not done waits, and none is left to wake it".into(),
            )
        } else if of_loom
            && (message.contains("Causality violation")
                || message.contains("ing to cell")
                || message.contains("ing from cell"))
        {
            finding(Kind::DataRace, race())
        } else if of_loom && message.contains("maximum number of branches") {
            Verdict::Unknown(format!(
                "an execution of the model made more than {BRANCHES} accesses: an operation never ends, or spins without spin_loop(); \
                 ask `stepped`"
            ))
        } else if self.of == Of::Generator && message.contains("failed to alloc") {
            Verdict::Unknown(format!(
                "there is no room for the stacks of the model's threads, of {STACK_MIB} MiB each; raise RLIMIT_AS (ulimit -v) or, with \
                 vm.overcommit_memory=2, vm.overcommit_ratio"
            ))
        } else if of_loom || self.of == Of::Generator {
            Verdict::Unknown(format!("loom cannot go on here ({place}): {message}"))
        } else {
            let first = LAST.take();
            let (place, message) =
                (first.as_ref()).map_or((&**place, message), |(place, message)| (place, message));
            finding(
                Kind::Panic,
                format!("the structure panicked at {place}: {message}"),
            )
        }
    }
}

/// Returns the finding of a panic that unwound out of the structure.
pub(super) fn uncaught<S: Spec>(payload: &(dyn Any + Send)) -> Verdict<S> {
    let message = words(payload).trim();
    // The last noted panic may be another one: `resume_unwind` calls no hook.
    let place = LAST
        .take()
        .filter(|(_, noted)| noted == message)
        .map_or(String::new(), |(place, _)| format!(" at {place}"));
    finding(
        Kind::Panic,
        format!("the structure panicked{place}: {message}"),
    )
}

fn finding<S: Spec>(kind: Kind, detail: String) -> Verdict<S> {
    Verdict::Finding(Finding {
        kind,
        detail,
        explanation: None,
    })
}

fn words(payload: &(dyn Any + Send)) -> &str {
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(words), _) => words,
        (None, Some(words)) => words,
        _ => "no message",
    }
}
