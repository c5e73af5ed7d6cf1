//! The right to use the processors. What runs beside a pool takes the overlap of its calls away.
//!
//! A turn lasts one test. Within one test binary `processes` has the machine for itself, and tests of `stepped` and `kills`, which
//! need one processor each, run beside each other. Between programs only `processes` takes turns, which measures the machine
//! itself: by flock(2) on the temporary directory, or on what `FORKCHECK_LOCK` names, so that no file is left behind. No test's
//! time limit runs while it waits.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::{Duration, Instant};

/// The longest wait for other programs: any user may lock that directory, and a suite that was stopped keeps it.
const LONGEST: Duration = Duration::from_secs(120);

/// Held by the pool that runs, or by the crews that do.
static IN_THIS_PROGRAM: RwLock<()> = RwLock::new(());
/// Held by the test that asks other programs, so that the others of this one do not count as theirs.
static ASKING: Mutex<()> = Mutex::new(());
/// The longest wait was in vain once: this program does not wait for others again.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// The right to be the one pool of this machine, or one of the crews of this program, until it is dropped or its process ends.
pub(crate) struct MachineTurn {
    /// `None` where the lock cannot be had at all, or another program keeps it.
    _between_programs: Option<Flock<File>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
    _beside: Option<RwLockReadGuard<'static, ()>>,
    _asking: Option<MutexGuard<'static, ()>>,
    /// The time that it took to get it.
    pub(crate) waited: Duration,
    /// Another program has it too: it was waited for in vain.
    pub(crate) shared: bool,
}

impl MachineTurn {
    /// Waits until no other pool on this machine runs. `lock` stands for the machine; the temporary directory, unless given.
    pub(crate) fn on_this_machine(lock: Option<&Path>) -> Self {
        let started = Instant::now();
        let asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        // First of the machine: tests of this program that need no other one's leave go on meanwhile.
        let (between_programs, shared) = match lock {
            Some(path) => between_programs(path, LONGEST),
            None => between_programs(&std::env::temp_dir(), LONGEST),
        };
        // A test that failed as it had the turn left nothing half done.
        let alone = IN_THIS_PROGRAM.write();
        Self {
            _between_programs: between_programs,
            _alone: Some(alone.unwrap_or_else(PoisonError::into_inner)),
            _beside: None,
            _asking: Some(asking),
            waited: started.elapsed(),
            shared,
        }
    }

    /// Waits until no pool of this program runs.
    pub(crate) fn beside_others() -> Self {
        let started = Instant::now();
        let beside = IN_THIS_PROGRAM.read();
        Self {
            _between_programs: None,
            _alone: None,
            _beside: Some(beside.unwrap_or_else(PoisonError::into_inner)),
            _asking: None,
            waited: started.elapsed(),
            shared: false,
        }
    }
}

/// The lock, and whether another program has it.
fn between_programs(path: &Path, longest: Duration) -> (Option<Flock<File>>, bool) {
    let Ok(file) = File::open(path) else {
        return (None, false);
    };
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => return (Some(lock), false),
        Err((file, _)) => file,
    };
    if REFUSED.load(Relaxed) {
        return (None, true);
    }
    let (give, get) = mpsc::channel();
    // If it comes too late, it is dropped where it arrives, and so given back.
    let waits = move || give.send(Flock::lock(file, FlockArg::LockExclusive).ok());
    if std::thread::Builder::new().spawn(waits).is_err() {
        return (None, true);
    }
    match get.recv_timeout(longest) {
        Ok(lock) => (lock, false),
        Err(_) => {
            REFUSED.store(true, Relaxed);
            (None, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    /// Waits for a lock that another open file keeps, with these limits, and for one that is free. Returns whether it had each
    /// lock and whether it was told that another program has it, and whether the waits were shorter than their limits.
    fn waits(limits: [Duration; 2]) -> ([(bool, bool); 3], [bool; 2]) {
        let [kept, free] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        let file = File::open(kept.path()).unwrap();
        let keeper = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
        let keeper = keeper.unwrap();
        let wait = |path: &Path, limit| {
            let started = Instant::now();
            let (lock, shared) = between_programs(path, limit);
            ((lock.is_some(), shared), started.elapsed() < limit)
        };
        let waits = limits.map(|limit| wait(kept.path(), limit));
        let free = wait(free.path(), limits[1]);
        drop(keeper);
        ([waits[0].0, waits[1].0, free.0], waits.map(|wait| wait.1))
    }

    #[test]
    fn a_lock_that_another_program_keeps_is_waited_for_once_and_no_longer_than_the_limit() {
        let limits = [Duration::from_millis(100), Duration::from_secs(60)];
        let (had, shorter) = process::in_fresh_process(waits, limits).unwrap();
        assert_eq!(had, [(false, true), (false, true), (true, false)]);
        assert_eq!(shorter, [false, true], "the second does not wait");
    }
}
