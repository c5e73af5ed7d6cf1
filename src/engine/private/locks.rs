//! Locks of std in a structure: they work within one process, and their waiters sleep on private futexes. futex(2).
//!
//! Without contention, such a lock is a word that changes from 0 to 1 and back, and works across processes.
//! Contention is rare under `processes`, and never comes where one process moves at a time, so this module forces it.
//! In a structure of its own each word of four bytes that is 0 after `new` is set to 1, as if another process held
//! the lock there, and each process does its first operation. Most words are no locks, and the effects of setting
//! those are ignored, even crashes. But a process that sleeps on a private futex in the structure is a finding,
//! whether or not that state can arise: no wake-up by another process would ever reach it.
//!
//! Not checked: locks that only later operations take, and locks that sleep elsewhere (parking_lot). If processes
//! sleep so in an execution, [`PrivateWait`] recognises it.

use super::placed::{Placed, be_quiet};
use crate::case::Case;
use crate::error::Error;
use crate::memory::Memory;
use crate::process;
use crate::region::Region;
use crate::spec::Spec;
use crate::structure::{Role, WithHandles};
use crate::workers::futex::PrivateWait;
use crate::workers::original::{self, without_copies};
use crate::workers::possible;
use crate::workers::watch::state_and_time;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The most words that are tried, from the start of the structure.
const WORDS: usize = 256;
/// The number of operations that end their process, or do not return, after which the rest is left out.
const PROCESSES: u32 = 16;
/// The times as in `private`: between two looks, and before an operation is given up.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
const ASLEEP: u32 = 5;
const ENDLESS: Duration = Duration::from_millis(30);

/// Returns the process whose first operation waits on a private futex in the structure, and the wait.
pub(crate) fn private_lock<M: Memory, S: WithHandles<Memory = M>>(
    case: &Case<S::Spec>,
    roles: &[String],
) -> Result<Option<(usize, PrivateWait)>, Error> {
    if possible(size_of::<S>(), roles).is_err() {
        return Ok(None);
    }
    let region = Region::anonymous(size_of::<AtomicU32>())?;
    let trial: &AtomicU32 = region.get(0)?;
    let words = (size_of::<S>() / size_of::<AtomicU32>()).min(WORDS);
    let trials = (words * roles.len()) as u32;
    for _ in 0..PROCESSES {
        let mut child = process::spawn(|| {
            be_quiet();
            original::mark();
            // Counted in private memory, and copied to shared memory for the parent: an operation may overwrite
            // shared memory.
            for number in trial.load(Relaxed)..trials {
                trial.store(number, Relaxed);
                let number = number as usize;
                try_word::<M, S>(case, roles, number / roles.len(), number % roles.len());
            }
            trial.store(trials, Relaxed);
        })?;
        let (mut seen, mut since, mut last, mut asleep) = (u32::MAX, None, None, 0);
        while child.wait_timeout(BETWEEN_LOOKS)?.is_none() {
            let Some((sleeping, used)) = state_and_time(child.id()) else {
                continue;
            };
            let now = trial.load(Relaxed);
            if sleeping && let Some(wait @ PrivateWait::Shared(_)) = PrivateWait::of(child.id()) {
                return Ok(Some((now as usize % roles.len(), wait)));
            }
            if now != seen {
                (seen, since, last, asleep) = (now, None, None, 0);
            }
            let moved = last.replace(used).is_none_or(|last| used > last);
            asleep = if sleeping && !moved { asleep + 1 } else { 0 };
            if asleep >= ASLEEP || used - *since.get_or_insert(used) >= ENDLESS {
                child.kill()?;
            }
        }
        if trial.fetch_add(1, Relaxed) >= trials {
            break;
        }
    }
    Ok(None)
}

/// Runs the first operation of a process while this word is 1.
fn try_word<M: Memory, S: WithHandles<Memory = M>>(
    case: &Case<S::Spec>,
    roles: &[String],
    word: usize,
    process: usize,
) {
    let Some(op) = case.program[process].first() else {
        return;
    };
    if S::Spec::start(&case.setup).blocks(process, op) {
        return;
    }
    let Ok(mut placed) = Placed::<M, S>::new(1) else {
        return;
    };
    let region = placed.region();
    let structures = placed.build(&case.setup);
    let Ok(word) = region.get::<AtomicU32>(word * size_of::<AtomicU32>()) else {
        return;
    };
    if word.load(Relaxed) != 0 {
        return;
    }
    word.store(1, Relaxed);
    let mut handle = structures[0].attach(Role::of(roles, process, 0));
    // Its result may be an invalid value, so it is not looked at.
    std::mem::forget(without_copies(|| S::apply(&mut handle, op)));
}
