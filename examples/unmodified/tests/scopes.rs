//! Structures with statics and thread-locals. Threads of one process share the first and have the second for themselves;
//! forked processes have both for themselves. A finding says where it shows.
#![allow(unsafe_code, reason = "a value is freed twice, to be found")]
#![cfg_attr(
    not(forkcheck_instrumented),
    allow(
        dead_code,
        unused_imports,
        reason = "most of them are checked where accesses are seen"
    )
)]

use forkcheck::prelude::*;
use forkcheck::spec::{Counter, CounterOp, CounterRet};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::atomic::{AtomicPtr, AtomicU64};
use std::sync::{Mutex, OnceLock};

// So that processes see what the others allocate, in builds without instrumentation too.
forkcheck::heap!();

/// Returns what each process has done so far, which only it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OwnCount(Vec<u64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count;

impl Spec for OwnCount {
    type Setup = ();
    type Op = Count;
    type Ret = u64;
    fn start((): &()) -> Self {
        Self(vec![0; 8])
    }
    fn step(&mut self, process: usize, _: &Count) -> u64 {
        self.0[process] += 1;
        self.0[process]
    }
}

/// A counter of each thread, and a word that all touch, so that there are orders to search.
struct PerThread(AtomicU64);

impl Structure for PerThread {
    type Memory = Hardware;
    type Spec = OwnCount;
    fn new((): &()) -> Self {
        Self(AtomicU64::new(0))
    }
    fn apply(&self, _: &Count) -> u64 {
        thread_local! {
            static DONE: Cell<u64> = const { Cell::new(0) };
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        DONE.set(DONE.get() + 1);
        self.0.fetch_add(1, Ordering::SeqCst);
        DONE.get()
    }
}

/// A lock whose owner is the number of its process, which a static gives: a process that finds its own number in the lock has it
/// already.
struct Numbered {
    owner: AtomicU64,
    value: AtomicU64,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl WithHandles for Numbered {
    type Memory = Hardware;
    type Spec = Counter;
    type Handle<'a> = (&'a Self, u64);
    fn new(&first: &i64) -> Self {
        Self {
            owner: AtomicU64::new(0),
            value: AtomicU64::new(first as u64),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> (&'a Self, u64) {
        (self, NEXT.fetch_add(1, Ordering::SeqCst))
    }
    fn apply((it, me): &mut (&Self, u64), op: &CounterOp) -> CounterRet {
        while it.owner.load(Ordering::SeqCst) != *me {
            if it
                .owner
                .compare_exchange(0, *me, Ordering::SeqCst, Ordering::SeqCst)
                .is_err()
            {
                std::thread::yield_now();
            }
        }
        let value = it.value.load(Ordering::SeqCst);
        let CounterOp::Add(more) = op else {
            it.owner.store(0, Ordering::SeqCst);
            return CounterRet::Value(value as i64);
        };
        it.value.store(value + *more as u64, Ordering::SeqCst);
        it.owner.store(0, Ordering::SeqCst);
        CounterRet::Added
    }
}

/// A counter that adds by way of a static: threads mix it up, and processes each have one.
struct Scratch(AtomicU64);

static SCRATCH: AtomicU64 = AtomicU64::new(0);

/// Returns the static: a compiler may make a local of one that each call writes first.
fn scratch() -> &'static AtomicU64 {
    std::hint::black_box(&SCRATCH)
}

impl Structure for Scratch {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(AtomicU64::new(first as u64))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        match op {
            CounterOp::Add(more) => {
                scratch().store(*more as u64, Ordering::SeqCst);
                self.0
                    .fetch_add(scratch().load(Ordering::SeqCst), Ordering::SeqCst);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0.load(Ordering::SeqCst) as i64),
        }
    }
}

/// A value on the heap that a static holds, made by the first that asks.
struct Made(AtomicU64);

static MADE: OnceLock<Box<[u64; 2]>> = OnceLock::new();

impl Structure for Made {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(AtomicU64::new(first as u64))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        let made = MADE.get_or_init(|| Box::new([1, 2]));
        assert_eq!(**made, [1, 2]);
        match op {
            CounterOp::Add(more) => {
                self.0.fetch_add(*more as u64 * made[0], Ordering::SeqCst);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0.load(Ordering::SeqCst) as i64),
        }
    }
}

/// A list on the heap, which grows.
struct Grows(Box<[AtomicU64; 2]>);

impl Structure for Grows {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(Box::new([AtomicU64::new(first as u64), AtomicU64::new(0)]))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        #[expect(clippy::useless_vec, reason = "an operation with memory on the heap")]
        let notes = vec![1u64; 9];
        match op {
            CounterOp::Add(more) => {
                self.0[0].fetch_add(*more as u64 * notes[3], Ordering::SeqCst);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0[0].load(Ordering::SeqCst) as i64),
        }
    }
}

