//! Waiting for a child: by pidfd, once, with a deadline. pidfd_open(2), waitid(2).
//!
//! [`Process`] is any process that this one started, by fork or by exec; [`Child`] is one that returns a value.
#![allow(unsafe_code, reason = "pidfd_open and waitid as nix has them not")]

use super::record::{Left, Record};
use super::{Exit, decode};
use crate::Error;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::time::TimeSpec;
use nix::unistd::{Pid, getpid};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A forked child, made by [`spawn`](super::spawn).
///
/// It is reaped once, by whichever method sees its end first, and its exit is remembered. Dropping the handle kills
/// what still runs, so that neither an orphan nor a zombie is left; in a forked copy of the creator it does nothing.
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

    /// Its process id, which is also that of its process group.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A descriptor that is readable once it ended, to be polled beside others.
    #[cfg(feature = "harness")]
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd()
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// Somebody else reaped it, or this is a forked copy of the process that started it.
    pub fn wait(&mut self) -> Result<Exit, Error> {
        self.process.wait()
    }

    /// Waits until it ends, but no longer than `timeout`: then it is `None`, and the child runs on.
    ///
    /// # Errors
    /// As [`wait`](Child::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Exit>, Error> {
        self.process.wait_timeout(timeout)
    }

    /// Kills its whole process group by SIGKILL, and waits for its end. Processes that it started die with it,
    /// unless they left the group.
    ///
    /// The exit is that of the child: not `Signal(9)` if it had ended before.
    ///
    /// # Errors
    /// As [`wait`](Child::wait).
    pub fn kill(&mut self) -> Result<Exit, Error> {
        self.process.kill()
    }

    /// Waits until it ends, and returns what its body returned.
    ///
    /// # Errors
    /// The body panicked, was killed, or ended the process: [`Error::exit`] tells. Or its value could not be
    /// turned into bytes and back.
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
            (Exit::Code(0), Left::Value(bytes)) => decode(&bytes).map_err(unfit),
            (Exit::Code(0), Left::Refused(why)) => Err(unfit(why)),
            (exit, _) => {
                let remedy = exit.remedy();
                Err(Error::system(tried(), exit, remedy))
            }
        }
    }
}

/// A process that this one started, and answers for.
pub(super) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    record: Record,
    /// Who may wait for it and kill it. A handle may be copied to a child by a fork.
    creator: Pid,
    /// How it ended, once it was reaped. From then on its pid may be somebody else's.
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
        // SAFETY: pidfd_open takes two integers, and returns a descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        let fd = Errno::result(fd).map_err(|errno| {
            let _ = kill(pid, Signal::SIGKILL);
            while nix::sys::wait::waitpid(pid, None) == Err(Errno::EINTR) {}
            let remedy = match errno {
                Errno::ENOSYS => {
                    "use Linux 5.4 or later, or a sandbox that lets pidfd_open through"
                }
                Errno::ESRCH => {
                    "leave SIGCHLD at its default, so that only its handle reaps a child"
                }
                _ => "close descriptors or raise RLIMIT_NOFILE (ulimit -n)",
            };
            Error::system(format!("open a pidfd of child {pid}"), errno, remedy)
        })?;
        #[cfg(feature = "harness")]
        super::strays::adopted(pid);
        Ok(Self {
            pid,
            // SAFETY: the kernel just made this descriptor for us, so it is open and nobody else's.
            pidfd: unsafe { OwnedFd::from_raw_fd(fd as i32) },
            record,
            creator: getpid(),
            exit: None,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
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
            if let Some(exit) = self.reap()? {
                return Ok(Some(exit));
            }
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
        // Not reaped, so its pid and group are still its own. It may have left the group, hence the second.
        if let Some(exit) = self.ended()? {
            return Ok(exit);
        }
        let _ = killpg(self.pid, Signal::SIGKILL);
        let _ = kill(self.pid, Signal::SIGKILL);
        self.wait()
    }

    /// The exit, if it has been reaped; an error, if it is not ours to wait for.
    fn ended(&self) -> Result<Option<Exit>, Error> {
        if self.exit.is_none() {
            self.look(libc::WNOWAIT)?;
        }
        Ok(self.exit.clone())
    }

    /// The exit, if it has ended.
    fn reap(&mut self) -> Result<Option<Exit>, Error> {
        if self.exit.is_none() {
            self.exit = self.look(0)?.map(|exit| self.record.explain(exit));
            #[cfg(feature = "harness")]
            if self.exit.is_some() {
                super::strays::reaped(self.pid);
            }
        }
        Ok(self.exit.clone())
    }

    /// Whether a signal has stopped it, and nothing has continued it since.
    #[cfg(feature = "harness")]
    pub(super) fn is_stopped(&self) -> bool {
        let seen = self.ask(libc::WSTOPPED | libc::WNOWAIT);
        matches!(seen, Ok(Some((libc::CLD_STOPPED, _))))
    }

    /// Continues it, if a signal has stopped it.
    #[cfg(feature = "harness")]
    pub(super) fn go_on(&self) {
        if self.is_stopped() {
            let _ = kill(self.pid, Signal::SIGCONT);
        }
    }

    /// Asks the kernel whether it has ended. Without WNOWAIT, an answer reaps it.
    fn look(&self, flags: i32) -> Result<Option<Exit>, Error> {
        let seen = self.ask(libc::WEXITED | flags)?;
        Ok(seen.map(|(how, status)| match how {
            libc::CLD_EXITED => Exit::Code(status),
            _ => Exit::Signal(status),
        }))
    }

    /// What the kernel has to say about it, if there is something: a code of SIGCHLD and a status. (nix's `waitid` knows no
    /// real-time signals, and would lose the exit of a child that died of one.)
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
        let flags = libc::WNOHANG | flags;
        // SAFETY: waitid writes to `info`, which is a live siginfo_t; the descriptor is open while `self` lives.
        let answer = unsafe {
            libc::waitid(
                libc::P_PIDFD,
                self.pidfd.as_raw_fd() as u32,
                &mut info,
                flags,
            )
        };
        Errno::result(answer).map_err(|errno| self.trouble(errno))?;
        // SAFETY: waitid succeeded, so `info` holds the fields of SIGCHLD, or zeros if nothing ended.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        Ok((pid != 0).then_some((info.si_code, status)))
    }

    fn trouble(&self, errno: Errno) -> Error {
        let remedy = match errno {
            Errno::ECHILD => {
                "let nobody else wait for it, and leave SIGCHLD at its default: somebody else has reaped it"
            }
            _ => "report this: the call has no such error",
        };
        Error::system(format!("wait for child {}", self.pid), errno, remedy)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // `ended` is an error in a forked copy of the creator, and when somebody else reaped it.
        // Ten seconds are for a child that the kernel cannot kill yet; it must not hang us as well.
        if matches!(self.ended(), Ok(None)) {
            let _ = killpg(self.pid, Signal::SIGKILL);
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = self.wait_timeout(Duration::from_secs(10));
        }
    }
}

/// Waits until one of them has something to say, or the time is over.
pub(super) fn ready(fds: &mut [PollFd<'_>], timeout: Duration) -> nix::Result<i32> {
    // Callers look at their clocks again; a day keeps the number in the kernel's range.
    let timeout = TimeSpec::from_duration(timeout.min(Duration::from_secs(86_400)));
    ppoll(fds, Some(timeout), None)
}
