//! A seed gives the same verdict whatever the load, speed and number of processors of the machine.
//! Budgets are counted; time limits are a safety net, and a check that they cut short is never
//! `ok`.

use forkcheck::check::Verdict;
use forkcheck::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{
    Once, OnceOp, OnceRet, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, StaleQueue,
};
use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

fn forkcheck(engine: &str, structures: &[&str]) -> Vec<String> {
    let arguments = ["check", "--json", "--seed", "7", "--cases", "4", "--engine"];
    let arguments = arguments.iter().chain([&engine]).chain(structures);
    arguments.map(|argument| (*argument).to_owned()).collect()
}

/// Returns the objects that the command prints, without times and processors, and without the number of times that
/// the kernel let it choose a shared pid.
fn objects(mut command: Command) -> Vec<Value> {
    let output = command.env("FORKCHECK_EXECUTIONS", "30").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let objects = text.lines().map(|line| {
        let mut object: Value = serde_json::from_str(line).unwrap();
        for depends in ["seconds", "waited", "machine"] {
            object.as_object_mut().unwrap().remove(depends).unwrap();
        }
        let covered = object["covered"].as_object_mut().unwrap();
        covered.remove("same_id").unwrap();
        let coverage = object["coverage"].as_array_mut().unwrap();
        coverage.retain(|part| !part.as_str().unwrap().contains("pid again"));
        if let Some(origin) = object["origin"].as_str() {
            let (before, after) = origin.split_once(" in ").unwrap();
            let (_, candidates) = after.split_once(" s ").unwrap();
            object["origin"] = format!("{before} {candidates}").into();
        }
        object
    });
    objects.collect()
}

fn plainly(engine: &str, structures: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
    command.args(forkcheck(engine, structures));
    objects(command)
}

/// Runs `body` on the first processor that this thread may use; processes that it starts stay
/// there.
fn on_one_processor<R>(body: impl FnOnce() -> R) -> R {
    let me = Pid::from_raw(0);
    let all = sched_getaffinity(me).unwrap();
    let first = (0..CpuSet::count()).find(|&cpu| all.is_set(cpu).unwrap());
    let mut one = CpuSet::new();
    one.set(first.expect("this thread runs somewhere")).unwrap();
    sched_setaffinity(me, &one).unwrap();
    let result = body();
    sched_setaffinity(me, &all).unwrap();
    result
}

