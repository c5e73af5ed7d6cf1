//! Processes that became children of this one when their parents ended: daemons of its children.
//! proc_pid_children(5), prctl(2), `PR_SET_CHILD_SUBREAPER`.
//!
//! No handle of this process started these children. A fresh process is their subreaper, and ends them.

use crate::memory::pidfd;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
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

/// The looks at all processes that are made in a row because processes ended during them. A daemon forks twice as it
/// starts, and each of the two parents ends.
const LOOKS: usize = 3;

/// Kills the processes of a session, and returns those that are still there: for a client whose
/// fresh process was killed, perhaps with its guardian. A process that was started with another
/// environment is not among them.
pub(super) fn end_session(mark: &str) -> Vec<Pid> {
    end_marked(&format!("{SESSION}={mark}"), all)
}

/// [`end_session`], with the variable and its value, and the processes as `/proc` lists them.
fn end_marked<I: Iterator<Item = String>>(entry: &str, mut list: impl FnMut() -> I) -> Vec<Pid> {
    let until = Instant::now() + ENDING;
    // A process that is about to end shows no environment any more.
    let mut killed = Vec::new();
    let (mut ended, mut looks) = (BTreeSet::new(), 0);
    loop {
        let mut left = Vec::new();
        let (mut in_doubt, mut ended_meanwhile) = (false, false);
        for shown in list() {
            match Environment::of(&shown, entry) {
                Environment::Other => continue,
                Environment::InDoubt => {
                    in_doubt = true;
                    continue;
                }
                Environment::Ended => {
                    // Perhaps after it started a process that the list does not have.
                    ended_meanwhile |= ended.insert(shown);
                    continue;
                }
                Environment::Marked => {}
            }
            let Some(pid) = own_number(&shown) else {
                ended_meanwhile |= ended.insert(shown);
                continue;
            };
            // It is checked again once no other process can get its pid.
            if let Ok(pidfd) = pidfd::open(pid.as_raw().unsigned_abs())
                && matches!(Environment::of(&shown, entry), Environment::Marked)
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
        looks = if ended_meanwhile { looks + 1 } else { LOOKS };
        let is_over = left.is_empty() && !in_doubt && looks >= LOOKS;
        if is_over || Instant::now() >= until {
            return left;
        }
        std::thread::yield_now();
    }
}

/// The environment that a process was started with, as far as `/proc` shows it. proc_pid_environ(5).
#[derive(Debug, PartialEq)]
enum Environment {
    /// With the variable.
    Marked,
    /// Without it, or this process may not read it.
    Other,
    /// The process executes a program (execve(2)): its new environment is not there yet, or its old one went while it was
    /// read. The next look shows it.
    InDoubt,
    /// The process ended, or it is a thread of the kernel.
    Ended,
}

impl Environment {
    fn of(shown: &str, entry: &str) -> Self {
        match File::open(format!("/proc/{shown}/environ")) {
            Ok(file) => Self::read(file, shown, entry),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Other,
            Err(_) => Self::Ended,
        }
    }

    /// `file` belongs to the address space that the process had when it was opened. Reads of it find nothing, not even
    /// the rest, from the moment when the process ends or executes a program.
    fn read(mut file: File, shown: &str, entry: &str) -> Self {
        let mut bytes = Vec::new();
        if file.read_to_end(&mut bytes).is_err() {
            return Self::Other;
        }
        let mut variables = bytes.split(|&byte| byte == 0);
        if variables.any(|variable| variable == entry.as_bytes()) {
            return Self::Marked;
        }
        if matches!(file.read_at(&mut [0], 0), Ok(1)) {
            return Self::Other; // the address space is still there, so nothing was cut off
        }
        match std::fs::read_to_string(format!("/proc/{shown}/stat")) {
            Ok(stat) => Self::unread(&stat),
            Err(_) => Self::Ended,
        }
    }

    /// Judges a process whose environment could not be read to its end. proc_pid_stat(5).
    fn unread(stat: &str) -> Self {
        // The third field and those after it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3);
        let [size, start, end] = [23, 50, 51].map(field);
        if matches!(size, None | Some("0")) {
            Self::Ended
        } else if end != Some("0") && start == end {
            Self::Other
        } else {
            Self::InDoubt
        }
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

#[cfg(test)]
mod tests;
