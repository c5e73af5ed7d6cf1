//! `scenario!`: bodies with assertions, without a spec. Each broken one is found, and its fixed
//! twin passes on each engine.

mod support;

use forkcheck::check::Kind;
use forkcheck::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::publish::Ring;
use support::found;

/// A value, and a flag that says that it is there.
struct Handover<M: Memory, const FLAG_FIRST: bool> {
    ready: M::AtomicU32,
    value: M::AtomicU64,
}

impl<M: Memory, const FLAG_FIRST: bool> Handover<M, FLAG_FIRST> {
    fn send(&self) {
        if FLAG_FIRST {
            self.ready.store(1, Ordering::Release);
        }
        self.value.store(7, Ordering::Relaxed);
        if !FLAG_FIRST {
            self.ready.store(1, Ordering::Release);
        }
    }
}

macro_rules! handover {
    ($(#[$attribute:meta])* $name:ident: $flag_first:tt, $executions:literal) => {
        forkcheck::scenario! {
            $(#[$attribute])*
            $name: Handover<_, $flag_first>,
            new: Handover { ready: Atomic::new(0), value: Atomic::new(0) },
            sender: |handover| { handover.send(); },
            receiver: 2 processes, |handover| {
                if handover.ready.load(Ordering::Acquire) == 1 {
                    assert_eq!(handover.value.load(Ordering::Relaxed), 7, "nothing was sent");
                }
            },
            with: .regressions(None).seed(3).executions($executions),
        }
    };
}
// On `processes` it is found by chance.
handover!(#[should_panic(expected = "nothing was sent")] flag_first: true, 500_000);
handover!(flag_last: false, 10_000);

#[test]
fn an_assertion_that_fails_in_some_order_is_found_with_its_message_and_steps() {
    let suite = flag_first::suite();
    for (kind, report) in [
        found::<Stepped, flag_first::__Scenario<SteppedMemory>>(&suite),
        found::<Kills, flag_first::__Scenario<SteppedMemory>>(&suite),
        found::<Processes, flag_first::__Scenario<Hardware>>(&suite),
    ] {
        assert_eq!(kind, Some(Kind::Panic), "{report}");
        assert!(report.contains("nothing was sent"), "{report}");
        assert!(report.contains("receiver"), "{report}");
    }
}

#[track_caller]
fn passes<E: Engine, T: WithHandles<Memory = E::Memory>>(suite: &Suite<T::Spec>) {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report(&outcome);
    assert_eq!(outcome.verdict, forkcheck::check::Verdict::Ok, "{report}");
    assert!(outcome.covered.executions > 10, "{report}");
    assert_eq!(outcome.covered.programs, 1, "{report}");
}

/// A number that two processes add to.
struct Sum<M: Memory, const ATOMIC: bool>(M::AtomicU64);

impl<M: Memory, const ATOMIC: bool> Sum<M, ATOMIC> {
    fn add(&self) {
        if ATOMIC {
            self.0.fetch_add(1, Ordering::Relaxed);
        } else {
            let found = self.0.load(Ordering::Relaxed);
            self.0.store(found + 1, Ordering::Relaxed);
        }
    }
}

macro_rules! sum {
    ($(#[$attribute:meta])* $name:ident: $atomic:tt, $($without:tt)*) => {
        forkcheck::scenario! {
            $(#[$attribute])*
            $name: Sum<_, $atomic>,
            new: Sum(Atomic::new(0)),
            adder: 2 processes, |sum| { sum.add(); },
            finally: |sum| { assert_eq!(sum.0.load(Ordering::Relaxed), 2, "an addition was lost"); },
            with: .regressions(None).seed(3)$($without)*,
        }
    };
}
sum!(#[should_panic(expected = "an addition was lost")] loses: false,);
sum!(keeps: true, .without("kills", "what a killed process did not add is missing"));

#[test]
fn what_is_asserted_at_the_end_sees_what_a_killed_process_left() {
    let (kind, report) = found::<Kills, keeps::__Scenario<SteppedMemory>>(&keeps::suite());
    assert_eq!(kind, Some(Kind::Panic), "{report}");
    assert!(report.contains("an addition was lost"), "{report}");
    // The panic unwinds in the process of the coroutines, which are suspended then.
    assert!(!report.contains("suspended coroutine"), "{report}");
}

#[test]
fn each_body_of_a_scenario_that_passes_ran() {
    passes::<Stepped, flag_last::__Scenario<_>>(&flag_last::suite());
    passes::<Processes, keeps::__Scenario<_>>(&keeps::suite());
}

type Items<M> = Ring<u64, 2, M>;

// The form that users write: its tests run on each engine.
forkcheck::scenario! {
    in_order: Items<_>,
    new: Ring::new_in(),
    producer: |ring| {
        for item in 1..=3 {
            let _ = ring.push(item);
        }
    },
    consumer: |ring| {
        let mut last = 0;
        for _ in 0..3 {
            if let Some(item) = ring.pop() {
                assert!(item > last, "{item} after {last}");
                last = item;
            }
        }
    },
    finally: |ring| { assert!(ring.pop().is_none_or(|item| item <= 3)); },
    with: .executions(2_000).regressions(None),
}

/// A structure on which one process waits for another, with an assertion at the end on both.
struct Meeting<M: Memory> {
    came: M::AtomicU32,
    seen: M::AtomicU32,
}

// loom also explores executions that it has to end early: there the guest has not seen anything,
// and nothing is asserted.
forkcheck::scenario! {
    meeting: Meeting<_>,
    new: Meeting { came: Atomic::new(0), seen: Atomic::new(0) },
    host: |meeting| { meeting.came.store(1, Ordering::Release); },
    guest: |meeting| {
        while meeting.came.load(Ordering::Acquire) == 0 {
            M::spin_loop();
        }
        meeting.seen.store(1, Ordering::Release);
    },
    finally: |meeting| { assert_eq!(meeting.seen.load(Ordering::Relaxed), 1); },
    with: .regressions(None).executions(2_000).without("kills", "a host that is killed never comes"),
}

/// A box, which no other process has, and a number.
struct Boxed<M: Memory> {
    boxed: Box<u64>,
    number: M::AtomicU64,
}

forkcheck::scenario! {
    #[ignore = "engines that have private memory find it: a test looks at them"]
    boxed: Boxed<_>,
    new: Boxed { boxed: Box::new(7), number: Atomic::new(0) },
    adder: 2 processes, |boxed| { boxed.number.fetch_add(*boxed.boxed, Ordering::Relaxed); },
    finally: |boxed| { assert_eq!(boxed.number.load(Ordering::Relaxed), 14, "an addition was lost"); },
    with: .regressions(None),
}

#[test]
fn what_is_asserted_at_the_end_hides_no_pointer_to_private_memory() {
    let suite = boxed::suite();
    for (kind, report) in [
        found::<Processes, boxed::__Scenario<Hardware>>(&suite),
        found::<Stepped, boxed::__Scenario<SteppedMemory>>(&suite),
    ] {
        assert_eq!(kind, Some(Kind::PrivatePointer), "{report}");
    }
}

/// The number of times that `finally` ran, in a word that outlives the structure.
static ENDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

type Counted<M> = Sum<M, true>;

forkcheck::scenario! {
    #[ignore = "its third end fails: a test looks at that"]
    counted: Counted<_>,
    new: Sum(Atomic::new(0)),
    adder: 2 processes, |sum| { sum.add(); },
    finally: |sum| {
        assert_eq!(sum.0.load(Ordering::Relaxed), 2);
        // The third run shows that it ran twice before.
        assert_ne!(ENDS.fetch_add(1, Ordering::Relaxed), 2, "the third end");
    },
    with: .regressions(None),
}

#[test]
fn the_end_is_asserted_in_each_execution() {
    let (kind, report) = found::<Processes, counted::__Scenario<Hardware>>(&counted::suite());
    assert_eq!(kind, Some(Kind::Panic), "{report}");
    assert!(
        report.contains("the third end") && report.contains("dropping the structure"),
        "{report}"
    );
}

/// Two counters, of which the second never passes the first: not even for one step, unless it is broken.
struct Pair<M: Memory, const BROKEN: bool> {
    first: M::AtomicU32,
    second: M::AtomicU32,
}

impl<M: Memory, const BROKEN: bool> Pair<M, BROKEN> {
    fn new() -> Self {
        Pair {
            first: Atomic::new(0),
            second: Atomic::new(0),
        }
    }
    fn add(&self) {
        let (one, other) = match BROKEN {
            true => (&self.second, &self.first),
            false => (&self.first, &self.second),
        };
        one.fetch_add(1, Ordering::AcqRel);
        other.fetch_add(1, Ordering::AcqRel);
    }
    fn holds(&self) {
        let (first, second) = (&self.first, &self.second);
        let (second, first) = (
            second.load(Ordering::Acquire),
            first.load(Ordering::Acquire),
        );
        assert!(second <= first, "{second} are ahead of {first}");
    }
}

macro_rules! pair {
    ($(#[$attribute:meta])* $name:ident: $broken:tt, $($more:tt)*) => {
        forkcheck::scenario! {
            $(#[$attribute])*
            $name: Pair<_, $broken>,
            new: Pair::new(),
            // It cannot hide a broken invariant by catching panics.
            adder: 2 processes, |pair| {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.add()));
            },
            $($more)*
            with: .regressions(None).seed(3),
        }
    };
}
pair!(in_step: false, always: |pair| { pair.holds(); }, finally: |pair| { pair.holds(); },);
pair!(#[ignore = "a test compares it with the one above"] without_always: false,);
pair!(#[ignore = "a test looks at its findings"] ahead: true, always: |pair| { pair.holds(); },);
pair!(#[ignore = "a test looks at its findings"] never: false,
    always: |pair| { assert!(pair.first.load(Ordering::Relaxed) > 0, "it begins with 0"); },);

#[test]
fn an_invariant_that_a_step_breaks_is_found_with_that_step_and_replayed() {
    let suite = ahead::suite();
    for (kind, report) in [
        found::<Stepped, ahead::__Scenario<SteppedMemory>>(&suite),
        found::<Kills, ahead::__Scenario<SteppedMemory>>(&suite),
    ] {
        assert_eq!(kind, Some(Kind::InvariantViolated), "{report}");
        assert!(report.contains("1 are ahead of 0"), "{report}");
        assert!(report.contains("replayed 10 of 10 times"), "{report}");
        // The step is told again below its line of source.
        let rows = report.lines().filter(|row| !row.contains('^'));
        let rows = rows.filter(|row| row.contains("one.update"));
        let rows: Vec<&str> = rows.collect();
        let [row] = rows[..] else { panic!("{report}") };
        let (_, line) = row.split_once("scenarios.rs:").unwrap();
        let line = line.split_whitespace().next().unwrap();
        let headline = format!("after scenarios.rs:{line} in adder");
        assert!(report.contains(&headline), "{headline}: {report}");
    }
    let outcome = suite
        .check::<Stepped, ahead::__Scenario<SteppedMemory>>()
        .unwrap();
    let again = suite.replay(&outcome.found.unwrap().token);
    let (kind, report) = found::<Stepped, ahead::__Scenario<SteppedMemory>>(&again);
    assert_eq!(kind, Some(Kind::InvariantViolated), "{report}");
}

macro_rules! apart {
    ($name:ident: $($more:tt)*) => {
        forkcheck::scenario! {
            #[ignore = "a test looks at it"]
            $name: Pair<_, false>,
            new: Pair::new(),
            one: |pair| {
                pair.first.store(1, Ordering::Relaxed);
                pair.first.store(0, Ordering::Relaxed);
            },
            other: |pair| {
                pair.second.store(1, Ordering::Relaxed);
                pair.second.store(0, Ordering::Relaxed);
            },
            $($more)*
            with: .regressions(None).seed(3),
        }
    };
}
apart!(both_inside: always: |pair| {
    let inside = pair.first.load(Ordering::Relaxed) + pair.second.load(Ordering::Relaxed);
    assert!(inside < 2, "both are inside");
},);
apart!(watched: always: |pair| { assert!(pair.first.load(Ordering::Relaxed) < 2); },);
apart!(unwatched:);

/// No process touches the word of the other, so the order of their steps matters to the invariant
/// alone.
#[test]
fn an_invariant_of_words_that_only_one_process_touches_is_checked_in_each_order() {
    for (kind, report) in [
        found::<Stepped, both_inside::__Scenario<SteppedMemory>>(&both_inside::suite()),
        found::<Kills, both_inside::__Scenario<SteppedMemory>>(&both_inside::suite()),
    ] {
        assert_eq!(kind, Some(Kind::InvariantViolated), "{report}");
        let place = format!("panicked at {}:", file!());
        assert!(report.contains(&place), "{report}");
        assert!(!report.contains("printed, last"), "{report}");
    }
    // Each order within the bounds, and not only those that chance adds.
    let more = watched::suite().check::<Stepped, watched::__Scenario<_>>();
    let fewer = unwatched::suite().check::<Stepped, unwatched::__Scenario<_>>();
    let (more, fewer) = (more.unwrap().covered, fewer.unwrap().covered);
    assert_eq!((more.exhausted, fewer.exhausted), (1, 1));
    assert!(more.executions > 2 * fewer.executions, "{more:?} {fewer:?}");
}

#[test]
fn an_invariant_that_does_not_hold_at_first_is_found_before_any_step() {
    let (kind, report) = found::<Stepped, never::__Scenario<SteppedMemory>>(&never::suite());
    assert_eq!(kind, Some(Kind::InvariantViolated), "{report}");
    let headline = "before the first step of adder";
    assert!(report.contains(headline), "{report}");
}

#[test]
fn an_invariant_takes_no_steps_and_where_it_is_not_checked_a_report_says_so() {
    let outcome = in_step::suite()
        .check::<Stepped, in_step::__Scenario<_>>()
        .unwrap();
    let without = without_always::suite()
        .check::<Stepped, without_always::__Scenario<_>>()
        .unwrap();
    assert_eq!(outcome.verdict, forkcheck::check::Verdict::Ok);
    assert_eq!(outcome.covered.executions, without.covered.executions);
    let is_told = |report: String| {
        let words: Vec<&str> = report.split_whitespace().collect();
        words.join(" ").contains("the invariant between steps")
    };
    let report = in_step::suite().report(&outcome);
    assert!(!is_told(report));
    // The broken twin passes here.
    let outcome = ahead::suite()
        .check::<Processes, ahead::__Scenario<Hardware>>()
        .unwrap();
    assert_eq!(outcome.verdict, forkcheck::check::Verdict::Ok);
    let report = ahead::suite().report(&outcome);
    assert!(is_told(report));
    let outcome = without_always::suite()
        .check::<Processes, without_always::__Scenario<Hardware>>()
        .unwrap();
    let report = without_always::suite().report(&outcome);
    assert!(!is_told(report));
}

mod cells {
    //! A structure in a module of its own, with more parameters than its memory.
    use super::*;
    use std::marker::PhantomData;

    /// Cells that processes take in turn, and the number of those that are taken.
    pub(super) struct Cells<M: Memory, T, const N: usize> {
        taken: M::AtomicU64,
        owners: [M::AtomicU64; N],
        of: PhantomData<T>,
    }

    impl<M: Memory, T, const N: usize> Cells<M, T, N> {
        pub(super) fn new() -> Self {
            Cells {
                taken: Atomic::new(0),
                owners: std::array::from_fn(|_| Atomic::new(0)),
                of: PhantomData,
            }
        }
        /// Takes the next cell, if there is one, and returns the number of its owners before.
        pub(super) fn take(&self) -> Option<u64> {
            let cell = self.taken.fetch_add(1, Ordering::AcqRel) as usize;
            let owners = self.owners.get(cell)?;
            Some(owners.fetch_add(1, Ordering::AcqRel))
        }
    }

    forkcheck::scenario! {
        here: self::Cells<_, u8, 1>,
        new: Cells::new(),
        taker: 2 processes, |cells| { assert_ne!(cells.take(), Some(1)); },
        with: .regressions(None).executions(500),
    }

    forkcheck::scenario! {
        upwards: super::cells::Cells<_, u8, ONE>,
        new: Cells::new(),
        taker: 2 processes, |cells| { assert_ne!(cells.take(), Some(1)); },
        with: .regressions(None).executions(500),
    }
}

const ONE: usize = 1;

forkcheck::scenario! {
    by_path: crate::cells::Cells<_, u64, {ONE + 1}>,
    new: cells::Cells::new(),
    taker: 3 processes, |cells| { assert_ne!(cells.take(), Some(1), "a cell has two owners"); },
    finally: |cells| { assert_eq!(cells.take(), None, "a process took no cell"); },
    with: .regressions(None).executions(500).without("kills", "a process that is killed takes no cell"),
}

#[test]
fn a_structure_by_its_path_with_more_parameters_has_as_many_cells_as_its_constant_says() {
    passes::<Stepped, by_path::__Scenario<_>>(&by_path::suite());
    // A process that is killed before its first step leaves a cell.
    let (kind, report) = found::<Kills, by_path::__Scenario<_>>(&by_path::suite());
    assert_eq!(kind, Some(Kind::Panic), "{report}");
    assert!(report.contains("a process took no cell"), "{report}");
}

#[test]
fn in_a_program_without_marks_no_label_is_excused() {
    let suite = by_path::suite().unreached("full", "there are cells for all");
    let error = suite.check::<Stepped, by_path::__Scenario<_>>();
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("the label \"full\"; leave the call out: it has no marks"),
        "{text}"
    );
}

/// A number over std's atomics that processes add to.
struct Unmodified<const ATOMIC: bool>(std::sync::atomic::AtomicU64);

impl<const ATOMIC: bool> Unmodified<ATOMIC> {
    fn new() -> Self {
        Unmodified(std::sync::atomic::AtomicU64::new(0))
    }
    fn add(&self) {
        if ATOMIC {
            self.0.fetch_add(1, Ordering::Relaxed);
        } else {
            let found = self.0.load(Ordering::Relaxed);
            self.0.store(found + 1, Ordering::Relaxed);
        }
    }
}

forkcheck::scenario! {
    #[should_panic(expected = "an addition was lost")]
    unmodified_loses: Unmodified<false>,
    new: Unmodified::new(),
    adder: 2 processes, |sum| { for _ in 0..3 { sum.add(); } },
    finally: |sum| { assert_eq!(sum.0.load(Ordering::Relaxed), 6, "an addition was lost"); },
    with: .regressions(None).seed(3).executions(500_000), // it is found by chance
}

forkcheck::scenario! {
    unmodified_keeps: crate::Unmodified<true>,
    new: Unmodified::new(),
    adder: 2 processes, |sum| { for _ in 0..3 { sum.add(); } },
    finally: |sum| { assert_eq!(sum.0.load(Ordering::Relaxed), 6, "an addition was lost"); },
    with: .regressions(None).seed(3).without("kills", "what a killed process did not add is missing"),
}

#[test]
fn a_structure_over_atomics_of_std_is_checked_as_it_is() {
    let (kind, report) =
        found::<Processes, unmodified_loses::__Scenario>(&unmodified_loses::suite());
    assert_eq!(kind, Some(Kind::Panic), "{report}");
    assert!(report.contains("an addition was lost"), "{report}");
    passes::<Processes, unmodified_keeps::__Scenario>(&unmodified_keeps::suite());
}
