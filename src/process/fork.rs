//! The fork, and the run of a child from there to its end. fork(2), prctl(2).
//!
//! The child never returns into its caller's stack: it leaves its [`Record`] and ends in `_exit`.
#![allow(unsafe_code, reason = "fork and _exit")]

use super::child::Process;
use super::record::Record;
use super::{Child, encode};
use crate::Error;
#[cfg(feature = "harness")]
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, getpid, getppid, setpgid};
use serde::{Serialize, de::DeserializeOwned};
use std::io::Write;
#[cfg(feature = "harness")]
use std::os::fd::RawFd;
#[cfg(feature = "harness")]
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// Forks a child that runs `body`, and returns at once with a handle to it.
///
/// The child is a copy of this process: `body` sees everything that was here, and its changes
/// outside of a [`Region`](crate::Region) stay in the child. The child has a process group of its
/// own, and is killed when this process ends. The kernel forgets that if a body changes its user or
/// group, or executes a set-user-ID program. prctl(2), `PR_SET_PDEATHSIG`.
///
/// ```
/// let child = forkcheck::process::spawn(|| (1..=10).sum::<u32>())?;
/// println!("process {} is adding", child.id());
/// assert_eq!(child.value()?, 55);
/// # Ok::<(), forkcheck::Error>(())
/// ```
///
/// # Errors
/// This process has more than one thread: locks that the others hold would stay locked in the child
/// indefinitely. In a test use [`in_fresh_process`](fn@super::in_fresh_process). Or there is no
/// room for another process or descriptor.
pub fn spawn<T, F>(body: F) -> Result<Child<T>, Error>
where
    F: FnOnce() -> T,
    T: Serialize + DeserializeOwned,
{
    let mut body = Some(body);
    fork(&mut || bytes(&mut body)).map(Child::new)
}

/// Runs a body, once, and returns its value as bytes.
fn bytes<T: Serialize>(body: &mut Option<impl FnOnce() -> T>) -> Result<Vec<u8>, String> {
    let body = body.take().ok_or("its body has run")?;
    encode(&body())
}

/// Forks a child that runs `body`, which is `dyn` so that the rest is not compiled again for each body.
fn fork(body: &mut dyn FnMut() -> Result<Vec<u8>, String>) -> Result<Process, Error> {
    let record = alone()?;
    let parent = getpid();
    // SAFETY: a fork of a process with one thread is a full copy, in which everything may be called: `alone` counted
    // them, and this thread, the only one that could start another, was here since.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Child) => live(parent, &record, body),
        Ok(ForkResult::Parent { child }) => adopt(child, record),
        Err(errno) => Err(Error::system(
            "fork a child",
            errno,
            "raise RLIMIT_NPROC (ulimit -u), the pids limit of the cgroup or its memory, or let other children end first",
        )),
    }
}

/// Forks as [`spawn`] does, and gives the child the id of an earlier, reaped child of this process:
/// as the kernel does once it has gone through all other ids. Returns `None` if only other users
/// may choose the id, or if another process has it. clone3(2), `set_tid`.
#[cfg(feature = "harness")]
pub(crate) fn spawn_as<T, F>(pid: u32, body: F) -> Result<Option<Child<T>>, Error>
where
    F: FnOnce() -> T,
    T: Serialize + DeserializeOwned,
{
    let mut body = Some(body);
    let child = fork_as(pid, &mut || bytes(&mut body))?;
    Ok(child.map(Child::new))
}

#[cfg(feature = "harness")]
fn fork_as(
    pid: u32,
    body: &mut dyn FnMut() -> Result<Vec<u8>, String>,
) -> Result<Option<Process>, Error> {
    // Other C libraries trust their own copy of the thread's id; glibc asks the kernel.
    if !cfg!(target_env = "gnu") {
        return Ok(None);
    }
    let record = alone()?;
    let parent = getpid();
    let wanted = [pid as libc::pid_t];
    // SAFETY: zeros are a value of these plain integers.
    let mut how: libc::clone_args = unsafe { std::mem::zeroed() };
    how.exit_signal = libc::SIGCHLD as u64;
    how.set_tid = wanted.as_ptr().addr() as u64;
    how.set_tid_size = 1;
    // SAFETY: clone3 reads `how` and `wanted`, which live, and the length says how much of it.
    // Without flags and stack it is a fork, and with one thread (as in `spawn`) a full copy; no
    // other thread holds a lock of the C library.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &how, size_of::<libc::clone_args>()) };
    match Errno::result(child) {
        Ok(0) => live(parent, &record, body),
        Ok(child) => adopt(Pid::from_raw(child as libc::pid_t), record).map(Some),
        Err(_) => Ok(None),
    }
}

