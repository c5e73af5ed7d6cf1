//! The misdeeds, one function each, and what the checks of a structure that commits one come to.

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

/// Something that a structure does to the processes that check it.
pub(crate) struct Misdeed {
    pub(crate) name: &'static str,
    pub(crate) does: fn(&Site),
    pub(crate) places: &'static [Place],
    /// What it comes to on engines with real processes, and in loom's model.
    pub(crate) real: Ends,
    pub(crate) loom: Ends,
}

/// Where in a structure's life it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Place {
    New,
    Attach,
    Operation,
    Detach,
    Drop,
}

const EVERYWHERE: &[Place] = &[New, Attach, Operation, Detach, Drop];

/// What it is done to: the structure's own bytes, and a name for what is left behind.
pub(crate) struct Site {
    pub(crate) own: Range<usize>,
    pub(crate) mark: String,
}

impl Site {
    /// A file of this process's own.
    fn file(&self) -> PathBuf {
        std::env::temp_dir().join(format!("{MARK}-{}-{}", self.mark, getpid()))
    }
}

/// How a check ends.
pub(crate) enum Ends {
    /// As if nothing had been done.
    Undisturbed,
    /// With a verdict that is not Ok, in these words.
    Words(&'static str),
}

use Ends::{Undisturbed, Words};
use Place::{Attach, Detach, Drop, New, Operation};

const fn row(name: &'static str, does: fn(&Site), real: Ends, loom: Ends) -> Misdeed {
    Misdeed {
        name,
        does,
        places: EVERYWHERE,
        real,
        loom,
    }
}

/// One that takes seconds to notice, or that is only seen while others have something to do.
const fn in_operations(misdeed: Misdeed) -> Misdeed {
    Misdeed {
        places: &[Operation],
        ..misdeed
    }
}

/// Names the mark in the environment of a process that is left behind.
pub(crate) const MARK: &str = "FORKCHECK_TESTS_HOSTILE";

const OVERWROTE: Ends = Words("wrote over memory of the check itself");
const NO_ANSWER: Ends = Words("ended without an answer");
const GARBLED: Ends = Words("is garbled");
const KILLED: Ends = Words("SIGKILL");
const STOPPED: Ends = Words("stopped by a signal");

pub(crate) const MISDEEDS: [Misdeed; 13] = [
    row("nothing", nothing, Undisturbed, Undisturbed),
    row("close_all", close_all, Undisturbed, NO_ANSWER),
    row("replace_all", replace_all, Undisturbed, NO_ANSWER),
    row("close_std", close_std, Undisturbed, Undisturbed),
    row("junk", junk, Undisturbed, GARBLED),
    row("zeros", zeros, OVERWROTE, Undisturbed),
    row("ones", ones, OVERWROTE, Undisturbed),
    in_operations(row("stop_self", stop_self, STOPPED, STOPPED)),
    in_operations(row("stop_parent", stop_parent, STOPPED, STOPPED)),
    in_operations(row("stop_siblings", stop_siblings, STOPPED, Undisturbed)),
    row("kill_parent", kill_parent, KILLED, KILLED),
    in_operations(row("kill_siblings", kill_siblings, KILLED, Undisturbed)),
    row("daemon", daemon, Undisturbed, Undisturbed),
];

fn nothing(_: &Site) {}

fn close_all(_: &Site) {
    close(3..64);
}

fn close_std(_: &Site) {
    close(0..3);
}

fn close(descriptors: Range<i32>) {
    for descriptor in descriptors {
        let _ = nix::unistd::close(descriptor);
    }
}

/// Each descriptor is one of a file of the structure's own, in which the check writes nothing.
fn replace_all(site: &Site) {
    let path = site.file();
    if path.exists() {
        assert_eq!(std::fs::read(&path).unwrap(), b"its own");
    }
    close(3..64);
    std::fs::write(&path, "its own").unwrap();
    for _ in 3..64 {
        std::mem::forget(File::options().read(true).write(true).open(&path).unwrap());
    }
}

/// Writes to each descriptor, as if a frame of a megabyte began.
fn junk(_: &Site) {
    let bytes = [0, 0, 16, 0, 0, 0, 0, 0, 7, 7];
    for descriptor in 3..64 {
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

/// Writes over all memory that processes share, but for the structure's own page.
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
