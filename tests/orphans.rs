//! No process is left when the test process ends early: by Ctrl-C, by kill -9, by a limit on
//! processes.

use forkcheck::check::Verdict;
use forkcheck::engine::{Engine, Processes, Stepped};
use forkcheck::prelude::*;
use forkcheck::process::in_fresh_process;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Plain<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Plain<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Plain(Atomic::new(first))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::Acquire)),
        }
    }
}

forkcheck::suite! {
    plain: Plain<_>,
    setup: Just(0),
    writer: 1..=4 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=4 ops of Just(RegisterOp::Read),
    with: .cases(8).executions(500),
}

/// Returns the processes with this mark in their environment, except for zombies, which have none
/// any more.
fn marked(mark: &str) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let has_mark = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .windows(mark.len())
            .any(|window| window == mark.as_bytes())
    };
    pids.filter(has_mark).collect()
}

/// Waits until `reached` returns true, within a watchdog's time.
fn until(what: &str, reached: impl Fn() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{what} does not come"
        );
        std::thread::yield_now();
    }
}

/// Returns whether a signal is ignored here, and so by the processes started here: bash does that
/// to SIGINT of background jobs.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    ignored >> (signal as i32 - 1) & 1 == 1
}

/// Asserts that nothing is left after a signal ends a test that would run for an hour, as soon as
/// its zygote and workers run.
fn nothing_is_left_after(signal: Signal, test: &str, processes: usize) {
    nothing_is_left_once(signal, test, |pool| pool.len() >= processes);
}

/// Runs a test of this program that would run for an hour, and ends it by a signal as soon as its processes are
/// ready.
fn nothing_is_left_once(signal: Signal, test: &str, is_ready: impl Fn(&[i32]) -> bool) {
    let mark = format!(
        "FORKCHECK_TESTS_MARK={test}-{signal}-{}",
        std::process::id()
    );
    let (name, value) = mark.split_once('=').unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--include-ignored", test])
        .env(name, value)
        .envs([
            ("FORKCHECK_CASES", "100000000"),
            ("FORKCHECK_SECONDS", "3600"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("a pool", || is_ready(&marked(&mark)));
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    child.wait().unwrap();
    until("the end of all", || marked(&mark).is_empty());
}

#[test]
fn kill_9_of_the_test_binary_leaves_no_orphan() {
    // The test, its zygote with a guardian, two workers.
    nothing_is_left_after(Signal::SIGKILL, "plain::processes", 5);
    // And the host of coroutines.
    nothing_is_left_after(Signal::SIGKILL, "plain::stepped", 6);
    nothing_is_left_after(Signal::SIGKILL, "plain::kills", 6);
}

#[test]
fn ctrl_c_leaves_no_orphan() {
    if is_ignored(Signal::SIGINT) {
        return println!("not run: SIGINT is ignored where this was started");
    }
    nothing_is_left_after(Signal::SIGINT, "plain::processes", 5);
    nothing_is_left_after(Signal::SIGINT, "plain::stepped", 6);
    nothing_is_left_after(Signal::SIGINT, "plain::kills", 6);
}

/// The user that operations change to.
const OTHER: u32 = 65_534;

/// A structure whose operations change the user of their process, if root runs the check.
struct Changing<M: Memory>(Plain<M>);
impl<M: Memory> Structure for Changing<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Changing(Structure::new(first))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        if nix::unistd::geteuid().is_root() {
            nix::unistd::seteuid(nix::unistd::Uid::from_raw(OTHER)).unwrap();
        }
        Structure::apply(&self.0, op)
    }
}

forkcheck::suite! {
    changing: Changing<_>,
    setup: Just(0),
    writer: 1..=4 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=4 ops of Just(RegisterOp::Read),
    with: .cases(8).executions(500).regressions(None),
}

/// The same structure, whose operations do not return.
struct Staying<M: Memory>(Changing<M>);
impl<M: Memory> Structure for Staying<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Staying(Structure::new(first))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        Structure::apply(&self.0, op);
        loop {
            std::hint::spin_loop();
        }
    }
}

forkcheck::suite! {
    #[ignore = "it finds that its operations do not return; a test runs it to kill it"]
    staying: Staying<_>,
    setup: Just(0),
    writer: 1..=4 ops of (1u64..9).prop_map(RegisterOp::Write),
    reader: 1..=4 ops of Just(RegisterOp::Read),
    with: .cases(8).executions(500).regressions(None),
}

#[test]
fn processes_that_changed_their_user_are_no_orphans_either() {
    if !nix::unistd::geteuid().is_root() {
        return println!("not run: only root can change its user");
    }
    let changed = |process: &&i32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        status.is_ok_and(|status| status.contains(&format!("Uid:\t0\t{OTHER}\t")))
    };
    for test in ["changing::processes", "changing::stepped"] {
        nothing_is_left_once(Signal::SIGKILL, test, |pool| {
            pool.iter().filter(changed).count() >= 2
        });
    }
    nothing_is_left_once(Signal::SIGKILL, "staying::processes", |pool| {
        pool.iter().any(|process| changed(&process))
    });
}

/// The name of the variable that marks a daemon of an operation.
const DAEMON: &str = "FORKCHECK_TESTS_DAEMON";

/// The way in which an operation leaves a daemon behind, one with a session of its own and without a parent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Way {
    Alone,
    /// Before that, its process becomes the subreaper of its descendants.
    Subreaper,
    /// As the first process of a pid namespace, if that is permitted.
    Namespace,
    /// Alone; the parent of its parent, which ends the remaining processes, is killed as well.
    Unguarded,
}

/// An operation that leaves a daemon, and then kills the parent of its process if it should.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Leaves {
    way: Way,
    mark: String,
    kills_parent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Nothing;
