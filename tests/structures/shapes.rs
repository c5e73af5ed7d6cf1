//! Patterns of real structures that engines which schedule steps must handle correctly: right ones
//! pass, each broken twin is found, and each finding is reproduced ten times of ten.

use crate::support::{check, is_in_its_token, is_reproduced, passes};
use forkcheck::Report;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Engine, Kills, Stepped, SteppedMemory};
use forkcheck::memory::{Incarnation, MemoryCell};
use forkcheck::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A counter whose operations return its value, or that it is busy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Count(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Op {
    Add,
    Get,
}

impl Spec for Count {
    type Setup = ();
    type Op = Op;
    type Ret = Option<u64>;
    fn start(_: &()) -> Self {
        Self(0)
    }
    fn step(&mut self, _: usize, op: &Op) -> Option<u64> {
        self.0 += u64::from(*op == Op::Add);
        Some(self.0)
    }
    fn accept(&mut self, _: usize, op: &Op, ret: &Option<u64>) -> bool {
        ret.is_none() || self.step(0, op) == *ret
    }
}

fn count(name: &str) -> Suite<Count> {
    let ops = prop_oneof![3 => Just(Op::Add), 1 => Just(Op::Get)];
    Suite::new(forkcheck::site!(), name)
        .seed(1)
        .cases(32)
        .regressions(None)
        .role("adder", 2, 1..=2, ops)
}

/// Asserts that it is found, with one of these kinds, and reproduced: in the replays that the
/// report names, and by its token.
#[track_caller]
fn found<E, T>(suite: &Suite<T::Spec>, kinds: &[Kind]) -> Report
where
    E: Engine<Memory = SteppedMemory>,
    T: WithHandles<Memory = SteppedMemory>,
{
    let (outcome, report) = check::<E, T>(suite);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("missed: {report}")
    };
    assert!(kinds.contains(&finding.kind), "{report}");
    is_reproduced(&outcome, &report);
    let again = is_in_its_token::<E, T>(suite, &outcome, &report);
    assert_eq!(again.verdict, outcome.verdict, "{report}");
    suite.report_data(&outcome)
}

/// Two words that are equal unless another process comes in between, and a reader that reacts if
/// they differ.
struct Twins<M: Memory, const HOW: u8> {
    a: M::AtomicU64,
    b: M::AtomicU64,
    guard: M::Cell<()>,
}
const PANICS: u8 = 0;
const ABORTS: u8 = 1;
const WRITES: u8 = 2;
const RACES: u8 = 3;

impl<M: Memory, const HOW: u8> Structure for Twins<M, HOW> {
    type Memory = M;
    type Spec = Count;
    fn new(_: &()) -> Self {
        Self {
            a: Atomic::new(0),
            b: Atomic::new(0),
            guard: MemoryCell::new(()),
        }
    }
    fn apply(&self, op: &Op) -> Option<u64> {
        if *op == Op::Add {
            self.a.store(1, Ordering::Relaxed);
            if HOW == RACES {
                self.guard.with_mut(|_| ());
            }
            self.b.store(1, Ordering::Relaxed);
        } else {
            let (a, b) = (
                self.a.load(Ordering::Relaxed),
                self.b.load(Ordering::Relaxed),
            );
            match HOW {
                PANICS => assert_eq!(a, b),
                ABORTS if a != b => std::process::abort(),
                WRITES if a != b => self.b.store(a, Ordering::Relaxed),
                RACES if a != b => self.guard.with(|_| ()),
                _ => {}
            }
        }
        None
    }
}

