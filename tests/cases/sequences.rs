//! Roles whose processes do sequences that are drawn as a whole.

use crate::{caught, passes, suite};
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Lock, LockOp, LockRet};

/// A spin lock. The broken twin takes it in two steps: a load and a store.
struct SpinLock<M: Memory, const FIXED: bool> {
    locked: M::AtomicU32,
}
type Right<M> = SpinLock<M, true>;
type Broken<M> = SpinLock<M, false>;

struct Handle<'a, M: Memory, const FIXED: bool> {
    at: &'a SpinLock<M, FIXED>,
    owns: bool,
}

impl<M: Memory, const FIXED: bool> WithHandles for SpinLock<M, FIXED> {
    type Memory = M;
    type Spec = Lock;
    type Handle<'a> = Handle<'a, M, FIXED>;
    fn new(_: &()) -> Self {
        SpinLock {
            locked: Atomic::new(0),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Self::Handle<'a> {
        Handle {
            at: self,
            owns: false,
        }
    }
    fn apply(handle: &mut Handle<'_, M, FIXED>, op: &LockOp) -> LockRet {
        let locked = &handle.at.locked;
        match op {
            LockOp::Lock => {
                // The broken twin loads first and stores then.
                if FIXED {
                    while locked.swap(1, Ordering::Acquire) == 1 {
                        M::spin_loop();
                    }
                } else {
                    while locked.load(Ordering::Acquire) == 1 {
                        M::spin_loop();
                    }
                    locked.store(1, Ordering::Relaxed);
                }
                handle.owns = true;
                LockRet::Acquired
            }
            LockOp::TryLock => {
                handle.owns |= locked.swap(1, Ordering::Acquire) == 0;
                match handle.owns {
                    true => LockRet::Acquired,
                    false => LockRet::Refused,
                }
            }
            LockOp::Unlock if !handle.owns => LockRet::Refused,
            LockOp::Unlock => {
                handle.owns = false;
                locked.store(0, Ordering::Release);
                LockRet::Released
            }
        }
    }
}

fn rounds() -> impl Strategy<Value = Vec<LockOp>> {
    let rounds = forkcheck::proptest::collection::vec(Just([LockOp::Lock, LockOp::Unlock]), 1..=2);
    rounds.prop_map(|rounds| rounds.concat())
}

fn owners() -> Suite<Lock> {
    suite("lock").sequence("owner", 2, rounds()).executions(300)
}

forkcheck::suite! {
    one_and_more: Right<_>,
    first: ops in rounds(),
    others: 1 processes, ops in rounds(),
    with: .cases(1).executions(100).seed(7).regressions(None).without("kills", "an owner that is killed takes the lock along"),
}

#[test]
fn a_failing_case_stays_one_of_whole_sequences() {
    let (outcome, report) =
        caught::<Stepped, Broken<SteppedMemory>>(&owners(), Kind::NotLinearizable);
    let program = outcome.found.unwrap().run.case.program;
    let round = vec![LockOp::Lock, LockOp::Unlock];
    assert_eq!(program, [round.clone(), round], "{report}");
    passes::<Stepped, Right<SteppedMemory>>(&owners().cases(1));
    passes::<Processes, Right<Hardware>>(&owners().cases(1).executions(100));
}

#[cfg(feature = "loom")]
#[test]
fn a_sequence_that_loom_cut_does_not_stand_still_for_what_was_cut() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    // Of three processes loom does one operation each of two: they keep the lock.
    let three = suite("lock").sequence("owner", 3, rounds()).cases(1);
    let outcome = three.check::<Loom, Right<LoomMemory>>().unwrap();
    let Verdict::Unknown(why) = &outcome.verdict else {
        panic!("{}", three.report(&outcome));
    };
    assert!(
        why.contains("may have lost operations of its sequence"),
        "{why}"
    );
    // One round of two processes is not cut, and counts.
    let two = suite("lock")
        .sequence("owner", 2, Just(vec![LockOp::Lock, LockOp::Unlock]))
        .cases(1);
    passes::<Loom, Right<LoomMemory>>(&two);
}

#[test]
fn sequences_without_an_operation_are_an_error() {
    let none = suite::<Lock>("lock").sequence("owner", 1, Just(Vec::new()));
    let error = none.check::<Stepped, Right<SteppedMemory>>().unwrap_err();
    assert!(
        error.to_string().contains("no case could be drawn"),
        "{error}"
    );
}
