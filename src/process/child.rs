//! Waiting for a child: by pidfd, once, with a deadline. pidfd_open(2), pidfd_send_signal(2), waitid(2).
//!
//! [`Process`] is any process that this one started, by fork or by exec; [`Child`] is a forked one
//! that returns a value.
#![allow(unsafe_code, reason = "waitid, which nix wraps incompletely")]

use super::record::{Content, NOT_BEGUN, Record};
use super::{Exit, decode};
use crate::Error;
use crate::memory::pidfd;
use crate::region::descriptor::{Descriptor, closed};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::time::TimeSpec;
use nix::unistd::{Pid, getpid};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A forked child, made by [`spawn`](super::spawn).
///
/// It is reaped once, by the method that sees its end first, and its exit is remembered. Dropping
/// the handle kills a child that still runs, so that neither an orphan nor a zombie is left; in a
/// forked copy of the creator it does nothing.
///
/// ```
/// use forkcheck::process::{self, Exit};
/// use std::time::Duration;
///
/// let mut child = process::spawn(|| std::thread::sleep(Duration::from_secs(60)))?;
/// assert_eq!(child.wait_timeout(Duration::from_millis(10))?, None);
/// assert_eq!(child.kill()?, Exit::Signal(9));
/// assert_eq!(child.wait()?, Exit::Signal(9));
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Debug)]
pub struct Child<T> {
    process: Process,
    value: PhantomData<fn() -> T>,
}

impl<T> Child<T> {
    pub(super) fn new(process: Process) -> Self {
        Self {
            process,
            value: PhantomData,
        }
    }

    /// Returns its process id, which is also that of its process group.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns a descriptor that is readable once the child has ended, to be polled together with
    /// others.
    #[cfg(feature = "harness")]
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd()
    }

    /// Waits until the child ends.
    ///
    /// ```
    /// use forkcheck::process::{self, Exit};
    /// let mut child = process::spawn(|| -> () { std::process::exit(3) })?;
    /// assert_eq!(child.wait()?, Exit::Code(3));
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another part of the program reaped it, or this is a forked copy of the process that started
    /// it.
    pub fn wait(&mut self) -> Result<Exit, Error> {
        self.process.wait()
    }

    /// Waits until the child ends, but no longer than `timeout`: then it returns `None`, and the
    /// child runs on.
    ///
    /// # Errors
    /// As [`wait`](Child::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Exit>, Error> {
        self.process.wait_timeout(timeout)
    }

    /// Kills the child's whole process group by SIGKILL, and waits for its end. Processes that it
    /// started die with it, unless they left the group.
    ///
    /// The exit is that of the child: not `Signal(9)` if it had ended before.
    ///
    /// # Errors
    /// As [`wait`](Child::wait). Or this process has no permission to kill the child, for example because the child
    /// runs as another user; the child then runs on.
    pub fn kill(&mut self) -> Result<Exit, Error> {
        self.process.kill()
    }

    /// Waits until the child ends, and returns its body's value.
    ///
    /// ```
    /// let child = forkcheck::process::spawn(|| "done".to_string())?;
    /// assert_eq!(child.value()?, "done");
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// The body panicked, was killed, or ended the process: see [`Error::exit`]. Or its value could
    /// not be turned into bytes and back.
    pub fn value(mut self) -> Result<T, Error>
    where
        T: DeserializeOwned,
    {
        let exit = self.wait()?;
        let tried = || format!("get the value of child {}", self.id());
        let unfit = |why| {
            let what = format!(
                "the value of child {} did not come through: {why}",
                self.id()
            );
            Error::invalid(
                what,
                "return a type that serde writes and reads back in a binary format",
            )
        };
        match (exit, self.process.record.left()) {
            (Exit::Code(0), Content::Value(bytes)) => decode(&bytes).map_err(unfit),
            (Exit::Code(0), Content::Refused(why)) => Err(unfit(why)),
            (Exit::Code(NOT_BEGUN), Content::Refused(why)) => {
                let what = format!("child {} did not begin", self.id());
                Err(Error::invalid(what, why))
            }
            (exit, _) => {
                let remedy = exit.remedy();
                Err(Error::system(tried(), exit, remedy))
            }
        }
    }
}

/// A process that this one started and is responsible for.
pub(super) struct Process {
    pid: Pid,
    pidfd: Descriptor<OwnedFd>,
    record: Record,
    /// The process that may wait for it and kill it. A fork may copy the handle to a child.
    creator: Pid,
    /// The process's exit, once it was reaped. From then on another process may have its pid.
    exit: Option<Exit>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.id())
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}

