//! A lock whose word names its owner. Where the owner is dead, another process takes the lock over, as it does with a robust
//! mutex of POSIX threads.

use crate::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Kills, Stepped, SteppedMemory};
use forkcheck::memory::Incarnation;
use forkcheck::prelude::*;
use forkcheck::spec::{Lock, LockOp, LockRet};

const RIGHT: u8 = 0;
/// Does not ask whether the owner is alive.
const NOT_ROBUST: u8 = 1;
/// Takes the lock of a dead owner by a store.
const TAKES_BY_STORE: u8 = 2;
/// Releases the lock of another process as well.
const RELEASES_ANY: u8 = 3;
/// Releases the lock by a relaxed store, which does not order the accesses to the data.
const RELAXED: u8 = 4;

/// The owner of a free lock.
const FREE: u64 = 0;

/// Two operations of a process that takes the lock, or tries to, and then releases it.
const ROUND: [LockOp; 2] = [LockOp::Lock, LockOp::Unlock];
const TRY: [LockOp; 2] = [LockOp::TryLock, LockOp::Unlock];

/// A lock, and the data that it protects. An owner accesses the data as it takes the lock and as it releases it: it may be killed
/// between the exchange in `take` and the return, once another process has found the lock held.
struct OwnedLock<M: Memory, const TWIN: u8> {
    owner: M::AtomicU64,
    data: M::Cell<()>,
}

type Right<M> = OwnedLock<M, RIGHT>;
type NotRobust<M> = OwnedLock<M, NOT_ROBUST>;
type TakesByStore<M> = OwnedLock<M, TAKES_BY_STORE>;
type ReleasesAny<M> = OwnedLock<M, RELEASES_ANY>;

impl<M: Memory, const TWIN: u8> OwnedLock<M, TWIN> {
    /// Takes the lock if it is free or its owner is dead.
    fn take(&self) -> bool {
        let me = M::me().to_bits();
        let owner = self.owner.load(Ordering::Relaxed);
        let owned = owner != FREE;
        if owned && (TWIN == NOT_ROBUST || M::alive(Incarnation::from_bits(owner))) {
            return false;
        }
        if owned && TWIN == TAKES_BY_STORE {
            self.owner.store(me, Ordering::Relaxed);
            return true;
        }
        // Acquire: pairs with the Release in `release`. The accesses to the data before it are seen.
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        let taken = self.owner.compare_exchange(owner, me, success, failure);
        if taken.is_ok() {
            self.data.with_mut(|_| ());
        }
        taken.is_ok()
    }

    fn release(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        if owner != M::me().to_bits() && TWIN != RELEASES_ANY {
            return false;
        }
        self.data.with_mut(|_| ());
        let order = match TWIN {
            RELAXED => Ordering::Relaxed,
            // Release: pairs with the Acquire in `take`.
            _ => Ordering::Release,
        };
        self.owner.store(FREE, order);
        true
    }
}

impl<M: Memory, const TWIN: u8> Structure for OwnedLock<M, TWIN> {
    type Memory = M;
    type Spec = Lock;
    fn new(_: &()) -> Self {
        OwnedLock {
            owner: Atomic::new(FREE),
            data: MemoryCell::new(()),
        }
    }
    fn apply(&self, op: &LockOp) -> LockRet {
        match op {
            LockOp::Lock => {
                while !self.take() {
                    M::spin_loop();
                }
            }
            LockOp::TryLock if !self.take() => return LockRet::Refused,
            LockOp::TryLock => {}
            LockOp::Unlock if self.release() => return LockRet::Released,
            LockOp::Unlock => return LockRet::Refused,
        }
        LockRet::Acquired
    }
}

/// Returns one or two rounds of a process, which does not end as the owner.
fn rounds() -> impl Strategy<Value = Vec<LockOp>> {
    let round = prop_oneof![Just(ROUND), Just(TRY)];
    forkcheck::proptest::collection::vec(round, 1..=2).prop_map(|rounds| rounds.concat())
}

forkcheck::suite! {
    lock: Right<_>,
    owner: 2 processes, ops in rounds(),
    with: .cases(2).executions(100).seed(7).regressions(None),
}

/// Returns a suite of two processes that do these operations.
fn pair(owner: &[LockOp], rival: &[LockOp]) -> Suite<Lock> {
    suite("lock")
        .cases(1)
        .executions(200)
        .sequence("owner", 1, Just(owner.to_vec()))
        .sequence("rival", 1, Just(rival.to_vec()))
}

/// Returns a suite in which a kill of the owner is seen to have freed the lock. The spec lets the lock of a dead owner be free,
/// or not; the second unlock is refused, and so it is free.
fn freed_by_a_kill() -> Suite<Lock> {
    let owner = [LockOp::Lock, LockOp::Unlock, LockOp::Unlock];
    pair(&owner, &ROUND)
}

#[test]
fn a_lock_that_a_killed_owner_takes_along_is_found_by_kills_alone() {
    let suite = freed_by_a_kill();
    passes::<Stepped, NotRobust<SteppedMemory>>(&suite.clone().executions(100));
    let report = caught::<Kills, NotRobust<SteppedMemory>>(&suite, Kind::NotCrashTolerant);
    assert!(report.contains("threads alone do not show it"), "{report}");
}

#[test]
fn the_lock_of_a_killed_owner_is_taken_over() {
    passes::<Kills, Right<SteppedMemory>>(&freed_by_a_kill());
}

#[test]
fn two_successors_of_one_dead_owner_are_found_by_kills_alone() {
    let pair = pair(&[TRY, TRY].concat(), &TRY).executions(600);
    passes::<Stepped, TakesByStore<SteppedMemory>>(&pair);
    let report = caught::<Kills, TakesByStore<SteppedMemory>>(&pair, Kind::NotLinearizable);
    assert!(report.contains("threads alone do not show it"), "{report}");
}

#[test]
fn a_lock_that_another_process_releases_is_found() {
    caught::<Stepped, ReleasesAny<SteppedMemory>>(&pair(&ROUND, &TRY), Kind::NotLinearizable);
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_data_that_a_release_does_not_order() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    type Relaxed<M> = OwnedLock<M, RELAXED>;
    caught::<Loom, Relaxed<LoomMemory>>(&pair(&ROUND, &ROUND), Kind::DataRace);
}
