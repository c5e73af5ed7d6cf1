//! Processes that came to this one when their parents ended: daemons of its children. proc_pid_children(5), prctl(2),
//! `PR_SET_CHILD_SUBREAPER`.
//!
//! They are children of ours that no handle of ours started; a clean process is their subreaper, and ends them.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait for processes that were killed, and for those that they leave in turn.
const ENDING: Duration = Duration::from_secs(5);

/// The children that a handle of this process stands for.
static OURS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A handle stands for this child from now on.
pub(super) fn adopted(child: Pid) {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    ours.push(child);
}

/// It has been reaped.
pub(super) fn reaped(child: Pid) {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    ours.retain(|&other| other != child);
}

/// Kills and reaps the children of this process that no handle stands for, and what they leave in turn. Returns those that
/// are still there. Only where nothing else waits for children: in a clean process, between requests.
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

/// The children of this process, which has one thread.
fn children() -> Vec<Pid> {
    let listed = std::fs::read_to_string("/proc/thread-self/children");
    match listed {
        Ok(listed) => {
            let ids = listed.split_ascii_whitespace();
            ids.filter_map(|id| id.parse().ok().map(Pid::from_raw))
                .collect()
        }
        // A kernel without CONFIG_PROC_CHILDREN.
        Err(_) => all()
            .filter(|&process| parent(process) == Some(getpid()))
            .collect(),
    }
}

fn all() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
}

fn parent(process: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?;
    parent.parse().ok().map(Pid::from_raw)
}
