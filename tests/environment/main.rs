//! The places that the crate runs in: without `/proc`, in namespaces, as another user, in sandboxes, within limits,
//! with little room. In each place the core's basic work and a short check end, with their result or with an error
//! and its remedy, and nothing is left behind.
//!
//! The rows are in `rows`, one place each. A place that this machine cannot make is skipped with a message. Each row
//! runs in a fresh process, whose children enter the place.
#![cfg(feature = "loom")]

mod place;
mod rows;
#[path = "../sandbox/mod.rs"]
mod sandbox;

use forkcheck::process::{self, Exit};
use forkcheck::region::{Name, View};
use forkcheck::{Error, Region};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{alarm, dup2_stderr, dup2_stdout, execve};
use place::{Scratch, left, names as names_in, own_names};
use rows::{ROWS, Row};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The watchdog's limit for one part of a row, which none reaches on a busy machine; `ROW_HANGS` is that of a whole
/// row, in seconds.
const HANGS: Duration = Duration::from_secs(200);
const ROW_HANGS: u32 = 500;
/// The exit code of a child that cannot make the place here.
const CANNOT_BE_MADE: i32 = 77;
/// The word for an engine, or a part of the core, that did its work.
const WORKS: &str = "works";

/// The results of a row: of the core's work, of each engine of the command, and the names and files that are left.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    core: Vec<(String, String)>,
    command: Vec<(String, String)>,
    left: Vec<String>,
}

/// A function that makes a region of this many bytes.
type Make = fn(usize) -> Result<Region, Error>;

/// Does the core's work in the place that this process is in, and returns the result of each part, in words.
fn core(scratch: &Scratch, alone: bool) -> Vec<(String, String)> {
    let names = [
        ("posix", Name::posix("/forkcheck-environment")),
        ("sysv", Name::sysv(0x0066_6b65)),
        ("file", Name::file(scratch.temporary().join("region"))),
    ];
    let regions: [(&str, Make); 3] = [
        ("anonymous", Region::anonymous),
        ("memfd", |len| Region::memfd(len)),
        ("sysv, no key", Region::sysv),
    ];
    let regions = regions.map(|(what, make)| (what, make(LEN).and_then(|region| used(&region))));
    let names = names.map(|(what, name)| (what, name.and_then(|name| named(&name))));
    let eight = |()| process::run(|| 8).map_err(|error| error.to_string());
    let child = waited_for().map(|seven| assert_eq!(seven, 7));
    let clean = process::in_fresh_process(eight, ());
    let all = regions.into_iter().chain(names).chain([("child", child)]);
    let mut all: Vec<_> = all
        .map(|(what, done)| (what.to_string(), told(done.err())))
        .collect();
    let clean = clean.unwrap_or_else(|error| Err(error.to_string()));
    all.push((
        "clean".into(),
        clean.map_or_else(|why| why, |_| WORKS.into()),
    ));
    let names = names_in(scratch, alone);
    all.push((
        "names left".into(),
        format!("{names:?}").replace("[]", WORKS),
    ));
    all
}

/// Returns the value of a child that ends only after this process has waited for it: for one that ends before that, nothing
/// needs to wait.
fn waited_for() -> Result<u8, Error> {
    let (mut told, teller) = std::io::pipe().unwrap();
    let mut child = process::spawn(move || told.read_exact(&mut [0]).map_or(0, |()| 7))?;
    child.wait_timeout(Duration::from_millis(1))?;
    // A child that could not begin reads nothing, and tells why.
    let _ = (&teller).write_all(&[1]);
    child.value()
}

/// The length of a region of a row, in bytes.
const LEN: usize = 40_000;

fn told(error: Option<Error>) -> String {
    error.map_or(WORKS.into(), |error| error.to_string())
}

/// Asserts that the first and last word hold the values stored there.
fn used(region: &Region) -> Result<(), Error> {
    for at in [0, LEN - 8] {
        let word: &AtomicU64 = region.get(at)?;
        word.store(7, Relaxed);
        assert_eq!(word.load(Relaxed), 7);
    }
    Ok(())
}

