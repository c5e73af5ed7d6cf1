//! Progress promises of a structure: lock-freedom and wait-freedom, with a bound on own steps; and
//! many processes.

use forkcheck::builtin::{CheckedLatest, CheckedOneShot, CheckedRing, latest, one_shot, ring};
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Covered, Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;

/// The wait-free publications keep their promise, a bound on own steps, with every order of steps
/// and every kill.
#[test]
fn the_publications_that_wait_for_no_process_need_a_bounded_number_of_steps() {
    fn bounded<T: WithHandles<Memory = SteppedMemory>>(suite: Suite<T::Spec>, steps: u32) {
        let suite = suite.seed(5).cases(8).executions(2_000);
        let kept = suite
            .clone()
            .wait_free(steps)
            .check::<Stepped, T>()
            .unwrap();
        assert_eq!(kept.verdict, Verdict::Ok, "{}", suite.report(&kept));
        assert_eq!(
            kept.covered.worst,
            u64::from(steps),
            "{}",
            suite.report(&kept)
        );
        let killed = suite.clone().wait_free(steps).check::<Kills, T>().unwrap();
        assert_eq!(killed.verdict, Verdict::Ok, "{}", suite.report(&killed));
        let Covered {
            killed,
            kill_points,
            ..
        } = killed.covered;
        assert!(
            killed > 0 && killed == kill_points,
            "{killed} of {kill_points}"
        );
        let suite = suite.wait_free(steps - 1);
        let broken = suite.check::<Stepped, T>().unwrap();
        let report = suite.report(&broken);
        let Verdict::Finding(found) = broken.verdict else {
            panic!("a bound that is exceeded was kept: {report}")
        };
        assert_eq!(found.kind, Kind::StepBound);
    }
    bounded::<CheckedOneShot<_>>(one_shot::suite(), 4);
    bounded::<CheckedRing<_>>(ring::suite(), 7);
    // A read asks, tries once and again for each write that comes between, and copies two words.
    let four = Just(latest::Op::Write([1, 145]));
    let suite = Suite::new(forkcheck::site!(), "latest")
        .setup(Just([0, 0]))
        .role("writer", 1, 4..=4, four)
        .role("reader", 1, 1..=2, Just(latest::Op::Read))
        .regressions(None);
    bounded::<CheckedLatest<_>>(suite, 6);
}

/// A counter. `HOW` is the way to add: retry whenever another process came first; retry behind a
/// flag that each process claims; or assume that no other process adds.
struct Tries<M: Memory, const HOW: u8> {
    count: M::AtomicU64,
    claimed: M::AtomicU32,
}

const AGAIN: u8 = 0;
const CLAIMS: u8 = 1;
const CARELESS: u8 = 2;

impl<M: Memory, const HOW: u8> Structure for Tries<M, HOW> {
    type Memory = M;
    type Spec = Sum;
    fn new(_: &()) -> Self {
        Self {
            count: Atomic::new(0),
            claimed: Atomic::new(0),
        }
    }
    fn apply(&self, _: &()) -> u64 {
        let claim = |claim| {
            let claimed = &self.claimed;
            while HOW == CLAIMS && claimed.swap(claim, Ordering::AcqRel) == claim {
                M::spin_loop();
            }
        };
        claim(1);
        loop {
            let count = self.count.load(Ordering::Relaxed);
            if HOW == CARELESS {
                self.count.store(count + 1, Ordering::Relaxed);
                return count + 1;
            }
            let added =
                self.count
                    .compare_exchange(count, count + 1, Ordering::AcqRel, Ordering::Relaxed);
            if added.is_ok() {
                claim(0);
                return count + 1;
            }
        }
    }
}

/// The spec of the counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sum(u64);

