//! The client of a fresh process (a zygote: started early, forks many).
//!
//! Engines keep a [`Session`] for as long as they run cases;
//! [`in_fresh_process`](fn@super::in_fresh_process) has one for a single question. While it waits
//! for an answer it reads what the zygote and its children print, so that they never block on a
//! full pipe.

use super::child::{Process, ready};
use super::exit::Exit;
use super::frame::{self, Incoming};
use super::job::Job;
use super::record::Record;
use super::strays::{SESSION, end_session};
use super::takeover;
use crate::Error;
use crate::region::descriptor::Descriptor;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::unistd::Pid;
use std::io::{PipeReader, Read};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The most output that is kept, in bytes.
const KEPT: usize = 16 << 10;
/// The time that a fresh process may take to start.
const START: Duration = Duration::from_secs(10);
/// Limit on how long it may be stopped by a signal, and the time between two checks for that.
const STOPPED: Duration = Duration::from_millis(500);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Limit on how long it may take to end, with all processes that its children have started, and the
/// time between two checks for a signal that has stopped it meanwhile.
const END: Duration = Duration::from_secs(10);
const WHILE_ENDING: Duration = Duration::from_millis(50);

/// A fresh process that runs a job and answers requests. Its guardian kills it when the process of the
/// client ends; dropping it kills it, and reaps it.
pub(crate) struct Session {
    process: Process,
    socket: Descriptor<UnixStream>,
    incoming: Incoming,
    printed: Printed,
    job: &'static Job,
    /// The value of the variable that marks its processes.
    mark: String,
    not_send: PhantomData<*const ()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // When the socket closes, it ends by itself, and with it the groups of its children, and
        // all processes that these have started. If it does not, it is killed.
        if let Ok(socket) = self.socket.get() {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        let until = Instant::now() + END;
        loop {
            // Children of the zygote may stop it again.
            self.process.go_on();
            let left = until.saturating_duration_since(Instant::now());
            let ended = self.process.wait_timeout(left.min(WHILE_ENDING));
            if let Ok(Some(Exit::Signal(_))) = ended {
                // Its guardian may have been killed too.
                end_session(&self.mark);
            }
            if left.is_zero() || !matches!(ended, Ok(None)) {
                break;
            }
        }
    }
}

/// Returns a value that no other session has.
fn mark() -> String {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = since.map_or(0, |since| since.as_nanos());
    let session = SESSIONS.fetch_add(1, Relaxed);
    format!("{}-{session}-{nanoseconds}", std::process::id())
}

impl Session {
    /// Starts a fresh process with that job.
    pub(crate) fn start(job: &'static Job) -> Result<Self, Error> {
        let command = Command::new("/proc/self/exe");
        Self::start_with(job, &takeover::greeting(job), command, START)
    }

