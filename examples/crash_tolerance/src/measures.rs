//! The time that a step, an execution and a kill take, and the executions until a known defect is found. Processor time is
//! that of all processes that a search had; beside other work, it is what can be compared.
#![allow(unsafe_code, reason = "getrusage")]

use crate::adapters::{Parts, split_queue};
use crate::queues::{ArrayQueue, Rtrb};
use crate::row::cases;
use forkcheck::case::Case;
use forkcheck::engine::{Budget, Engine, Known, SteppedCode, Strategy as Search};
use forkcheck::prelude::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Executions by which two searches differ.
const EXECUTIONS: u64 = 20_000;

/// The processor time of this process, or of all its children that have ended.
fn processor_time(of: libc::c_int) -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call gets a place for its answer, of which zeros are a value, too.
    let usage = unsafe {
        libc::getrusage(of, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Runs something, and returns the time on the clock and that of the processors in children.
fn timed<R>(does: impl FnOnce() -> R) -> (R, Duration, Duration) {
    let (before, began) = (processor_time(libc::RUSAGE_CHILDREN), Instant::now());
    let result = does();
    let clock = began.elapsed();
    (
        result,
        clock,
        processor_time(libc::RUSAGE_CHILDREN) - before,
    )
}

/// Searches one program, and returns its executions, failing ones and the findings.
fn search<T: WithHandles<Memory = Hardware>>(
    case: &Case<T::Spec>,
    roles: &[&str],
    strategy: Search,
    executions: u64,
    keep_going: bool,
) -> (u64, bool) {
    let budget = Budget {
        executions,
        time: Duration::from_secs(600),
        watchdog: Duration::from_secs(2),
        seed: 1,
        keep_going,
        without_kills: false,
        progress: forkcheck::structure::Progress::Any,
        read_only: 0,
        killable: u32::MAX,
        strategy,
        known: Known::default(),
        backtraces: false,
        shows_passing: false,
        stop: None,
        threads_only: false,
    };
    let roles: Vec<String> = roles.iter().map(|&role| role.to_owned()).collect();
    let mut engine = SteppedCode::default();
    let answer = engine.search::<T>(case, &roles, &budget);
    let (covered, run) = answer.expect("the program can be searched");
    (covered.executions, run.is_some())
}

/// Returns the processor time of one more random execution, in nanoseconds.
fn execution<T: WithHandles<Memory = Hardware>>(case: &Case<T::Spec>, roles: &[&str]) -> f64 {
    let run = |executions| {
        let searched = || search::<T>(case, roles, Search::Random, executions, true);
        let ((executions, _), _, processors) = timed(searched);
        (executions as f64, processors.as_nanos() as f64)
    };
    let (few, short) = run(100);
    let (many, long) = run(100 + EXECUTIONS);
    (long - short) / (many - few)
}

/// A word that one operation adds to N times.
struct Adds(AtomicU64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct NoState;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Times(u32);

impl Spec for NoState {
    type Setup = ();
    type Op = Times;
    type Ret = ();
    fn start((): &()) -> Self {
        Self
    }
    fn step(&mut self, _: usize, _: &Times) {}
}

impl Structure for Adds {
    type Memory = Hardware;
    type Spec = NoState;
    fn new((): &()) -> Self {
        Self(AtomicU64::new(0))
    }
    fn apply(&self, &Times(times): &Times) {
        for _ in 0..times {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Returns the processor time of a step without a switch, in nanoseconds.
fn step() -> f64 {
    let of = |steps| execution::<Adds>(&Case::free((), vec![vec![Times(steps)]]), &["user"]);
    (of(220) - of(20)) / 200.0
}

/// Returns the time of an access outside of an execution, in nanoseconds.
fn idle() -> f64 {
    const TIMES: u32 = 10_000_000;
    let cell = Cell::new(0u64);
    let before = processor_time(libc::RUSAGE_SELF);
    for n in 0..TIMES {
        black_box(&cell).set(n.into());
    }
    let took = processor_time(libc::RUSAGE_SELF) - before;
    took.as_nanos() as f64 / f64::from(TIMES)
}

split_queue!(
    Spmc { Push(spmc02::Sender<u64>), Pop(spmc02::Receiver<u64>) }: Queue<u64>,
    |push, pop| {
        let (sender, receiver) = spmc02::channel();
        [push(sender), pop(receiver.clone()), pop(receiver)]
    },
    |p, item| p.send(item).is_ok(), |c| c.try_recv().ok()
);
type Wrapping = heapless06::spsc::Queue<u64, heapless06::consts::U3, u8>;
split_queue!(
    Heapless06 {
        Push(heapless06::spsc::Producer<'static, u64, heapless06::consts::U3, u8>),
        Pop(heapless06::spsc::Consumer<'static, u64, heapless06::consts::U3, u8>)
    }: Queue<u64>,
    |push, pop| {
        let queue: &'static mut Wrapping = Box::leak(Box::new(heapless06::spsc::Queue::u8()));
        for n in 0..254 {
            queue.enqueue(n).expect("there is room");
            queue.dequeue().expect("it was put there");
        }
        let (p, c) = queue.split();
        [push(p), pop(c)]
    },
    |p, item| p.enqueue(item).is_ok(), |c| c.dequeue()
);

/// triple_buffer's two ends.
enum Triple505 {
    Writer(triple505::Input<[u64; 2]>),
    Reader(triple505::Output<[u64; 2]>),
}

impl WithHandles for Parts<Triple505> {
    type Memory = Hardware;
    type Spec = Register<[u64; 2]>;
    type Handle<'a> = &'a mut Triple505;
    fn new(first: &[u64; 2]) -> Self {
        let (input, output) = triple505::TripleBuffer::new(*first).split();
        Self::of([Triple505::Writer(input), Triple505::Reader(output)])
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> &'a mut Triple505 {
        self.lend(role)
    }
    fn apply(end: &mut &mut Triple505, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match (end, op) {
            (Triple505::Writer(input), RegisterOp::Write(value)) => {
                input.write(*value);
                RegisterRet::Written
            }
            (Triple505::Reader(output), RegisterOp::Read) => RegisterRet::Value(*output.read()),
            (_, op) => panic!("{op:?} in the wrong role"),
        }
    }
}

fn found<T: WithHandles<Memory = Hardware>>(
    name: &str,
    case: &Case<T::Spec>,
    roles: &[&str],
    floor: u32,
) {
    let ((executions, found), clock, processors) =
        timed(|| search::<T>(case, roles, Search::Bounded, 10_000, false));
    let verdict = if found { "found" } else { "NOT FOUND" };
    row(
        &format!("executions until {name} is {verdict}"),
        &executions.to_string(),
        &floor.to_string(),
        clock,
        processors,
    );
}

fn row(what: &str, measured: &str, floor: &str, clock: Duration, processors: Duration) {
    let (clock, processors) = (clock.as_secs_f64(), processors.as_secs_f64());
    println!("| {what} | {measured} | {floor} | {clock:.2} | {processors:.2} |");
}

/// Prints the table.
pub(crate) fn print() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
    println!("| | measured | floor | s on the clock | s of processors |\n|---|---|---|---|---|");
    let (ns, clock, processors) = timed(step);
    row(
        "a step with clocks, without a switch",
        &format!("{ns:.1} ns"),
        "28 ns",
        clock,
        processors,
    );

    let queue = |pushes: u64, pops| {
        let pushes = (1..=pushes).map(QueueOp::Push).collect();
        vec![pushes, vec![QueueOp::Pop; pops]]
    };
    let rtrb = Case::free(2, queue(3, 3));
    let (ns, clock, processors) =
        timed(|| execution::<Parts<Rtrb>>(&rtrb, &["producer", "consumer"]));
    row(
        "an execution of rtrb, 3 + 3 operations, with verdict",
        &format!("{ns:.0} ns"),
        "2000 ns",
        clock,
        processors,
    );

    let began = Instant::now();
    let ns = idle();
    row(
        "an access outside of an execution",
        &format!("{ns:.1} ns"),
        "5 ns",
        began.elapsed(),
        Duration::ZERO,
    );

    let each = |item| vec![QueueOp::Push(item), QueueOp::Pop];
    let array = Case::free(2usize, vec![each(1), each(2)]);
    let users = ["user", "user"];
    let ns = execution::<ArrayQueue>(&array, &users);
    let ((executions, _), clock, processors) =
        timed(|| search::<ArrayQueue>(&array, &users, Search::Bounded, 1 << 20, false));
    let all = format!(
        "{executions} executions of {ns:.0} ns, {:.2} ms",
        executions as f64 * ns / 1e6
    );
    row(
        "ArrayQueue 2 + 2: all orders within 3 preemptions and half as many at random",
        &all,
        "1 ms (within 2)",
        clock,
        processors,
    );

    let (counts, clock, processors) = timed(|| cases::<ArrayQueue>(&array));
    row(
        "ArrayQueue: kills before each step, each by SIGKILL",
        &format!("{counts} kills"),
        "0.5 s",
        clock,
        processors,
    );

    let spmc = Case::free(
        99,
        vec![
            (1..=3).map(QueueOp::Push).collect(),
            vec![QueueOp::Pop; 2],
            vec![QueueOp::Pop; 2],
        ],
    );
    found::<Parts<Spmc>>("spmc 0.2.3", &spmc, &["sender", "receiver", "receiver"], 1);
    let wraps = Case::free(3, queue(3, 3));
    found::<Parts<Heapless06>>("heapless 0.6.1", &wraps, &["producer", "consumer"], 1);
    let writes = (1..=3).map(|n| RegisterOp::Write([n, n])).collect();
    let triple = Case::free([0, 0], vec![writes, vec![RegisterOp::Read; 3]]);
    found::<Parts<Triple505>>("triple_buffer 5.0.5", &triple, &["writer", "reader"], 200);
}
