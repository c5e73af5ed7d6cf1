//! The misdeeds, one function each, and what the checks of a structure that commits one come to.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::process::Command;

/// Something that a structure does to the processes that check it.
pub(crate) struct Misdeed {
    pub(crate) name: &'static str,
    pub(crate) does: fn(&Site),
    /// What it comes to on engines with real processes, and in loom's model.
    pub(crate) real: Ends,
    pub(crate) loom: Ends,
}

/// Where it is done: the structure's own bytes, and a name for what is left behind.
pub(crate) struct Site {
    pub(crate) own: Range<usize>,
    pub(crate) mark: String,
}

/// How a check ends.
pub(crate) enum Ends {
    /// As if nothing had been done.
    Undisturbed,
    /// With a verdict that is not Ok, in these words.
    Words(&'static str),
}

use Ends::{Undisturbed, Words};

const fn row(name: &'static str, does: fn(&Site), real: Ends, loom: Ends) -> Misdeed {
    Misdeed {
        name,
        does,
        real,
        loom,
    }
}

/// Names the mark in the environment of a process that is left behind.
pub(crate) const MARK: &str = "FORKCHECK_TESTS_HOSTILE";

const OVERWROTE: Ends = Words("wrote over memory of the check itself");
const NO_ANSWER: Ends = Words("ended without an answer");
const STOPPED: Ends = Words("stopped by a signal");

pub(crate) const MISDEEDS: [Misdeed; 8] = [
    row("nothing", |_| (), Undisturbed, Undisturbed),
    row("close_all", |_| close_all(), Undisturbed, NO_ANSWER),
    row("replace_all", |_| replace_all(), Undisturbed, NO_ANSWER),
    row(
        "zeros",
        |site| overwrite(&site.own, 0),
        OVERWROTE,
        Undisturbed,
    ),
    row(
        "ones",
        |site| overwrite(&site.own, 0xff),
        OVERWROTE,
        Undisturbed,
    ),
    row("stop_parent", |_| stop(getppid()), STOPPED, STOPPED),
    row("stop_siblings", |_| siblings(stop), STOPPED, Undisturbed),
    row("daemon", daemon, Undisturbed, Undisturbed),
];

fn close_all() {
    for fd in 3..64 {
        let _ = nix::unistd::close(fd);
    }
}

/// Each descriptor is one of a file of the structure's own, of which no byte may change.
fn replace_all() {
    close_all();
    let path = std::env::temp_dir().join(format!("forkcheck-hostile-{}", getpid()));
    std::fs::write(&path, "its own").unwrap();
    for _ in 3..32 {
        std::mem::forget(File::options().read(true).write(true).open(&path).unwrap());
    }
    let _ = std::fs::remove_file(&path);
}

/// Writes over all memory that processes share, but for the structure's own page.
fn overwrite(own: &Range<usize>, byte: u8) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::options().write(true).open("/proc/self/mem").unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw-s ")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let number = |hex| usize::from_str_radix(hex, 16).unwrap();
        let (start, end) = (number(start), number(end));
        if !(start..end).contains(&own.start) {
            let _ = memory.write_all_at(&vec![byte; end - start], start as u64);
        }
    }
}

fn stop(process: Pid) {
    kill(process, Signal::SIGSTOP).unwrap();
}

fn siblings(each: fn(Pid)) {
    let parent = getppid();
    let all = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    let all = all.split_ascii_whitespace();
    let others = all.map(|id| Pid::from_raw(id.parse().unwrap()));
    others.filter(|&other| other != getpid()).for_each(each);
}

/// Leaves a process behind, in a session of its own, whose parent has ended.
fn daemon(site: &Site) {
    let command = "trap '' HUP TERM; (exec setsid sleep 3600) </dev/null >/dev/null 2>&1 &";
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env(MARK, &site.mark);
    shell.status().unwrap();
}