impl Spec for Sum {
    type Setup = ();
    type Op = ();
    type Ret = u64;
    fn start(_: &()) -> Self {
        Self(0)
    }
    fn step(&mut self, _: usize, _: &()) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// A retry succeeds as soon as others end and leave the counter alone, so it is lock-free; but
/// retries have no bound, so it is not wait-free. A flag that is claimed is neither.
#[test]
fn a_retry_is_lock_free_and_not_wait_free_and_a_claim_is_neither() {
    let suite = Suite::<Sum>::new(forkcheck::site!(), "tries")
        .role("adder", 2, 2..=2, Just(()))
        .seed(1)
        .cases(1)
        .regressions(None);
    let kept = |suite: &Suite<Sum>| {
        let (stepped, killed) = (
            suite.check::<Stepped, Tries<_, AGAIN>>().unwrap(),
            suite.check::<Kills, Tries<_, AGAIN>>().unwrap(),
        );
        assert_eq!(stepped.verdict, Verdict::Ok, "{}", suite.report(&stepped));
        assert_eq!(killed.verdict, Verdict::Ok, "{}", suite.report(&killed));
        stepped.covered.worst
    };
    // It missed, and then looked and added.
    assert_eq!(kept(&suite.clone().lock_free(3)), 6);
    broken::<Stepped, Tries<_, AGAIN>>(
        &suite.clone().lock_free(2),
        Kind::StepBound,
        "within 2 steps of its own, counted again when another one ended",
    );
    assert_eq!(kept(&suite.clone().wait_free(6)), 6);
    broken::<Stepped, Tries<_, AGAIN>>(
        &suite.clone().wait_free(5),
        Kind::StepBound,
        "within 5 steps of its own",
    );
    for suite in [suite.clone().lock_free(100), suite.clone().wait_free(100)] {
        broken::<Stepped, Tries<_, CLAIMS>>(&suite, Kind::NotLockFree, "waits indefinitely");
    }
}

/// More processes than processors: all of them take steps, and are killed.
#[test]
fn eight_processes_are_explored_and_killed_on_fewer_processors() {
    let eight = |operations| {
        Suite::<Sum>::new(forkcheck::site!(), "eight")
            .role("adder", 8, operations, Just(()))
            .seed(1)
            .cases(2)
            .executions(300)
            .regressions(None)
    };
    let suite = eight(1..=2);
    let stepped = suite.check::<Stepped, Tries<_, AGAIN>>().unwrap();
    assert_eq!(stepped.verdict, Verdict::Ok, "{}", suite.report(&stepped));
    // Switches between eight processes on two processors take time.
    assert!(
        stepped.covered.executions > 64,
        "{}",
        suite.report(&stepped)
    );
    let killed = suite.check::<Kills, Tries<_, AGAIN>>().unwrap();
    assert_eq!(killed.verdict, Verdict::Ok, "{}", suite.report(&killed));
    let (at, of) = (killed.covered.killed, killed.covered.kill_points);
    assert!(at == of && of >= 2 * 8, "{at} of {of}");
    let forked = suite.check::<Processes, Tries<_, AGAIN>>().unwrap();
    assert_eq!(forked.verdict, Verdict::Ok, "{}", suite.report(&forked));

    let suite = eight(0..=2);
    let lost = suite.check::<Stepped, Tries<_, CARELESS>>().unwrap();
    let report = suite.report(&lost);
    let Verdict::Finding(found) = &lost.verdict else {
        panic!("{report}")
    };
    assert_eq!(found.kind, Kind::NotLinearizable, "{report}");
    assert!(report.contains("replayed 10 of 10 times"), "{report}");
    // Two of the eight are enough to show it.
    let case = &lost.found.as_ref().unwrap().run.case;
    assert_eq!(case.operations(), 2, "{report}");
    let lost = suite.check::<Processes, Tries<_, CARELESS>>().unwrap();
    assert!(
        matches!(lost.verdict, Verdict::Finding(_)),
        "{}",
        suite.report(&lost)
    );
}

/// Asserts that a promise is broken, with this kind and this text in the report.
#[track_caller]
fn broken<E, T>(suite: &Suite<T::Spec>, kind: Kind, words: &str)
where
    E: Engine<Memory = SteppedMemory>,
    T: WithHandles<Memory = SteppedMemory>,
{
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    let Verdict::Finding(found) = outcome.verdict else {
        panic!("{report}")
    };
    assert!(found.kind == kind && report.contains(words), "{report}");
}

/// A structure that looks at a word some times: with `AT_THE_TABLE` as a process attaches and
/// detaches; otherwise in the operation after one in which it has seen another process come between
/// two looks.
struct Looks<M: Memory, const AT_THE_TABLE: bool> {
    word: M::AtomicU64,
}

struct Looker<'a, M: Memory, const AT_THE_TABLE: bool> {
    looks: &'a Looks<M, AT_THE_TABLE>,
    surprised: bool,
}

