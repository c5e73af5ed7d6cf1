//! `stepped` and `kills`: a case gives the same steps each time, every kind of standstill has its
//! own message, and effects that bypass the engine are reported.
#![forbid(unsafe_code)]

use forkcheck::Outcome;
use forkcheck::builtin::{CheckedSeqLock, DeadWriter, EarlyPublish, Pair, dead_writer, seq_lock};
use forkcheck::case::{Access, Case, Schedule};
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Budget, Covered, Engine, Kills, Known, Stepped, SteppedMemory};
use forkcheck::memory::MemoryCell;
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use forkcheck::structure::Progress;
use forkcheck::suite::Found;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

fn budget() -> Budget {
    Budget {
        executions: 10_000,
        time: Duration::from_secs(20),
        seed: 1,
        keep_going: false,
        without_kills: false,
        progress: Progress::Any,
        read_only: 0,
        killable: u32::MAX,
        strategy: forkcheck::engine::Strategy::Bounded,
        known: Known::default(),
        watchdog: Duration::from_secs(2),
        backtraces: false,
        shows_passing: false,
        stop: None,
        threads_only: false,
    }
}

/// A second run differs in nothing, however often, and next to two loops that want the processors
/// as well. `FORKCHECK_REPETITIONS` gives the number of runs; the documentation speaks of 10,000.
#[test]
fn the_same_case_gives_the_same_steps_each_time() {
    let repetitions = std::env::var("FORKCHECK_REPETITIONS").map_or(15, |n| n.parse().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let busy = [(); 2].map(|()| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
    });
    let (mut stepped, mut kills) = (Stepped::default(), Kills::default());
    for config in 0..20u64 {
        let processes = 2 + config as usize % 2;
        let mut roles = vec!["writer".to_owned()];
        roles.resize(processes, "reader".to_owned());
        let writes = (0..1 + config % 3).map(|n| RegisterOp::Write([config + n + 1, 0]));
        let mut program = vec![writes.collect()];
        program.resize(processes, vec![RegisterOp::Read; 1 + config as usize % 2]);
        let case = Case::<Register<Pair>>::free([0, 0], program);
        let mut run = |case: &Case<_>| {
            let answer = if config % 2 == 0 {
                stepped.search::<EarlyPublish<SteppedMemory>>(case, &roles, &budget())
            } else {
                kills.search::<EarlyPublish<SteppedMemory>>(case, &roles, &budget())
            };
            answer.unwrap().1.expect("it fails")
        };
        let first = run(&case);
        assert_ne!(first.case.schedule, Schedule::Free);
        assert!(!first.steps.is_empty());
        for repetition in 0..repetitions {
            assert_eq!(
                run(&first.case),
                first,
                "config {config}, repetition {repetition}"
            );
        }
    }
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|busy| busy.join().unwrap());
}

/// The fault, by the number that is written.
const FINE: u64 = 0;
const SPINS: u64 = 1;
const WAITS: u64 = 2;
const LOOPS: u64 = 3;
const PANICS: u64 = 4;
const EXITS: u64 = 5;
const COUNTS: u64 = 6;
const SLEEPS: u64 = 7;
const DEPENDS: u64 = 8;
const LOSES: u64 = 9;
const SPINS_BARE: u64 = 10;

struct Wrong<M: Memory> {
    word: M::AtomicU64,
    sleepers: M::AtomicU32,
    cell: M::Cell<()>,
}

/// A static of one process: its effect on one execution depends on earlier ones.
static PRIVATE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

