//! Descriptors that are kept for longer than one call. A program that closes all open descriptors, as a daemon does,
//! closes these as well, and files that are opened next get their numbers.

use crate::Error;
use nix::sys::stat::{FileStat, fstat};
use std::io;
use std::os::fd::AsFd;

/// A descriptor, and the identity of its file, which is compared before the descriptor is written to, read or closed.
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
            .filter(|(_, about)| identity(about) == self.of)
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

#[allow(
    clippy::unnecessary_cast,
    reason = "their widths differ between targets"
)]
fn identity(about: &FileStat) -> (u64, u64) {
    (about.st_dev as u64, about.st_ino as u64)
}