impl<M: Memory, const AT_THE_TABLE: bool> Looks<M, AT_THE_TABLE> {
    fn look(&self, times: u64) {
        (0..times).for_each(|_| {
            self.word.load(Ordering::Relaxed);
        });
    }
}

impl<M: Memory, const AT_THE_TABLE: bool> Drop for Looker<'_, M, AT_THE_TABLE> {
    fn drop(&mut self) {
        self.looks.look(if AT_THE_TABLE { 10 } else { 0 });
    }
}

/// A spec without an observable effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Nothing;

impl Spec for Nothing {
    type Setup = ();
    type Op = bool;
    type Ret = ();
    fn start(_: &()) -> Self {
        Self
    }
    fn step(&mut self, _: usize, _: &bool) {}
}

impl<M: Memory, const AT_THE_TABLE: bool> WithHandles for Looks<M, AT_THE_TABLE> {
    type Memory = M;
    type Spec = Nothing;
    type Handle<'a> = Looker<'a, M, AT_THE_TABLE>;
    fn new(_: &()) -> Self {
        Self {
            word: Atomic::new(0),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Self::Handle<'a> {
        self.look(if AT_THE_TABLE { 10 } else { 0 });
        Looker {
            looks: self,
            surprised: false,
        }
    }
    fn apply(looker: &mut Self::Handle<'_>, writes: &bool) {
        let word = &looker.looks.word;
        if *writes {
            word.store(1, Ordering::Relaxed);
        } else if looker.surprised {
            looker.looks.look(4);
        } else {
            let before = word.load(Ordering::Relaxed);
            looker.surprised = before != word.load(Ordering::Relaxed) && !AT_THE_TABLE;
        }
    }
}

fn looks(name: &str) -> Suite<Nothing> {
    Suite::new(forkcheck::site!(), name)
        .role("writer", 1, 1..=1, Just(true))
        .role("looker", 1, 2..=2, Just(false))
        .seed(1)
        .cases(1)
        .regressions(None)
}

#[test]
fn attaching_and_detaching_are_no_operations() {
    let suite = looks("at_the_table").wait_free(2);
    for outcome in [
        suite.check::<Stepped, Looks<_, true>>().unwrap(),
        suite.check::<Kills, Looks<_, true>>().unwrap(),
    ] {
        assert_eq!(outcome.verdict, Verdict::Ok, "{}", suite.report(&outcome));
        assert_eq!(outcome.covered.worst, 2);
    }
    broken::<Stepped, Looks<_, true>>(
        &suite.wait_free(1),
        Kind::StepBound,
        "not within 1 step of its own",
    );
}

/// Another process ended an operation while this one was in its first. That does not exempt steps
/// of its second.
#[test]
fn what_exempts_an_operation_does_not_exempt_the_next() {
    let suite = looks("surprised");
    let kept = suite.clone().lock_free(4);
    let outcome = kept.check::<Stepped, Looks<_, false>>().unwrap();
    assert_eq!(outcome.verdict, Verdict::Ok, "{}", kept.report(&outcome));
    assert_eq!(outcome.covered.worst, 4);
    broken::<Stepped, Looks<_, false>>(
        &suite.lock_free(3),
        Kind::StepBound,
        "within 3 steps of its own",
    );
}
