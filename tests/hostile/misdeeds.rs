//! The misdeeds, one function each, and the ends of the checks of a structure that commits one.

use crate::{acts, raw};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::{Pid, getpid, getppid};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// An action of a structure against the processes that check it.
pub(crate) struct Misdeed {
    pub(crate) name: &'static str,
    pub(crate) does: fn(&Site),
    pub(crate) places: &'static [Place],
    pub(crate) engines: &'static [&'static str],
    /// The ends of a check on engines with real processes, and in loom's model.
    pub(crate) real: Ends,
    pub(crate) loom: Ends,
    /// The ends if the specification commits it: on `processes`, `stepped`, `kills` and `loom`.
    pub(crate) spec: [Ends; 4],
}

/// The place in a structure's code at which a misdeed is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Place {
    New,
    Attach,
    Operation,
    Detach,
    Drop,
    /// In a step of its specification, in each process that judges: a worker, or the one that supervises them.
    TheSpec,
}

/// The engines, in the order of the columns of [`Misdeed::spec`].
pub(crate) const ENGINES: [&str; 4] = ["processes", "stepped", "kills", "loom"];
/// All places, in the order in which they are tried.
pub(crate) const PLACES: [Place; 6] = [New, Attach, Operation, Detach, Drop, Place::TheSpec];
const EVERYWHERE: &[Place] = &[New, Attach, Operation, Detach, Drop];
/// The places in each process that the structure comes to: its handles are made and dropped in the
/// process of their operations.
const EACH_PROCESS: &[Place] = &[New, Operation, Drop];

/// The target of a misdeed: the structure's own bytes, and a name for the processes that are left
/// behind.
pub(crate) struct Site {
    pub(crate) own: Range<usize>,
    pub(crate) mark: String,
}

impl Site {
    /// Returns a file of this process's own.
    pub(crate) fn file(&self) -> PathBuf {
        std::env::temp_dir().join(format!("{MARK}-{}-{}", self.mark, getpid()))
    }
}

/// The end of a check.
#[derive(Clone, Copy)]
pub(crate) enum Ends {
    /// Not tried there.
    Untried,
    /// It ends as an undisturbed check.
    Undisturbed,
    /// It ends so, except that a structure that changed without an access is Unknown where accesses
    /// are scheduled.
    Unscheduled,
    /// It ends with a verdict that is not Ok, with this text, or with another one that follows a
    /// `|`.
    Words(&'static str),
}

use Ends::{Undisturbed, Unscheduled, Untried, Words};
use Place::{Attach, Detach, Drop, New, Operation};

const fn row(name: &'static str, does: fn(&Site), real: Ends, loom: Ends) -> Misdeed {
    Misdeed {
        name,
        does,
        places: EVERYWHERE,
        engines: &ENGINES,
        real,
        loom,
        spec: [Untried; 4],
    }
}

/// Returns a misdeed with the same end wherever it is committed, the specification included.
const fn everywhere(name: &'static str, does: fn(&Site), real: Ends, loom: Ends) -> Misdeed {
    Misdeed {
        spec: [real, real, real, loom],
        ..row(name, does, real, loom)
    }
}

/// Returns a misdeed without an effect, wherever it is committed.
const fn harmless(name: &'static str, does: fn(&Site)) -> Misdeed {
    Misdeed {
        places: EACH_PROCESS,
        spec: [Undisturbed; 4],
        ..row(name, does, Undisturbed, Undisturbed)
    }
}

/// Replaces the ends for the specification, which the supervising process asks too, and has more to
/// do afterwards.
const fn but_for(misdeed: Misdeed, stepped: Ends, kills: Ends) -> Misdeed {
    Misdeed {
        spec: [misdeed.spec[0], stepped, kills, misdeed.spec[3]],
        ..misdeed
    }
}

/// Returns a misdeed that ends its process, with this text.
const fn ends(name: &'static str, does: fn(&Site), words: &'static str) -> Misdeed {
    Misdeed {
        places: EACH_PROCESS,
        spec: [Words(words); 4],
        ..row(name, does, Words(words), Words(words))
    }
}

/// Leaves a misdeed to the structure alone.
const fn not_in_spec(misdeed: Misdeed) -> Misdeed {
    Misdeed {
        spec: [Untried; 4],
        ..misdeed
    }
}

/// Sets the ends in loom's model.
const fn in_loom(misdeed: Misdeed, loom: Ends, spec: Ends) -> Misdeed {
    let [processes, stepped, kills, _] = misdeed.spec;
    Misdeed {
        loom,
        spec: [processes, stepped, kills, spec],
        ..misdeed
    }
}

/// Commits a misdeed in operations alone: it is only seen while other processes have something to do.
const fn in_operations(misdeed: Misdeed) -> Misdeed {
    Misdeed {
        places: &[Operation],
        ..misdeed
    }
}

/// Tries a misdeed on these engines alone: it takes seconds to notice, each time.
const fn on(engines: &'static [&'static str], misdeed: Misdeed) -> Misdeed {
    Misdeed {
        engines,
        ..in_operations(misdeed)
    }
}