/// Creates a region with the name, opens it by the name, and closes it.
fn named(name: &Name) -> Result<(), Error> {
    let region = Region::create(name, LEN)?;
    used(&region)?;
    let view = View::open(name, LEN)?;
    assert_eq!(view.get::<AtomicU64>(0)?.load(Relaxed), 7);
    region.close()?;
    assert!(Region::open(name, LEN).is_err(), "it has no name any more");
    Ok(())
}

/// Makes this process the command, with its output going to these files.
fn command(scratch: &Scratch, output: &File, errors: &File) -> ! {
    dup2_stdout(output).unwrap();
    dup2_stderr(errors).unwrap();
    let text = |text: &str| CString::new(text).unwrap();
    let program = env!("CARGO_BIN_EXE_forkcheck");
    let arguments = [program, "check", "one_shot", "--cases", "2", "--json"].map(text);
    // With a lock of its own, `processes` does not wait for other programs.
    let environment = [
        format!("TMPDIR={}", scratch.temporary().display()),
        format!("FORKCHECK_LOCK={}", scratch.directory().display()),
        "FORKCHECK_EXECUTIONS=50".into(),
        "FORKCHECK_SEED=1".into(),
    ];
    let environment = environment.map(|variable| text(&variable));
    let never = execve(&arguments[0], &arguments, &environment);
    panic!("{never:?}")
}

/// Returns the verdict of the command on each engine.
fn verdicts(exit: &Exit, output: &str, errors: &str) -> Vec<(String, String)> {
    let lines = output.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| line[name].as_str().unwrap_or_default().to_string();
        let covered = &line["covered"];
        let ran = covered["executions"].as_u64() > Some(0) && covered["failing"] == 0;
        let verdict = match (&*field("verdict"), ran) {
            ("ok", true) => WORKS.into(),
            // With few executions, calls may overlap too seldom.
            ("unknown", true) if field("headline").contains("overlap") => WORKS.into(),
            (_, ran) => format!("{line} (ran: {ran})"),
        };
        (field("engine"), verdict)
    });
    let mut all: Vec<_> = lines.collect();
    let exit = match exit {
        Exit::Code(0 | 2) if errors.is_empty() && !all.is_empty() => WORKS.into(),
        exit => format!("{exit}: {errors}"),
    };
    all.push(("exit".into(), exit));
    all
}

impl Row {
    /// In a child: runs the body in the place. Returns `None` if the place cannot be made here; an error has the exit
    /// code.
    fn inside<T>(
        &self,
        scratch: &Scratch,
        body: impl FnOnce() -> T,
    ) -> Result<Option<T>, (String, i32)>
    where
        T: Serialize + DeserializeOwned,
    {
        if !self.is_first {
            return Ok((self.enter)(scratch).then(body));
        }
        if unshare(CloneFlags::CLONE_NEWPID).is_err() {
            return Ok(None);
        }
        process::run(|| (self.enter)(scratch).then(body)).map_err(|error| {
            let code = match error.exit() {
                Some(Exit::Code(code)) => *code,
                _ => 1,
            };
            (error.to_string(), code)
        })
    }
}

/// Runs a row in a fresh process. Returns `None` if the place cannot be made here.
fn seen(number: usize) -> Result<Option<Seen>, String> {
    let row = &ROWS[number];
    // If all other watchdogs hang, the alarm ends this process.
    alarm::set(ROW_HANGS);
    let scratch = Scratch::new();
    let alone = own_names();
    let mut core = process::spawn(|| {
        row.inside(&scratch, || core(&scratch, alone))
            .map_err(|(why, _)| why)
    })
    .map_err(|error| error.to_string())?;
    if core.wait_timeout(HANGS).unwrap().is_none() {
        core.kill().unwrap();
        return Err("the core hangs".into());
    }
    let core = core.value().map_err(|error| error.to_string())??;
    let Some(core) = core else { return Ok(None) };
    let files = ["output", "errors"].map(|name| scratch.directory().join(name));
    let [output, errors] = files.each_ref().map(|path| File::create(path).unwrap());
    let mut child = process::spawn(|| -> () {
        let ended = row.inside(&scratch, || -> () { command(&scratch, &output, &errors) });
        std::process::exit(ended.map_or_else(|(_, code)| code, |_| CANNOT_BE_MADE));
    })
    .map_err(|error| error.to_string())?;
    let Some(exit) = child.wait_timeout(HANGS).unwrap() else {
        child.kill().unwrap();
        return Err("the command hangs".into());
    };
    let [output, errors] = files.map(|path| std::fs::read_to_string(path).unwrap());
    Ok(Some(Seen {
        core,
        command: verdicts(&exit, &output, &errors),
        left: left(&scratch, alone),
    }))
}

