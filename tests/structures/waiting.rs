//! Operations that wait: a spec says where one may sleep indefinitely, and any other such sleep is
//! a deadlock.

use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Engine, Processes, Stepped};
use forkcheck::prelude::*;
use forkcheck::publish::EventCount;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// A counter that is raised and lowered; lowering it waits while it is 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Count(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    Post,
    Wait,
}

impl Spec for Count {
    type Setup = ();
    type Op = Op;
    type Ret = ();
    fn start(_: &()) -> Self {
        Count(0)
    }
    fn step(&mut self, _: usize, op: &Op) {
        match op {
            Op::Post => self.0 += 1,
            Op::Wait => self.0 -= 1,
        }
    }
    fn blocks(&self, _: usize, op: &Op) -> bool {
        *op == Op::Wait && self.0 == 0
    }
}

/// A semaphore on a futex. `WAKES`: a post wakes the waiting processes; the broken twin does not.
struct Semaphore<M: Memory, const WAKES: bool>(M::AtomicU32);
type Right<M> = Semaphore<M, true>;
type Forgetful<M> = Semaphore<M, false>;

impl<M: Memory, const WAKES: bool> Structure for Semaphore<M, WAKES> {
    type Memory = M;
    type Spec = Count;
    fn new(_: &()) -> Self {
        Semaphore(Atomic::new(0))
    }
    fn apply(&self, op: &Op) {
        let count = &self.0;
        match op {
            Op::Post => {
                count.fetch_add(1, Ordering::Release);
                if WAKES {
                    M::wake(count, 1);
                }
            }
            Op::Wait => loop {
                let seen = count.load(Ordering::Acquire);
                if seen == 0 {
                    M::wait(count, 0);
                } else if count
                    .compare_exchange(seen, seen - 1, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
                {
                    return;
                }
            },
        }
    }
}

fn suite(posts: usize, waits: usize) -> Suite<Count> {
    Suite::new(forkcheck::site!(), "semaphore")
        .role("poster", 1, posts..=posts, Just(Op::Post))
        .role("waiter", 1, waits..=waits, Just(Op::Wait))
        .cases(1)
        .executions(3_000)
        .regressions(None)
}

fn kind<S: Spec>(outcome: &Outcome<S>) -> Option<Kind> {
    match &outcome.verdict {
        Verdict::Finding(finding) => Some(finding.kind),
        _ => None,
    }
}

#[test]
fn an_endless_sleep_that_the_spec_allows_is_no_finding() {
    // Two waiters wait to the end, so their calls overlap on any machine.
    let outcome = Suite::<Count>::new(forkcheck::site!(), "semaphore")
        .role("poster", 1, 1..=1, Just(Op::Post))
        .role("waiter", 2, 2..=2, Just(Op::Wait))
        .cases(1)
        .executions(3_000)
        .regressions(None)
        .watchdog(Duration::from_millis(500))
        .check::<Processes, Right<Hardware>>()
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Ok);
    assert_eq!(
        outcome.covered.executions, 2,
        "one call of each waiter never returned, and there each round of the case ended"
    );
    assert_eq!(outcome.covered.sampled_in_full, 0);
}

/// A semaphore whose waiter attaches after the poster has detached: their calls do not overlap.
struct InTurn {
    semaphore: Right<Hardware>,
    is_posted: AtomicU32,
    /// The process that built it: the poster, in the first execution of a pool.
    builder: u32,
}

struct InTurnHandle<'a>(&'a InTurn, bool);

impl Drop for InTurnHandle<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.is_posted.store(1, Ordering::Release);
        }
    }
}

impl WithHandles for InTurn {
    type Memory = Hardware;
    type Spec = Count;
    type Handle<'a> = InTurnHandle<'a>;
    fn new(_: &()) -> Self {
        InTurn {
            semaphore: Structure::new(&()),
            is_posted: AtomicU32::new(0),
            builder: std::process::id(),
        }
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> InTurnHandle<'a> {
        // Before the search, one process builds it and attaches in each role.
        let is_alone = self.builder == std::process::id();
        while !is_alone && self.is_posted.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        InTurnHandle(self, role.is("poster"))
    }
    fn apply(handle: &mut InTurnHandle<'_>, op: &Op) {
        handle.0.semaphore.apply(op);
    }
}