/// Names the mark in the environment of a process that is left behind.
pub(crate) const MARK: &str = "FORKCHECK_TESTS_HOSTILE";
/// Above each descriptor of a check, also where many checks run side by side.
pub(crate) const DESCRIPTORS: i32 = 256;

const OVERWROTE: Ends = Words("wrote over memory of the check itself");
const NO_ANSWER: Ends = Words("ended without an answer");
/// The end if the supervising process commits it: the one that asks it notices, or it notices itself as it waits for a child.
const NO_ANSWER_EITHER: Ends =
    Words("get an answer of the fresh process|a descriptor of forkcheck's was closed");
const NO_FRAME: Ends = Words("no frame of its own");
const GARBLED: Ends = Words("is garbled");
const KILLED: Ends = Words("SIGKILL");
const NO_ROOM: Ends = Words("raise RLIMIT_NOFILE");
const HUNG_UP: Ends = Words("exited with code 0");
const STOPPED: Ends = Words("stopped by a signal");

pub(crate) const MISDEEDS: &[Misdeed] = &[
    everywhere("nothing", nothing, Undisturbed, Undisturbed),
    but_for(
        everywhere("close_all", close_all, Undisturbed, NO_ANSWER),
        NO_ANSWER_EITHER,
        NO_ANSWER_EITHER,
    ),
    but_for(
        everywhere("replace_all", replace_all, Undisturbed, NO_ANSWER),
        NO_ANSWER_EITHER,
        NO_ANSWER_EITHER,
    ),
    everywhere("close_std", close_std, Undisturbed, Undisturbed),
    but_for(
        everywhere("junk", junk, Undisturbed, GARBLED),
        NO_FRAME,
        NO_FRAME,
    ),
    everywhere("zeros", zeros, OVERWROTE, Undisturbed),
    everywhere("ones", ones, OVERWROTE, Undisturbed),
    on(
        &["processes", "stepped", "loom"],
        row("stop_self", stop_self, STOPPED, STOPPED),
    ),
    on(
        &["kills", "loom"],
        row("stop_parent", stop_parent, STOPPED, STOPPED),
    ),
    on(
        &["processes"],
        row("stop_siblings", stop_siblings, STOPPED, Undisturbed),
    ),
    everywhere("kill_parent", kill_parent, KILLED, KILLED),
    in_operations(row("kill_siblings", kill_siblings, KILLED, Undisturbed)),
    everywhere("daemon", daemon, Undisturbed, Undisturbed),
    // Limits.
    but_for(
        harmless("no_descriptors", acts::no_descriptors),
        NO_ROOM,
        NO_ROOM,
    ),
    // This works where nothing more is allocated. A model allocates.
    in_loom(
        but_for(
            harmless("no_memory", acts::no_memory),
            Undisturbed,
            Words("raise RLIMIT_AS"),
        ),
        Untried,
        Untried,
    ),
    ends("starve", acts::starve, "SIGABRT"),
    harmless("a_second", acts::a_second),
    harmless("no_file_size", acts::no_file_size),
    harmless("no_stack", acts::no_stack),
    harmless("no_processes", acts::no_processes),
    harmless("no_locked_memory", acts::no_locked_memory),
    // Signals.
    harmless("block_signals", acts::block_signals),
    harmless("handlers", raw::handlers),
    but_for(
        harmless("ignore_signals", raw::ignore_signals),
        Undisturbed,
        Words("leave SIGCHLD at its default"),
    ),
    harmless("interrupts", raw::interrupts),
    ends("alarm", raw::alarm, "SIGALRM"),
    ends("raise_term", acts::raise_term, "SIGTERM"),
    ends("raise_segv", acts::raise_segv, "SIGSEGV"),
    ends("raise_trap", acts::raise_trap, "SIGTRAP"),
    harmless("raise_chld", acts::raise_chld),
    harmless("raise_cont", acts::raise_cont),
    ends("kill_group", acts::kill_group, "SIGKILL"),
    // Properties of a process in the kernel.
    on(
        &["processes", "loom"],
        not_in_spec(ends("traced", raw::traced, "stopped by a signal")),
    ),
    harmless("forget_parent", acts::forget_parent),
    harmless("undumpable", acts::undumpable),
    harmless("no_privileges", acts::no_privileges),
    ends("strict", raw::strict, "(SIG|NOT DETERMINISTIC"),
    harmless("idle", raw::idle),
    harmless("leave_session", acts::leave_session),
    harmless("leave_group", acts::leave_group),
    harmless("leave_processor", acts::leave_processor),
    harmless("leave_directory", acts::leave_directory),
    but_for(
        harmless("leave_root", acts::leave_root),
        Undisturbed,
        Words("mount /proc"),
    ),
    harmless("leave_user", acts::leave_user),
    harmless("new_user", acts::new_user),
    // The first child is the init of all others there, and ends them, for which it waits 10 s.
    but_for(harmless("new_pids", acts::new_pids), Undisturbed, Untried),
    harmless("new_mounts", acts::new_mounts),
    harmless("no_modes", acts::no_modes),
    harmless("change_environment", raw::change_environment),
    harmless("trap_numbers", raw::trap_numbers),
    // Memory.
    not_in_spec(ends("unmap", raw::unmap, "SIGSEGV|NOT DETERMINISTIC")),
    not_in_spec(ends("protect", raw::protect, "SIGSEGV|NOT DETERMINISTIC")),
    // In a model they are those of an allocator.
    in_operations(row("forget_pages", raw::forget_pages, Undisturbed, Untried)),
    in_operations(row(
        "remove_pages",
        raw::remove_pages,
        Unscheduled,
        Undisturbed,
    )),
    in_operations(ends("overflow", acts::overflow, "SIG")),
    ends("allocate", acts::allocate, "SIGABRT"),
    // Descriptors.
    harmless("read_all", acts::read_all),
    harmless("cut_all", acts::cut_all),
    but_for(harmless("hang_up_all", acts::hang_up_all), HUNG_UP, HUNG_UP),
    harmless("hurry_all", acts::hurry_all),
    harmless("print", acts::print),
    // Other processes.
    harmless("child", raw::child),
    harmless("zombie", raw::zombie),
    not_in_spec(harmless("double", raw::double)),
    harmless("linger", acts::linger),
    harmless("run_true", acts::run_true),
    harmless("run_nothing", acts::run_nothing),
    harmless("steal_exits", acts::steal_exits),
    ends(
        "changeling",
        raw::changeling,
        "exited with code 0|NOT DETERMINISTIC",
    ),
    ends("become_true", raw::become_true, "exited with code 0"),
    // Threads and ends.
    // It is chance whether they exist yet when it forks.
    but_for(harmless("threads", acts::threads), Undisturbed, Untried),
    harmless("panic_beside", acts::panic_beside),
    ends("exit", acts::exit, "exited with code 0"),
    ends("end", raw::end, "exited with code 0"),
    ends("abort", acts::abort, "SIGABRT"),
    ends("panic", acts::panic, "on purpose"),
    ends("panic_silently", acts::panic_silently, "on purpose"),
    ends("panic_twice", acts::panic_twice, "panic"),
    ends("panic_later", acts::panic_later, "panic"),
    harmless("catch_panic", acts::catch_panic),
    harmless("forget_hook", acts::forget_hook),
    // The process continues without its first thread, which is noticed as a sleep is.
    on(
        &["processes"],
        in_operations(not_in_spec(ends(
            "end_first_thread",
            raw::end_first_thread,
            "sleeps",
        ))),
    ),
];