#[test]
fn names_and_files_that_are_left_are_noticed() {
    let job = |()| {
        let scratch = Scratch::new();
        let alone = own_names();
        let before = left(&scratch, alone).len();
        let name = Name::file(scratch.temporary().join("left")).unwrap();
        drop(Region::create(&name, 8).unwrap().keep());
        if alone {
            for name in [Name::posix("/left"), Name::sysv(7)] {
                drop(Region::create(&name.unwrap(), 8).unwrap().keep());
            }
        }
        (before, left(&scratch, alone).len(), alone)
    };
    let (before, after, alone) = process::in_fresh_process(job, ()).unwrap();
    assert_eq!((before, after), (0, if alone { 3 } else { 1 }));
}

/// Asserts that the results are those of the row: all parts work except those in `but`, whose
/// errors contain the given text.
fn expect(name: &str, seen: &[(String, String)], but: &[(&str, &str)]) {
    for (what, words) in seen {
        let as_expected = match but.iter().find(|(other, _)| other == what) {
            Some((_, expected)) => words.contains(expected),
            None => words == WORKS,
        };
        assert!(as_expected, "{name}, {what}: {words}");
    }
    for (what, _) in but {
        assert!(
            seen.iter().any(|(other, _)| other == what),
            "{name}: no {what}"
        );
    }
}

fn tried(name: &str) {
    let number = ROWS.iter().position(|row| row.name == name).unwrap();
    let seen = process::in_fresh_process(seen, number).unwrap();
    let row: &Row = &ROWS[number];
    match seen.unwrap_or_else(|hangs| panic!("{name}: {hangs}")) {
        None => {
            let why = format!("SKIPPED: {name}: {}\n", row.needs);
            std::io::stderr().write_all(why.as_bytes()).unwrap();
        }
        Some(seen) => {
            expect(name, &seen.core, row.core);
            expect(name, &seen.command, row.command);
            let asked: Vec<_> = seen.command.iter().map(|(what, _)| &**what).collect();
            assert_eq!(asked, ["processes", "stepped", "kills", "loom", "exit"]);
            assert_eq!(seen.left.len(), row.leaves, "{name}: left {:?}", seen.left);
        }
    }
}

macro_rules! each_row {
    ($($row:ident)*) => {
        $(#[test]
        fn $row() {
            tried(stringify!($row));
        })*
        #[test]
        fn each_row_is_tried() {
            assert_eq!([$(stringify!($row)),*], ROWS.map(|row| row.name));
        }
    };
}
each_row!(
    nothing
    no_proc
    proc_of_another_pid_namespace
    first_process_of_a_pid_namespace
    hidden_processes
    another_user
    user_namespace_without_mappings
    no_memfd_create
    no_pidfd_open
    no_pidfd_send_signal
    no_kill
    no_prctl
    no_linkat
    no_renameat2
    no_fallocate
    no_ftruncate
    no_futex
    no_setpgid
    no_waitid
    no_ppoll
    no_tmpfile
    no_shmget
    no_flock
    no_socketpair
    few_descriptors
    little_address_space
    hardly_any_address_space
    no_more_processes
    short_files
    a_full_disk
    a_full_dev_shm
    one_processor
    a_tenth_of_a_processor
);