/// Checks that this process may fork, and returns the record for its child's result.
fn alone() -> Result<Record, Error> {
    if std::thread::panicking() {
        return Err(Error::invalid(
            "fork a process while a panic unwinds it: the child would unwind as well",
            "fork outside of destructors, or after catch_unwind",
        ));
    }
    let threads = threads()?;
    if threads != 1 {
        return Err(Error::invalid(
            format!(
                "fork a process of {threads} threads, of which the child would have one and the locks of all"
            ),
            "run it in a fresh process by process::in_fresh_process(job, input) of feature `harness`, or fork before the first thread starts",
        ));
    }
    let record = Record::new()?;
    // Data that is buffered now would be written twice.
    let _ = std::io::stdout().flush();
    Ok(record)
}

/// Runs the child, from the fork to its end.
fn live(parent: Pid, record: &Record, body: &mut dyn FnMut() -> Result<Vec<u8>, String>) -> ! {
    // Both sides do this, so that neither sees the child outside of its group.
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    #[cfg(feature = "harness")]
    {
        PARENT.store(parent.as_raw(), Relaxed);
        let _ = nix::unistd::close(OWN.swap(-1, Relaxed));
    }
    let code = match die_with(parent) {
        Ok(()) => record.of(body),
        Err(errno) => record.not_begun(&Error::call(
            "tie its end to that of its parent",
            errno,
            "prctl (PR_SET_PDEATHSIG)",
            "report this: the call has no such error",
        )),
    };
    let _ = std::io::stdout().flush();
    end_now(code)
}

fn adopt(child: Pid, record: Record) -> Result<Process, Error> {
    let _ = setpgid(child, child);
    Process::adopt(child, record)
}

/// Forks a child that runs `body`, waits for it, and returns what `body` returned.
///
/// ```
/// assert_eq!(forkcheck::process::run(|| 42)?, 42);
/// # Ok::<(), forkcheck::Error>(())
/// ```
///
/// # Errors
/// As [`spawn`] and [`Child::value`].
pub fn run<T, F>(body: F) -> Result<T, Error>
where
    F: FnOnce() -> T,
    T: Serialize + DeserializeOwned,
{
    spawn(body)?.value()
}

/// Ends this process at once: without destructors, exit handlers, or writing buffers.
pub(crate) fn end_now(code: i32) -> ! {
    // SAFETY: _exit may be called at any time; it does not return.
    unsafe { libc::_exit(code) }
}

/// A descriptor of this process that its children close when they begin.
#[cfg(feature = "harness")]
static OWN: AtomicI32 = AtomicI32::new(-1);

/// Sets the descriptor that children do not inherit: their writes to it would count as messages of
/// this process.
#[cfg(feature = "harness")]
pub(super) fn keep_from_children(descriptor: RawFd) {
    OWN.store(descriptor, Relaxed);
}

/// The parent of this process, if this crate forked it.
#[cfg(feature = "harness")]
static PARENT: AtomicI32 = AtomicI32::new(0);

/// In a child: asks the kernel again to kill it when its parent ends. The kernel forgets that when a process changes
/// its user or group. prctl(2).
#[cfg(feature = "harness")]
pub(crate) fn die_with_parent() {
    let _ = die_with(Pid::from_raw(PARENT.load(Relaxed)));
}

/// Makes the kernel kill this process when `parent` ends (strictly: the thread of `parent` that
/// started this process). If it has ended already, so that there is none for the kernel to watch,
/// this process ends here.
pub(super) fn die_with(parent: Pid) -> nix::Result<()> {
    // Zero: the parent is in another pid namespace than this process, after its unshare(2).
    let ours = |pid: Pid| pid == parent || pid.as_raw() == 0;
    set_pdeathsig(Signal::SIGKILL)?;
    if !ours(getppid()) {
        end_now(1)
    }
    Ok(())
}

/// Returns the number of threads of this process.
pub(super) fn threads() -> Result<usize, Error> {
    let mut threads = 0;
    // A joined thread is listed for a moment longer: join returns before the kernel removes it from
    // the list.
    for _ in 0..1_000 {
        let tasks = std::fs::read_dir("/proc/self/task")
            .map_err(|e| Error::system("count the threads of this process", e, "mount /proc"))?;
        threads = tasks.count();
        if threads == 1 {
            break;
        }
        std::thread::yield_now();
    }
    Ok(threads)
}