forkcheck::suite! {
    boxed: Grows,
    setup: Just(0),
    adder: 2 processes, 1..=2 ops of Just(CounterOp::Add(1)),
    reader: 1..=1 ops of Just(CounterOp::Read),
    with: .cases(4).executions(200),
}

/// A counter that loses what two add at the same time.
struct Lossy(AtomicU64);

impl Structure for Lossy {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(AtomicU64::new(first as u64))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        let value = self.0.load(Ordering::SeqCst);
        let CounterOp::Add(more) = op else {
            return CounterRet::Value(value as i64);
        };
        self.0.store(value + *more as u64, Ordering::SeqCst);
        CounterRet::Added
    }
}

/// A number behind a lock of the standard library, whose futex is private.
struct Locked(Mutex<i64>);

impl Structure for Locked {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(Mutex::new(first))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        let mut value = self.0.lock().unwrap();
        match op {
            CounterOp::Add(more) => {
                *value += more;
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(*value),
        }
    }
}

/// A value that an operation frees, and the structure again.
struct Twice(AtomicPtr<u64>);

impl Structure for Twice {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(AtomicPtr::new(Box::into_raw(Box::new(first as u64))))
    }
    fn apply(&self, _: &CounterOp) -> CounterRet {
        // SAFETY: this is the mistake: the structure frees it, too.
        drop(unsafe { Box::from_raw(self.0.load(Ordering::SeqCst)) });
        CounterRet::Added
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        // SAFETY: it was made by `new`.
        drop(unsafe { Box::from_raw(*self.0.get_mut()) });
    }
}

/// A counter that leaks what each operation allocates.
struct Leaks(AtomicU64);

impl Structure for Leaks {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(AtomicU64::new(first as u64))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        let kept: &u64 = Box::leak(Box::new(1));
        match op {
            CounterOp::Add(more) => {
                self.0.fetch_add(*more as u64 * kept, Ordering::SeqCst);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0.load(Ordering::SeqCst) as i64),
        }
    }
}

/// A counter whose operation starts a thread.
struct Starts(AtomicU64);

impl Structure for Starts {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(AtomicU64::new(first as u64))
    }
    fn apply(&self, _: &CounterOp) -> CounterRet {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(|| {}).join().unwrap();
        CounterRet::Added
    }
}

/// A counter whose operation looks at the clock, and takes the larger one of two numbers.
struct Looks(AtomicU64, AtomicU64);

impl Structure for Looks {
    type Memory = Hardware;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Self(AtomicU64::new(first as u64), AtomicU64::new(0))
    }
    // Inlined into the caller, which is of forkcheck, it would not be named.
    #[inline(never)]
    fn apply(&self, op: &CounterOp) -> CounterRet {
        std::hint::black_box(std::time::Instant::now());
        match op {
            CounterOp::Add(more) => {
                self.0.fetch_add(*more as u64, Ordering::SeqCst);
                self.1.fetch_max(*more as u64, Ordering::SeqCst);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0.load(Ordering::SeqCst) as i64),
        }
    }
}

/// Where accesses are seen: each of these is checked on `stepped` and its report compared.
#[cfg(forkcheck_instrumented)]
mod seen {
    use super::*;
    use forkcheck::Report;
    use forkcheck::check::Verdict;
    use forkcheck::engine::{Covered, SteppedCode, probe};

    /// Returns the report of a suite, and what was covered.
    fn report<T: WithHandles<Memory = Hardware>>(suite: &Suite<T::Spec>) -> (Report, Covered) {
        probe(|word, plain| {
            word.store(1, Ordering::Relaxed);
            *plain = 1;
        });
        let outcome = suite.check::<SteppedCode, T>().unwrap();
        assert!(
            !matches!(outcome.verdict, Verdict::Unavailable(_)),
            "{:?}",
            outcome.verdict
        );
        (suite.report_data(&outcome), outcome.covered)
    }

    fn adders() -> Suite<Counter> {
        let suite = Suite::new(forkcheck::site!(), "adders")
            .setup(Just(0))
            .regressions(None);
        suite.role("adder", 2, 1..=2, Just(CounterOp::Add(1))).role(
            "reader",
            1,
            1..=1,
            Just(CounterOp::Read),
        )
    }

    #[test]
    fn statics_and_thread_locals_are_searched_by_coroutines() {
        let suite = Suite::new(forkcheck::site!(), "thread_local").regressions(None);
        let suite = suite.role("user", 2, 1..=2, Just(Count));
        let (counted, covered) = report::<PerThread>(&suite);
        assert_eq!(
            (counted.verdict, covered.unlike, covered.by_processes),
            ("ok", 0, 0),
            "{counted}"
        );
        // Each process makes its own, and threads one: only a suite for threads leaves forked processes out.
        let (made, covered) = report::<Made>(&adders().without("processes", "one program's value"));
        assert_eq!((made.verdict, covered.by_processes), ("ok", 0), "{made}");
        let (_, covered) = report::<Made>(&adders());
        assert!(covered.by_processes > 0);
    }

