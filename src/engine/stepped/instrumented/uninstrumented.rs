//! Locks that code without instrumentation takes and gives back, above all the standard library. They show at the words on which
//! processes sleep, and at those on which a compare-exchange failed.
#![allow(unsafe_code, reason = "bytes of the arena are read")]

use super::clocks::{Order, knows_all, tells_all};
use super::runtime::{Runtime, with};

pub(super) const ACQUIRE_AND_RELEASE: Order = Order(4);

/// Returns the number in at most eight bytes.
pub(super) fn value(address: usize, length: usize) -> u64 {
    let mut bytes = [0; 8];
    let from = std::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: a copy of `length` bytes.
    // 1. Code under test is about to read them itself, so they are mapped; they lie within eight bytes. 2. No other process
    //    takes a step meanwhile.
    unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), length.min(8)) };
    u64::from_ne_bytes(bytes)
}

/// Joins the clock of a word that the process slept on: code that is not seen may have taken a lock
/// on it.
#[cold]
fn acquire_slept(runtime: &mut Runtime, process: usize) {
    for word in runtime.known[process].slept_on() {
        synchronise(runtime, process, word, (true, false));
    }
}

/// After a compare-exchange that failed, code that is not seen may have done it again and succeeded: std's `RwLock::read` does,
/// without a wait, where another reader changed the count in between. The process then knows all that was done. It is noticed
/// before the next access, which may be one of what the lock protects.
#[cold]
fn acquire_missed(runtime: &mut Runtime, process: usize) {
    let (address, length) = std::mem::take(&mut runtime.missed[process]);
    let now = value(address, length);
    let at = runtime.find(address);
    if at.is_some_and(|at| runtime.shadow.leave(at, address, Some(now), now)) {
        changed_unseen(runtime, process, address);
    }
}

/// Orders the process that noticed a change by uninstrumented code, and each process whose compare-exchange on that word failed, after
/// all earlier steps: the code may have been of any of them.
pub(super) fn changed_unseen(runtime: &mut Runtime, noticed: usize, address: usize) {
    let processes = runtime.processes as usize;
    for process in 0..processes {
        if process == noticed || runtime.missed[process].0 == address {
            runtime.missed[process] = (0, 0);
            knows_all(&mut runtime.known[..processes], process);
        }
    }
}

fn synchronise(runtime: &mut Runtime, process: usize, word: usize, does: (bool, bool)) {
    let processes = runtime.processes as usize;
    if let Some(at) = runtime.find(word) {
        let known = (process, &mut runtime.known[..processes]);
        runtime
            .shadow
            .synchronise(at, word, known, does, ACQUIRE_AND_RELEASE);
    }
}

/// A process is about to sleep on a word or to wake others from it: code that is not seen may have given back locks, those too that
/// it took itself.
pub(super) fn calls_kernel(process: usize, word: usize) {
    with(|runtime| {
        let processes = runtime.processes as usize;
        tells_all(&mut runtime.known[..processes], process);
        runtime.known[process].sleeps_on(word);
        for word in runtime.known[process].slept_on() {
            synchronise(runtime, process, word, (true, true));
        }
    });
}

/// A process returns from a sleep or a wake-up: by then, uninstrumented code may have taken any lock, so it knows all that was done.
pub(super) fn comes_back(process: usize, word: usize) {
    meets(process, word);
    with(|runtime| {
        let processes = runtime.processes as usize;
        knows_all(&mut runtime.known[..processes], process);
    });
}

/// Synchronises a process with a word on which processes sleep.
fn meets(process: usize, word: usize) {
    with(|runtime| synchronise(runtime, process, word, (true, true)));
}

/// A process knows what code that is not seen may have acquired since its last access.
#[inline(always)]
pub(super) fn acquire(runtime: &mut Runtime, process: usize) {
    if runtime.known[process].has_slept() {
        acquire_slept(runtime, process);
    }
    if runtime.missed[process].0 != 0 {
        acquire_missed(runtime, process);
    }
}