fn nothing(_: &Site) {}

fn close_all(_: &Site) {
    close(3..DESCRIPTORS);
}

fn close_std(_: &Site) {
    close(0..3);
}

fn close(descriptors: Range<i32>) {
    for descriptor in descriptors {
        let _ = nix::unistd::close(descriptor);
    }
}

/// Replaces each descriptor by one of a file of the structure's own, in which the check writes
/// nothing.
fn replace_all(site: &Site) {
    let path = site.file();
    if path.exists() {
        assert_eq!(std::fs::read(&path).unwrap(), b"its own");
    }
    close(3..DESCRIPTORS);
    std::fs::write(&path, "its own").unwrap();
    for _ in 3..DESCRIPTORS {
        std::mem::forget(File::options().read(true).write(true).open(&path).unwrap());
    }
}

/// Writes to each descriptor, as if a frame of a megabyte began.
fn junk(_: &Site) {
    let bytes = [0, 0, 16, 0, 0, 0, 0, 0, 7, 7];
    for descriptor in 3..DESCRIPTORS {
        let path = format!("/proc/self/fd/{descriptor}");
        if let Ok(mut file) = File::options().write(true).open(path) {
            let _ = file.write_all(&bytes);
        }
        let _ = send(descriptor, &bytes, MsgFlags::MSG_DONTWAIT);
    }
}

