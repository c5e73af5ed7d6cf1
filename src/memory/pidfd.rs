//! Pidfds: whether a process has ended, and its number in `/proc`. pidfd_open(2), proc_pid_fdinfo(5).
#![allow(
    unsafe_code,
    reason = "pidfd_open and pidfd_send_signal, for which nix has no safe wrapper"
)]

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Calls pidfd_open(2).
pub(crate) fn open(pid: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open takes two integers, and returns a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    // SAFETY: the kernel just made this descriptor for this call, so it is open and has no other owner.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to the process of a pidfd, and to no other that has got its pid since; 0 asks whether one could be sent.
/// pidfd_send_signal(2).
pub(crate) fn send(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let (fd, info) = (pidfd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: pidfd_send_signal takes a descriptor, which is open as long as it is borrowed, and no siginfo_t.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) };
    Errno::result(sent).map(drop)
}

/// Returns whether the process has ended: from then on its pidfd is readable, before and after the process is reaped.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready == 1)
}

/// Returns the number that the process with this pid has in `/proc`, which may show another pid namespace; `None` if
/// `/proc` does not show it.
#[cfg(feature = "harness")]
pub(crate) fn number_in_proc(pid: u32) -> Option<u32> {
    number(pid, &open(pid))
}

/// Returns the number in `/proc` of the process with this pid, for which [`open`] gave `pidfd`.
pub(super) fn number(pid: u32, pidfd: &Result<OwnedFd, Errno>) -> Option<u32> {
    match pidfd {
        Ok(pidfd) => u32::try_from(number_of(&about(pidfd)?)?)
            .ok()
            .filter(|&number| number != 0),
        Err(Errno::ESRCH) => None,
        // A sandbox without pidfds: the number is the pid if `/proc` shows this process under its own pid.
        Err(_) => {
            let shown = std::fs::read_link("/proc/self").ok();
            let own = std::process::id().to_string();
            (shown.is_some_and(|shown| shown.as_os_str() == own.as_str())).then_some(pid)
        }
    }
}

/// Returns what `/proc` says of a descriptor of this process.
pub(crate) fn about(fd: &impl AsFd) -> Option<String> {
    let fd = fd.as_fd().as_raw_fd();
    std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()
}

/// Returns the number of the process of a pidfd, from what `/proc` says of the descriptor: 0 if `/proc` does not show
/// the process, -1 if it was reaped. `None` if the descriptor is no pidfd.
pub(crate) fn number_of(about: &str) -> Option<i32> {
    let number = about.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    number.trim().parse().ok()
}
