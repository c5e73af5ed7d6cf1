//! The same program under tools that step threads within one process: shuttle by its random and PCT
//! schedulers, and loom, which also explores weak memory. In each, one thread writes a seqlock
//! twice, and the others read it twice.

use super::Measured;
use forkcheck::builtin::{CheckedSeqLock, Pair};
use forkcheck::case::Case;
use forkcheck::engine::loom::{Loom, LoomMemory};
use forkcheck::engine::{Budget, Engine, Known, Strategy};
use forkcheck::spec::{Register, RegisterOp};
use forkcheck::structure::Progress;
use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{
    AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence,
};
use std::time::{Duration, Instant};

/// The depth for PCT: with it, shuttle has three change points, as this crate's engine has.
const DEPTH: usize = 4;

pub(super) fn all(group: &str, processes: usize) -> Vec<Measured> {
    let threads = |name: &str, run: Box<dyn FnMut(u64) -> Duration>| {
        Measured::new(group, name, "execution", 5_000, run)
    };
    vec![
        threads(
            "shuttle, random, seqlock on threads",
            Box::new(move |turns| {
                run(
                    RandomScheduler::new_from_seed(turns, turns as usize),
                    processes,
                )
            }),
        ),
        threads(
            "shuttle, PCT, seqlock on threads",
            Box::new(move |turns| {
                run(
                    PctScheduler::new_from_seed(turns, DEPTH, turns as usize),
                    processes,
                )
            }),
        ),
        threads(
            "loom, seqlock on threads",
            Box::new(move |turns| loom(turns, processes)),
        ),
    ]
}

/// The protocol of [`forkcheck::publish::SeqLock`], on shuttle's words.
struct SeqLock {
    sequence: AtomicU64,
    value: [AtomicU64; 2],
}

impl SeqLock {
    fn write(&self, value: [u64; 2]) {
        let sequence = self.sequence.load(Relaxed);
        self.sequence.store(sequence + 1, Relaxed);
        fence(Release);
        for (word, value) in self.value.iter().zip(value) {
            word.store(value, Relaxed);
        }
        self.sequence.store(sequence + 2, Release);
    }
    fn read(&self) -> [u64; 2] {
        loop {
            let before = self.sequence.load(Acquire);
            let value = [self.value[0].load(Relaxed), self.value[1].load(Relaxed)];
            fence(Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Relaxed) == before {
                return value;
            }
            shuttle::hint::spin_loop();
        }
    }
}

fn run(scheduler: impl Scheduler + 'static, processes: usize) -> Duration {
    let mut config = shuttle::Config::new();
    // It treats all orderings as SeqCst, as our engine does.
    config.silence_warnings = true;
    let start = Instant::now();
    Runner::new(scheduler, config).run(move || {
        let lock = Arc::new(SeqLock {
            sequence: AtomicU64::new(0),
            value: [AtomicU64::new(0), AtomicU64::new(0)],
        });
        let readers: Vec<_> = (1..processes)
            .map(|_| {
                let lock = Arc::clone(&lock);
                shuttle::thread::spawn(move || {
                    for _ in 0..2 {
                        let [first, second] = lock.read();
                        assert_eq!(145 * first, second);
                    }
                })
            })
            .collect();
        lock.write([1, 145]);
        lock.write([2, 290]);
        for reader in readers {
            reader.join().expect("it reads whole values");
        }
    });
    start.elapsed()
}

/// Measures our engine on loom, which judges the history of each execution; the time is scaled to
/// the number of turns, since the engine decides when it ends.
fn loom(turns: u64, processes: usize) -> Duration {
    let mut program = vec![vec![
        RegisterOp::Write([1, 145]),
        RegisterOp::Write([2, 290]),
    ]];
    program.resize(processes, vec![RegisterOp::Read, RegisterOp::Read]);
    let case = Case::<Register<Pair>>::free([0, 0], program);
    let mut roles = vec!["writer".to_owned()];
    roles.resize(processes, "reader".to_owned());
    let budget = Budget {
        executions: turns,
        time: Duration::from_secs(60),
        seed: 0,
        keep_going: true,
        without_kills: false,
        progress: Progress::Any,
        read_only: 0,
        killable: u32::MAX,
        strategy: Strategy::Bounded,
        known: Known::default(),
        watchdog: Duration::from_secs(2),
        backtraces: false,
        shows_passing: false,
        stop: None,
        threads_only: false,
    };
    let start = Instant::now();
    let (covered, _) = Loom::default()
        .search::<CheckedSeqLock<LoomMemory>>(&case, &roles, &budget)
        .expect("it can run here");
    start
        .elapsed()
        .mul_f64(turns as f64 / covered.executions.max(1) as f64)
}