#[test]
fn a_program_that_waits_at_once_is_tried_again_as_long_as_no_calls_have_overlapped() {
    let outcome = suite(1, 2).check::<Processes, InTurn>().unwrap();
    let Verdict::Unknown(why) = &outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert!(why.starts_with("in only 0 of 4 executions"), "{why}");
}

/// A semaphore that may refuse a post.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Posted(u32);

impl Spec for Posted {
    type Setup = ();
    type Op = Op;
    type Ret = bool;
    fn start(_: &()) -> Self {
        Posted(0)
    }
    fn step(&mut self, process: usize, op: &Op) -> bool {
        self.accept(process, op, &true)
    }
    fn accept(&mut self, _: usize, op: &Op, ret: &bool) -> bool {
        match op {
            Op::Post => self.0 += u32::from(*ret),
            Op::Wait => self.0 -= 1,
        }
        *op == Op::Post || *ret
    }
    fn blocks(&self, _: usize, op: &Op) -> bool {
        *op == Op::Wait && self.0 == 0
    }
}

/// Each fifth post, counted in all executions, is refused.
struct Refusing(Semaphore<Hardware, true>);

impl Refusing {
    fn posts() -> &'static AtomicU32 {
        static POSTS: OnceLock<Region> = OnceLock::new();
        let region = POSTS.get_or_init(|| Region::anonymous(4).unwrap());
        region.get(0).unwrap()
    }
}

impl Structure for Refusing {
    type Memory = Hardware;
    type Spec = Posted;
    fn new(_: &()) -> Self {
        Refusing(Structure::new(&()))
    }
    fn apply(&self, op: &Op) -> bool {
        let refused = *op == Op::Post && Self::posts().fetch_add(1, Ordering::Relaxed) % 5 == 4;
        if !refused {
            self.0.apply(op);
        }
        !refused
    }
}

#[test]
fn a_program_goes_on_after_an_execution_that_ends_where_it_may_wait() {
    Refusing::posts();
    let covered = |at_most| {
        let outcome = Suite::<Posted>::new(forkcheck::site!(), "refusing")
            .role("poster", 1, 1..=1, Just(Op::Post))
            .role("waiter", 1, 1..=1, Just(Op::Wait))
            .cases(1)
            .executions(at_most)
            .regressions(None)
            .check::<Processes, Refusing>()
            .unwrap();
        assert_eq!(outcome.verdict, Verdict::Ok);
        assert_eq!(outcome.covered.could_overlap, outcome.covered.executions);
        (outcome.covered.executions, outcome.covered.sampled_in_full)
    };
    assert_eq!(
        covered(90),
        (4 * 5, 0),
        "the fourth that ends where the waiter waits is the last"
    );
    assert_eq!(covered(12), (12, 1), "two of them end there");
}

/// The second post of each process is refused, after more time than the check has.
struct Late(Semaphore<Hardware, true>);

impl Late {
    const LIMIT: Duration = Duration::from_millis(500);
}

impl Structure for Late {
    type Memory = Hardware;
    type Spec = Posted;
    fn new(_: &()) -> Self {
        Late(Structure::new(&()))
    }
    fn apply(&self, op: &Op) -> bool {
        static POSTS: AtomicU32 = AtomicU32::new(0);
        let refused = *op == Op::Post && POSTS.fetch_add(1, Ordering::Relaxed) == 1;
        let until = Instant::now() + 2 * Self::LIMIT;
        while refused && Instant::now() < until {
            std::thread::yield_now();
        }
        if !refused {
            self.0.apply(op);
        }
        !refused
    }
}

