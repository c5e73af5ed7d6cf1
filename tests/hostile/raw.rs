//! Misdeeds for which there is no safe call.
#![allow(
    unsafe_code,
    reason = "fork, handlers, mappings and the environment, which a structure may do to its process"
)]

use crate::misdeeds::Site;
use nix::sys::signal::{Signal, raise};
use std::os::fd::{BorrowedFd, RawFd};

impl Site {
    /// Calls a function with a descriptor that may not be open.
    pub(crate) fn borrow<T>(&self, descriptor: RawFd, call: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        // SAFETY: the descriptor is not -1; and a system call refuses a descriptor that is not open.
        call(unsafe { BorrowedFd::borrow_raw(descriptor) })
    }

    /// Returns the address and length of the structure's pages.
    fn pages(&self) -> (*mut libc::c_void, usize) {
        let (start, end) = (self.own.start & !4095, self.own.end.next_multiple_of(4096));
        (std::ptr::with_exposed_provenance_mut(start), end - start)
    }
}

extern "C" fn nothing(_: libc::c_int) {}

fn handle(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: zeros are a value of this plain struct; sigaction reads it, and the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Installs handlers for all signals that can have one.
pub(crate) fn handlers(_: &Site) {
    for signal in 1..=64 {
        handle(signal, nothing as *const () as libc::sighandler_t);
    }
}

pub(crate) fn ignore_signals(_: &Site) {
    for signal in 1..=64 {
        handle(signal, libc::SIG_IGN);
    }
}

fn timer(microseconds: libc::suseconds_t) {
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: setitimer reads `timer`, which lives.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}

/// Interrupts each wait with a signal.
pub(crate) fn interrupts(_: &Site) {
    handle(libc::SIGALRM, nothing as *const () as libc::sighandler_t);
    timer(500);
}

/// Ends the process in its operation, by a signal that has no handler.
pub(crate) fn alarm(_: &Site) {
    timer(1_000);
    // SAFETY: pause takes nothing, and waits for a signal.
    unsafe { libc::pause() };
}

/// Makes the parent the tracer of the process. The parent does not know that, and continues the process at no signal.
pub(crate) fn traced(_: &Site) {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: PTRACE_TRACEME takes no other arguments.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, nothing, nothing) };
    let _ = raise(Signal::SIGCONT);
}

/// Permits only read, write and _exit from here on; any other call is SIGKILL.
pub(crate) fn strict(_: &Site) {
    // SAFETY: prctl takes integers.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
}

pub(crate) fn idle(_: &Site) {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: sched_setscheduler reads `priority`, which lives.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &priority);
    }
}

pub(crate) fn unmap(site: &Site) {
    let (start, len) = site.pages();
    // SAFETY: this is unsound on purpose: the memory is used later, which is the misdeed. The process that does so
    // exists for that.
    unsafe { libc::munmap(start, len) };
}

pub(crate) fn protect(site: &Site) {
    let (start, len) = site.pages();
    // SAFETY: no memory is unsafe to protect; a process that touches it later gets a signal.
    unsafe { libc::mprotect(start, len, libc::PROT_NONE) };
}

pub(crate) fn forget_pages(site: &Site) {
    let (start, len) = site.pages();
    // SAFETY: the pages are those of a shared mapping, which keeps its bytes.
    unsafe { libc::madvise(start, len, libc::MADV_DONTNEED) };
}

pub(crate) fn remove_pages(site: &Site) {
    let (start, len) = site.pages();
    // SAFETY: the structure consists of atomics and integers, of which zeros are a value.
    unsafe { libc::madvise(start, len, libc::MADV_REMOVE) };
}

/// Ends the first thread of the process while another one sleeps.
pub(crate) fn end_first_thread(_: &Site) {
    std::thread::spawn(|| {
        loop {
            std::thread::park();
        }
    });
    // SAFETY: exit(2), the system call, ends the calling thread alone; nothing that it has is used afterwards.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn fork() -> libc::pid_t {
    // SAFETY: a process of one thread may fork; in a process of several threads the child keeps to system calls.
    unsafe { libc::fork() }
}

/// Forks a child that stays.
pub(crate) fn child(_: &Site) {
    if fork() == 0 {
        loop {
            // SAFETY: pause takes nothing, and waits for a signal.
            unsafe { libc::pause() };
        }
    }
}

/// Forks, and ends the parent: the child continues in its place.
pub(crate) fn changeling(site: &Site) {
    if fork() != 0 {
        end(site);
    }
}

/// Forks a child that continues as its parent does.
pub(crate) fn double(_: &Site) {
    fork();
}

/// Forks a child that ends and is not waited for.
pub(crate) fn zombie(site: &Site) {
    if fork() == 0 {
        end(site);
    }
}

pub(crate) fn end(_: &Site) {
    // SAFETY: _exit may be called at any time.
    unsafe { libc::_exit(0) };
}

/// Executes another program in place of this one, under its process id.
pub(crate) fn become_true(_: &Site) {
    let _ = nix::unistd::execvp::<&std::ffi::CStr>(c"true", &[c"true"]);
}

pub(crate) fn change_environment(_: &Site) {
    let of_ours =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FORKCHECK"));
    for (name, _) in of_ours.collect::<Vec<_>>() {
        // SAFETY: this process has one thread.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in [
        ("FORKCHECK_REPLAY", "none"),
        ("FORKCHECK_SECONDS", "never"),
        ("TMPDIR", "/no/such"),
        ("PATH", ""),
    ] {
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Sets floating-point arithmetic to another rounding mode, with a trap for inexact results.
pub(crate) fn trap_numbers(_: &Site) {
    #[cfg(target_arch = "x86_64")]
    {
        let control: u32 = 0x0000_6000;
        // SAFETY: loads the control word from `control`, which lives; no computation of this process needs another one.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &control, options(nostack, readonly)) };
    }
}