#[test]
fn what_ends_an_execution_behind_a_preemption_comes_again() {
    let twins = Suite::new(forkcheck::site!(), "twins")
        .seed(1)
        .regressions(None)
        .role("writer", 1, 1..=1, Just(Op::Add))
        .role("reader", 1, 1..=2, Just(Op::Get));
    let report = found::<Stepped, Twins<_, PANICS>>(&twins, &[Kind::Panic]);
    assert!(!report.near_misses.is_empty(), "{report}");
    found::<Kills, Twins<_, PANICS>>(&twins, &[Kind::Panic]);
    found::<Stepped, Twins<_, ABORTS>>(&twins, &[Kind::Died]);
    found::<Stepped, Twins<_, RACES>>(&twins, &[Kind::DataRace]);
    let only = twins.read_only("reader");
    found::<Stepped, Twins<_, WRITES>>(&only, &[Kind::WriteToReadOnly]);
}

/// A counter by load and store, under a lock.
struct Locked<M: Memory, const HOW: u8> {
    lock: M::AtomicU32,
    value: M::AtomicU64,
    data: M::Cell<u64>,
}
/// A reader adds itself, looks, and removes itself again, as in many reader-writer locks.
const SHARED: u8 = 0;
const SHARED_BROKEN: u8 = 1;
/// Leaves the lock alone for longer and longer.
const BACKS_OFF: u8 = 2;
/// Tries some times, and then returns that it is busy: no process waits for a dead owner.
const GIVES_UP: u8 = 3;
/// The data is in a cell; no lock at all.
const BARE_CELL: u8 = 4;
/// The data is in a cell, under a lock.
const CELL: u8 = 5;

const WRITER: u32 = 1 << 16;

impl<M: Memory, const HOW: u8> Locked<M, HOW> {
    fn lock(&self, reads: bool) -> bool {
        let take = || {
            let taken = Ordering::Acquire;
            self.lock
                .compare_exchange(0, WRITER, taken, Ordering::Relaxed)
                .is_ok()
        };
        match HOW {
            SHARED | SHARED_BROKEN if reads => loop {
                if self.lock.fetch_add(1, Ordering::Acquire) < WRITER || HOW == SHARED_BROKEN {
                    return true;
                }
                self.lock.fetch_sub(1, Ordering::Relaxed);
                M::spin_loop();
            },
            GIVES_UP => {
                for _ in 0..5 {
                    if take() {
                        return true;
                    }
                    M::spin_loop();
                }
                false
            }
            BARE_CELL => true,
            _ => {
                let mut longer = 0;
                while !take() {
                    (0..1 << longer).for_each(|_| M::spin_loop());
                    longer = if HOW == BACKS_OFF {
                        (longer + 1).min(6)
                    } else {
                        0
                    };
                }
                true
            }
        }
    }
    fn unlock(&self, reads: bool) {
        if reads && (HOW == SHARED || HOW == SHARED_BROKEN) {
            self.lock.fetch_sub(1, Ordering::Release);
        } else if HOW != BARE_CELL {
            self.lock.fetch_sub(WRITER, Ordering::Release);
        }
    }
}

impl<M: Memory, const HOW: u8> Structure for Locked<M, HOW> {
    type Memory = M;
    type Spec = Count;
    fn new(_: &()) -> Self {
        Self {
            lock: Atomic::new(0),
            value: Atomic::new(0),
            data: MemoryCell::new(0),
        }
    }
    fn apply(&self, op: &Op) -> Option<u64> {
        let reads = *op == Op::Get;
        if !self.lock(reads) {
            return None;
        }
        let mut now = self.value.load(Ordering::Relaxed);
        if !reads {
            now += 1;
            self.value.store(now, Ordering::Relaxed);
        }
        if HOW == BARE_CELL || HOW == CELL {
            self.data.with_mut(|_| ());
        }
        // A reader that shares the lock looks twice.
        if HOW == SHARED_BROKEN && reads {
            now = self.value.load(Ordering::Relaxed).min(now);
        }
        self.unlock(reads);
        Some(now)
    }
}