#[test]
fn a_program_whose_time_ends_as_it_waits_is_not_done() {
    let outcome = Suite::<Posted>::new(forkcheck::site!(), "late")
        .role("poster", 1, 1..=1, Just(Op::Post))
        .role("waiter", 1, 1..=1, Just(Op::Wait))
        .cases(1)
        .executions(90)
        .time(Late::LIMIT)
        .watchdog(Duration::from_secs(60))
        .regressions(None)
        .check::<Processes, Late>()
        .unwrap();
    let Verdict::Unknown(why) = &outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    let words = "the time limit of 0.5 s ended this after 0 of 1 programs";
    assert!(why.starts_with(words), "{why}");
}

#[test]
fn a_semaphore_that_wakes_passes() {
    let outcome = suite(2, 2).check::<Processes, Right<Hardware>>().unwrap();
    assert_eq!(kind(&outcome), None, "{:?}", outcome.verdict);
    assert_eq!(outcome.covered.executions, 100 + 3_000, "both rounds");
    assert_eq!(outcome.covered.sampled_in_full, 1);
}

#[test]
fn a_post_that_wakes_no_process_is_a_deadlock_and_the_report_says_which_call_may_not_wait() {
    let suite = suite(1, 1).watchdog(Duration::from_millis(500));
    let outcome = suite.check::<Processes, Forgetful<Hardware>>().unwrap();
    assert_eq!(
        kind(&outcome),
        Some(Kind::Deadlock),
        "{:?}",
        outcome.verdict
    );
    let report = suite.report_data(&outcome);
    assert!(
        (report.headline)
            .contains("waiter (process 1): Wait sleeps, and no process is left to wake it"),
        "{report}"
    );
    let reason = &report.linearization.as_ref().unwrap().reason;
    assert_eq!(
        reason.blocked,
        ["waiter Wait, which never returned, may not wait: the spec expects ()"]
    );
}

#[cfg(feature = "loom")]
mod in_the_model {
    use super::*;
    use forkcheck::engine::loom::{Loom, LoomMemory};

    #[test]
    fn a_semaphore_that_wakes_passes() {
        let outcome = suite(2, 2).check::<Loom, Right<LoomMemory>>().unwrap();
        assert_eq!(outcome.verdict, Verdict::Ok);
    }

    #[test]
    fn a_post_that_wakes_no_process_is_a_deadlock() {
        let outcome = suite(1, 1).check::<Loom, Forgetful<LoomMemory>>().unwrap();
        assert_eq!(
            kind(&outcome),
            Some(Kind::Deadlock),
            "{:?}",
            outcome.verdict
        );
    }

    #[test]
    fn an_endless_sleep_that_the_spec_allows_is_no_finding() {
        let outcome = suite(1, 2).check::<Loom, Right<LoomMemory>>().unwrap();
        assert_eq!(outcome.verdict, Verdict::Ok);
        assert!(outcome.covered.executions > 5, "{:?}", outcome.covered);
    }
}

mod step_by_step {
    use super::*;
    use forkcheck::engine::{Kills, SteppedMemory};

    #[test]
    fn an_endless_sleep_that_the_spec_allows_is_no_finding_and_the_next_execution_follows() {
        let outcome = suite(1, 2)
            .check::<Stepped, Right<SteppedMemory>>()
            .unwrap();
        assert_eq!(outcome.verdict, Verdict::Ok);
        assert!(outcome.covered.executions > 5, "{:?}", outcome.covered);
        assert_eq!(outcome.covered.exhausted, 1, "{:?}", outcome.covered);
    }

    #[test]
    fn a_post_that_wakes_no_process_is_a_deadlock() {
        let outcome = suite(1, 1)
            .check::<Stepped, Forgetful<SteppedMemory>>()
            .unwrap();
        assert_eq!(
            kind(&outcome),
            Some(Kind::Deadlock),
            "{:?}",
            outcome.verdict
        );
    }

