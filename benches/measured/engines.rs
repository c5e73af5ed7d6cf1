//! Executions: the floor (fork, `_exit` and wait for each process), rusty-fork, and the engines of forked processes.
#![allow(unsafe_code, reason = "the floor is the bare system calls")]

use super::{Measured, peers};
use forkcheck::Hardware;
use forkcheck::builtin::{CheckedSeqLock, EarlyPublish, Pair};
use forkcheck::case::Case;
use forkcheck::engine::{
    Budget, Covered, Engine, Kills, Known, Processes, Stepped, SteppedMemory, Strategy,
};
use forkcheck::process::in_fresh_process;
use forkcheck::spec::{Register, RegisterOp};
use forkcheck::structure::{Progress, WithHandles};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The executions of the figure for kills.
const KILLED: u64 = 100_000;
/// The variable that rusty-fork's child has in its environment.
const CHILD: &str = "FORKCHECK_BENCH_CHILD";

pub(super) fn all() -> Vec<Measured> {
    let mut all = Vec::new();
    for processes in [2, 3] {
        let group = format!("an execution of {processes} processes");
        let floor = format!("F: {processes} x fork, _exit, wait");
        all.push(Measured::new(
            &group,
            floor,
            "execution",
            200,
            move |turns| {
                in_fresh_process(fork_and_wait, (processes, turns))
                    .expect("children are forked and reaped")
            },
        ));
        if processes == 2 {
            all.push(Measured::new(
                &group,
                "rusty-fork, one process",
                "test",
                20,
                |turns| {
                    let start = Instant::now();
                    (0..turns).for_each(|_| rusty_fork_once());
                    start.elapsed()
                },
            ));
        }
        type Sound<M> = CheckedSeqLock<M>;
        type Planted<M> = EarlyPublish<M>;
        let free = |name| (name, Strategy::Bounded);
        let (random, pct) = (
            ("stepped, random, seqlock", Strategy::Random),
            ("stepped, PCT, seqlock", Strategy::Pct),
        );
        all.push(engine::<Processes, Sound<Hardware>>(
            &group,
            free("processes, seqlock"),
            processes,
        ));
        let planted = free("processes, planted early publish");
        all.push(engine::<Processes, Planted<Hardware>>(
            &group, planted, processes,
        ));
        all.push(engine::<Stepped, Sound<SteppedMemory>>(
            &group, random, processes,
        ));
        all.push(engine::<Stepped, Sound<SteppedMemory>>(
            &group, pct, processes,
        ));
        let planted = ("stepped, PCT, planted early publish", Strategy::Pct);
        all.push(engine::<Stepped, Planted<SteppedMemory>>(
            &group, planted, processes,
        ));
        if processes == 2 {
            all.push(two_at_once(&group));
        }
        all.extend(peers::all(&group, processes));
        if processes == 2 {
            all.push(kills(&group));
            all.push(kill_points(&group));
        }
    }
    let group = "an execution of 8 processes";
    for by in [
        ("stepped, random, seqlock", Strategy::Random),
        ("stepped, PCT, seqlock", Strategy::Pct),
    ] {
        all.push(engine::<Stepped, CheckedSeqLock<SteppedMemory>>(
            group, by, 8,
        ));
    }
    all
}

/// Measures two engines of `stepped` in two threads, as two jobs of one test have them: each runs
/// half of the executions.
fn two_at_once(group: &str) -> Measured {
    let threads = [(); 2].map(|()| {
        let (ask, asked) = mpsc::channel::<u64>();
        let (answer, answered) = mpsc::channel();
        std::thread::spawn(move || {
            let by = ("", Strategy::Random);
            let mut half = engine::<Stepped, CheckedSeqLock<SteppedMemory>>("", by, 2);
            for turns in asked {
                (half.run)(turns);
                answer.send(()).expect("it is waited for");
            }
        });
        (ask, answered)
    });
    let run = move |turns: u64| {
        let start = Instant::now();
        for (ask, _) in &threads {
            ask.send(turns / 2).expect("the thread waits");
        }
        for (_, answered) in &threads {
            answered.recv().expect("the thread answers");
        }
        start.elapsed()
    };
    let name = "stepped, random, seqlock, two jobs";
    Measured::new(group, name, "execution", 100_000, run)
}

/// Forks that many children that many times, in a fresh process, which is small.
fn fork_and_wait((processes, turns): (usize, u64)) -> Duration {
    let start = Instant::now();
    for _ in 0..turns {
        let mut children = [0; 8];
        for child in &mut children[..processes] {
            // SAFETY: fork and _exit. This process has one thread, and the child only ends.
            *child = unsafe { nix::libc::fork() };
            if *child == 0 {
                // SAFETY: as above.
                unsafe { nix::libc::_exit(0) }
            }
        }
        for &child in &children[..processes] {
            // SAFETY: waitpid with a null status writes nothing.
            unsafe { nix::libc::waitpid(child, std::ptr::null_mut(), 0) };
        }
    }
    start.elapsed()
}

fn rusty_fork_once() {
    let ended = rusty_fork::fork(
        "bench",
        rusty_fork::rusty_fork_id!(),
        |command| {
            command.env(CHILD, "1");
        },
        |child, _| child.wait().expect("it is ours").code(),
        || {},
    );
    assert_eq!(ended.expect("this program starts again"), Some(0));
}

pub(super) fn end_rusty_child() {
    if std::env::var_os(CHILD).is_some() {
        rusty_fork_once();
        unreachable!("the child ends in the call above");
    }
}

