//! Suites on one machine take turns: two pools that spin on the same processors cost each other a factor
//! of three, and their overlap.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::sync::mpsc;
use std::time::Duration;

/// Who has the turn for longer is stopped, or no suite at all: any user may lock that directory.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits until no other pool on this machine runs a batch. The turn ends when the value is dropped,
/// or with its process. It is a lock on the temporary directory itself, so that no file is left behind;
/// where that cannot be had, or somebody keeps it, nobody waits.
pub(crate) fn machine_turn() -> Option<Flock<File>> {
    let directory = File::open(std::env::temp_dir()).ok()?;
    let directory = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
        Ok(turn) => return Some(turn),
        Err((directory, _)) => directory,
    };
    let (give, get) = mpsc::channel();
    // If nobody waits for it any more, what it gets at last is dropped, and so given back.
    let waits = move || give.send(Flock::lock(directory, FlockArg::LockExclusive).ok());
    std::thread::Builder::new().spawn(waits).ok()?;
    get.recv_timeout(LONGEST).ok().flatten()
}
