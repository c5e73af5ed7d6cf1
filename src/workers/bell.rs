//! A pipe from workers to their supervisor. The events themselves are in shared memory, which the
//! supervisor checks regularly: a lost or superfluous ring costs one check.

use super::watch::BETWEEN_LOOKS;
use crate::error::Error;
use crate::region::descriptor::{Descriptor, closed};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// The remedy for a poll(2) that failed. It fails if more descriptors are polled than may be open.
pub(crate) const NO_POLL: &str = "raise RLIMIT_NOFILE (ulimit -n), and let neither operations nor the spec lower it; else report this";

/// The supervisor's end.
pub(crate) struct Bell(PipeReader);

/// A worker's end. An operation may have closed its descriptor, or reused its number for another
/// file.
pub(crate) struct Sender(Descriptor<PipeWriter>);

impl Bell {
    /// Returns a bell, and the end that rings it.
    pub(crate) fn new() -> Result<(Self, Sender), Error> {
        let (bell, sender) = Sender::new()?;
        for end in [bell.as_fd(), sender.0.unasked().as_fd()] {
            // A full pipe rings as well as one with another byte.
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|errno| Error::system("set up a pipe", errno, "report this"))?;
        }
        Ok((Self(bell), sender))
    }

    /// Waits until the bell rings, one of these processes ends, or the time for the next check has
    /// come. Returns the index of a process that has ended.
    pub(crate) fn wait<'a>(
        &self,
        processes: impl Iterator<Item = BorrowedFd<'a>>,
    ) -> Result<Option<usize>, Error> {
        let mut watched = vec![PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        watched.extend(processes.map(|pidfd| PollFd::new(pidfd, PollFlags::POLLIN)));
        let timeout = PollTimeout::from(BETWEEN_LOOKS.as_millis() as u8);
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::system("wait for the workers", errno, NO_POLL));
            }
        }
        let said = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        if said(&watched[0]) {
            // A read of nothing is enough.
            let _ = (&self.0).read(&mut [0; 64]);
        }
        Ok(watched[1..].iter().position(said))
    }
}

impl Sender {
    /// Returns the end of a pipe to read from, and the end to write to.
    pub(crate) fn new() -> Result<(PipeReader, Self), Error> {
        let (reader, pipe) = std::io::pipe().map_err(|e| {
            Error::system("make a pipe", e, "close descriptors or raise RLIMIT_NOFILE")
        })?;
        let pipe = Descriptor::new(pipe).map_err(closed("look at a pipe"))?;
        Ok((reader, Self(pipe)))
    }

    /// Writes these bytes, unless the descriptor was closed or belongs to another file.
    pub(crate) fn send(&self, bytes: &[u8]) {
        if let Ok(mut pipe) = self.0.get() {
            // If the other end is gone, nothing waits for the bytes.
            let _ = pipe.write_all(bytes);
        }
    }

    /// Wakes the supervisor.
    pub(crate) fn ring(&self) {
        self.send(&[1]);
    }
}