    /// A flag that is set once.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Flag(bool);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum FlagOp {
        Set,
        Look,
        Await,
    }

    impl Spec for Flag {
        type Setup = ();
        type Op = FlagOp;
        type Ret = bool;
        fn start(_: &()) -> Self {
            Flag(false)
        }
        fn step(&mut self, _: usize, op: &FlagOp) -> bool {
            self.0 |= *op == FlagOp::Set;
            self.0
        }
        fn blocks(&self, _: usize, op: &FlagOp) -> bool {
            *op == FlagOp::Await && !self.0
        }
    }

    /// An event. `NOTIFIES`: the next incarnation of a dead process notifies, as `EventCount`
    /// requires; the broken twin does not.
    struct Event<M: Memory, const NOTIFIES: bool> {
        flag: M::AtomicU32,
        event: EventCount<M>,
    }

    impl<M: Memory, const NOTIFIES: bool> WithHandles for Event<M, NOTIFIES> {
        type Memory = M;
        type Spec = Flag;
        type Handle<'a> = &'a Self;
        fn new(_: &()) -> Self {
            Event {
                flag: Atomic::new(0),
                event: EventCount::new_in(),
            }
        }
        fn attach<'a>(&'a self, role: Role<'_>) -> &'a Self {
            if NOTIFIES && role.incarnation > 0 {
                self.event.notify();
            }
            self
        }
        fn apply(handle: &mut &Self, op: &FlagOp) -> bool {
            let is_set = || handle.flag.load(Ordering::Acquire) == 1;
            match op {
                FlagOp::Set => {
                    handle.flag.store(1, Ordering::Release);
                    handle.event.notify();
                    true
                }
                FlagOp::Look => is_set(),
                FlagOp::Await => handle.event.wait(|| is_set().then_some(true)),
            }
        }
    }

    /// An event on a bare futex: one notification wakes `WAKES` processes, where `EventCount`
    /// promises all.
    struct Bell<M: Memory, const WAKES: u32>(M::AtomicU32);

    impl<M: Memory, const WAKES: u32> Structure for Bell<M, WAKES> {
        type Memory = M;
        type Spec = Flag;
        fn new(_: &()) -> Self {
            Bell(Atomic::new(0))
        }
        fn apply(&self, op: &FlagOp) -> bool {
            let is_set = || self.0.load(Ordering::Acquire) == 1;
            match op {
                FlagOp::Set => {
                    self.0.store(1, Ordering::Release);
                    M::wake(&self.0, WAKES);
                    true
                }
                FlagOp::Look => is_set(),
                FlagOp::Await => {
                    while !is_set() {
                        M::wait(&self.0, 0);
                    }
                    true
                }
            }
        }
    }

    /// Checks two sleeping processes with a single notification.
    fn two_sleepers<S: WithHandles<Memory = SteppedMemory, Spec = Flag>>() -> Option<Kind> {
        let suite = Suite::<Flag>::new(forkcheck::site!(), "two_sleepers")
            .role("setter", 1, 1..=1, Just(FlagOp::Set))
            .role("waiter", 2, 1..=1, Just(FlagOp::Await))
            .cases(1)
            .regressions(None);
        let outcome = suite.check::<Stepped, S>().unwrap();
        let found = kind(&outcome);
        let covered = outcome.covered;
        assert!(found.is_some() || covered.exhausted == 1, "{covered:?}");
        found
    }

    #[test]
    fn one_notification_wakes_all_that_sleep() {
        assert_eq!(two_sleepers::<Event<SteppedMemory, true>>(), None);
        assert_eq!(two_sleepers::<Bell<SteppedMemory, { u32::MAX }>>(), None);
        let twin = two_sleepers::<Bell<SteppedMemory, 1>>();
        assert_eq!(twin, Some(Kind::Deadlock));
    }

    fn killed_between_the_two_halves<const NOTIFIES: bool>() -> Option<Kind> {
        let sets = prop_oneof![Just(FlagOp::Set), Just(FlagOp::Look)];
        let suite = Suite::<Flag>::new(forkcheck::site!(), "event")
            .role("setter", 1, 2..=2, sets)
            .role("waiter", 1, 1..=1, Just(FlagOp::Await))
            .seed(1)
            .regressions(None);
        let outcome = suite
            .check::<Kills, Event<SteppedMemory, NOTIFIES>>()
            .unwrap();
        assert!(outcome.covered.executions > 20, "{:?}", outcome.covered);
        kind(&outcome)
    }

    #[test]
    fn the_incarnation_after_a_notifier_that_was_killed_too_soon_has_to_notify() {
        assert_eq!(killed_between_the_two_halves::<true>(), None);
        assert_eq!(
            killed_between_the_two_halves::<false>(),
            Some(Kind::NotCrashTolerant)
        );
    }
}

