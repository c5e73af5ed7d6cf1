//! Misdeeds that need no `unsafe`: limits, namespaces, descriptors, ends.

use crate::misdeeds::{DESCRIPTORS, MARK, Site};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise, sigprocmask};
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, chdir, chroot, getppid, setgid, setpgid, setsid, setuid};
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

fn limit(resource: Resource, to: u64) {
    let _ = setrlimit(resource, to, to);
}

pub(crate) fn no_descriptors(_: &Site) {
    limit(Resource::RLIMIT_NOFILE, 0);
}

pub(crate) fn no_memory(_: &Site) {
    limit(Resource::RLIMIT_AS, 0);
}

/// Limits the memory of the process, and then allocates some.
pub(crate) fn starve(site: &Site) {
    no_memory(site);
    drop(std::hint::black_box(vec![1u8; 64 << 20]));
}

pub(crate) fn a_second(_: &Site) {
    limit(Resource::RLIMIT_CPU, 1);
}

pub(crate) fn no_file_size(_: &Site) {
    limit(Resource::RLIMIT_FSIZE, 0);
}

pub(crate) fn no_stack(_: &Site) {
    limit(Resource::RLIMIT_STACK, 4096);
}

pub(crate) fn no_processes(_: &Site) {
    limit(Resource::RLIMIT_NPROC, 0);
}

pub(crate) fn no_locked_memory(_: &Site) {
    limit(Resource::RLIMIT_MEMLOCK, 0);
}

pub(crate) fn block_signals(_: &Site) {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
}

pub(crate) fn raise_term(_: &Site) {
    raise(Signal::SIGTERM).unwrap();
}

pub(crate) fn raise_segv(_: &Site) {
    raise(Signal::SIGSEGV).unwrap();
}

pub(crate) fn raise_trap(_: &Site) {
    raise(Signal::SIGTRAP).unwrap();
}

pub(crate) fn raise_chld(_: &Site) {
    raise(Signal::SIGCHLD).unwrap();
}

pub(crate) fn raise_cont(_: &Site) {
    raise(Signal::SIGCONT).unwrap();
}

/// Kills the group of the process, in which it is alone.
pub(crate) fn kill_group(_: &Site) {
    kill(Pid::from_raw(0), Signal::SIGKILL).unwrap();
}

pub(crate) fn forget_parent(_: &Site) {
    prctl::set_pdeathsig(None).unwrap();
}

pub(crate) fn undumpable(_: &Site) {
    prctl::set_dumpable(false).unwrap();
}

pub(crate) fn no_privileges(_: &Site) {
    prctl::set_no_new_privs().unwrap();
}

pub(crate) fn leave_session(_: &Site) {
    let _ = setsid();
}

/// Moves the process into the group of its parent.
pub(crate) fn leave_group(_: &Site) {
    let _ = setpgid(Pid::from_raw(0), getppid());
}

pub(crate) fn leave_processor(_: &Site) {
    let mut last = CpuSet::new();
    last.set(0).unwrap();
    let _ = sched_setaffinity(Pid::from_raw(0), &last);
}

/// Changes to a directory that is then removed.
pub(crate) fn leave_directory(site: &Site) {
    let path = site.file().with_extension("gone");
    if std::fs::create_dir(&path).is_ok() {
        chdir(&path).unwrap();
        std::fs::remove_dir(&path).unwrap();
    }
}

/// Changes the root to a directory without `/proc`.
pub(crate) fn leave_root(site: &Site) {
    let path = site.file().with_extension("root");
    if std::fs::create_dir(&path).is_ok() {
        let _ = chroot(&path);
    }
}

pub(crate) fn leave_user(_: &Site) {
    let _ = setgid(65_534.into());
    let _ = setuid(65_534.into());
}

pub(crate) fn new_user(_: &Site) {
    let _ = unshare(CloneFlags::CLONE_NEWUSER);
}

pub(crate) fn new_pids(_: &Site) {
    let _ = unshare(CloneFlags::CLONE_NEWPID);
}