fn zeros(site: &Site) {
    overwrite(site, 0);
}

fn ones(site: &Site) {
    overwrite(site, 0xff);
}

/// Overwrites all memory that processes share, except for the structure's own page.
fn overwrite(site: &Site, byte: u8) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::options().write(true).open("/proc/self/mem").unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw-s ")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let number = |hex| usize::from_str_radix(hex, 16).unwrap();
        let (start, end) = (number(start), number(end));
        if !(start..end).contains(&site.own.start) {
            let _ = memory.write_all_at(&vec![byte; end - start], start as u64);
        }
    }
}

fn stop_self(_: &Site) {
    signal(getpid(), Signal::SIGSTOP);
}

fn stop_parent(_: &Site) {
    signal(getppid(), Signal::SIGSTOP);
}

fn stop_siblings(_: &Site) {
    siblings(Signal::SIGSTOP);
}

fn kill_parent(_: &Site) {
    signal(getppid(), Signal::SIGKILL);
}

fn kill_siblings(_: &Site) {
    siblings(Signal::SIGKILL);
}

fn signal(process: Pid, signal: Signal) {
    let _ = kill(process, signal);
}

fn siblings(sent: Signal) {
    let parent = getppid();
    let all = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    let all = all.split_ascii_whitespace();
    let others = all.map(|id| Pid::from_raw(id.parse().unwrap()));
    for other in others.filter(|&other| other != getpid()) {
        signal(other, sent);
    }
}

/// Leaves a process behind, in a session of its own, whose parent has ended.
fn daemon(site: &Site) {
    let command = "trap '' HUP TERM; (exec setsid sleep 3600) </dev/null >/dev/null 2>&1 &";
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env(MARK, &site.mark);
    shell.status().unwrap();
}
