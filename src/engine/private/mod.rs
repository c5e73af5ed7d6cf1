//! The search of a structure for things that are of use to one process alone, pointers to private
//! memory (`pointers`) and locks of std (`locks`), by processes that build it and look at it
//! (`placed`). Engines with forked processes do it before they run a program.

mod locks;
mod placed;
mod pointers;

use super::served::bare;
use super::{Answer, Covered, Known, Run};
use crate::case::{Call, Case, named};
use crate::check::{Finding, Kind, Verdict};
use crate::error::Error;
use crate::reached;
use crate::spec::Spec;
use crate::structure::WithHandles;
use crate::workers::PrivateWait;
use locks::private_lock;
use pointers::{After, Looked, Pointer};

/// Programs whose operations may fail to return; after them only `new` is searched, since each
/// costs time.
const GIVEN_UP: u64 = 3;

/// Programs in which locks are searched for, unless some were found: they are the same in all
/// programs.
const LOCKS_LOOKED_FOR: u64 = 3;

/// Looks for pointers in a structure, after its operations too if they are asked for. See [`pointers::look`].
type ForPointers<S> = fn(&Case<S>, &[String], bool) -> Result<(Looked<S>, bool), Error>;
/// Looks for a lock that an operation waits for. See [`private_lock`].
type ForLocks<S> = fn(&Case<S>, &[String]) -> Result<Option<(usize, PrivateWait)>, Error>;
/// The search for which there is nothing private.
type Search<'a, S> = dyn FnMut(Case<S>, Vec<String>) -> Result<Answer<S>, Error> + 'a;

/// The searches of a structure before a program runs.
pub(super) struct Looks<S: Spec> {
    pointers: ForPointers<S>,
    locks: ForLocks<S>,
}

impl<S: Spec> Looks<S> {
    pub(super) fn of<T: WithHandles<Spec = S>>() -> Self {
        Self {
            pointers: pointers::look::<T::Memory, T>,
            locks: private_lock::<T::Memory, T>,
        }
    }

    /// Looks for pointers to private memory and for locks, and runs `search` if there are none.
    pub(super) fn before(
        &self,
        case: Case<S>,
        roles: Vec<String>,
        known: Known,
        search: &mut Search<'_, S>,
    ) -> Result<Answer<S>, Error> {
        let operations = known.given_up < GIVEN_UP;
        let (looked, given_up) = (self.pointers)(&case, &roles, operations)?;
        let found = Covered {
            programs: 1,
            executions: 1,
            failing: 1,
            ..Covered::default()
        };
        let short = match looked {
            Looked::Found(pointer) => return Ok((found, Some(run(case, &roles, pointer)))),
            Looked::Through => 0,
            Looked::Short => 1,
        };
        if (known.locks || known.programs < LOCKS_LOOKED_FOR)
            && let Some((process, wait)) = (self.locks)(&case, &roles)?
        {
            let found = Covered { locks: 1, ..found };
            let op = &case.program[process][0];
            let detail = format!(
                "{}: {op:?}, where another process holds the lock, {wait}",
                named(&roles, process)
            );
            return Ok((found, Some(bare(case, finding(Kind::Deadlock, detail)))));
        }
        // The search for locks runs operations from states that do not occur.
        reached::taken();
        let (mut covered, run) = search(case, roles)?;
        covered.short_looks += short;
        covered.given_up += u64::from(given_up);
        Ok((covered, run))
    }
}

/// Returns the operations up to the one that stored the pointer, with the finding.
fn run<S: Spec>(case: Case<S>, roles: &[String], pointer: Pointer<S>) -> Run<S> {
    let after = match pointer.after {
        After::New => "set in new".to_owned(),
        After::Attach(process) => format!("set in attach of {}", named(roles, process)),
        After::Operation(process, number) => {
            let op = &case.program[process][number];
            format!("after {op:?} of {}", named(roles, process))
        }
    };
    let what = if pointer.to_static {
        "memory that is private to one process (the program's writable data, of which each process has its own): a reference \
         to a static?"
    } else {
        "memory that is private to one process: Box, Vec, Arc? For the engine `processes` forkcheck::heap!() in the test program puts \
         such memory where all see it"
    };
    let (word, offset) = (pointer.offset / size_of::<usize>(), pointer.offset);
    let detail = format!(
        "word {word} of the structure (byte offset {offset}), {after}: the structure holds a pointer to {what}"
    );
    let mut run = bare(case, finding(Kind::PrivatePointer, detail));
    for (time, (process, ret)) in (0..).step_by(2).zip(pointer.returned) {
        let calls = &mut run.history.calls[process];
        calls.push(Call {
            op: run.case.program[process][calls.len()].clone(),
            ret: Some(ret),
            invoked: time,
            returned: time + 1,
        });
    }
    run
}

fn finding<S: Spec>(kind: Kind, detail: String) -> Verdict<S> {
    Verdict::Finding(Finding {
        kind,
        detail,
        explanation: None,
    })
}