impl Spec for Nothing {
    type Setup = ();
    type Op = Leaves;
    type Ret = ();
    fn start(_: &()) -> Self {
        Nothing
    }
    fn step(&mut self, _: usize, _: &Leaves) {}
}

struct Leaving<M: Memory>(M::AtomicU64);
impl<M: Memory> Structure for Leaving<M> {
    type Memory = M;
    type Spec = Nothing;
    fn new(_: &()) -> Self {
        Leaving(Atomic::new(0))
    }
    #[allow(
        clippy::zombie_processes,
        reason = "the first process of a namespace outlives the operation"
    )]
    fn apply(&self, op: &Leaves) {
        self.0.fetch_add(1, Ordering::Relaxed);
        match op.way {
            Way::Alone | Way::Unguarded => {}
            Way::Subreaper => set_child_subreaper(true).unwrap(),
            Way::Namespace => drop(unshare(CloneFlags::CLONE_NEWPID)),
        }
        // The shell is the first process of the namespace, so it stays.
        let line = if op.way == Way::Namespace {
            "setsid sleep 3600 & exec setsid sleep 3600"
        } else {
            "trap '' HUP TERM; (setsid sleep 3600 & exec setsid sleep 3600) & exit 0"
        };
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env(DAEMON, &op.mark);
        shell.stdin(Stdio::null());
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().unwrap();
        if op.way == Way::Namespace {
            std::mem::forget(shell);
        } else {
            shell.wait().unwrap();
        }
        let mark = format!("{DAEMON}={}", op.mark);
        until("two daemons", || {
            let name = |id: &i32| std::fs::read_to_string(format!("/proc/{id}/comm"));
            let sleeps = |id: &&i32| name(id).is_ok_and(|name| name == "sleep\n");
            marked(&mark).iter().filter(sleeps).count() >= 2
        });
        if op.way == Way::Unguarded {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", getppid())).unwrap();
            let (_, fields) = stat.rsplit_once(')').unwrap();
            let guardian = fields.split_whitespace().nth(1).unwrap().parse().unwrap();
            kill(Pid::from_raw(guardian), Signal::SIGKILL).unwrap();
        }
        if op.kills_parent {
            kill(getppid(), Signal::SIGKILL).unwrap();
        }
    }
}

/// Checks a structure one of whose operations leaves daemons; returns the verdict as text, and
/// asserts that no daemon is left.
fn left_by<E: Engine>(way: Way, kills_parent: bool) -> String
where
    Leaving<E::Memory>: WithHandles<Memory = E::Memory, Spec = Nothing>,
{
    let mark = format!("{}-{way:?}-{kills_parent}-{}", E::NAME, std::process::id());
    let op = Leaves {
        way,
        mark: mark.clone(),
        kills_parent,
    };
    let suite = Suite::new(forkcheck::site!(), "leaving")
        .role("leaves", 1, 1..=1, Just(op))
        .cases(1)
        .executions(1)
        .regressions(None);
    let words = match suite.check::<E, Leaving<E::Memory>>() {
        Ok(outcome) => suite.report(&outcome),
        Err(error) => error.to_string(),
    };
    let left = marked(&format!("{DAEMON}={mark}"));
    for &process in &left {
        let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
    }
    assert_eq!(left, [0; 0], "{mark}: {words}");
    words
}

#[test]
fn daemons_of_an_operation_that_kills_its_parent_end_with_the_check() {
    for way in [Way::Alone, Way::Subreaper, Way::Namespace, Way::Unguarded] {
        for words in [
            left_by::<Processes>(way, true),
            left_by::<Stepped>(way, true),
        ] {
            assert!(
                words.contains("killed") || words.contains("SIGKILL"),
                "{way:?}: {words}"
            );
        }
    }
}

#[test]
fn kill_9_of_the_test_binary_leaves_no_daemon_of_an_operation() {
    let sleeps = |id: &i32| {
        std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name == "sleep\n")
    };
    let test = "daemons_of_an_operation_end_with_the_check";
    nothing_is_left_once(Signal::SIGKILL, test, |pool| pool.iter().any(sleeps));
}

#[test]
fn daemons_of_an_operation_end_with_the_check() {
    for way in [Way::Alone, Way::Subreaper, Way::Namespace] {
        left_by::<Processes>(way, false);
    }
}

#[cfg(feature = "loom")]
#[test]
fn kill_9_leaves_no_model_behind() {
    // The test, its zygote with a guardian, the process that explores.
    nothing_is_left_after(Signal::SIGKILL, "plain::loom", 4);
}

/// Without room for one more process, the verdict says so. Root has no limit, so the process
/// changes its user first.
fn without_room((): ()) -> (bool, String) {
    use nix::sys::resource::{Resource, setrlimit};
    if nix::unistd::geteuid().is_root() {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(65_534)).unwrap();
    }
    setrlimit(Resource::RLIMIT_NPROC, 0, 0).unwrap();
    let suite = plain::suite().regressions(None);
    let outcome = suite.check::<Processes, Plain<Hardware>>().unwrap();
    (
        matches!(outcome.verdict, Verdict::Unavailable(_)),
        suite.report(&outcome),
    )
}

#[test]
fn no_room_for_a_process_is_unavailable_with_the_remedy() {
    let (unavailable, text) = in_fresh_process(without_room, ()).unwrap();
    assert!(unavailable, "{text}");
    assert!(
        text.contains("EAGAIN") || text.contains("temporarily unavailable"),
        "{text}"
    );
    assert!(
        text.contains("ulimit -u") && text.contains("FORKCHECK_ALLOW_MISSING=processes"),
        "{text}"
    );
}