#[test]
fn a_process_that_looks_and_takes_back_is_not_kept_from_an_owner_that_could_go_on() {
    passes::<Stepped, Locked<_, SHARED>>(&count("shared"));
    let ops = prop_oneof![Just(Op::Add), Just(Op::Get)];
    let three = count("shared_by_three").role("third", 1, 1..=1, ops);
    passes::<Stepped, Locked<_, SHARED>>(&three.cases(8).executions(1_000));
    let broken = count("shared_broken").lock_free(4);
    found::<Stepped, Locked<_, SHARED_BROKEN>>(&broken, &[Kind::NotLockFree, Kind::StepBound]);
}

#[test]
fn backing_off_or_giving_up_after_some_tries_is_no_livelock() {
    passes::<Stepped, Locked<_, BACKS_OFF>>(&count("backs_off"));
    // A dead owner keeps the lock, and all others are busy indefinitely: the spec allows that.
    passes::<Kills, Locked<_, GIVES_UP>>(&count("gives_up").executions(1_000));
    let report = found::<Kills, Locked<_, BACKS_OFF>>(&count("waits"), &[Kind::NotCrashTolerant]);
    assert!(report.headline.contains("waits indefinitely"), "{report}");
}

#[test]
fn data_in_a_cell_without_a_lock_is_a_race() {
    found::<Stepped, Locked<_, BARE_CELL>>(&count("bare_cell"), &[Kind::DataRace]);
    passes::<Stepped, Locked<_, CELL>>(&count("cell"));
}

/// A counter of two words under a lock that outlives its owner: the next owner repeats the
/// unfinished work of a dead one. `HOW` 1: it forgets the work before all of it is repeated, so a
/// second kill is needed to show the bug.
struct Redo<M: Memory, const HOW: u8> {
    owner: M::AtomicU64,
    next: M::AtomicU64,
    words: [M::AtomicU64; 2],
}

impl<M: Memory, const HOW: u8> Redo<M, HOW> {
    fn redo(&self) {
        let next = self.next.load(Ordering::Acquire);
        if next != 0 {
            self.words[0].store(next, Ordering::Relaxed);
            if HOW == 1 {
                self.next.store(0, Ordering::Release);
            }
            self.words[1].store(next, Ordering::Relaxed);
            self.next.store(0, Ordering::Release);
        }
    }
}

impl<M: Memory, const HOW: u8> Structure for Redo<M, HOW> {
    type Memory = M;
    type Spec = Count;
    fn new(_: &()) -> Self {
        Self {
            owner: Atomic::new(0),
            next: Atomic::new(0),
            words: [Atomic::new(0), Atomic::new(0)],
        }
    }
    fn apply(&self, op: &Op) -> Option<u64> {
        let me = M::me().to_bits();
        loop {
            let owner = self.owner.load(Ordering::Relaxed);
            let free = owner == 0 || !M::alive(Incarnation::from_bits(owner));
            let (order, failed) = (Ordering::Acquire, Ordering::Relaxed);
            if free
                && self
                    .owner
                    .compare_exchange(owner, me, order, failed)
                    .is_ok()
            {
                break;
            }
            M::spin_loop();
        }
        self.redo();
        let words = || [0, 1].map(|n: usize| self.words[n].load(Ordering::Relaxed));
        let [first, second] = words();
        let now = if first == second { first } else { u64::MAX };
        let now = if *op == Op::Add && now != u64::MAX {
            self.next.store(now + 1, Ordering::Release);
            self.words[0].store(now + 1, Ordering::Relaxed);
            self.words[1].store(now + 1, Ordering::Relaxed);
            self.next.store(0, Ordering::Release);
            now + 1
        } else {
            now
        };
        self.owner.store(0, Ordering::Release);
        Some(now)
    }
}

#[test]
fn a_recovery_that_does_not_outlive_a_kill_of_its_own_is_found() {
    let suite = count("redo").cases(64);
    let report = found::<Kills, Redo<_, 1>>(&suite, &[Kind::NotLinearizable]);
    assert_eq!(report.kills.len(), 2, "{report}");
    let (outcome, _) = passes::<Kills, Redo<_, 0>>(&suite.executions(2_000));
    assert!(outcome.covered.later_points > 0 && outcome.covered.killed_again > 0);
}