impl<M: Memory> Structure for Wrong<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(_: &u64) -> Self {
        Self {
            word: Atomic::new(0),
            sleepers: Atomic::new(0),
            cell: MemoryCell::new(()),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let RegisterOp::Write(what) = op else {
            return RegisterRet::Value(self.word.load(Ordering::Acquire));
        };
        match *what {
            SPINS => {
                while self.word.load(Ordering::Acquire) != 99 {
                    M::spin_loop();
                }
            }
            SPINS_BARE => while self.word.load(Ordering::Acquire) != 99 {},
            WAITS => M::wait(&self.sleepers, 0),
            LOOPS => loop {
                self.word.fetch_add(1, Ordering::AcqRel);
            },
            PANICS => panic!("no such thing"),
            EXITS => {
                self.word.store(1, Ordering::Release);
                std::process::abort();
            }
            COUNTS => loop {
                std::hint::black_box(PRIVATE.load(Ordering::Relaxed));
            },
            SLEEPS => nix::unistd::pause(),
            DEPENDS => {
                let times = PRIVATE.fetch_add(1, Ordering::Relaxed);
                self.word
                    .store(if times == 3 { 7 } else { *what }, Ordering::Release);
                return RegisterRet::Written;
            }
            // It looks, and then sleeps; a wake-up in between is lost.
            LOSES => {
                if self.word.load(Ordering::Acquire) == 0 {
                    self.sleepers.fetch_add(1, Ordering::AcqRel);
                    M::wait(&self.sleepers, 1);
                }
            }
            _ => {
                self.cell
                    .with_mut(|_| self.word.store(*what, Ordering::Release));
                M::wake(&self.sleepers, u32::MAX);
            }
        }
        RegisterRet::Written
    }
}

fn one(what: u64) -> Outcome<Register<u64>> {
    programs(vec![what], 0)
}

/// Checks a program in which one process does these, and `others` processes write a harmless value.
fn programs(all: Vec<u64>, others: usize) -> Outcome<Register<u64>> {
    let count = all.len();
    let ops = proptest::sample::select(all).prop_map(RegisterOp::Write);
    let mut suite = Suite::new(forkcheck::site!(), "wrong")
        .setup(Just(0))
        .role("one", 1, count..=count, ops)
        .seed(3)
        .cases(8)
        .executions(1_000)
        .watchdog(Duration::from_millis(500))
        .regressions(None);
    if others > 0 {
        suite = suite.role("other", others, 1..=1, Just(RegisterOp::Write(FINE)));
    }
    suite.check::<Stepped, Wrong<_>>().unwrap()
}

#[track_caller]
fn finding(outcome: &Outcome<Register<u64>>, kind: Kind, words: &str) -> Found<Register<u64>> {
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(finding.kind, kind, "{finding:?}");
    assert!(finding.detail.contains(words), "{}", finding.detail);
    outcome.found.clone().unwrap()
}

#[test]
fn an_endless_spin_is_a_livelock_and_the_word_is_named() {
    let found = finding(
        &one(SPINS),
        Kind::Livelock,
        "one: Write(1) waits indefinitely, where word is 0",
    );
    let last = found.run.steps.last().unwrap();
    assert_eq!((last.access, last.process), (Access::Spin, 0));
}

#[test]
fn an_endless_sleep_is_a_deadlock() {
    finding(
        &one(WAITS),
        Kind::Deadlock,
        "one: Write(2) waits indefinitely, where sleepers is 0",
    );
}

#[test]
fn a_spin_without_the_hint_is_noticed_too() {
    finding(
        &one(SPINS_BARE),
        Kind::StepBound,
        "Write(10) did not return within 4000 steps of its own",
    );
}

#[test]
fn an_operation_without_end_meets_the_bound_on_steps() {
    finding(
        &one(LOOPS),
        Kind::StepBound,
        "Write(3) did not return within 4000 steps of its own",
    );
}

#[test]
fn a_panic_and_an_abort_are_reported_with_the_steps_before() {
    finding(&one(PANICS), Kind::Panic, "no such thing");
    let found = finding(&one(EXITS), Kind::Died, "signal 6");
    assert_eq!(found.run.steps.len(), 1, "the store before it");
}

#[test]
fn a_loop_that_touches_nothing_is_reported_by_its_processor_time() {
    finding(
        &one(COUNTS),
        Kind::Endless,
        "without touching shared memory",
    );
}

#[test]
fn a_sleep_that_is_not_of_this_memory_is_unknown_and_says_what_to_do() {
    let Verdict::Unknown(why) = one(SLEEPS).verdict else {
        panic!("a sleep outside was judged")
    };
    assert!(why.contains("wait by Memory::wait"), "{why}");
}

