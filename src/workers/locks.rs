//! Locks of std in a structure: those of one process, whose waiters sleep on private futexes. futex(2).
//!
//! Where nothing contends, such a lock is a word that changes from 0 to 1 and back, and works across processes. Contention
//! takes chance where processes run side by side, and never comes where one moves at a time. So it is made: in a structure of
//! its own each word of four bytes that is 0 after `new` is set to 1, as if another process held the lock there, and each
//! process does its first operation. Most words are no locks, and whatever comes of that is of no interest, crashes too. But a
//! process that sleeps on a private futex in the structure has shown what it would do, whether or not the state can
//! arise so: no wake-up by another process would ever reach it.
//!
//! Not seen: locks that only later operations take, and locks that sleep elsewhere (parking_lot). Where processes sleep so
//! in an execution, [`PrivateWait`] tells.

use super::futex::PrivateWait;
use super::original::{self, without_copies};
use super::placed::{Placed, be_quiet};
use super::possible;
use super::watch::state_and_time;
use crate::case::Case;
use crate::error::Error;
use crate::memory::Memory;
use crate::process;
use crate::region::Region;
use crate::spec::Spec;
use crate::structure::{Role, WithHandles};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Words that are tried, from the start of the structure.
const WORDS: usize = 256;
/// Operations that end their process, or do not return, before the rest is left out.
const PROCESSES: u32 = 16;
/// As in `private`: how often to look, and when an operation is given up.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
const ASLEEP: u32 = 5;
const ENDLESS: Duration = Duration::from_millis(30);

/// The process whose first operation waits on a private futex in the structure, and the wait.
pub(crate) fn private_lock<M: Memory, S: WithHandles<Memory = M>>(
    case: &Case<S::Spec>,
    roles: &[String],
) -> Result<Option<(usize, PrivateWait)>, Error> {
    if possible::<S>(roles).is_err() {
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
            // Counted in private memory, and copied to shared memory to be seen: an operation may write over shared
            // memory.
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

/// The first operation of a process, where this word is 1.
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
    // Its result, which may be a value that is none, is not looked at.
    std::mem::forget(without_copies(|| S::apply(&mut handle, op)));
}
