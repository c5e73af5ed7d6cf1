//! Descriptors that are kept for longer than a call: whoever closes all that are open, as a daemon does, closes them as well,
//! and what is opened next has their numbers.

use nix::sys::stat::{FileStat, fstat};
use std::io;
use std::os::fd::AsFd;

/// A descriptor, and of what it is. It is asked before anything is written to it or taken from it.
#[derive(Debug)]
pub(crate) struct Descriptor<F> {
    fd: F,
    /// Device and inode.
    of: (u64, u64),
}

impl<F: AsFd> Descriptor<F> {
    pub(crate) fn new(fd: F) -> io::Result<Self> {
        let of = identity(&fstat(&fd)?);
        Ok(Self { fd, of })
    }

    /// The descriptor, if it still is of what it was.
    ///
    /// # Errors
    /// It was closed, and perhaps is of something else now.
    pub(crate) fn get(&self) -> io::Result<&F> {
        self.stat().map(|_| &self.fd)
    }

    /// What the kernel says of it, as `get`.
    pub(crate) fn stat(&self) -> io::Result<FileStat> {
        match fstat(&self.fd) {
            Ok(about) if identity(&about) == self.of => Ok(about),
            _ => Err(io::Error::other(
                "a descriptor of forkcheck's was closed by somebody else",
            )),
        }
    }

    pub(super) fn into_inner(self) -> F {
        self.fd
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "their widths differ between targets"
)]
fn identity(about: &FileStat) -> (u64, u64) {
    (about.st_dev as u64, about.st_ino as u64)
}
