//! A structure whose accesses an engine cannot see is never `ok` there.

use super::{passes, suite, unknown};
use forkcheck::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::subject::{Register, RegisterOp, RegisterRet};
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;

/// The `M::` was forgotten.
struct Forgotten<M>(AtomicU64, PhantomData<fn() -> M>);

impl<M: Memory> Subject<M> for Forgotten<M> {
    type Spec = Register<u64>;
    type Seat<'a> = &'a Self;
    fn new(first: &u64) -> Self {
        Forgotten(AtomicU64::new(*first), PhantomData)
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(word: &mut &Self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                word.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(word.0.load(Ordering::Acquire)),
        }
    }
}

/// It was forgotten for one word of two.
struct Half<M: Memory>(Forgotten<M>, M::AtomicU64);

impl<M: Memory> Subject<M> for Half<M> {
    type Spec = Register<u64>;
    type Seat<'a> = &'a Self;
    fn new(first: &u64) -> Self {
        Half(Subject::<M>::new(first), Atomic::new(0))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(half: &mut &Self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        half.1.fetch_add(1, Ordering::Relaxed);
        <Forgotten<M> as Subject<M>>::apply(&mut &half.0, op)
    }
}

fn register() -> Suite<Register<u64>> {
    suite("register")
        .setup(Just(0))
        .role("writer", 1, 1..=2, (1u64..9).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
        .executions(500)
}

fn is_unknown<E: Engine<Memory = SteppedMemory>>() {
    let words = unknown::<E, Forgotten<_>>(&register());
    assert!(
        words.contains("no operation touched `Memory`") && words.contains("std::sync::atomic"),
        "{words}"
    );
    let words = unknown::<E, Half<_>>(&register());
    assert!(words.contains("without an access to `Memory`"), "{words}");
    let allowed = register().allow_unscheduled("one word is a statistic");
    passes::<E, Half<_>>(&allowed);
    // That lets a structure have such words besides; it is no word for one without any other.
    unknown::<E, Forgotten<_>>(&allowed);
}

#[test]
fn what_no_step_touches_is_unknown() {
    is_unknown::<Stepped>();
    is_unknown::<Kills>();
}

#[test]
fn processes_need_no_steps() {
    passes::<Processes, Forgotten<_>>(&register());
}
