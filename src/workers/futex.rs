//! Waits that only the process itself could end: on a private futex, as those of all std locks are.
//! They are recognised by the kernel's report on the system call that a process is in. futex(2),
//! proc_pid_syscall(5).
//!
//! The kernel identifies the waiters of a private futex by the process's own memory, so a wake-up
//! by another process does not find them, even if both have the word mapped. A process of one
//! thread, without a timeout, therefore sleeps there indefinitely. Where the kernel does not show
//! system calls (`hidepid`, `ptrace_scope` 2, another user), no wait is recognised.

use super::maps::{Mapped, Maps};
use crate::memory::pidfd::number_in_proc;
use std::fmt;

/// A wait on a private futex that no other process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrivateWait {
    /// On a word of shared memory, at this offset in the mapping.
    Shared(usize),
    /// On a word of the process's own memory.
    Own,
}

impl fmt::Display for PrivateWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(offset) => write!(
                f,
                "waits on a private futex (byte offset {offset} of the structure's memory): other processes never wake it; \
                 std's Mutex, RwLock, Condvar?"
            ),
            Self::Own => f.write_str(
                "waits on a private futex in its own memory: other processes never wake it; std's park, or a channel between \
                 threads?",
            ),
        }
    }
}

impl PrivateWait {
    /// Returns the wait that the process with this pid is in, if it is one.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::of_number(number_in_proc(pid)?)
    }

    /// Returns the wait that the process with this number in `/proc` is in, if it is one.
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        // Threads are counted first: one that ends after the count cannot end the wait that is seen
        // after it.
        if std::fs::read_dir(format!("/proc/{number}/task"))
            .ok()?
            .count()
            != 1
        {
            return None;
        }
        let call = std::fs::read_to_string(format!("/proc/{number}/syscall")).ok()?;
        let word = private_wait(&call)?;
        let maps = Maps::of(&number.to_string())?;
        let mapping = maps.find(word)?;
        Some(match mapping.mapped {
            Mapped::Shared => Self::Shared(word - mapping.start + mapping.offset),
            _ => Self::Own,
        })
    }
}

/// Returns the word that a system call waits on, from `/proc/PID/syscall`, if it is a private futex
/// without a timeout.
fn private_wait(call: &str) -> Option<usize> {
    let mut fields = call.split_ascii_whitespace();
    if fields.next()?.parse() != Ok(libc::SYS_futex) {
        return None;
    }
    let mut argument = || usize::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let (word, operation, _value, timeout) = (argument()?, argument()?, argument()?, argument()?);
    let operation = i32::try_from(operation).ok()?;
    let waits = matches!(
        operation & libc::FUTEX_CMD_MASK,
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET
    );
    (waits && operation & libc::FUTEX_PRIVATE_FLAG != 0 && timeout == 0).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use nix::sched::{CloneFlags, unshare};
    use std::time::{Duration, Instant};

    #[test]
    fn only_a_private_wait_without_a_timeout_is_one() {
        let call = |operation: i32, timeout: u32| {
            let number = libc::SYS_futex;
            private_wait(&format!(
                "{number} 0x7f00 0x{operation:x} 0x2 0x{timeout:x} 0x0 0x0 0x7ffc 0x7f58"
            ))
        };
        let private = libc::FUTEX_PRIVATE_FLAG;
        assert_eq!(call(libc::FUTEX_WAIT | private, 0), Some(0x7f00));
        assert_eq!(call(libc::FUTEX_WAIT_BITSET | private, 0), Some(0x7f00));
        assert_eq!(call(libc::FUTEX_WAIT_BITSET | private, 0x10), None);
        assert_eq!(call(libc::FUTEX_WAIT_BITSET, 0), None);
        assert_eq!(call(libc::FUTEX_WAKE | private, 0), None);
        assert_eq!(private_wait("running"), None);
        assert_eq!(private_wait("-1 0x7ffc 0x7f58"), None);
    }

    /// Returns whether a parked process is seen to wait in its own memory within 10 s.
    fn parks() -> bool {
        let mut child = process::spawn(|| -> () { std::thread::park() }).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until
            && child
                .wait_timeout(Duration::from_millis(1))
                .unwrap()
                .is_none()
        {
            if let Some(wait) = PrivateWait::of(child.id()) {
                return wait == PrivateWait::Own;
            }
        }
        false
    }

    #[test]
    fn a_process_that_parks_is_seen_to_wait_in_its_own_memory() {
        assert!(process::in_fresh_process(|()| parks(), ()).unwrap());
    }

    #[test]
    fn a_process_that_parks_is_seen_where_proc_shows_another_pid_namespace() {
        let seen = |()| {
            unshare(CloneFlags::CLONE_NEWPID).ok()?;
            Some(process::run(parks).map_err(|error| error.to_string()))
        };
        match process::in_fresh_process(seen, ()).unwrap() {
            Some(seen) => assert_eq!(seen, Ok(true)),
            None => eprintln!("SKIPPED: no pid namespace is permitted here"),
        }
    }
}
