//! Nothing is left when the test process ends before its time: by Ctrl-C, by kill -9, by a limit on processes.

use forkcheck::check::Verdict;
use forkcheck::engine::Processes;
use forkcheck::prelude::*;
use forkcheck::process::in_fresh_process;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

/// Processes with this in their environment, but for zombies, which have none any more.
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

/// Waits for it, within a watchdog's time.
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

/// Whether a signal is ignored here, and so by what is started from here: bash does that to SIGINT of background jobs.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    ignored >> (signal as i32 - 1) & 1 == 1
}

/// A test of ours that would run for an hour, ended by a signal as soon as its zygote and workers run.
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
        .args(["--exact", test])
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
    // The test, its zygote, two workers.
    nothing_is_left_after(Signal::SIGKILL, "plain::processes", 4);
    // And the host of coroutines.
    nothing_is_left_after(Signal::SIGKILL, "plain::stepped", 5);
    nothing_is_left_after(Signal::SIGKILL, "plain::kills", 5);
}

#[test]
fn ctrl_c_leaves_no_orphan() {
    if is_ignored(Signal::SIGINT) {
        return println!("not run: SIGINT is ignored where this was started");
    }
    nothing_is_left_after(Signal::SIGINT, "plain::processes", 4);
    nothing_is_left_after(Signal::SIGINT, "plain::stepped", 5);
    nothing_is_left_after(Signal::SIGINT, "plain::kills", 5);
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
}

#[cfg(feature = "loom")]
#[test]
fn kill_9_leaves_no_model_behind() {
    // The test, its zygote, the process that explores.
    nothing_is_left_after(Signal::SIGKILL, "plain::loom", 3);
}

/// Without room for one more process, the verdict says so. Root knows no limit, so it becomes nobody first.
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