impl Process {
    /// Takes charge of a child that was just started and not waited for.
    pub(super) fn adopt(pid: Pid, record: Record) -> Result<Self, Error> {
        let fd = pidfd::open(pid.as_raw().unsigned_abs()).map_err(|errno| {
            // A child that cannot be killed is not waited for: that wait could last indefinitely.
            if kill(pid, Signal::SIGKILL).is_ok() {
                while nix::sys::wait::waitpid(pid, None) == Err(Errno::EINTR) {}
            }
            let otherwise = match errno {
                Errno::ESRCH => {
                    "leave SIGCHLD at its default, so that only its handle reaps a child"
                }
                _ => "close descriptors or raise RLIMIT_NOFILE (ulimit -n)",
            };
            let tried = format!("open a pidfd of child {pid}");
            Error::call(tried, errno, "pidfd_open", otherwise)
        })?;
        let pidfd = Descriptor::new(fd).map_err(closed("look at a pidfd"))?;
        #[cfg(feature = "harness")]
        super::strays::adopted(pid);
        Ok(Self {
            pid,
            pidfd,
            record,
            creator: getpid(),
            exit: None,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Returns the pidfd, unchecked, for poll(2) only: polling does no harm if the number belongs to another file by
    /// now.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.unasked().as_fd()
    }

    pub(super) fn wait(&mut self) -> Result<Exit, Error> {
        loop {
            if let Some(exit) = self.wait_timeout(Duration::MAX)? {
                return Ok(exit);
            }
        }
    }

    pub(super) fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Exit>, Error> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(exit) = self.reap(libc::WNOHANG)? {
                return Ok(Some(exit));
            }
            let lost = closed("wait for a child");
            self.pidfd.get().map_err(lost)?;
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Ok(None);
            }
            match ready(&mut [PollFd::new(self.pidfd(), PollFlags::POLLIN)], left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.trouble(errno)),
            }
        }
    }

    pub(super) fn kill(&mut self) -> Result<Exit, Error> {
        let ended = self.ended();
        if let Ok(Some(exit)) = ended {
            return Ok(exit);
        }
        if !self.is_there() {
            return ended.and_then(|_| self.wait());
        }
        match self.strike() {
            // The kernel ends the child for certain, so this wait needs neither a pidfd nor a limit.
            Ok(()) => self.reap(0).map(|exit| exit.expect("it waits")),
            // The child may have ended by itself.
            Err(errno) => self.reap(libc::WNOHANG)?.ok_or_else(|| {
                Error::system(
                    format!("kill child {}", self.pid),
                    errno,
                    "let it run as the same user as this process, and let the sandbox of this process (seccomp, a container) permit kill",
                )
            }),
        }
    }

    /// Returns whether the pid and the group are still those of this child: it is a child of this process and was not
    /// reaped.
    fn is_there(&self) -> bool {
        self.exit.is_none()
            && getpid() == self.creator
            && match self.signal(0) {
                Ok(()) => true,
                Err(Errno::ESRCH) => false,
                Err(_) => self.ended().is_ok(),
            }
    }

    /// Kills the child and its group, by each call that there is. The child may have left the group, so killing the
    /// group is not enough.
    fn strike(&self) -> nix::Result<()> {
        let _ = killpg(self.pid, Signal::SIGKILL);
        kill(self.pid, Signal::SIGKILL).or_else(|_| self.signal(libc::SIGKILL))
    }

    /// Calls pidfd_send_signal(2), which cannot reach another process.
    fn signal(&self, signal: i32) -> nix::Result<()> {
        let pidfd = self.pidfd.get().map_err(|_| Errno::EBADF)?;
        pidfd::send(pidfd.as_fd(), signal)
    }

    /// Returns the exit, if it has been reaped; an error, if it is not ours to wait for.
    fn ended(&self) -> Result<Option<Exit>, Error> {
        if self.exit.is_none() {
            self.look(libc::WNOHANG | libc::WNOWAIT)?;
        }
        Ok(self.exit.clone())
    }

    /// Reaps the child and returns its exit if it has ended; with WNOHANG it does not wait for that.
    fn reap(&mut self, flags: i32) -> Result<Option<Exit>, Error> {
        if self.exit.is_none() {
            self.exit = self.look(flags)?.map(|exit| self.record.explain(exit));
            #[cfg(feature = "harness")]
            if self.exit.is_some() {
                super::strays::reaped(self.pid);
            }
        }
        Ok(self.exit.clone())
    }

    /// Returns whether a signal has stopped the child and nothing has continued it since.
    #[cfg(feature = "harness")]
    pub(super) fn is_stopped(&self) -> bool {
        self.stop().is_some()
    }

    /// Continues the child if a signal has stopped it. Kills it if it made this process its tracer and is stopped for
    /// it.
    #[cfg(feature = "harness")]
    pub(super) fn go_on(&self) {
        match self.stop() {
            Some(libc::CLD_STOPPED) => drop(kill(self.pid, Signal::SIGCONT)),
            Some(_) => drop(self.strike()),
            None => {}
        }
    }

    /// Returns how the child is stopped, if it is.
    #[cfg(feature = "harness")]
    fn stop(&self) -> Option<i32> {
        let seen = self.ask(libc::WSTOPPED | libc::WNOWAIT | libc::WNOHANG);
        let (how, _) = seen.ok()??;
        matches!(how, libc::CLD_STOPPED | libc::CLD_TRAPPED).then_some(how)
    }

    /// Asks the kernel whether the child has ended. Without WNOWAIT, an answer reaps it.
    fn look(&self, flags: i32) -> Result<Option<Exit>, Error> {
        loop {
            let Some((how, status)) = self.ask(libc::WEXITED | libc::WNOWAIT | flags)? else {
                return Ok(None);
            };
            let exit = match how {
                libc::CLD_EXITED => Exit::Code(status),
                libc::CLD_KILLED | libc::CLD_DUMPED => Exit::Signal(status),
                // The child made this process its tracer and stopped: each wait of a tracer reports that. ptrace(2).
                _ if flags & libc::WNOHANG != 0 => return Ok(None),
                _ => {
                    std::thread::yield_now();
                    continue;
                }
            };
            if flags & libc::WNOWAIT == 0 {
                self.ask(libc::WEXITED)?;
            }
            return Ok(Some(exit));
        }
    }

    /// Returns the kernel's report on the child, if there is one: a code of SIGCHLD and a status. nix's `waitid` does
    /// not know real-time signals, and would lose the exit of a child that died of one.
    fn ask(&self, flags: i32) -> Result<Option<(i32, i32)>, Error> {
        if getpid() != self.creator {
            return Err(Error::invalid(
                format!(
                    "process {} waits for child {} of process {}",
                    getpid(),
                    self.pid,
                    self.creator
                ),
                "only the process that started a child can wait for it: send the result instead of the handle",
            ));
        }
        // SAFETY: siginfo_t is plain integers and pointers, for which zeros are a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // If the pidfd was closed, the child is waited for by its pid, which no other process gets before the child
        // is reaped.
        let (kind, id) = match self.pidfd.get() {
            Ok(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd() as u32),
            Err(_) => (libc::P_PID, self.id()),
        };
        // SAFETY: waitid writes to `info`, which is a live siginfo_t; a descriptor was just seen to be open.
        while let Err(errno) = Errno::result(unsafe { libc::waitid(kind, id, &mut info, flags) }) {
            if errno != Errno::EINTR {
                return Err(self.trouble(errno));
            }
        }
        // SAFETY: waitid succeeded, so `info` holds the fields of SIGCHLD, or zeros if nothing ended.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        Ok((pid != 0).then_some((info.si_code, status)))
    }

    fn trouble(&self, errno: Errno) -> Error {
        let otherwise = match errno {
            Errno::ECHILD => {
                "let no other code wait for it, and leave SIGCHLD at its default: something else has reaped it"
            }
            _ => "report this: the call has no such error",
        };
        let tried = format!("wait for child {}", self.pid);
        Error::call(tried, errno, "waitid and ppoll", otherwise)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ten seconds are for a child that the kernel cannot kill yet; it must not block this
        // process as well.
        if self.is_there() && self.strike().is_ok() {
            let _ = self.wait_timeout(Duration::from_secs(10));
        }
    }
}

/// Waits until one of the descriptors is ready, or the time is over.
pub(super) fn ready(fds: &mut [PollFd<'_>], timeout: Duration) -> nix::Result<i32> {
    // Callers check their clocks again; a day keeps the number in the kernel's range.
    let timeout = TimeSpec::from_duration(timeout.min(Duration::from_secs(86_400)));
    ppoll(fds, Some(timeout), None)
}
