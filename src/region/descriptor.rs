//! Descriptors that are kept for longer than one call. A program that closes all open descriptors,
//! as a daemon does, closes these as well, and later files get their numbers.

use crate::Error;
use crate::memory::pidfd;
use nix::sys::stat::{FileStat, fstat};
use nix::sys::statfs::fstatfs;
use std::io;
use std::os::fd::AsFd;

/// The magic number of the file system whose files share one inode. Before Linux 6.9 pidfds are among them. statfs(2).
const ANON_INODE_FS: i64 = 0x0904_1934;

/// A descriptor, and the identity of its file, which is checked before the descriptor is written
/// to, read or closed.
#[derive(Debug)]
pub(crate) struct Descriptor<F: AsFd> {
    /// `None` after `into_inner`.
    fd: Option<F>,
    /// The device and the inode.
    of: (u64, u64),
    /// The process of a pidfd that shares its inode with other files, from [`pidfd::number_of`].
    process: Option<i32>,
}

impl<F: AsFd> Descriptor<F> {
    pub(crate) fn new(fd: F) -> io::Result<Self> {
        let of = identity(&fstat(&fd)?);
        let process = if has_own_inode(&fd) {
            None
        } else {
            pidfd::about(&fd).as_deref().and_then(pidfd::number_of)
        };
        let fd = Some(fd);
        Ok(Self { fd, of, process })
    }

    /// Returns the descriptor, if it still refers to the same file.
    ///
    /// # Errors
    /// The descriptor was closed, and its number may be another file's.
    pub(crate) fn get(&self) -> io::Result<&F> {
        self.look().map(|(fd, _)| fd)
    }

    /// Returns the descriptor without a check of its file.
    pub(crate) fn unasked(&self) -> &F {
        self.fd.as_ref().expect("it is there until `into_inner`")
    }

    /// Returns the kernel's `stat` of the file, after the same check as [`get`](Self::get).
    pub(crate) fn stat(&self) -> io::Result<FileStat> {
        self.look().map(|(_, about)| about)
    }

    fn look(&self) -> io::Result<(&F, FileStat)> {
        let fd = self.fd.as_ref();
        fd.and_then(|fd| Some((fd, fstat(fd).ok()?)))
            .filter(|(fd, about)| {
                let may_be = |process| may_be_pidfd_of(process, pidfd::about(fd).as_deref());
                identity(about) == self.of && self.process.is_none_or(may_be)
            })
            .ok_or_else(|| {
                io::Error::other(
                    "a descriptor of forkcheck's was closed, and its number may be another file's",
                )
            })
    }

    pub(super) fn into_inner(mut self) -> io::Result<F> {
        self.get()?;
        Ok(self.fd.take().expect("it was just there"))
    }
}

impl<F: AsFd> Drop for Descriptor<F> {
    fn drop(&mut self) {
        // If this number belongs to another file by now, its owner closes it.
        if self.look().is_err() {
            std::mem::forget(self.fd.take());
        }
    }
}

/// Returns a function that reports an operation on a descriptor that was closed.
pub(crate) fn closed(tried: &str) -> impl Fn(io::Error) -> Error {
    move |error| Error::system(tried, error, "close no descriptor that you did not open")
}

/// Returns whether no other file has the inode of this one.
#[allow(clippy::unnecessary_cast, reason = "its width differs between targets")]
fn has_own_inode(fd: &impl AsFd) -> bool {
    fstatfs(fd).is_ok_and(|system| system.filesystem_type().0 as i64 != ANON_INODE_FS)
}

/// Returns whether a descriptor of which `/proc` says this may be the pidfd of the process with
/// this number. It may if `/proc` says nothing.
fn may_be_pidfd_of(process: i32, about: Option<&str>) -> bool {
    // The number is -1 once the process was reaped, 0 where `/proc` does not show it.
    let may_be = |number| number == process || number <= 0 || process <= 0;
    about.is_none_or(|about| pidfd::number_of(about).is_some_and(may_be))
}

#[allow(
    clippy::unnecessary_cast,
    reason = "their widths differ between targets"
)]
fn identity(about: &FileStat) -> (u64, u64) {
    (about.st_dev as u64, about.st_ino as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::OwnedFd;
    use std::process::Command;

    #[test]
    fn a_pidfd_that_shares_its_inode_is_known_by_its_process() {
        let mut child = Command::new("true").spawn().unwrap();
        let (ours, theirs) = (std::process::id(), child.id());
        let pidfds = [ours, theirs].map(|pid| pidfd::open(pid).unwrap());
        let [us, them] = &pidfds;
        let may_be = |pid: u32, fd: &OwnedFd| {
            may_be_pidfd_of(pid.cast_signed(), pidfd::about(fd).as_deref())
        };
        let (pipe, _end) = std::io::pipe().unwrap();
        assert!(may_be(ours, us) && may_be(theirs, them));
        assert!(!may_be(theirs, us), "another process");
        assert!(!may_be(ours, &pipe.into()), "no pidfd");
        assert!(may_be_pidfd_of(7, None), "nothing can be said");
        assert!(may_be_pidfd_of(7, Some("flags:\t02\nPid:\t0\n")));
        poll(
            &mut [PollFd::new(them.as_fd(), PollFlags::POLLIN)],
            PollTimeout::NONE,
        )
        .unwrap();
        assert!(may_be(theirs, them), "it has ended");
        child.wait().unwrap();
        assert!(may_be(theirs, them), "it was reaped");
    }

    #[test]
    fn a_number_of_an_anonymous_file_is_no_kept_pidfd_any_more() {
        let pidfd = pidfd::open(std::process::id()).unwrap();
        let mut kept = Descriptor::new(pidfd).unwrap();
        assert!(kept.get().is_ok());
        // Acts as if both had one inode, as before Linux 6.9.
        kept.process = Some(i32::MAX);
        assert!(kept.get().is_err());
    }
}
