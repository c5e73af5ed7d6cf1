//! A process that never gets through `attach`, or through the drop of its handle, is a finding on
//! every engine; so is one that waits there because of a killed process.

use super::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Kills, Processes, Stepped, SteppedMemory};
use forkcheck::memory::Incarnation;
use forkcheck::prelude::*;
use forkcheck::spec::{Assertions, Run};
use forkcheck::suite::run;
use std::time::Duration;

/// A structure on which attaching waits for a word that only the other process's attaching sets, or
/// no process at all.
struct Entrance<M: Memory, const SET: bool> {
    ready: M::AtomicU32,
}

impl<M: Memory, const SET: bool> WithHandles for Entrance<M, SET> {
    type Memory = M;
    type Spec = Assertions;
    type Handle<'a> = &'a Self;
    fn new(_: &()) -> Self {
        let ready = Atomic::new(0);
        Entrance { ready }
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> &'a Self {
        if SET && role.process == 1 {
            self.ready.store(1, Ordering::Release);
        }
        while self.ready.load(Ordering::Acquire) == 0 {
            M::spin_loop();
        }
        self
    }
    fn apply(entrance: &mut &Self, _: &Run) {
        entrance.ready.load(Ordering::Relaxed);
    }
}

/// A structure on which dropping a handle waits for a word that an operation sets, or no process at
/// all.
struct Exit<M: Memory, const SET: bool> {
    ready: M::AtomicU32,
}

struct Handle<'a, M: Memory, const SET: bool>(&'a Exit<M, SET>);

impl<M: Memory, const SET: bool> Drop for Handle<'_, M, SET> {
    fn drop(&mut self) {
        while self.0.ready.load(Ordering::Acquire) == 0 {
            M::spin_loop();
        }
    }
}

impl<M: Memory, const SET: bool> WithHandles for Exit<M, SET> {
    type Memory = M;
    type Spec = Assertions;
    type Handle<'a> = Handle<'a, M, SET>;
    fn new(_: &()) -> Self {
        let ready = Atomic::new(0);
        Exit { ready }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Handle<'a, M, SET> {
        Handle(self)
    }
    fn apply(handle: &mut Handle<'_, M, SET>, _: &Run) {
        handle.0.ready.store(u32::from(SET), Ordering::Release);
    }
}

fn workers(name: &str) -> Suite<Assertions> {
    suite(name)
        .role("worker", 2, 1..=2, run("worker"))
        .executions(1_000)
}

fn is_found<
    T: WithHandles<Memory = SteppedMemory, Spec = Assertions>,
    H: WithHandles<Memory = Hardware, Spec = Assertions>,
>(
    name: &str,
    place: &str,
) {
    let suite = workers(name);
    for report in [
        caught::<Stepped, T>(&suite, Kind::Livelock).1,
        caught::<Kills, T>(&suite, Kind::Livelock).1,
    ] {
        assert!(
            report.contains(&format!("never gets through {place}, where ready is 0")),
            "{report}"
        );
    }
    // Here a watchdog notices it, and shrinking would wait for the watchdog many times.
    let alone = super::suite(name)
        .role("worker", 1, 1..=1, run("worker"))
        .watchdog(Duration::from_millis(100));
    let (_, report) = caught::<Processes, H>(&alone, Kind::Endless);
    assert!(report.contains(place.trim_matches('`')), "{report}");
}

#[test]
fn attaching_without_end_is_found() {
    is_found::<Entrance<_, false>, Entrance<_, false>>("entrance", "`attach`");
}

#[test]
fn a_drop_without_end_is_found() {
    is_found::<Exit<_, false>, Exit<_, false>>("exit", "the drop of its handle");
}

#[test]
fn attaching_and_dropping_that_wait_for_another_process_are_right() {
    let entrance = workers("waits_to_enter");
    passes::<Stepped, Entrance<_, true>>(&entrance);
    passes::<Processes, Entrance<_, true>>(&entrance);
    let exit = workers("waits_to_leave");
    passes::<Stepped, Exit<_, true>>(&exit);
    passes::<Processes, Exit<_, true>>(&exit);
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Opened;

impl Spec for Opened {
    type Setup = ();
    type Op = ();
    type Ret = [u64; 2];
    fn start(_: &()) -> Self {
        Opened
    }
    fn step(&mut self, _: usize, _: &()) -> [u64; 2] {
        [7, 8]
    }
}

const READY: u64 = u64::MAX;

/// A segment that processes open or create. `state` is 0, `READY`, or names the process that
/// creates; broken: 1.
struct Segment<M: Memory, const FIXED: bool, const IN_ATTACH: bool> {
    state: M::AtomicU64,
    a: M::AtomicU64,
    b: M::AtomicU64,
}

impl<M: Memory, const FIXED: bool, const IN_ATTACH: bool> Segment<M, FIXED, IN_ATTACH> {
    fn open(&self) {
        let me = if FIXED { M::me().to_bits() } else { 1 };
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state == READY {
                return;
            }
            let free = state == 0 || FIXED && !M::alive(Incarnation::from_bits(state));
            if free
                && self
                    .state
                    .compare_exchange(state, me, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
                self.a.store(7, Ordering::Relaxed);
                self.b.store(8, Ordering::Relaxed);
                self.state.store(READY, Ordering::Release);
                return;
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory, const FIXED: bool, const IN_ATTACH: bool> WithHandles
    for Segment<M, FIXED, IN_ATTACH>
{
    type Memory = M;
    type Spec = Opened;
    type Handle<'a> = &'a Self;
    fn new(_: &()) -> Self {
        Segment {
            state: Atomic::new(0),
            a: Atomic::new(0),
            b: Atomic::new(0),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        if IN_ATTACH {
            self.open();
        }
        self
    }
    fn apply(segment: &mut &Self, _: &()) -> [u64; 2] {
        if !IN_ATTACH {
            segment.open();
        }
        [
            segment.a.load(Ordering::Relaxed),
            segment.b.load(Ordering::Relaxed),
        ]
    }
}

fn programs(name: &str) -> Suite<Opened> {
    suite(name)
        .role("program", 2, 1..=2, Just(()))
        .executions(1_000)
}

#[test]
fn a_creator_that_is_killed_half_way_leaves_others_waiting_in_calls_and_in_attach() {
    let suite = programs("two_creators");
    caught::<Kills, Segment<_, false, false>>(&suite, Kind::NotCrashTolerant);
    let (_, report) = caught::<Kills, Segment<_, false, true>>(&suite, Kind::NotCrashTolerant);
    assert!(report.contains("never gets through `attach`"), "{report}");
    passes::<Stepped, Segment<_, false, false>>(&suite);
    passes::<Stepped, Segment<_, false, true>>(&suite);
}

#[test]
fn creators_that_others_take_over_from_pass() {
    let suite = programs("creators_taken_over_from");
    for report in [
        passes::<Kills, Segment<_, true, false>>(&suite).1,
        passes::<Kills, Segment<_, true, true>>(&suite).1,
    ] {
        assert!(report.contains("killed at"), "{report}");
    }
    passes::<Stepped, Segment<_, true, true>>(&suite);
    passes::<Processes, Segment<_, true, true>>(&suite);
}
