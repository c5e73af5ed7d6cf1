//! Files that programs share: replaced as a whole, under a lock of their directory.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// The longest wait for another program that saves a case in the same directory.
const LOCKED: Duration = Duration::from_secs(10);

/// The event until which a replaced file is sure to keep its new text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The text is kept while the machine runs.
    WhileItRuns,
    /// The text is kept even if the machine crashes right after.
    ThroughACrash,
}

/// Replaces a file as a whole, by rename. The caller holds the lock of its directory.
pub(crate) fn replace_file(file: &Path, text: &str, kept: Kept) -> std::io::Result<()> {
    // One name is enough, since one process writes at a time. It overwrites the file that a killed
    // process left.
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = file.with_file_name(format!(".{name}.new"));
    // It may be another user's.
    let _ = fs::remove_file(&temporary);
    let synced = |file: &File| match kept {
        Kept::WhileItRuns => Ok(()),
        Kept::ThroughACrash => file.sync_all(),
    };
    let written = File::create_new(&temporary)
        .and_then(|mut to| to.write_all(text.as_bytes()).and_then(|()| synced(&to)))
        .and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        // The half-written file is removed; the old one stays.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Locks a directory. Waits for another program that has locked it, for [`LOCKED`] at most: any user may lock a directory, and
/// a program that was stopped keeps it.
pub(crate) fn lock(directory: &Path) -> std::io::Result<Flock<File>> {
    let file = match Flock::lock(File::open(directory)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => return Ok(lock),
        Err((file, Errno::EWOULDBLOCK)) => file,
        Err((_, errno)) => return Err(errno.into()),
    };
    let (give, get) = mpsc::channel();
    // A lock that comes too late is dropped at the receiver, and so given back.
    let waits = move || give.send(Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| e));
    std::thread::Builder::new().spawn(waits)?;
    match get.recv_timeout(LOCKED) {
        Ok(locked) => Ok(locked?),
        Err(_) => Err(std::io::Error::other(format!(
            "another program has kept its lock (flock) for {} s; end that program",
            LOCKED.as_secs()
        ))),
    }
}

/// Reads the text of a file. A FIFO is refused, since a read from it may wait indefinitely.
pub(crate) fn text_of(file: &Path) -> std::io::Result<String> {
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(flags).open(file)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    std::io::read_to_string(file)
}
