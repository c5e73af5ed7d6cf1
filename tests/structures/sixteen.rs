//! Sixteen processes, the most that are possible: each of them takes steps, is killed, races and is
//! replayed as the first ones are, and a seventeenth is refused with a message.

use crate::support::{caught, is_in_its_token, is_reproduced, passes};
use forkcheck::Report;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;

/// The processes of the role `early`; the two of `late` come last.
const EARLY: usize = 14;

/// Two sums: each process adds to that of its role, and returns it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sums([u64; 2]);

impl Spec for Sums {
    type Setup = ();
    type Op = ();
    type Ret = u64;
    fn start(_: &()) -> Self {
        Self([0; 2])
    }
    fn step(&mut self, process: usize, _: &()) -> u64 {
        let sum = &mut self.0[usize::from(process >= EARLY)];
        *sum += 1;
        *sum
    }
}

/// The tasks of the last two processes.
const ADD: u8 = 0;
const LOSE: u8 = 1;
const HOLD: u8 = 2;
const RACE: u8 = 3;
/// The task of all processes.
const ALL_LOSE: u8 = 4;

struct Added<M: Memory, const HOW: u8> {
    sums: [M::AtomicU64; 2],
    held: M::AtomicBool,
    guard: M::Cell<()>,
}

impl<M: Memory, const HOW: u8> Added<M, HOW> {
    fn add(&self, late: bool) -> u64 {
        let sum = &self.sums[usize::from(late)];
        if HOW != ALL_LOSE && !late || HOW == ADD || HOW == RACE {
            return sum.fetch_add(1, Ordering::AcqRel) + 1;
        }
        while HOW == HOLD && self.held.swap(true, Ordering::Acquire) {
            M::spin_loop();
        }
        let added = sum.load(Ordering::Relaxed) + 1;
        sum.store(added, Ordering::Relaxed);
        if HOW == HOLD {
            self.held.store(false, Ordering::Release);
        }
        added
    }
}

impl<M: Memory, const HOW: u8> WithHandles for Added<M, HOW> {
    type Memory = M;
    type Spec = Sums;
    type Handle<'a> = (&'a Self, usize);
    fn new(_: &()) -> Self {
        Self {
            sums: [Atomic::new(0), Atomic::new(0)],
            held: Atomic::new(false),
            guard: MemoryCell::new(()),
        }
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> (&'a Self, usize) {
        (self, role.process)
    }
    fn apply((added, process): &mut (&Self, usize), _: &()) -> u64 {
        let add = || added.add(*process >= EARLY);
        if HOW == RACE && *process >= EARLY {
            added.guard.with_mut(|_| add())
        } else {
            add()
        }
    }
}

fn suite(early: usize) -> Suite<Sums> {
    Suite::new(forkcheck::site!(), "sixteen")
        .role("early", early, 1..=1, Just(()))
        .role("late", 2, 1..=1, Just(()))
        .seed(1)
        .cases(2)
        .executions(300)
        .regressions(None)
}

/// Asserts that the bug is found; it is in the last processes, so a token without them would not
/// replay.
fn found<E: Engine, T: WithHandles<Memory = E::Memory, Spec = Sums>>(
    suite: &Suite<Sums>,
    kind: Kind,
) -> Report {
    let (outcome, report) = caught::<E, T>(suite, kind);
    if E::NAME != Processes::NAME {
        is_reproduced(&outcome, &report);
    }
    is_in_its_token::<E, T>(suite, &outcome, &report);
    suite.report_data(&outcome)
}

#[test]
fn all_of_sixteen_processes_take_their_steps_and_each_is_killed_at_each_of_its_steps() {
    let suite = suite(EARLY);
    let (stepped, _) = passes::<Stepped, Added<SteppedMemory, ADD>>(&suite);
    assert!(
        stepped.covered.executions >= 300,
        "{}",
        suite.report(&stepped)
    );
    let (killed, _) = passes::<Kills, Added<SteppedMemory, ADD>>(&suite);
    let (at, of) = (killed.covered.killed, killed.covered.kill_points);
    assert!(at == of && of >= 16, "{at} of {of}");
    let (forked, _) = passes::<Processes, Added<Hardware, ADD>>(&suite);
    assert!(forked.covered.executions > 0, "{}", suite.report(&forked));
}

#[test]
fn what_the_last_two_of_sixteen_processes_do_wrong_is_found() {
    let suite = suite(EARLY);
    let report = found::<Stepped, Added<SteppedMemory, LOSE>>(&suite, Kind::NotLinearizable);
    assert!(report.headline.starts_with("late "), "{report}");
    assert!(
        report.steps.iter().any(|step| step.process == EARLY + 1),
        "{report}"
    );
    found::<Kills, Added<SteppedMemory, LOSE>>(&suite, Kind::NotLinearizable);
}

#[test]
fn what_sixteen_processes_lose_side_by_side_is_found() {
    found::<Processes, Added<Hardware, ALL_LOSE>>(&suite(EARLY), Kind::NotLinearizable);
}

#[test]
fn a_lock_that_one_of_the_last_two_of_sixteen_processes_holds_as_it_is_killed_is_found() {
    let suite = suite(EARLY);
    passes::<Stepped, Added<SteppedMemory, HOLD>>(&suite);
    let report = found::<Kills, Added<SteppedMemory, HOLD>>(&suite, Kind::NotCrashTolerant);
    let killed = report.kills.iter().map(|kill| usize::from(kill.process));
    assert_eq!(
        killed.filter(|&process| process >= EARLY).count(),
        1,
        "{report}"
    );
    // The early processes hold nothing.
    let suite = suite.kill_only("early");
    let (spared, _) = passes::<Kills, Added<SteppedMemory, HOLD>>(&suite);
    assert_eq!(spared.spared, ["late"]);
    let of = spared.covered.kill_points;
    assert_eq!(of, EARLY as u64, "one step of each");
}

#[test]
fn a_cell_that_the_last_two_of_sixteen_processes_use_at_once_is_a_race() {
    let report = found::<Stepped, Added<SteppedMemory, RACE>>(&suite(EARLY), Kind::DataRace);
    assert!(
        report.headline.contains("late 1") && report.headline.contains("late 2"),
        "{report}"
    );
}

#[test]
fn a_process_of_the_last_that_may_only_read_is_refused_its_write() {
    let suite = suite(EARLY).read_only("late");
    found::<Stepped, Added<SteppedMemory, ADD>>(&suite, Kind::WriteToReadOnly);
}

#[test]
fn a_seventeenth_process_is_refused_in_words() {
    let error = suite(EARLY + 1).check::<Stepped, Added<SteppedMemory, ADD>>();
    let words = error.unwrap_err().to_string();
    assert!(
        words.contains("the suite has 17 processes; give it at most 16"),
        "{words}"
    );
}

#[cfg(feature = "loom")]
#[test]
fn loom_says_in_words_that_it_explores_four() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    let outcome = suite(EARLY)
        .check::<Loom, Added<LoomMemory, ADD>>()
        .unwrap();
    let Verdict::Unavailable(words) = outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(words, "loom explores at most 4 processes, and there are 16");
}
