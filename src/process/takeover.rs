//! The start of a fresh process: this program again, taken over in a constructor before `main`.
//!
//! A variable of the environment names a socket and a record; it is no proof by itself. The socket
//! must be one of the parent, made by the same user, with a greeting in it: otherwise the program
//! runs as usual. The variable's name holds the version, so two versions of this crate in one
//! program do not answer for each other.
#![allow(
    unsafe_code,
    reason = "a constructor, inherited descriptors and the environment"
)]

use super::fork::{die_with, end_now, keep_from_children};
use super::frame::{self, Channel};
use super::guardian::Guardian;
use super::job::Job;
use super::record::Record;
use super::strays::end_strays;
use crate::Error;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{MsgFlags, SockType, UnixAddr, getsockname, getsockopt, recv, sockopt};
use nix::unistd::{Pid, getpid, getppid, getuid};
use std::ffi::{c_char, c_int};
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The variable that names the descriptors of the socket and the record: `5,6`.
const VARIABLE: &str = concat!("FORKCHECK_ZYGOTE_", env!("CARGO_PKG_VERSION"));
/// The start of a greeting; the offset and name of a job follow.
const MAGIC: [u8; 8] = *b"fc-hello";

/// A function of `.init_array`. glibc calls it with the arguments of `main`. musl passes none; they
/// are then whatever the registers held, and are passed on and never used.
type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

// It has a priority in this crate's own tests, so that the linker puts `LATER` after it in every
// build.
#[used]
#[cfg_attr(not(test), unsafe(link_section = ".init_array"))]
#[cfg_attr(test, unsafe(link_section = ".init_array.65000"))]
static ENTRY: Constructor = constructor;

#[cfg(test)]
static LATER_RAN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
#[cfg(test)]
extern "C" fn later(_: c_int, _: *const *const c_char, _: *const *const c_char) {
    LATER_RAN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}
#[cfg(test)]
#[used]
#[unsafe(link_section = ".init_array")]
static LATER: Constructor = later;

// The linker defines both for every executable, at the bounds of the array in which `ENTRY` lies.
// Only their addresses are used.
unsafe extern "C" {
    static __init_array_start: Constructor;
    static __init_array_end: Constructor;
}

/// Returns the first message of the client.
pub(super) fn greeting(job: &'static Job) -> Vec<u8> {
    [
        &MAGIC[..],
        &job.offset().to_le_bytes(),
        job.name().as_bytes(),
    ]
    .concat()
}