/// Returns an engine that kills, a case of one writer and one reader with these numbers of operations, and its roles.
fn killed(writes: u64, reads: usize) -> (Kills, Case<Register<Pair>>, [String; 2]) {
    let writes = (1..=writes).map(|value| RegisterOp::Write([value, 145 * value]));
    let program = vec![writes.collect(), vec![RegisterOp::Read; reads]];
    let case = Case::free([0, 0], program);
    let roles = ["writer".to_owned(), "reader".to_owned()];
    (Kills::default(), case, roles)
}

/// Measures an execution with a kill, of four writes and six reads, so that the search does not end soon. Forked processes
/// repeat executions with a step of a new kind, with a real SIGKILL, as everywhere; the executions that kill at each
/// point for real are not included.
fn kills(group: &str) -> Measured {
    let (mut engine, case, roles) = killed(4, 6);
    let last = Rc::new(Cell::new(Covered::default()));
    let noted = Rc::clone(&last);
    let run = move |turns: u64| {
        let budget = budget(turns, Strategy::Bounded);
        let start = Instant::now();
        let (covered, run) = engine
            .search::<CheckedSeqLock<SteppedMemory>>(&case, &roles, &budget)
            .expect("it can run here");
        assert!(run.is_none(), "a seqlock outlives its writer");
        last.set(covered);
        let share = turns as f64 / covered.executions.max(1) as f64;
        start.elapsed().mul_f64(share)
    };
    let name = "kills, seqlock, a kill in almost each";
    let mut measured = Measured::new(group, name, "execution", KILLED, run);
    measured.note = Box::new(move || {
        let covered = noted.get();
        let (killed, all, samples) = (covered.killed, covered.kill_points, covered.samples);
        let executions = covered.executions;
        format!(
            "{killed} of {all} kill points, {executions} executions, {samples} of them again by forked processes"
        )
    });
    measured
}

/// Measures a kill at each of 45 steps, as in a program that has too many orders for them all. Forked processes repeat
/// executions with a step of a new kind, with a real SIGKILL.
fn kill_points(group: &str) -> Measured {
    let (mut engine, case, roles) = killed(4, 6);
    let last = Rc::new(Cell::new(Covered::default()));
    let noted = Rc::clone(&last);
    let run = move |turns: u64| {
        let start = Instant::now();
        for _ in 0..turns {
            let budget = budget(4, Strategy::Bounded);
            let (covered, run) = engine
                .search::<CheckedSeqLock<SteppedMemory>>(&case, &roles, &budget)
                .expect("it can run here");
            assert!(run.is_none(), "a seqlock outlives its writer");
            assert_eq!(covered.killed, covered.kill_points);
            last.set(covered);
        }
        start.elapsed()
    };
    let name = "kills, seqlock, a kill at each step";
    let mut measured = Measured::new(group, name, "program", 20, run);
    measured.note = Box::new(move || {
        let covered = noted.get();
        let (killed, all, samples) = (covered.killed, covered.kill_points, covered.samples);
        let executions = covered.executions;
        format!(
            "{killed} of {all} steps, {executions} executions, {samples} of them again by forked processes"
        )
    });
    measured
}

fn budget(executions: u64, strategy: Strategy) -> Budget {
    Budget {
        executions,
        time: Duration::from_secs(60),
        seed: executions,
        keep_going: true,
        without_kills: false,
        progress: Progress::Any,
        read_only: 0,
        killable: u32::MAX,
        strategy,
        // A later program of a search: the extra work for the first few programs is not included.
        watchdog: Duration::from_secs(2),
        backtraces: false,
        shows_passing: false,
        stop: None,
        threads_only: false,
        known: Known {
            programs: u64::MAX,
            ..Known::default()
        },
    }
}

/// Measures executions of one program with two operations per process: one writes, the others read.
fn engine<E: Engine + 'static, S: WithHandles<Memory = E::Memory, Spec = Register<Pair>>>(
    group: &str,
    (name, strategy): (&str, Strategy),
    processes: usize,
) -> Measured {
    let mut program = vec![vec![
        RegisterOp::Write([1, 145]),
        RegisterOp::Write([2, 290]),
    ]];
    program.resize(processes, vec![RegisterOp::Read, RegisterOp::Read]);
    let case = Case::<Register<Pair>>::free([0, 0], program);
    let mut roles = vec!["writer".to_owned()];
    roles.resize(processes, "reader".to_owned());
    let mut engine = E::default();
    let last = Rc::new(Cell::new((Covered::default(), Duration::ZERO)));
    let noted = Rc::clone(&last);
    let run = move |turns| {
        let budget = budget(turns, strategy);
        let start = Instant::now();
        let (covered, _) = engine
            .search::<S>(&case, &roles, &budget)
            .expect("it can run here");
        let took = start.elapsed();
        last.set((covered, took));
        took
    };
    let mut measured = Measured::new(group, name, "execution", 100_000, run);
    measured.note = Box::new(move || {
        let (covered, took) = noted.get();
        let overlap = (100 * covered.overlapping).checked_div(covered.could_overlap);
        let found = covered.failing as f64 / took.as_secs_f64();
        let overlap = overlap.map(|percent| format!("overlap {percent} %"));
        let found = (covered.failing > 0).then(|| format!("{found:.0} findings/s"));
        let notes: Vec<String> = overlap.into_iter().chain(found).collect();
        notes.join(", ")
    });
    measured
}
