//! gdb in a replay: the forked process of one row of a report stops there, and gdb is attached to it.
//!
//! gdb is a child of this process, in a process group of its own, which has the terminal: what Ctrl-C ends there is gdb's own
//! run, and not the test. It ends with this process, by its parent-death signal, and so do the processes of the case.
#![allow(
    unsafe_code,
    reason = "gdb gets the terminal between fork and exec; tcsetpgrp"
)]

use crate::case::{Case, Schedule};
use crate::engine::StopAt;
use crate::error::Error;
use crate::report::{self, Report};
use crate::search::Outcome;
use crate::spec::Spec;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, IsTerminal, PipeReader, stdin};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The limit on the time between the message of a process and its stop.
const STOPS: Duration = Duration::from_secs(10);

/// A script of Python that selects the frame whose source line is that of the step: frames further in are of this crate.
const SELECT: &str = r"frame = gdb.newest_frame()
while frame:
    place = frame.find_sal()
    if place.symtab and place.line == LINE and place.symtab.filename.endswith('FILE'):
        frame.select()
        break
    frame = frame.older()
gdb.execute('frame')";

/// Returns the error for an engine whose reports have no steps.
pub(super) fn no_steps(engine: &str) -> Error {
    Error::invalid(
        format!("{engine} does not run its processes step by step, so none can stop at a row"),
        "replay the token of a report of stepped or kills",
    )
}

/// Returns the case of an outcome, if it failed and its steps are known.
pub(super) fn stepped_case<S: Spec>(outcome: &Outcome<S>) -> Result<&Case<S>, Error> {
    let Some(found) = &outcome.found else {
        return Err(Error::invalid(
            "the case did not fail again, so there is no row to stop at",
            "replay it without gdb, and read its report",
        ));
    };
    match found.run.case.schedule {
        Schedule::Free => Err(no_steps(outcome.engine)),
        _ => Ok(&found.run.case),
    }
}

/// Replays a case with gdb at a row of its report; row 0 is that of the access that shows the failure. `replay` replays it, and
/// stops the process of a step. It is `dyn`, as each suite would otherwise compile this function for each engine.
///
/// # Errors
/// Returns an error if gdb is not installed, or if there is no such row with a step.
pub(super) fn step_into(
    report: &Report,
    engine: &str,
    row: usize,
    replay: &mut dyn FnMut(StopAt) -> Result<(), Error>,
) -> Result<(), Error> {
    if report.steps.is_empty() {
        return Err(no_steps(engine));
    }
    let telling = || report.telling_row().ok_or_else(|| no_steps(engine));
    let (row, step) = match row {
        0 => telling()?,
        row => report
            .step_of_row(row)
            .map_err(|(what, remedy)| Error::invalid(what, remedy))?,
    };
    let gdb = installed("gdb").ok_or_else(|| {
        Error::invalid(
            "gdb is not installed: no directory of PATH has it",
            "install it (apt install gdb), or add its directory to PATH",
        )
    })?;
    let failed = |what| {
        move |error| Error::system(what, error, "close other programs, which hold descriptors")
    };
    let (reader, writer) = std::io::pipe().map_err(failed("make a pipe"))?;
    let stop = StopAt {
        step: u32::try_from(step).unwrap_or(u32::MAX),
        asker: std::process::id(),
        pipe: writer.as_raw_fd(),
    };
    let at = &report.steps[step];
    let name = &report.processes[at.process].name;
    let place = (&*at.file, at.line);
    std::thread::scope(|scope| {
        let words = (row, &**name, report.access_in_words(at));
        let attached = scope.spawn(move || attached(reader, gdb, words, place));
        let ran = replay(stop);
        // Without a process that stops, the reader finds the end of the pipe.
        drop(writer);
        let attached = attached
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        ran.and(attached)
    })
}

/// Returns the path of a program.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|place| place.join(name));
    places.find(|place| place.is_file())
}