pub(crate) fn new_mounts(_: &Site) {
    let _ = unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FILES);
}

pub(crate) fn no_modes(_: &Site) {
    umask(Mode::all());
}

/// Reaps children for which another part of the process waits.
pub(crate) fn steal_exits(_: &Site) {
    while waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG))
        .is_ok_and(|end| end.pid().is_some())
    {}
}

/// Reads from each descriptor, as far as that takes no waiting.
pub(crate) fn read_all(_: &Site) {
    let mut bytes = [0; 4096];
    for descriptor in 3..DESCRIPTORS {
        let _ = recv(descriptor, &mut bytes, MsgFlags::MSG_DONTWAIT);
        let mut how = File::options();
        how.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        if let Ok(mut file) = how.open(format!("/proc/self/fd/{descriptor}")) {
            let _ = file.read(&mut bytes);
        }
    }
}

pub(crate) fn cut_all(_: &Site) {
    for descriptor in 3..DESCRIPTORS {
        if let Ok(file) = File::options()
            .write(true)
            .open(format!("/proc/self/fd/{descriptor}"))
        {
            let _ = file.set_len(0);
        }
    }
}

pub(crate) fn hang_up_all(_: &Site) {
    for descriptor in 3..DESCRIPTORS {
        let _ = shutdown(descriptor, Shutdown::Both);
    }
}

/// Makes all descriptors non-blocking, so that a read with nothing to read is an error.
pub(crate) fn hurry_all(site: &Site) {
    for descriptor in 0..DESCRIPTORS {
        // A descriptor that is not open is refused.
        let _ = site.borrow(descriptor, |fd: BorrowedFd<'_>| {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        });
    }
}

pub(crate) fn run_true(_: &Site) {
    let _ = Command::new("true").status();
}

pub(crate) fn run_nothing(_: &Site) {
    assert!(Command::new("/no/such/program").status().is_err());
}

/// Starts a thread that continues when the operation has returned.
pub(crate) fn threads(_: &Site) {
    std::thread::spawn(|| {
        loop {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
}

/// Starts a thread that panics, which does not end the process.
pub(crate) fn panic_beside(_: &Site) {
    assert!(std::thread::spawn(|| panic!("beside")).join().is_err());
}

pub(crate) fn exit(_: &Site) {
    std::process::exit(0);
}

pub(crate) fn abort(_: &Site) {
    std::process::abort();
}

pub(crate) fn panic(_: &Site) {
    panic!("on purpose");
}

/// Unwinds without a call of the panic hook.
pub(crate) fn panic_silently(_: &Site) {
    std::panic::resume_unwind(Box::new("on purpose"));
}

pub(crate) fn panic_twice(_: &Site) {
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let _again = Again;
    panic!("on purpose");
}

/// Panics with a payload whose drop panics as well.
pub(crate) fn panic_later(_: &Site) {
    struct Later;
    impl Drop for Later {
        fn drop(&mut self) {
            panic!("later");
        }
    }
    std::panic::panic_any(Later);
}

pub(crate) fn catch_panic(_: &Site) {
    assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());
}

pub(crate) fn forget_hook(_: &Site) {
    let _ = std::panic::take_hook();
}

pub(crate) fn overflow(_: &Site) {
    #[expect(unconditional_recursion, reason = "that is the misdeed")]
    fn deeper() {
        let frame = std::hint::black_box([0u8; 4096]);
        deeper();
        std::hint::black_box(frame);
    }
    deeper();
}

/// Allocates more bytes than there are addresses for.
pub(crate) fn allocate(_: &Site) {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 60)));
}

pub(crate) fn print(_: &Site) {
    let line = [b'x'; 1 << 16];
    for path in ["/dev/stdout", "/dev/stderr"] {
        let _ = std::fs::write(path, line);
    }
}

pub(crate) fn linger(site: &Site) {
    let mut command = Command::new("sleep");
    drop(command.arg("3600").env(MARK, &site.mark).spawn().unwrap());
}
