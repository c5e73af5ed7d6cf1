//! The right to use the processors. Other work beside a pool reduces the overlap of its calls.
//!
//! A turn lasts one test, or until it saves its finding. Tests for which overlap does not matter take none. Within one
//! test binary `processes` has the machine for itself. Tests of `stepped` and `kills`, which need one processor each, run
//! at the same time. Between programs only `processes`, which measures the machine itself, takes turns: by flock(2) on
//! the temporary directory, or on the path in `FORKCHECK_LOCK`, so that no file is left behind. The time limit of a test
//! does not run while it waits.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::{Duration, Instant};

/// The longest wait for other programs: any user may lock that directory, and a stopped suite keeps its lock.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Held by the running pool, or by the running crews.
static IN_THIS_PROGRAM: RwLock<()> = RwLock::new(());
/// Held by the test that asks other programs, so that the other tests of this program do not count as theirs.
static ASKING: Mutex<()> = Mutex::new(());
/// Whether the longest wait was in vain once: this program does not wait for others again.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// The right to be the only pool of this machine, or one of the crews of this program, until it is dropped or its
/// process ends.
pub(crate) struct MachineTurn {
    /// `None` if the lock cannot be had at all, or another program keeps it.
    _between_programs: Option<Flock<File>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
    _beside: Option<RwLockReadGuard<'static, ()>>,
    _asking: Option<MutexGuard<'static, ()>>,
    /// The time that the wait took.
    pub(crate) waited: Duration,
    /// Whether another program has it too, after a wait in vain.
    pub(crate) shared: bool,
}

impl MachineTurn {
    /// Waits until no other pool on this machine runs. `lock` stands for the machine; by default the temporary
    /// directory.
    pub(crate) fn on_this_machine(lock: Option<&Path>) -> Self {
        let started = Instant::now();
        let asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        // The machine's lock comes first: tests of this program that do not need it go on meanwhile.
        let (between_programs, shared) = match lock {
            Some(path) => between_programs(path, LONGEST_WAIT),
            None => between_programs(&std::env::temp_dir(), LONGEST_WAIT),
        };
        // A test that failed in its turn left nothing half done.
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

/// Returns the lock, and whether another program has it.
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
    // A lock that comes too late is dropped on arrival, and so released.
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
