//! A panic of the user's spec is reported as such, with its message and line, on every engine; and
//! `step` need not handle cases that `accept` decides.

use super::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Kills, Processes, Stepped};
use forkcheck::prelude::*;

/// The method of a spec that panics.
const NOWHERE: u8 = 0;
const IN_ALLOWS: u8 = 1;
const IN_START: u8 = 2;
const IN_MAY_BLOCK: u8 = 3;
const IN_KEY: u8 = 4;

/// The numbers of arrivals and departures of each process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rounds<const PANICS: u8> {
    arrived: [u32; 2],
    left: [u32; 2],
}

impl<const PANICS: u8> Spec for Rounds<PANICS> {
    type Setup = ();
    type Op = ();
    type Ret = ();
    fn start(_: &()) -> Self {
        assert!(PANICS != IN_START, "there is no first state");
        Self {
            arrived: [0; 2],
            left: [0; 2],
        }
    }
    fn step(&mut self, _: usize, _: &()) {
        unreachable!("allows says it")
    }
    fn accept(&mut self, process: usize, _: &(), _: &()) -> bool {
        assert!(PANICS != IN_ALLOWS, "no rule for this");
        if self.arrived[process] == self.left[process] {
            self.arrived[process] += 1;
            return true;
        }
        self.left[process] += 1;
        self.arrived[1 - process] >= self.left[process]
    }
    fn blocks(&self, process: usize, _: &()) -> bool {
        assert!(PANICS != IN_MAY_BLOCK, "nothing waits here");
        self.arrived[process] > self.left[process]
            && self.arrived[1 - process] < self.arrived[process]
    }
    fn key(_: &()) -> u64 {
        assert!(PANICS != IN_KEY, "no key");
        0
    }
}

struct Barrier<M: Memory, const FIXED: bool, const PANICS: u8> {
    count: M::AtomicU32,
}

struct Handle<'a, M: Memory, const FIXED: bool> {
    count: &'a M::AtomicU32,
    arrived: bool,
    round: u32,
}

impl<M: Memory, const FIXED: bool, const PANICS: u8> WithHandles for Barrier<M, FIXED, PANICS> {
    type Memory = M;
    type Spec = Rounds<PANICS>;
    type Handle<'a> = Handle<'a, M, FIXED>;
    fn new(_: &()) -> Self {
        Self {
            count: Atomic::new(0),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Handle<'a, M, FIXED> {
        Handle {
            count: &self.count,
            arrived: false,
            round: 0,
        }
    }
    fn apply(handle: &mut Handle<'_, M, FIXED>, _: &()) {
        if FIXED {
            // It only counts up: round n is over at 2 n.
            if handle.arrived {
                handle.round += 1;
                while handle.count.load(Ordering::Acquire) < 2 * handle.round {
                    M::spin_loop();
                }
            } else {
                handle.count.fetch_add(1, Ordering::AcqRel);
            }
        } else if handle.arrived {
            if handle.count.load(Ordering::Acquire) == 2 {
                handle.count.store(0, Ordering::Release);
            } else {
                while handle.count.load(Ordering::Acquire) != 0 {
                    M::spin_loop();
                }
            }
        } else {
            handle.count.fetch_add(1, Ordering::AcqRel);
        }
        handle.arrived = !handle.arrived;
    }
}

fn barrier<const PANICS: u8>() -> Suite<Rounds<PANICS>> {
    suite("spec_panics")
        .cases(1)
        .role("worker", 2, 2..=2, Just(()))
}

#[test]
fn step_is_not_asked_where_allows_decides() {
    passes::<Processes, Barrier<_, true, NOWHERE>>(&barrier());
    passes::<Stepped, Barrier<_, true, NOWHERE>>(&barrier());
    #[cfg(feature = "loom")]
    passes::<forkcheck::engine::loom::Loom, Barrier<_, true, NOWHERE>>(&barrier());
}

#[test]
fn a_barrier_that_loses_a_round_is_found_and_no_expected_value_is_reported() {
    let suite = suite("spec_panics").role("worker", 2, 4..=4, Just(()));
    let outcome = suite
        .check::<Stepped, Barrier<_, false, NOWHERE>>()
        .unwrap();
    let report = suite.report(&outcome);
    let forkcheck::check::Verdict::Finding(finding) = &outcome.verdict else {
        panic!("{report}")
    };
    assert_ne!(finding.kind, Kind::SpecPanic, "{report}");
    assert!(!report.contains("the spec panicked"), "{report}");
}

/// Asserts that an engine reports the panic, with the line and the message.
#[track_caller]
fn told<E: forkcheck::engine::Engine, const PANICS: u8>(message: &str)
where
    Barrier<E::Memory, true, PANICS>: WithHandles<Memory = E::Memory, Spec = Rounds<PANICS>>,
{
    let (outcome, report) =
        caught::<E, Barrier<E::Memory, true, PANICS>>(&barrier(), Kind::SpecPanic);
    let forkcheck::check::Verdict::Finding(finding) = outcome.verdict else {
        unreachable!("it was just one")
    };
    let place = format!("the spec panicked at {}:", file!());
    assert!(finding.detail.starts_with(&place), "{report}");
    assert!(finding.detail.ends_with(message), "{report}");
    assert!(report.starts_with("PANIC IN THE SPEC  "), "{report}");
}

#[test]
fn a_panic_of_the_spec_is_reported_by_processes() {
    told::<Processes, IN_ALLOWS>(": no rule for this");
}

#[test]
fn a_panic_of_the_spec_is_reported_by_stepped_wherever_it_is() {
    told::<Stepped, IN_ALLOWS>(": no rule for this");
    told::<Stepped, IN_START>(": there is no first state");
    told::<Stepped, IN_MAY_BLOCK>(": nothing waits here");
    told::<Stepped, IN_KEY>(": no key");
}

#[test]
fn a_panic_of_the_spec_is_reported_by_kills() {
    told::<Kills, IN_ALLOWS>(": no rule for this");
}

#[cfg(feature = "loom")]
#[test]
fn a_panic_of_the_spec_is_reported_by_loom() {
    told::<forkcheck::engine::loom::Loom, IN_ALLOWS>(": no rule for this");
}
