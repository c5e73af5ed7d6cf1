//! Descriptors that are kept for longer than a call: whoever closes all that are open, as a daemon does, closes them as well,
//! and what is opened next has their numbers.

use crate::Error;
use nix::sys::stat::{FileStat, fstat};
use std::io;
use std::os::fd::AsFd;

/// A descriptor, and of what it is. It is asked before anything is written to it, taken from it, or closed.
#[derive(Debug)]
pub(crate) struct Descriptor<F: AsFd> {
    /// `None` from `into_inner` on.
    fd: Option<F>,
    /// Device and inode.
    of: (u64, u64),
}

impl<F: AsFd> Descriptor<F> {
    pub(crate) fn new(fd: F) -> io::Result<Self> {
        let of = identity(&fstat(&fd)?);
        Ok(Self { fd: Some(fd), of })
    }

    /// The descriptor, if it still is of what it was.
    ///
    /// # Errors
    /// It was closed, and perhaps is of something else now.
    pub(crate) fn get(&self) -> io::Result<&F> {
        self.look().map(|(fd, _)| fd)
    }

    /// The descriptor, whatever it is of.
    pub(crate) fn unasked(&self) -> &F {
        self.fd.as_ref().expect("it is there until `into_inner`")
    }

    /// What the kernel says of it, as `get`.
    pub(crate) fn stat(&self) -> io::Result<FileStat> {
        self.look().map(|(_, about)| about)
    }

    fn look(&self) -> io::Result<(&F, FileStat)> {
        let fd = self.fd.as_ref();
        fd.and_then(|fd| Some((fd, fstat(fd).ok()?)))
            .filter(|(_, about)| identity(about) == self.of)
            .ok_or_else(|| {
                io::Error::other("a descriptor of forkcheck's was closed by somebody else")
            })
    }

    pub(super) fn into_inner(mut self) -> io::Result<F> {
        self.get()?;
        Ok(self.fd.take().expect("it was just there"))
    }
}

impl<F: AsFd> Drop for Descriptor<F> {
    fn drop(&mut self) {
        // What somebody else has under this number is theirs to close.
        if self.look().is_err() {
            std::mem::forget(self.fd.take());
        }
    }
}

/// What was tried with a descriptor that was closed.
pub(crate) fn closed(tried: &str) -> impl Fn(io::Error) -> Error {
    move |error| Error::system(tried, error, "close no descriptor that you did not open")
}

#[allow(
    clippy::unnecessary_cast,
    reason = "their widths differ between targets"
)]
fn identity(about: &FileStat) -> (u64, u64) {
    (about.st_dev as u64, about.st_ino as u64)
}