    #[test]
    fn numbers_that_a_static_gives_are_right_among_threads_and_not_among_processes() {
        let (alone, covered) =
            report::<Numbered>(&adders().without("processes", "one program's numbers"));
        assert_eq!((alone.verdict, covered.by_processes), ("ok", 0), "{alone}");
        assert!(
            alone
                .not_checked
                .iter()
                .any(|item| item.starts_with("processes, in ")),
            "{alone}"
        );
        // The two adders have the same number, so both have the lock.
        let (found, _) = report::<Numbered>(&adders());
        assert_eq!(found.scope.as_deref(), Some("processes only"), "{found}");
        assert!(
            found.to_string().contains(" among:       processes only\n"),
            "{found}"
        );
    }

    #[test]
    fn a_static_that_threads_mix_up_is_found_among_threads_only() {
        let suite = Suite::new(forkcheck::site!(), "scratch")
            .setup(Just(0))
            .regressions(None);
        let suite = suite
            .role(
                "adder",
                2,
                1..=1,
                prop_oneof![Just(CounterOp::Add(1)), Just(CounterOp::Add(10))],
            )
            .role("reader", 1, 1..=2, Just(CounterOp::Read));
        let (found, _) = report::<Scratch>(&suite);
        assert_eq!(
            (found.verdict, found.scope.as_deref()),
            ("finding", Some("threads only")),
            "{found}"
        );
        assert!(found.rate.as_ref().unwrap().contains("10 of 10"), "{found}");
    }

    #[test]
    fn a_value_lost_in_the_structure_itself_is_found_among_threads_and_processes() {
        let (found, _) = report::<Lossy>(&adders());
        assert_eq!(
            (found.verdict, found.scope.as_deref()),
            ("finding", Some("threads and processes")),
            "{found}"
        );
    }

    #[test]
    fn a_private_futex_wakes_no_other_process() {
        let (found, _) = report::<Locked>(&adders());
        assert_eq!(
            (found.verdict, found.scope.as_deref()),
            ("finding", Some("processes only")),
            "{found}"
        );
        assert!(
            found
                .headline
                .contains("on a private futex (FUTEX_PRIVATE_FLAG), which no other process wakes"),
            "{found}"
        );
        let (alone, _) = report::<Locked>(&adders().without("processes", "a lock of one program"));
        assert_eq!(alone.verdict, "ok", "{alone}");
    }

    #[test]
    fn memory_that_the_drop_of_the_structure_frees_again_is_a_finding() {
        let suite = Suite::new(forkcheck::site!(), "twice")
            .setup(Just(0))
            .regressions(None);
        let suite = suite.role("adder", 1, 1..=1, Just(CounterOp::Add(1)));
        let (found, _) = report::<Twice>(&suite);
        assert_eq!(found.kind.as_deref(), Some("USE AFTER FREE"), "{found}");
        assert!(
            found.headline.starts_with(
                "the drop of the structure frees memory twice: it was freed before, after "
            ),
            "{found}"
        );
        assert!(found.headline.contains("scopes.rs:"), "{found}");
    }

    #[test]
    fn what_each_operation_leaks_is_reported_and_is_no_finding() {
        let (leaks, covered) = report::<Leaks>(&adders());
        assert_eq!((leaks.verdict, covered.left_over), ("ok", 1), "{leaks}");
        let words = "1 allocation of each operation not freed after the drop of the structure";
        assert!(leaks.coverage.iter().any(|part| part == words), "{leaks}");
        let (_, covered) = report::<Grows>(&adders());
        assert_eq!(covered.left_over, 0);
    }

    #[test]
    fn a_thread_that_an_operation_starts_is_refused_with_its_line() {
        let (refused, _) = report::<Starts>(&adders());
        assert_eq!(refused.verdict, "unknown", "{refused}");
        assert!(
            refused.headline.contains("starts a thread at ")
                && refused.headline.contains("scopes.rs:"),
            "{refused}"
        );
    }

    #[test]
    fn calls_that_leave_the_schedule_and_instructions_that_are_not_seen_are_named() {
        let (looks, covered) = report::<Looks>(&adders());
        let has = |words: &str| looks.not_checked.iter().any(|item| item.contains(words));
        assert!(
            has("calls that leave the schedule, which operations make: clock_gettime"),
            "{looks}"
        );
        assert!(
            has("atomic instructions that were not instrumented") && has("scopes::Looks"),
            "{looks}"
        );
        assert!(
            matches!(&covered.crates.all()[..], [(name, 1..)] if name == "this workspace"),
            "{covered:?}"
        );
        let (counted, _) = report::<Grows>(&adders());
        assert!(
            !counted
                .not_checked
                .iter()
                .any(|item| item.contains("leave the schedule")),
            "{counted}"
        );
    }
}
