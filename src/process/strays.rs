//! Processes that became children of this one when their parents ended: daemons of its children.
//! proc_pid_children(5), prctl(2), `PR_SET_CHILD_SUBREAPER`.
//!
//! No handle of this process started these children. A fresh process is their subreaper, and ends them.

use crate::memory::pidfd;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Limit on the wait for processes that were killed, and for those that they leave in turn.
const ENDING: Duration = Duration::from_secs(5);

/// The children that have a handle in this process.
static OURS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Notes that this child has a handle from now on.
pub(super) fn adopted(child: Pid) {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    ours.push(child);
}

/// Notes that this child has been reaped.
pub(super) fn reaped(child: Pid) {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    ours.retain(|&other| other != child);
}

/// Kills and reaps the children of this process that have no handle, and the processes that they leave in turn.
/// Returns those that are still there. Only for a process in which nothing else waits for children: a fresh process,
/// between requests.
pub(crate) fn end_strays() -> Vec<Pid> {
    let until = Instant::now() + ENDING;
    loop {
        let ours = OURS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut strays = children();
        strays.retain(|child| !ours.contains(child));
        for &stray in &strays {
            let _ = kill(stray, Signal::SIGKILL);
        }
        let mut left = strays.clone();
        left.retain(|&stray| {
            let ended = waitpid(stray, Some(WaitPidFlag::WNOHANG));
            matches!(ended, Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
        });
        if strays.is_empty() || Instant::now() >= until {
            return left;
        }
        std::thread::yield_now();
    }
}

/// The variable in the environment of all processes of a session, including those that execute
/// other programs.
pub(super) const SESSION: &str = "FORKCHECK_ZYGOTE_SESSION";

/// Kills the processes of a session, and returns those that are still there: for a client whose
/// fresh process was killed, perhaps with its guardian. A process that was started with another
/// environment is not among them.
pub(super) fn end_session(mark: &str) -> Vec<Pid> {
    let until = Instant::now() + ENDING;
    let entry = format!("{SESSION}={mark}");
    let is_of_it = |shown: &str| {
        let environment = std::fs::read(format!("/proc/{shown}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == entry.as_bytes())
    };
    // A process that is about to end shows no environment any more.
    let mut killed = Vec::new();
    loop {
        let mut left = Vec::new();
        for shown in all().filter(|shown| is_of_it(shown)) {
            let Some(pid) = own_number(&shown) else {
                continue;
            };
            // It is checked again once no other process can get its pid.
            if let Ok(pidfd) = pidfd::open(pid.as_raw().unsigned_abs())
                && is_of_it(&shown)
            {
                let _ = pidfd::send(pidfd.as_fd(), libc::SIGKILL);
                killed.push((pid, pidfd));
            }
            left.push(pid);
        }
        killed.retain(|(_, pidfd)| !pidfd::has_ended(pidfd));
        left.extend(killed.iter().map(|&(pid, _)| pid));
        left.sort_unstable();
        left.dedup();
        if left.is_empty() || Instant::now() >= until {
            return left;
        }
        std::thread::yield_now();
    }
}

/// Returns the children of this process, which has one thread, by their numbers in its own pid namespace.
fn children() -> Vec<Pid> {
    let listed = std::fs::read_to_string("/proc/thread-self/children");
    match listed {
        Ok(listed) => listed
            .split_ascii_whitespace()
            .filter_map(own_number)
            .collect(),
        // The kernel has no CONFIG_PROC_CHILDREN.
        Err(_) => {
            let me = std::fs::read_link("/proc/self").ok();
            let me = me.as_deref().and_then(Path::to_str);
            let ours = all().filter(|shown| me.is_some() && parent(shown).as_deref() == me);
            ours.filter_map(|shown| own_number(&shown)).collect()
        }
    }
}

/// Returns the number that a process has in this pid namespace. `shown` is its number in `/proc`, which may show an
/// outer namespace. proc_pid_status(5), `NSpid`.
fn own_number(shown: &str) -> Option<Pid> {
    let numbers = |name: &str| -> Option<Vec<i32>> {
        let status = std::fs::read_to_string(format!("/proc/{name}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let numbers = line
            .split_ascii_whitespace()
            .map(|number| number.parse().ok());
        numbers.collect()
    };
    let depth = numbers("self")?.len();
    let number = *numbers(shown)?.get(depth.checked_sub(1)?)?;
    Some(Pid::from_raw(number))
}

fn all() -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

fn parent(shown: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{shown}/stat")).ok()?;
    let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?;
    Some(parent.to_owned())
}