/// Prepares a command to be taken over: it inherits the two descriptors and dies with this thread.
pub(super) fn invite(
    command: &mut Command,
    socket: &UnixStream,
    record: &Record,
) -> Result<(), Error> {
    // SAFETY: a read of a live static. It is volatile so that the linker keeps the constructor wherever there is a client.
    let _ = unsafe { (&raw const ENTRY).read_volatile() };
    if std::env::var_os(VARIABLE).is_some() {
        return Err(Error::invalid(
            format!(
                "{VARIABLE} is set in a process that was not taken over by it, as if it had lost its constructor"
            ),
            "unset it; if this is a linker script's doing, keep the section .init_array",
        ));
    }
    let record = record.fd().map_err(|error| {
        let tried = "hand a record to a fresh process";
        Error::system(tried, error, "leave descriptors open that you did not open")
    })?;
    let (socket, record, parent) = (socket.as_raw_fd(), record.as_raw_fd(), getpid());
    command.env(VARIABLE, format!("{socket},{record}"));
    let prepare = move || {
        die_with(parent)?;
        for fd in [socket, record] {
            // SAFETY: borrow_raw: the client holds both open until the command has run.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: `prepare` runs between fork and exec, where only what is async-signal-safe is allowed: it makes the
    // system calls prctl, getppid, fcntl and _exit, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
    Ok(())
}

extern "C" fn constructor(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) {
    let Some(Invitation {
        channel,
        record,
        parent,
    }) = invitation()
    else {
        return;
    };
    // SAFETY: no other thread reads the environment: this is before `main`. Our own children are not to answer it.
    unsafe { std::env::remove_var(VARIABLE) };
    run_later_constructors(argc, argv, envp);
    // SAFETY: signal with SIG_IGN installs no handler; it is what Rust's runtime does before `main`.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    if die_with(parent).is_err() {
        // The call was permitted before this program was executed.
        end_now(1);
    }
    if let Some(guardian) = Guardian::fork(parent) {
        drop((channel, record));
        guardian.guard();
    }
    let mut channel = Some(channel);
    let code = record.of(&mut || {
        if let Some(channel) = channel.take() {
            serve(channel);
        }
        Ok(Vec::new())
    });
    end_strays();
    let _ = std::io::stdout().flush();
    end_now(code)
}

struct Invitation {
    channel: Channel,
    record: Record,
    parent: Pid,
}

/// Returns the invitation, if this process was started to be taken over.
fn invitation() -> Option<Invitation> {
    let value = std::env::var(VARIABLE).ok()?;
    // SAFETY: getauxval takes an integer and returns one.
    let privileged = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    let (socket, record) = value.split_once(',')?;
    let (socket, record): (RawFd, RawFd) = (socket.parse().ok()?, record.parse().ok()?);
    let open = |fd| {
        // SAFETY: fcntl with F_GETFD takes two integers, and says whether there is such a descriptor.
        fd > 2 && unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0
    };
    if privileged || socket == record || !open(socket) || !open(record) {
        return None;
    }
    // SAFETY: it is open, and nothing else runs before `main` that could close it during these lines.
    let parent = proven(unsafe { BorrowedFd::borrow_raw(socket) })?;
    // SAFETY: both are open, and were made for this process by its client, as the greeting shows:
    // no other code in this process knows of them.
    let (socket, record) = unsafe { (OwnedFd::from_raw_fd(socket), OwnedFd::from_raw_fd(record)) };
    for fd in [&socket, &record] {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    }
    Some(Invitation {
        channel: Channel::new(socket.into()).ok()?,
        record: Record::from_fd(record).ok()?,
        parent,
    })
}

/// Returns the parent, if this is a socket that it made for this process and that holds a greeting.
fn proven(socket: BorrowedFd<'_>) -> Option<Pid> {
    getsockname::<UnixAddr>(socket.as_raw_fd()).ok()?;
    let stream = getsockopt(&socket, sockopt::SockType).ok()? == SockType::Stream;
    let peer = getsockopt(&socket, sockopt::PeerCredentials).ok()?;
    let ours = peer.pid() == getppid().as_raw() && peer.uid() == getuid().as_raw();
    let mut start = [0; frame::HEADER + MAGIC.len()];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    // A signal handler cannot interrupt a call that does not wait.
    let read: Result<usize, Errno> = recv(socket.as_raw_fd(), &mut start, flags);
    let greets = read == Ok(start.len()) && start[frame::HEADER..] == MAGIC;
    (stream && ours && greets).then(getppid)
}

/// Runs the later constructors of this program: the job may need what they build, such as C++
/// statics.
fn run_later_constructors(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) {
    let (start, end) = (&raw const __init_array_start, &raw const __init_array_end);
    let mut entry = &raw const ENTRY;
    if entry < start || entry >= end {
        return;
    }
    loop {
        entry = entry.wrapping_add(1);
        if entry >= end {
            return;
        }
        // SAFETY: `entry` lies between the bounds of the array, which holds addresses of
        // constructors, aligned. Null is none, hence the Option. Calling each once, in order, with
        // the arguments of our own call, is what the C library was about to do; it will not do it
        // again, since we never return to it.
        if let Some(later) = unsafe { entry.cast::<Option<Constructor>>().read() } {
            later(argc, argv, envp);
        }
    }
}

/// Answers the greeting and runs the job.
fn serve(mut channel: Channel) {
    if let Some(socket) = channel.descriptor() {
        keep_from_children(socket);
    }
    let Some(greeting) = channel.next() else {
        return;
    };
    let found = greeting
        .get(MAGIC.len()..)
        .and_then(<[u8]>::split_first_chunk)
        .ok_or_else(|| "the greeting is too short".to_string())
        .and_then(|(offset, name)| {
            Job::find(u64::from_le_bytes(*offset), &String::from_utf8_lossy(name))
        });
    match found {
        Ok(job) => {
            if channel.reply(&accepted(job)).is_ok() {
                job.run(&mut channel);
            }
        }
        // The client reads this reason in place of the job's name.
        Err(why) => drop(channel.reply(why.as_bytes())),
    }
}

/// Returns the answer of a fresh process that found its job.
pub(super) fn accepted(job: &Job) -> Vec<u8> {
    [&MAGIC[..], job.name().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::in_fresh_process;
    use std::sync::atomic::Ordering::Relaxed;

    struct Said;
    impl Said {
        const JOB: &'static Job =
            &Job::new(std::any::type_name::<Self>, |_| println!("taken over"));
    }

    /// Prints a line: the test below runs this one to see a program that is not taken over.
    #[test]
    fn runs_as_usual() {
        println!("as usual");
    }

    /// Runs the test above in this program again, started by a line of shell. SOCKET and RECORD in
    /// it become descriptors as a client makes them, the socket with `sent` in it, and VARIABLE the
    /// variable's name.
    fn run(line: &str, sent: &[u8]) -> String {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let record = Record::new().unwrap();
        (&ours).write_all(&frame::pack(sent).unwrap()).unwrap();
        let (socket, fd) = (
            theirs.as_raw_fd().to_string(),
            record.fd().unwrap().as_raw_fd().to_string(),
        );
        let line = line
            .replace("VARIABLE", VARIABLE)
            .replace("SOCKET", &socket)
            .replace("RECORD", &fd);
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!(
                "{line} \"$0\" --exact process::takeover::tests::runs_as_usual --nocapture; exit $?"
            ),
        ]);
        command.arg(std::env::current_exe().unwrap());
        invite(&mut command, &theirs, &record).unwrap();
        let output = command.env_remove(VARIABLE).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        match (said.contains("taken over"), said.contains("as usual")) {
            (true, false) => "taken over".into(),
            (false, true) => "as usual".into(),
            _ => format!("{said}{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    #[test]
    fn only_a_socket_of_the_parent_with_a_greeting_takes_a_program_over() {
        let greeting = greeting(Said::JOB);
        assert_eq!(
            run("exec env VARIABLE=SOCKET,RECORD", &greeting),
            "taken over"
        );
        // The shell is the parent, and did not make the socket.
        assert_eq!(run("env VARIABLE=SOCKET,RECORD", &greeting), "as usual");
        assert_eq!(
            run("exec env VARIABLE=SOCKET,RECORD", b"some other protocol"),
            "as usual"
        );
        for by_hand in [
            "",
            "yes",
            "SOCKET",
            "0,1",
            "998,999",
            "-3,-4",
            "RECORD,SOCKET",
            "SOCKET,SOCKET",
            "SOCKET,999",
        ] {
            assert_eq!(
                run(&format!("exec env VARIABLE={by_hand}"), &greeting),
                "as usual",
                "{by_hand}"
            );
        }
        assert_eq!(
            run("exec env FORKCHECK_ZYGOTE_0.0.0=SOCKET,RECORD", &greeting),
            "as usual"
        );
    }

    #[test]
    fn constructors_that_come_later_have_run_once_when_the_job_runs() {
        // Otherwise this test detects nothing.
        assert!(
            (&raw const LATER).addr() > (&raw const ENTRY).addr(),
            "LATER comes before ENTRY"
        );
        assert_eq!(LATER_RAN.load(Relaxed), 1);
        assert_eq!(
            in_fresh_process(|()| LATER_RAN.load(Relaxed), ()).unwrap(),
            1
        );
    }
}