/// Waits for the process that stops, attaches gdb to it, and continues it when gdb ends.
fn attached(
    from: PipeReader,
    gdb: PathBuf,
    (row, name, access): (usize, &str, String),
    (file, line): (&str, u32),
) -> Result<(), Error> {
    let mut told = String::new();
    let mut from = BufReader::new(from);
    from.read_line(&mut told)
        .map_err(|error| Error::system("read a pipe", error, "run it again"))?;
    let Ok(id) = told.trim().parse::<i32>() else {
        return Err(Error::invalid(
            format!("no process came to row {row}, so gdb was not started"),
            "replay the token without gdb: the code may have changed since, and the report then says so",
        ));
    };
    let continues = Continues(Pid::from_raw(id));
    let until = Instant::now() + STOPS;
    while !stands(id) {
        if Instant::now() >= until {
            return Err(Error::invalid(
                format!("process {id} did not stop at row {row} within {STOPS:?}"),
                "run it again; let no other program continue it",
            ));
        }
        std::thread::yield_now();
    }
    let mut command = command(&gdb, id, (file, line));
    let arguments: Vec<String> = command
        .get_args()
        .map(|argument| format!("{argument:?}"))
        .collect();
    report::loudly(&format!(
        "{name} (process {id}) stands before row {row}: {access}  {file}:{line}\n  {} {}",
        gdb.display(),
        arguments.join(" ")
    ));
    let own = nix::unistd::getpgrp();
    let terminal = stdin().is_terminal();
    let status = command.status();
    if terminal {
        give_terminal(own);
    }
    drop(continues);
    let remedy =
        "check that gdb runs, and that ptrace is allowed here (kernel.yama.ptrace_scope, seccomp)";
    match status {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::system(
            format!("start {}", gdb.display()),
            error,
            remedy,
        )),
    }
}

/// Returns the command that attaches gdb to a process, with the frame of this source line selected.
fn command(gdb: &PathBuf, id: i32, (file, line): (&str, u32)) -> Command {
    let file_name = file.rsplit('/').next().unwrap_or(file);
    let select = SELECT
        .replace("LINE", &line.to_string())
        .replace("FILE", &file_name.replace(['\\', '\''], "_"));
    let mut command = Command::new(gdb);
    command
        .args(["-q", "-iex", "set debuginfod enabled off", "-p"])
        .arg(id.to_string())
        // It has stopped by this signal: to continue is to go on.
        .args(["-ex", "handle SIGSTOP nostop noprint nopass"])
        .arg("-ex")
        .arg(format!("python exec(\"{}\")", select.replace('\n', "\\n")));
    let terminal = stdin().is_terminal();
    if terminal {
        command.process_group(0);
    }
    // SAFETY: pre_exec, whose closure runs between fork and exec.
    // 1. It calls prctl, sigprocmask and tcsetpgrp, which are async-signal-safe, and allocates nothing. 2. It shares no lock and
    // no descriptor with another thread: it changes its own process.
    unsafe {
        command.pre_exec(move || {
            set_pdeathsig(Signal::SIGKILL)?;
            if terminal {
                give_terminal(nix::unistd::getpid());
            }
            Ok(())
        });
    }
    command
}

/// Makes a process group the foreground of the terminal.
fn give_terminal(group: Pid) {
    // A process in the background that sets it would be stopped by SIGTTOU.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    let before = blocked.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
    // SAFETY: tcsetpgrp takes two integers, and fails where the descriptor is no terminal.
    unsafe { libc::tcsetpgrp(0, group.as_raw()) };
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
}

/// Continues a process when it is dropped, if it still stands.
struct Continues(Pid);

impl Drop for Continues {
    fn drop(&mut self) {
        if stands(self.0.as_raw()) {
            let _ = kill(self.0, Signal::SIGCONT);
        }
    }
}

/// Returns whether a signal has stopped this process.
fn stands(id: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
    // The name of a program, in brackets, may hold any character.
    let state = stat.ok().and_then(|stat| {
        stat.rsplit_once(") ")
            .map(|(_, rest)| rest.starts_with('T'))
    });
    state == Some(true)
}
