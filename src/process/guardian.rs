//! The guardian of a fresh process: its parent. It ends the processes that the fresh process leaves
//! behind, and then ends as that one did.
//!
//! A fresh process ends the daemons of its children itself. If one of these kills it, the daemons
//! become children of the guardian, which no code under test has seen: it runs only the code of
//! this module. It also ends all of them when the client ends, so that neither Ctrl-C nor kill -9
//! of a test leaves a daemon. When the fresh process is stopped, the guardian stops as well, which
//! the client sees. prctl(2), `PR_SET_CHILD_SUBREAPER`; waitpid(2).
//!
//! A fresh process that answers requests calls the spec of a suite itself, which may not return.
//! The guardian kills it if it uses processor time without a wait, which no fresh process does that
//! watches others.
#![allow(
    unsafe_code,
    reason = "fork, and waitpid for the signals that nix does not know"
)]

use super::child::ready;
use super::fork::{die_with, end_now, threads};
use super::strays::end_strays;
use crate::memory::pidfd::{self, number_in_proc};
use crate::region::Region;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Limit on how long the fresh process may be stopped by a signal before its guardian stops as well, and the time between two
/// looks at whether it is.
const STOPPED: Duration = Duration::from_millis(250);
const BETWEEN_LOOKS: Duration = Duration::from_millis(125);

/// The processor time without a wait after which a fresh process that answers requests counts as
/// endless: more than the check of a history may take. Also the time between two looks at it.
const ENDLESS: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 90 });
const BETWEEN_LOOKS_AT_TIME: Duration = Duration::from_millis(if cfg!(test) { 250 } else { 1_000 });

/// A word that a fresh process shares with its guardian: not zero if it answers requests.
static ANSWERS: OnceLock<Region> = OnceLock::new();

fn answers() -> Option<&'static AtomicU32> {
    ANSWERS.get()?.get(0).ok()
}

/// Tells the guardian of this process that it answers requests from now on, and otherwise waits.
pub(crate) fn answer_requests() {
    if let Some(answers) = answers() {
        answers.store(1, Relaxed);
    }
}

/// The processor time of a fresh process since its last wait.
struct Used {
    number: Option<u32>,
    looked: Instant,
    waits: String,
    since: Duration,
}

impl Used {
    fn by(fresh: Pid) -> Self {
        Self {
            number: number_in_proc(fresh.as_raw().unsigned_abs()),
            looked: Instant::now(),
            waits: String::new(),
            since: Duration::ZERO,
        }
    }

    /// Returns whether it used too much. proc_pid_status(5), and proc_pid_schedstat(5): nanoseconds on a processor.
    fn is_endless(&mut self) -> bool {
        if self.looked.elapsed() < BETWEEN_LOOKS_AT_TIME
            || answers().is_none_or(|answers| answers.load(Relaxed) == 0)
        {
            return false;
        }
        self.looked = Instant::now();
        let seen = self.number.and_then(|number| {
            let read = |file| std::fs::read_to_string(format!("/proc/{number}/{file}")).ok();
            let status = read("status")?;
            let waits = status
                .lines()
                .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            let used = read("schedstat")?;
            let used = used.split_ascii_whitespace().next()?.parse().ok()?;
            Some((waits.to_owned(), Duration::from_nanos(used)))
        });
        let Some((waits, used)) = seen else {
            return false;
        };
        if waits != self.waits {
            (self.waits, self.since) = (waits, used);
        }
        used.saturating_sub(self.since) >= ENDLESS
    }
}

pub(super) struct Guardian {
    client: Pid,
    /// `None` if there is no pidfd: then the kernel kills this process with the client.
    watched: Option<OwnedFd>,
    fresh: Pid,
}

/// The kernel's report on the fresh process.
enum Report {
    Nothing,
    Stopped,
    Continued,
    /// It has ended and was reaped; the status of waitpid(2).
    Ended(i32),
    /// It cannot be waited for.
    Lost,
}