/// Runs `body` next to eight loops that want a processor each.
fn beside_busy_loops<R>(body: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn is_the_same_on_any_machine(engine: &str, structures: &[&str]) {
    let alone = plainly(engine, structures);
    assert_eq!(alone.len(), structures.len());
    for object in &alone {
        assert!(
            object["covered"]["executions"].as_u64().unwrap() > 0,
            "{object}"
        );
        assert_ne!(object["verdict"], "unknown", "{object}");
    }
    assert!(alone.iter().any(|object| object["verdict"] == "ok"));
    assert!(alone.iter().any(|object| object["verdict"] == "finding"));
    assert_eq!(beside_busy_loops(|| plainly(engine, structures)), alone);
    assert_eq!(on_one_processor(|| plainly(engine, structures)), alone);
    let mut nicely = Command::new("nice");
    nicely.args(["-n", "19", env!("CARGO_BIN_EXE_forkcheck")]);
    nicely.args(forkcheck(engine, structures));
    assert_eq!(objects(nicely), alone);
}

#[test]
fn stepped_does_the_same_alone_beside_busy_loops_at_nice_19_and_on_one_processor() {
    is_the_same_on_any_machine("stepped", &["one_shot", "early_publish"]);
}

#[test]
fn kills_does_the_same_alone_beside_busy_loops_at_nice_19_and_on_one_processor() {
    is_the_same_on_any_machine("kills", &["one_shot", "dead_writer"]);
}

#[cfg(feature = "loom")]
#[test]
fn loom_does_the_same_alone_beside_busy_loops_at_nice_19_and_on_one_processor() {
    is_the_same_on_any_machine("loom", &["one_shot", "early_flag"]);
}

/// A correct register.
struct Word<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Word<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Word(Atomic::new(*first))
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

fn register() -> Suite<Register<u64>> {
    Suite::new(forkcheck::site!(), "register")
        .setup(Just(0))
        .role("writer", 1, 1..=3, (1u64..9).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=3, Just(RegisterOp::Read))
        .seed(7)
        .regressions(None)
}

fn is_unknown_out_of_time<E: Engine, T: WithHandles<Memory = E::Memory, Spec = Register<u64>>>() {
    let suite = register().cases(5).time(Duration::from_nanos(1));
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    assert!(matches!(outcome.verdict, Verdict::Unknown(_)), "{report}");
    // No time was left, so nothing ran at all.
    assert!(report.contains("of 5 programs"), "{report}");
}

#[test]
fn a_run_that_the_time_limit_cuts_short_is_unknown() {
    is_unknown_out_of_time::<Stepped, Word<SteppedMemory>>();
    is_unknown_out_of_time::<Kills, Word<SteppedMemory>>();
    is_unknown_out_of_time::<Processes, Word<Hardware>>();
    #[cfg(feature = "loom")]
    is_unknown_out_of_time::<forkcheck::engine::loom::Loom, Word<_>>();
}

/// A word whose operations cannot be paused: they block the signal.
struct Unpaused(std::sync::atomic::AtomicU64);

impl WithHandles for Unpaused {
    type Memory = Hardware;
    type Spec = Register<u64>;
    type Handle<'a> = &'a Self;
    fn new(&first: &u64) -> Self {
        Unpaused(std::sync::atomic::AtomicU64::new(first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        let trap = nix::sys::signal::SigSet::from(nix::sys::signal::Signal::SIGTRAP);
        trap.thread_block().unwrap();
        self
    }
    fn apply(word: &mut &Self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                word.0.store(*value, Ordering::SeqCst);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(word.0.load(Ordering::SeqCst)),
        }
    }
}

/// On one processor without pauses hardly any two calls overlap.
#[test]
fn where_calls_hardly_overlap_processes_says_so_after_one_short_round_of_one_program() {
    let suite = register();
    let outcome = on_one_processor(|| suite.check::<Processes, Unpaused>()).unwrap();
    let report = suite.report(&outcome);
    let Verdict::Unknown(reason) = &outcome.verdict else {
        panic!("not unknown: {report}")
    };
    assert!(
        reason.contains("give it a processor for each process"),
        "{report}"
    );
    assert!(outcome.covered.executions <= 200, "{report}");
}

#[test]
fn a_few_executions_without_overlap_are_too_few_to_leave_out_the_other_programs() {
    let suite = register().cases(3).executions(5);
    let outcome = on_one_processor(|| suite.check::<Processes, Unpaused>()).unwrap();
    let report = suite.report(&outcome);
    assert_eq!(outcome.covered.programs, 3, "{report}");
}

/// A value with a flag that is raised after it; or, unless it is raised late, before.
struct Flagged<const LATE: bool> {
    flag: std::sync::atomic::AtomicU32,
    value: std::sync::atomic::AtomicU64,
}

impl<const LATE: bool> Structure for Flagged<LATE> {
    type Memory = Hardware;
    type Spec = Once<u64>;
    fn new(_: &()) -> Self {
        Flagged {
            flag: 0.into(),
            value: 0.into(),
        }
    }
    fn apply(&self, op: &OnceOp<u64>) -> OnceRet<u64> {
        match op {
            OnceOp::Set(value) => {
                if !LATE {
                    self.flag.store(1, Ordering::SeqCst);
                }
                self.value.store(*value, Ordering::SeqCst);
                self.flag.store(1, Ordering::SeqCst);
                OnceRet::Set(true)
            }
            OnceOp::Get if self.flag.load(Ordering::SeqCst) == 0 => OnceRet::Got(None),
            OnceOp::Get => OnceRet::Got(Some(self.value.load(Ordering::SeqCst))),
        }
    }
}

fn flagged() -> Suite<Once<u64>> {
    Suite::new(forkcheck::site!(), "flagged")
        .role("setter", 1, 1..=1, (1u64..9).prop_map(OnceOp::Set))
        .role("getter", 1, 1..=3, Just(OnceOp::Get))
        .seed(7)
        .cases(8)
        .executions(2_000)
        .regressions(None)
}

/// On one processor calls overlap where a process pauses, at any instruction.
#[cfg(target_arch = "x86_64")]
#[test]
fn on_one_processor_processes_pauses_more_often_and_finds_what_two_stores_leave_between_them() {
    let suite = flagged();
    let outcome = on_one_processor(|| suite.check::<Processes, Flagged<false>>()).unwrap();
    let report = suite.report(&outcome);
    let Verdict::Finding(_) = outcome.verdict else {
        panic!("not found: {report}")
    };
    // The time limit of a replay does not leave out programs.
    let token = outcome.found.expect("a finding is told").token;
    let replay = suite
        .clone()
        .replay(&token)
        .executions(10_000_000)
        .time(Duration::from_nanos(1));
    let report = replay.report(&replay.check::<Processes, Flagged<true>>().unwrap());
    assert!(
        report.starts_with("UNKNOWN") && report.contains("before the case was done"),
        "{report}"
    );
    let outcome = on_one_processor(|| suite.check::<Processes, Flagged<true>>()).unwrap();
    let report = suite.report(&outcome);
    assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
    let covered = outcome.covered;
    assert!(covered.overlapping * 40 > covered.could_overlap, "{report}");
    assert_eq!(covered.by_pauses, covered.programs, "{report}");
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    let not_checked = "; calls on several processors at the same time, in 8 programs";
    assert!(report.contains(not_checked), "{report}");
}

/// A word with a half for each of two processes. Each writes its own; or, unless it does so at once, it writes back both, and so undoes
/// what the other wrote meanwhile.
struct Halves<const AT_ONCE: bool>(std::sync::atomic::AtomicU64);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum HalvesOp {
    Write,
    Read,
}

/// Whether each process has written its half.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Written([bool; 2]);

impl Spec for Written {
    type Setup = ();
    type Op = HalvesOp;
    type Ret = bool;
    fn start(_: &()) -> Self {
        Written([false; 2])
    }
    fn step(&mut self, process: usize, op: &HalvesOp) -> bool {
        self.0[process] |= *op == HalvesOp::Write;
        self.0[process]
    }
}

impl<const AT_ONCE: bool> WithHandles for Halves<AT_ONCE> {
    type Memory = Hardware;
    type Spec = Written;
    /// The bit of the process.
    type Handle<'a> = (&'a Self, u64);
    fn new(_: &()) -> Self {
        Halves(0.into())
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> (&'a Self, u64) {
        (self, 1 << (32 * role.process))
    }
    fn apply((halves, bit): &mut (&Self, u64), op: &HalvesOp) -> bool {
        match op {
            HalvesOp::Write if AT_ONCE => {
                halves.0.fetch_or(*bit, Ordering::AcqRel);
                true
            }
            HalvesOp::Write => {
                let both = halves.0.load(Ordering::Acquire);
                halves.0.store(both | *bit, Ordering::Release);
                true
            }
            HalvesOp::Read => halves.0.load(Ordering::Acquire) & *bit != 0,
        }
    }
}

/// The store of a paused process comes after a call of the other, and before its next one.
#[cfg(target_arch = "x86_64")]
#[test]
fn on_one_processor_a_paused_process_goes_on_between_two_calls_of_the_other() {
    let both = Just(vec![HalvesOp::Write, HalvesOp::Read]);
    let suite = Suite::new(forkcheck::site!(), "halves")
        .sequence("one", 1, both.clone())
        .sequence("other", 1, both)
        .seed(7)
        .cases(1)
        .executions(4_000)
        .regressions(None);
    let outcome = on_one_processor(|| suite.check::<Processes, Halves<false>>()).unwrap();
    let report = suite.report(&outcome);
    assert!(report.contains("NOT LINEARIZABLE"), "{report}");
    let outcome = on_one_processor(|| suite.check::<Processes, Halves<true>>()).unwrap();
    assert_eq!(outcome.verdict, Verdict::Ok, "{}", suite.report(&outcome));
}

/// A ring that accepts one item more than its capacity.
struct TooMany {
    items: std::sync::atomic::AtomicU64,
}

impl Structure for TooMany {
    type Memory = Hardware;
    type Spec = StaleQueue<u64>;
    fn new(_: &usize) -> Self {
        TooMany {
            items: std::sync::atomic::AtomicU64::new(0),
        }
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        let pushed = match op {
            QueueOp::Push(_) => self.items.fetch_add(1, Ordering::AcqRel) <= CAPACITY as u64,
            QueueOp::Pop => return QueueRet::Empty,
        };
        if pushed {
            QueueRet::Pushed
        } else {
            QueueRet::Full
        }
    }
}

const CAPACITY: usize = 3;

#[test]
fn processes_tries_every_program_a_few_times_before_any_of_them_in_full() {
    let suite = Suite::new(forkcheck::site!(), "too_many")
        .setup(Just(CAPACITY))
        .role("producer", 1, 1..=4, (1u64..9).prop_map(QueueOp::Push))
        .seed(7)
        .regressions(None);
    let outcome = suite.check::<Processes, TooMany>().unwrap();
    let report = suite.report(&outcome);
    assert!(matches!(outcome.verdict, Verdict::Finding(_)), "{report}");
    assert!(outcome.covered.executions <= 64 * 100, "{report}");
}

fn with_lock(engine: &str, lock: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forkcheck"));
    command
        .args(forkcheck(engine, &["one_shot"]))
        .env("FORKCHECK_EXECUTIONS", "30")
        .env("FORKCHECK_LOCK", lock)
        .stdout(Stdio::piped());
    command
}

fn waited(output: Output) -> f64 {
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["verdict"], "ok", "{object}");
    object["waited"].as_f64().unwrap()
}

/// Returns whether a process waits for the lock on a file: "-> FLOCK ..." in proc(5)'s locks.
fn is_waited_for(file: &File) -> bool {
    let inode = format!(":{} ", file.metadata().unwrap().ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks
        .lines()
        .any(|line| line.contains("->") && line.contains(&inode))
}

#[test]
fn only_processes_waits_for_the_machine_and_its_clock_starts_when_it_has_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lock = File::open(file.path()).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, e)| e)
        .unwrap();
    for engine in ["stepped", "kills"] {
        waited(with_lock(engine, file.path()).output().unwrap());
    }
    // An error in the settings is reported at once.
    let mut wrong = with_lock("processes", file.path());
    let wrong = wrong.env("FORKCHECK_SEED", "seven").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let waits = with_lock("processes", file.path()).spawn().unwrap();
    while !is_waited_for(&lock) {
        std::thread::yield_now();
    }
    drop(lock);
    assert!(waited(waits.wait_with_output().unwrap()) > 0.0);
}

#[test]
fn a_report_says_that_another_suite_kept_the_machine() {
    let suite = register();
    let mut outcome = suite.check::<Stepped, Word<SteppedMemory>>().unwrap();
    assert!(!suite.report(&outcome).contains("another suite"));
    outcome.machine.shared = true;
    outcome.machine.waited = Duration::from_secs(120);
    let report = suite.report(&outcome);
    let words = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("beside another suite, which kept the machine")
            && words.contains("after 120.0 s of waiting for other suites"),
        "{report}"
    );
}