    fn start_with(
        job: &'static Job,
        greeting: &[u8],
        mut command: Command,
        patience: Duration,
    ) -> Result<Self, Error> {
        let tried = |what: &str| format!("start a fresh process for {}: {what}", job.name());
        let room = |what| {
            let tried = tried(what);
            move |e: std::io::Error| {
                Error::call(
                    tried,
                    Errno::from_raw(e.raw_os_error().unwrap_or(0)),
                    "socketpair, pipe2, fcntl and sendto",
                    "close descriptors or raise RLIMIT_NOFILE (ulimit -n)",
                )
            }
        };
        let (socket, theirs) = UnixStream::pair().map_err(room("make a socket"))?;
        let (output, sink) = std::io::pipe().map_err(room("make a pipe"))?;
        let errors = sink.try_clone().map_err(room("copy a descriptor"))?;
        let record = Record::new()?;
        // Sent before it starts, so that the greeting is there when the constructor looks for it.
        frame::pack(greeting)
            .and_then(|frame| std::io::Write::write_all(&mut &socket, &frame))
            .map_err(room("greet it"))?;
        let mark = mark();
        command
            .env(SESSION, &mark)
            .stdin(Stdio::null())
            .stdout(sink)
            .stderr(errors)
            .process_group(0);
        takeover::invite(&mut command, &theirs, &record)?;
        let child = command.spawn().map_err(|e| {
            let tried = tried("execute this program again");
            let calls = "prctl (PR_SET_PDEATHSIG), setpgid, fork and execve";
            match Errno::from_raw(e.raw_os_error().unwrap_or(0)) {
                errno @ Errno::EACCES => Error::system(
                    tried,
                    errno,
                    format!(
                        "make the program's file executable (chmod +x), on a file system that is mounted without noexec; else let the \
                         sandbox of this process (seccomp, a container) permit {calls}"
                    ),
                ),
                errno => {
                    let otherwise = "mount /proc, or make room for one more process (ulimit -u)";
                    Error::call(tried, errno, calls, otherwise)
                }
            }
        })?;
        // Drops the fresh process's ends, the pipe's two among them: the client then sees when it
        // closes its own.
        drop((command, theirs));
        let mut session = Self {
            process: Process::adopt(Pid::from_raw(child.id().cast_signed()), record)?,
            socket: Descriptor::new(socket).map_err(room("look at a descriptor"))?,
            incoming: Incoming::default(),
            printed: Printed {
                pipe: Some(output),
                kept: Vec::new(),
            },
            job,
            mark,
            not_send: PhantomData,
        };
        let answer = session.exchange(&[], Some(Instant::now() + patience));
        let answer = answer.inspect_err(|_| {
            // It is not a fresh process of this crate, so it does not end by itself. The existing
            // error says more than one of this call would.
            let _ = session.process.kill();
        })?;
        if answer != takeover::accepted(job) {
            return Err(Error::invalid(
                tried(&String::from_utf8_lossy(&answer)),
                "define the job in the program itself and not in a library that is loaded beside it",
            ));
        }
        Ok(session)
    }