impl Guardian {
    /// Forks the fresh process; this process becomes its guardian. Returns `None` in the fresh
    /// process, which is this one if it cannot be forked. Only before `main`, in a process that
    /// dies with `client`.
    pub(super) fn fork(client: Pid) -> Option<Self> {
        let guardian = getpid();
        // Orphans of the children become children of this process, where they can be found.
        let _ = set_child_subreaper(true);
        // Other constructors may have started threads, which the fresh process has to keep.
        if !matches!(threads(), Ok(1)) {
            return None;
        }
        if let Ok(region) = Region::anonymous(size_of::<AtomicU32>()) {
            let _ = ANSWERS.set(region);
        }
        // First: this process may not run again before the fresh process has children.
        let watched = watched(client);
        // SAFETY: fork. The process has one thread, so the child is a full copy, and no other thread holds a lock.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => Some(Self {
                client,
                watched,
                fresh: child,
            }),
            Ok(ForkResult::Child) => {
                drop(watched);
                if die_with(guardian).is_err() {
                    end_now(1);
                }
                let _ = set_child_subreaper(true);
                None
            }
            Err(_) => {
                if die_with(client).is_err() {
                    end_now(1);
                }
                None
            }
        }
    }

    /// Waits until the fresh process ends, then ends all processes that it left, and itself in the
    /// same way.
    pub(super) fn guard(mut self) -> ! {
        let fresh = pidfd::open(self.fresh.as_raw().unsigned_abs()).ok();
        let mut client = self.watched.take();
        let mut stopped: Option<Instant> = None;
        let mut used = Used::by(self.fresh);
        loop {
            match self.report(libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED) {
                Report::Ended(status) => end_as(status),
                Report::Lost => end_now(1),
                Report::Stopped => stopped = stopped.or_else(|| Some(Instant::now())),
                Report::Continued => stopped = None,
                Report::Nothing => {}
            }
            if stopped.is_some_and(|since| since.elapsed() >= STOPPED) {
                stopped = None;
                let _ = raise(Signal::SIGSTOP);
                // The client has continued this process in order to end everything.
                let _ = kill(self.fresh, Signal::SIGCONT);
            }
            if used.is_endless() {
                used.number = None;
                let seconds = ENDLESS.as_secs();
                // The client shows this message.
                let _ = writeln!(
                    std::io::stderr(),
                    "a question to the spec (step, blocks, key) took more than {seconds} s and was ended: let it return"
                );
                let _ = kill(self.fresh, Signal::SIGKILL);
            }
            let both = [&fresh, &client];
            let both = both.into_iter().flatten();
            let mut fds: Vec<_> = both
                .map(|fd: &OwnedFd| PollFd::new(fd.as_fd(), PollFlags::POLLIN))
                .collect();
            match ready(&mut fds, BETWEEN_LOOKS) {
                Ok(_) | Err(Errno::EINTR) => {}
                // Without pidfd_open(2), the kernel kills this process with its client.
                Err(_) => {
                    let _ = die_with(self.client);
                    if let Report::Ended(status) = self.report(0) {
                        end_as(status);
                    }
                }
            }
            if client.is_some() && fds.last().and_then(PollFd::any) == Some(true) {
                client = None;
                let _ = kill(self.fresh, Signal::SIGKILL);
            }
        }
    }

    fn report(&self, flags: i32) -> Report {
        let mut status = 0;
        // SAFETY: waitpid writes to `status`, which is a live integer.
        match unsafe { libc::waitpid(self.fresh.as_raw(), &mut status, flags) } {
            0 => Report::Nothing,
            -1 if Errno::last() == Errno::EINTR => Report::Nothing,
            -1 => Report::Lost,
            _ if libc::WIFSTOPPED(status) => Report::Stopped,
            _ if libc::WIFCONTINUED(status) => Report::Continued,
            _ => Report::Ended(status),
        }
    }
}

/// Returns a pidfd of the client, which is the parent of this process; then the kernel does not kill this process with it. `None` if
/// there can be no pidfd. Ends this process if the client has ended.
fn watched(client: Pid) -> Option<OwnedFd> {
    if getppid() != client {
        // The client is in another pid namespace, where it has another number.
        return None;
    }
    let watched = pidfd::open(client.as_raw().unsigned_abs()).ok()?;
    set_pdeathsig(None).ok()?;
    if getppid() != client {
        // It ended meanwhile, and its number may belong to another process by now.
        end_now(1);
    }
    Some(watched)
}

/// Ends all processes that became children of this one, and then this one with that status.
fn end_as(status: i32) -> ! {
    let left = end_strays();
    if !left.is_empty() {
        // The client shows this message; if it cannot be written, it is lost.
        let _ = writeln!(
            std::io::stderr(),
            "processes that operations started are left and cannot be killed: {left:?}; end them by hand"
        );
    }
    if libc::WIFEXITED(status) {
        end_now(libc::WEXITSTATUS(status));
    }
    let signal = libc::WTERMSIG(status);
    // The fresh process has already left the core, if one was wanted.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = SigSet::all().thread_unblock();
    // SAFETY: signal with SIG_DFL installs no handler, and raise takes an integer.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
    end_now(128 + signal)
}
