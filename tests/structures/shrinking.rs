//! A random finding shrinks to the context switches and kills that it needs.

use forkcheck::case::Schedule;
use forkcheck::engine::{Kills, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::structure::Role;

/// Two processes throw a ball, and must not throw it this often. That takes more switches than any
/// enumerated bound has.
const THROWS: u32 = 6;
/// The looks of one operation.
const LOOKS: u32 = 9;

struct Ball<M: Memory> {
    throws: M::AtomicU32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kept;

impl Spec for Kept {
    type Setup = ();
    type Op = ();
    /// Whether the ball was thrown too often.
    type Ret = bool;
    fn start(_: &()) -> Self {
        Self
    }
    fn step(&mut self, _: usize, _: &()) -> bool {
        false
    }
}

impl<M: Memory> WithHandles for Ball<M> {
    type Memory = M;
    type Spec = Kept;
    type Handle<'a> = (&'a Self, u32);
    fn new(_: &()) -> Self {
        Self {
            throws: Atomic::new(0),
        }
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> (&'a Self, u32) {
        (self, role.process as u32)
    }
    fn apply((ball, me): &mut (&Self, u32), _: &()) -> bool {
        let mut throws = 0;
        for _ in 0..LOOKS {
            throws = ball.throws.load(Ordering::Acquire);
            if throws % 2 == *me {
                throws += 1;
                ball.throws.store(throws, Ordering::Release);
            }
        }
        throws >= THROWS
    }
}

#[test]
fn a_schedule_found_by_chance_has_no_turn_that_it_does_not_need() {
    let outcome = Suite::<Kept>::new(forkcheck::site!(), "ball")
        .role("left", 1, 1..=2, Just(()))
        .role("right", 1, 1..=2, Just(()))
        .regressions(None)
        .check::<Stepped, Ball<SteppedMemory>>()
        .unwrap();
    let found = outcome.found.unwrap();
    let Schedule::Turns(turns) = &found.run.case.schedule else {
        panic!("it has no schedule");
    };
    // Each throw ends a turn, and so does the look after the last one.
    assert!(turns.len() <= THROWS as usize + 1, "{turns:?}");
    assert_eq!(found.run.case.operations(), 2);
    println!("{} turns", turns.len());
}

/// A structure that fails if a process died, whenever and however often.
struct Mortal<M: Memory>(M::AtomicU32);

impl<M: Memory> WithHandles for Mortal<M> {
    type Memory = M;
    type Spec = Kept;
    type Handle<'a> = (&'a Self, u32);
    fn new(_: &()) -> Self {
        Self(Atomic::new(0))
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> (&'a Self, u32) {
        (self, role.incarnation)
    }
    fn apply((mortal, incarnation): &mut (&Self, u32), _: &()) -> bool {
        // Too many steps for all of them to be enumerated.
        (0..200).for_each(|_| _ = mortal.0.fetch_add(1, Ordering::Relaxed));
        *incarnation > 0
    }
}

#[test]
fn a_kill_that_is_not_needed_is_left_out() {
    let outcome = Suite::<Kept>::new(forkcheck::site!(), "mortal")
        .role("left", 1, 2..=2, Just(()))
        .role("right", 1, 2..=2, Just(()))
        .regressions(None)
        .check::<Kills, Mortal<SteppedMemory>>()
        .unwrap();
    let found = outcome.found.unwrap();
    assert_eq!(found.run.case.kills.len(), 1, "{:?}", found.run.case.kills);
}