    /// Sends a request, and waits for the reply however long it takes.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let frame = frame::pack(request).map_err(|e| self.garbled(e))?;
        self.exchange(&frame, None)
    }

    /// Returns the last 16 KiB that the process and its children printed.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&self.printed.kept).into_owned()
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends the unsent bytes, and waits for one frame, reading printed output meanwhile.
    fn exchange(&mut self, mut unsent: &[u8], deadline: Option<Instant>) -> Result<Vec<u8>, Error> {
        let (mut gone, mut stopped) = (false, None);
        loop {
            if let Some(frame) = self.incoming.take().map_err(|e| self.garbled(e))? {
                self.printed.drain();
                return Ok(frame);
            }
            if gone {
                return Err(self.ended());
            }
            // Checked first: the number of a closed descriptor may belong to another file, which
            // would be written or read.
            let socket = self.socket.get().map_err(|e| self.garbled(e))?.as_raw_fd();
            let left = deadline.map_or(Duration::MAX, |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Err(self.late());
            }
            // A process that a signal has stopped sends nothing that could be read here.
            if !self.process.is_stopped() {
                stopped = None;
            } else if stopped.get_or_insert_with(Instant::now).elapsed() >= STOPPED {
                return Err(self.stopped());
            }
            let over = match self.pause(!unsent.is_empty(), left.min(BETWEEN_LOOKS)) {
                Ok(over) => over,
                // The socket is checked at the start of the loop.
                Err(Errno::EINTR | Errno::EBADF) => continue,
                Err(errno) => {
                    let tried = format!("wait for the fresh process {}", self.id());
                    let otherwise = "report this: the call has no such error";
                    return Err(Error::call(tried, errno, "ppoll", otherwise));
                }
            };
            while !unsent.is_empty() {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                match send(socket, unsent, flags) {
                    Ok(sent) => unsent = &unsent[sent..],
                    Err(_) => break, // full, or closed: then there is an end to be read below
                }
            }
            // In this order: after the end was seen, all that the process sent before it has
            // arrived.
            gone = self.receive(socket) || over;
        }
    }

    /// Sleeps until something can be done. Returns whether the process has ended.
    fn pause(&mut self, sending: bool, left: Duration) -> nix::Result<bool> {
        let wish = if sending {
            PollFlags::POLLIN | PollFlags::POLLOUT
        } else {
            PollFlags::POLLIN
        };
        let socket = self.socket.get().map_err(|_| Errno::EBADF)?.as_fd();
        let mut fds = vec![
            PollFd::new(self.process.pidfd(), PollFlags::POLLIN),
            PollFd::new(socket, wish),
        ];
        fds.extend(
            self.printed
                .pipe
                .iter()
                .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)),
        );
        ready(&mut fds, left)?;
        let said = |fd: &PollFd<'_>| fd.any() == Some(true);
        let (over, printed) = (said(&fds[0]), fds.get(2).is_some_and(said));
        if printed {
            self.printed.read();
        }
        Ok(over)
    }

    /// Takes the bytes that have arrived. Returns whether the other side has closed.
    fn receive(&mut self, socket: RawFd) -> bool {
        let mut bytes = [0; 1 << 16];
        loop {
            match recv(socket, &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return true,
                Ok(n) => self.incoming.extend(&bytes[..n]),
                Err(Errno::EINTR) => {}
                Err(errno) => return errno != Errno::EAGAIN,
            }
        }
    }

    /// Returns the error for a fresh process that is gone, or has hung up and is about to end.
    fn ended(&mut self) -> Error {
        let exit = match self.process.wait_timeout(Duration::from_secs(2)) {
            Ok(Some(exit)) => Ok(exit),
            Ok(None) => self.process.kill(),
            Err(error) => Err(error),
        };
        self.printed.drain();
        let exit = match exit {
            Ok(exit) => exit,
            Err(error) => return error,
        };
        let left = match exit {
            Exit::Signal(_) => end_session(&self.mark),
            _ => Vec::new(),
        };
        let by_hand = match &left[..] {
            [] => String::new(),
            left => format!(
                "end by hand what operations started and this process may not kill ({left:?}); "
            ),
        };
        let remedy = format!("{}; {by_hand}{}", exit.remedy(), self.printed);
        Error::system(
            format!(
                "get an answer of the fresh process {} for {}",
                self.id(),
                self.job.name()
            ),
            exit,
            remedy,
        )
    }

    fn late(&mut self) -> Error {
        Error::invalid(
            format!(
                "process {} did not start the server of fresh processes before `main` in time",
                self.id()
            ),
            format!(
                "keep the section .init_array when linking, and let no other constructor wait; {}",
                self.printed
            ),
        )
    }

    fn stopped(&self) -> Error {
        Error::invalid(
            format!(
                "the fresh process {} for {} was stopped by a signal (SIGSTOP, say), and nothing continued it",
                self.id(),
                self.job.name()
            ),
            "let no operation send a signal to its parent; if it was stopped by hand, run it again",
        )
    }

    fn garbled(&self, error: std::io::Error) -> Error {
        Error::system(
            format!(
                "talk to the fresh process {} for {}",
                self.id(),
                self.job.name()
            ),
            error,
            "send less at once, and neither close nor write to descriptors that you did not open",
        )
    }
}

/// The output of the zygote and its children, from the pipe that is their standard output and
/// error.
struct Printed {
    /// `None` once no process can print any more.
    pipe: Option<PipeReader>,
    kept: Vec<u8>,
}

impl Printed {
    /// Reads once; the pipe is readable.
    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut bytes = [0; 1 << 16];
        match pipe.read(&mut bytes) {
            Ok(n @ 1..) => self.kept.extend_from_slice(&bytes[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            _ => self.pipe = None,
        }
        let surplus = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..surplus);
    }

    /// Reads the available output: at most a few full pipes, since another process may still be
    /// printing.
    fn drain(&mut self) {
        for _ in 0..16 {
            let Some(pipe) = &self.pipe else { return };
            match ready(
                &mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)],
                Duration::ZERO,
            ) {
                Ok(1..) => self.read(),
                _ => return,
            }
        }
    }
}

impl std::fmt::Display for Printed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kept.is_empty() {
            true => f.write_str("it printed nothing"),
            false => write!(
                f,
                "the last that it printed:\n{}",
                String::from_utf8_lossy(&self.kept)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
