//! Suites on one machine take turns: two pools that spin on the same processors cost each other a factor
//! of three, and their overlap.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;

/// Waits until no other pool of this user's machine runs a batch. The turn ends when the value is dropped,
/// or with its process. It is a lock on the temporary directory itself, so that no file is left behind;
/// where that cannot be had, nobody waits.
pub(crate) fn machine_turn() -> Option<Flock<File>> {
    let directory = File::open(std::env::temp_dir()).ok()?;
    Flock::lock(directory, FlockArg::LockExclusive).ok()
}