#[test]
fn what_is_private_to_a_process_is_reported_as_not_deterministic() {
    let found = finding(&depends(), Kind::NotDeterministic, "private to a process");
    assert!(found.run.steps.is_empty());
}

/// Checks a program in which the value that a process writes depends on a count in its own static.
fn depends() -> Outcome<Register<u64>> {
    Suite::<Register<u64>>::new(forkcheck::site!(), "depends")
        .setup(Just(0))
        .role(
            "one",
            1,
            2..=2,
            proptest::sample::select(vec![RegisterOp::Write(DEPENDS), RegisterOp::Read]),
        )
        .role("other", 1, 2..=2, Just(RegisterOp::Read))
        .seed(1)
        .regressions(None)
        .check::<Stepped, Wrong<_>>()
        .unwrap()
}

#[test]
fn a_wake_up_that_comes_too_early_is_lost_and_found() {
    let program = vec![vec![RegisterOp::Write(LOSES)], vec![RegisterOp::Write(42)]];
    let case = Case::<Register<u64>>::free(0, program);
    let roles = ["sleeps".to_owned(), "wakes".to_owned()];
    let answer = Stepped::default().search::<Wrong<SteppedMemory>>(&case, &roles, &budget());
    let run = answer.unwrap().1.expect("it is lost in one order");
    assert!(matches!(&run.verdict, Verdict::Finding(found) if found.kind == Kind::Deadlock));
    let at = |access| run.steps.iter().position(|step| step.access == access);
    assert!(
        at(Access::Wake).is_some() && at(Access::Wake) < at(Access::Wait),
        "{:?}",
        run.steps
    );
}

#[test]
fn two_processes_in_one_cell_are_a_race() {
    let found = finding(
        &programs(vec![FINE], 1),
        Kind::DataRace,
        "comes to data while",
    );
    assert_eq!(found.run.case.operations(), 2);
}

#[test]
fn a_suite_that_is_without_an_engine_passes_and_says_why() {
    let suite = Suite::<Register<u64>>::new(forkcheck::site!(), "without")
        .setup(Just(0))
        .role("one", 1, 1..=1, Just(RegisterOp::Write(SPINS)))
        .regressions(None)
        .without("stepped", "it is here to fail");
    suite.test::<Stepped, Wrong<_>>();
    let fails = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        suite.test::<Kills, Wrong<_>>()
    }));
    assert!(fails.is_err(), "the other engines test it");
}

/// A counter besides the words that are stepped. `AT` 0: in a word of this memory, 1: in a bare
/// one, 2: in a cell.
struct Beside<M: Memory, const AT: u8> {
    stepped: M::AtomicU64,
    bare: std::sync::atomic::AtomicU64,
    cell: M::Cell<u64>,
}

impl<M: Memory, const AT: u8> Structure for Beside<M, AT> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(_: &u64) -> Self {
        Self {
            stepped: Atomic::new(0),
            bare: 0.into(),
            cell: MemoryCell::new(0),
        }
    }
    fn apply(&self, _: &RegisterOp<u64>) -> RegisterRet<u64> {
        self.stepped.load(Ordering::Relaxed);
        match AT {
            0 => self.stepped.store(1, Ordering::Relaxed),
            1 => self.bare.store(1, Ordering::Relaxed),
            _ => self.cell.with(|_| ()),
        }
        self.stepped.load(Ordering::Relaxed);
        RegisterRet::Written
    }
}