/// A structure that writes two words when a process detaches, and reads both when one attaches:
/// steps outside of operations.
struct Leaves<M: Memory>([M::AtomicU64; 2]);
struct Leaving<'a, M: Memory>(&'a Leaves<M>);

impl<M: Memory> Drop for Leaving<'_, M> {
    fn drop(&mut self) {
        self.0.0[0].store(1, Ordering::Relaxed);
        self.0.0[0].store(0, Ordering::Relaxed);
    }
}

impl<M: Memory> WithHandles for Leaves<M> {
    type Memory = M;
    type Spec = Count;
    type Handle<'a> = Leaving<'a, M>;
    fn new(_: &()) -> Self {
        Self([Atomic::new(0), Atomic::new(0)])
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Leaving<'a, M> {
        self.0[0].load(Ordering::Relaxed);
        self.0[0].load(Ordering::Relaxed);
        Leaving(self)
    }
    fn apply(handle: &mut Leaving<'_, M>, _: &Op) -> Option<u64> {
        while handle.0.0[0].load(Ordering::Relaxed) == 1 {
            M::spin_loop();
        }
        None
    }
}

#[test]
fn a_process_that_is_killed_as_it_detaches_is_reported_and_comes_again() {
    let report = found::<Kills, Leaves<_>>(&count("leaves"), &[Kind::NotCrashTolerant]);
    assert!(
        (report.headline).contains("the drop of its handle before shapes.rs"),
        "{report}"
    );
}

/// Structures with more words than an operation can take steps, with more bytes than fit a stack,
/// and with other steps each time.
struct Large<M: Memory>([M::AtomicU64; 5_000]);
struct Huge<M: Memory>([M::AtomicU64; 1 << 18]);
struct Chance<M: Memory>([M::AtomicU64; 2]);

macro_rules! structure {
    ($Name:ident, $new:expr, |$handle:ident| $apply:expr) => {
        impl<M: Memory> WithHandles for $Name<M> {
            type Memory = M;
            type Spec = Count;
            type Handle<'a> = &'a Self;
            fn new(_: &()) -> Self {
                Self($new)
            }
            fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
                self
            }
            fn apply($handle: &mut &Self, _: &Op) -> Option<u64> {
                $apply;
                None
            }
        }
    };
}
structure!(Large, std::array::from_fn(|_| Atomic::new(0)), |handle| {
    handle.0.iter().for_each(|word| {
        word.load(Ordering::Relaxed);
    })
});
structure!(Huge, std::array::from_fn(|_| Atomic::new(0)), |handle| {
    handle.0[0].load(Ordering::Relaxed)
});
structure!(Chance, [Atomic::new(0), Atomic::new(0)], |handle| {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let odd = now.expect("after 1970").subsec_nanos() / 64;
    (0..odd % 64).for_each(|_| {
        handle.0[0].load(Ordering::Relaxed);
    })
});

#[test]
fn what_is_too_large_to_follow_is_unknown_and_says_what_to_do() {
    let (outcome, report) = check::<Stepped, Large<_>>(&count("large").cases(1).executions(100));
    let Verdict::Unknown(why) = outcome.verdict else {
        panic!("{report}")
    };
    assert!(why.contains("a smaller payload or fewer items"), "{why}");
    let (outcome, report) = check::<Stepped, Huge<_>>(&count("huge"));
    let Verdict::Unavailable(why) = outcome.verdict else {
        panic!("{report}")
    };
    assert!(why.contains("check a smaller one"), "{why}");
}

#[test]
fn a_process_that_takes_other_steps_each_time_is_not_deterministic_though_nothing_fails() {
    let (outcome, report) = check::<Stepped, Chance<_>>(&count("chance"));
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("missed: {report}")
    };
    assert_eq!(finding.kind, Kind::NotDeterministic, "{report}");
}
