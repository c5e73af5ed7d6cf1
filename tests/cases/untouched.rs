//! A structure whose accesses an engine cannot see is never `ok` there.

use super::{caught, passes, suite, unknown};
use forkcheck::check::Kind;
use forkcheck::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;

/// A structure without the `M::`.
struct Forgotten<M>(AtomicU64, PhantomData<fn() -> M>);

impl<M: Memory> Structure for Forgotten<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Forgotten(AtomicU64::new(*first), PhantomData)
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::Acquire)),
        }
    }
}

/// A structure without the `M::` for one of two words.
struct Half<M: Memory>(Forgotten<M>, M::AtomicU64);

impl<M: Memory> Structure for Half<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Half(WithHandles::new(first), Atomic::new(0))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        self.1.fetch_add(1, Ordering::Relaxed);
        <Forgotten<M> as WithHandles>::apply(&mut &self.0, op)
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
    // That setting allows such words besides others; it does not help a structure that has no
    // others.
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

/// Two words that hold one value. Broken: a reader reports a difference while a writer is between
/// the two.
struct Pair<M: Memory, const MENDED: bool>([M::AtomicU64; 2]);

impl<M: Memory, const MENDED: bool> Structure for Pair<M, MENDED> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Pair([Atomic::new(*first), Atomic::new(*first)])
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let [first, second] = &self.0;
        match op {
            RegisterOp::Write(value) => {
                first.store(*value, Ordering::Release);
                second.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let differ = first.load(Ordering::Acquire) != second.load(Ordering::Acquire);
                let value = second.load(Ordering::Acquire);
                RegisterRet::Value(if differ && !MENDED { 77 } else { value })
            }
        }
    }
}

#[test]
fn a_token_that_mended_code_applies_in_full_passes() {
    let wrong = Kind::NotLinearizable;
    let (outcome, _) = caught::<Stepped, Pair<_, false>>(&register(), wrong);
    let suite = register().replay(&outcome.found.expect("a finding is told").token);
    caught::<Stepped, Pair<_, false>>(&suite, wrong);
    let (_, report) = passes::<Stepped, Pair<_, true>>(&suite);
    assert!(!report.contains("stale"), "{report}");
    // The words of `std::sync::atomic` have no steps that a token could name.
    unknown::<Stepped, Forgotten<_>>(&suite);
}

/// A structure whose word is accessed as a process attaches, and by writers.
struct Attached<M: Memory, const READS: bool>(M::AtomicU64);

impl<M: Memory, const READS: bool> WithHandles for Attached<M, READS> {
    type Memory = M;
    type Spec = Register<u64>;
    type Handle<'a> = (&'a Self, u64);
    fn new(first: &u64) -> Self {
        Attached(Atomic::new(*first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> (&'a Self, u64) {
        (self, self.0.load(Ordering::Acquire))
    }
    fn apply((word, first): &mut (&Self, u64), op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                word.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read if READS => RegisterRet::Value(word.0.load(Ordering::Acquire)),
            RegisterOp::Read => RegisterRet::Value(*first),
        }
    }
}

#[test]
fn what_only_attach_touches_is_unknown() {
    let readers = suite("readers")
        .setup(Just(0))
        .role("reader", 2, 1..=2, Just(RegisterOp::Read))
        .executions(500);
    let words = unknown::<Stepped, Attached<_, false>>(&readers);
    assert!(words.contains("no operation touched `Memory`"), "{words}");
    passes::<Stepped, Attached<_, true>>(&readers);
}

/// A structure whose writer accesses the word, and whose reader knows its constant value.
struct Constant<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Constant<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(first: &u64) -> Self {
        Constant(Atomic::new(*first))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(0),
        }
    }
}

#[test]
fn kills_of_a_role_that_takes_no_step_are_unknown() {
    let zeros = suite("zeros")
        .setup(Just(0))
        .role("writer", 1, 1..=2, Just(RegisterOp::Write(0)))
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
        .executions(500);
    let words = unknown::<Kills, Constant<_>>(&zeros.clone().kill_only("reader"));
    assert!(words.contains("no kill was tried"), "{words}");
    passes::<Kills, Constant<_>>(&zeros.kill_only("writer"));
}