#[test]
fn accesses_that_are_not_of_this_memory_are_reported() {
    fn told<const AT: u8>() -> (bool, u64) {
        let suite = Suite::new(forkcheck::site!(), "beside")
            .setup(Just(0))
            .role("one", 1, 1..=1, Just(RegisterOp::Write(1)))
            .role("other", 1, 1..=1, Just(RegisterOp::Write(1)))
            .regressions(None);
        let outcome = suite.check::<Stepped, Beside<SteppedMemory, AT>>().unwrap();
        let Covered {
            programs,
            unscheduled,
            ..
        } = outcome.covered;
        let unknown = matches!(outcome.verdict, Verdict::Unknown(_));
        assert!(unknown == (unscheduled > 0) && programs > 0);
        let allowed = suite.clone().allow_unscheduled("it is looked for here");
        let outcome = allowed
            .check::<Stepped, Beside<SteppedMemory, AT>>()
            .unwrap();
        assert_eq!(outcome.verdict, Verdict::Ok);
        let coarse = suite.report(&outcome).contains(" unscheduled: in ");
        assert_eq!(coarse, unscheduled > 0);
        (unscheduled > 0, unscheduled / programs)
    }
    assert_eq!(told::<0>(), (false, 0));
    assert_eq!(told::<1>(), (true, 1), "in all of them");
    assert_eq!(told::<2>(), (false, 0));
}

/// One write, and one read.
fn write_and_read() -> Case<Register<Pair>> {
    let write = RegisterOp::Write([1, 1]);
    Case::free([0, 0], vec![vec![write], vec![RegisterOp::Read]])
}

/// The steps of `DeadWriter`: five of a write, of which three come after the mark of its begin, and four of a read. Fences are
/// none. Each process begins one schedule.
#[test]
fn a_writer_that_dies_leaves_a_reader_waiting_at_the_kill_points_between_its_marks_and_at_no_other()
{
    let suite = dead_writer::suite();
    let kills = suite.each_kill::<Kills, DeadWriter<_>>(&write_and_read());
    let kills = kills.unwrap();
    assert_eq!(kills.len(), 2 * (5 + 4));
    let (failed, passed): (Vec<_>, Vec<_>) = kills.iter().partition(|kill| kill.failed.is_some());
    assert!(passed.iter().all(|kill| kill.verdict == Verdict::Ok));
    assert_eq!(failed.len(), 3);
    let is_stuck = |verdict: &Verdict<_>| matches!(verdict, Verdict::Finding(finding) if finding.kind == Kind::NotCrashTolerant);
    for kill in &failed {
        let (run, _) = kill.failed.as_ref().unwrap();
        assert_eq!((kill.first, run.case.kills.len()), (0, 1));
        assert!(is_stuck(&kill.verdict), "{:?}", kill.verdict);
    }
    let (_, token) = failed[0].failed.as_ref().unwrap();
    let replayed = suite.replay(token).check::<Kills, DeadWriter<_>>();
    let replayed = replayed.unwrap();
    assert!(is_stuck(&replayed.verdict), "{:?}", replayed.verdict);
}

#[test]
fn a_structure_that_notices_a_dead_writer_survives_each_kill() {
    let kills = seq_lock::suite().each_kill::<Kills, CheckedSeqLock<_>>(&write_and_read());
    let kills = kills.unwrap();
    assert!(kills.len() > 10, "{}", kills.len());
    assert!(kills.iter().all(|kill| kill.verdict == Verdict::Ok));
}

/// A register that forgets what is written.
struct Forgets<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Forgets<M> {
    type Memory = M;
    type Spec = Register<Pair>;
    fn new(_: &Pair) -> Self {
        Self(Atomic::new(0))
    }
    fn apply(&self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        let value = self.0.load(Ordering::SeqCst);
        match op {
            RegisterOp::Write(_) => RegisterRet::Written,
            RegisterOp::Read => RegisterRet::Value([value, value]),
        }
    }
}

#[test]
fn an_engine_without_kills_and_a_program_that_fails_alone_count_no_kills() {
    let suite = seq_lock::suite();
    let spared = suite.each_kill::<Stepped, CheckedSeqLock<_>>(&write_and_read());
    let error = spared.unwrap_err().to_string();
    assert!(error.contains("does not kill"), "{error}");
    let alone = suite.each_kill::<Kills, Forgets<_>>(&write_and_read());
    let error = alone.unwrap_err().to_string();
    assert!(
        error.contains("without a kill: NOT LINEARIZABLE"),
        "{error}"
    );
}