/// Waits with a time limit, in models without time: the limit may be reached at any step.
mod in_time {
    use super::*;
    use forkcheck::builtin::event_count::{Op, Posted};
    use std::time::Duration;

    /// A counter. `LOOKS`: after the wait a process looks whether there is an item; the broken twin
    /// assumes it.
    struct Takes<M: Memory, const LOOKS: bool>(M::AtomicU32);

    impl<M: Memory, const LOOKS: bool> Structure for Takes<M, LOOKS> {
        type Memory = M;
        type Spec = Posted;
        fn new(_: &()) -> Self {
            Takes(Atomic::new(0))
        }
        fn apply(&self, op: &Op) -> bool {
            let posted = &self.0;
            let mut left = Duration::from_millis(1);
            match op {
                Op::Post(more) => {
                    posted.fetch_add(*more, Ordering::Release);
                    M::wake(posted, 1);
                    true
                }
                Op::TakeSoon => {
                    M::wait_timeout(posted, 0, &mut left);
                    let is_there = !LOOKS || posted.load(Ordering::Acquire) > 0;
                    if is_there {
                        posted.fetch_sub(1, Ordering::Acquire);
                    }
                    is_there
                }
                // It never checks its remaining time.
                Op::Take => {
                    while posted.load(Ordering::Acquire) == 0 {
                        M::wait_timeout(posted, 0, &mut left);
                    }
                    posted.fetch_sub(1, Ordering::Acquire);
                    true
                }
            }
        }
    }

    fn checked<E: Engine, const LOOKS: bool>(posts: usize, takes: usize, take: Op) -> Option<Kind> {
        let mut suite = Suite::<Posted>::new(forkcheck::site!(), "takes")
            .role("taker", 1, takes..=takes, Just(take))
            .cases(1)
            .regressions(None);
        if posts > 0 {
            suite = suite.role("poster", 1, posts..=posts, Just(Op::Post(1)));
        }
        let outcome = suite.check::<E, Takes<E::Memory, LOOKS>>().unwrap();
        let wrong = matches!(outcome.verdict, Verdict::Ok | Verdict::Finding(_));
        assert!(wrong, "{:?}", outcome.verdict);
        kind(&outcome)
    }

    #[test]
    fn may_be_up_before_anybody_wakes_the_waiter() {
        let (looks, twin) = (
            checked::<Stepped, true>(1, 2, Op::TakeSoon),
            checked::<Stepped, false>(1, 2, Op::TakeSoon),
        );
        assert_eq!((looks, twin), (None, Some(Kind::NotLinearizable)));
    }

    #[cfg(feature = "loom")]
    #[test]
    fn may_be_up_before_anybody_wakes_the_waiter_in_loom() {
        use forkcheck::engine::loom::Loom;
        let (looks, twin) = (
            checked::<Loom, true>(1, 2, Op::TakeSoon),
            checked::<Loom, false>(1, 2, Op::TakeSoon),
        );
        assert_eq!((looks, twin), (None, Some(Kind::NotSequentiallyConsistent)));
    }

    #[test]
    fn a_process_that_waits_again_and_again_waits_indefinitely() {
        // If the spec lets it wait, that is no finding, and otherwise the finding is not "too many
        // steps".
        assert_eq!(checked::<Stepped, true>(0, 1, Op::Take), None);
        assert_eq!(checked::<Stepped, true>(1, 1, Op::Take), None);
    }
}
