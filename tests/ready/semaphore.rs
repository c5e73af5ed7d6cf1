//! A semaphore on a futex, as in glibc's `sem_t`: a word of permits, and a number of waiting
//! processes.

use crate::{caught, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Semaphore, SemaphoreOp, SemaphoreRet};

const RIGHT: u8 = 0;
/// Takes a permit by a load and a store.
const NOT_ATOMIC: u8 = 1;
/// Wakes no process.
const FORGETFUL: u8 = 2;

struct Futex<M: Memory, const TWIN: u8> {
    permits: M::AtomicU32,
    waiting: M::AtomicU32,
}

type Right<M> = Futex<M, RIGHT>;
type NotAtomic<M> = Futex<M, NOT_ATOMIC>;
type Forgetful<M> = Futex<M, FORGETFUL>;

impl<M: Memory, const TWIN: u8> Futex<M, TWIN> {
    fn take(&self) -> bool {
        let permits = &self.permits;
        let mut seen = permits.load(Ordering::Relaxed);
        while seen > 0 {
            if TWIN == NOT_ATOMIC {
                permits.store(seen - 1, Ordering::Relaxed);
                return true;
            }
            // Acquire: pairs with the Release of the process that gave the permit back.
            let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
            match permits.compare_exchange(seen, seen - 1, success, failure) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }
}

impl<M: Memory, const TWIN: u8> Structure for Futex<M, TWIN> {
    type Memory = M;
    type Spec = Semaphore;
    fn new(permits: &u64) -> Self {
        Futex {
            permits: Atomic::new(*permits as u32),
            waiting: Atomic::new(0),
        }
    }
    fn apply(&self, op: &SemaphoreOp) -> SemaphoreRet {
        match op {
            SemaphoreOp::TryAcquire => match self.take() {
                true => SemaphoreRet::Acquired,
                false => SemaphoreRet::Refused,
            },
            SemaphoreOp::Acquire => {
                while !self.take() {
                    self.waiting.fetch_add(1, Ordering::Relaxed);
                    // SeqCst: with the fence of a release. Either this process sees the permit, or
                    // the releasing one sees this process.
                    M::fence(Ordering::SeqCst);
                    M::wait(&self.permits, 0);
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                }
                SemaphoreRet::Acquired
            }
            SemaphoreOp::Release => {
                self.permits.fetch_add(1, Ordering::Release);
                M::fence(Ordering::SeqCst);
                if TWIN != FORGETFUL && self.waiting.load(Ordering::Relaxed) > 0 {
                    M::wake(&self.permits, 1);
                }
                SemaphoreRet::Released
            }
        }
    }
}

forkcheck::suite! {
    semaphore: Right<_>,
    setup: 0u64..=1,
    taker: 2 processes, 1..=2 ops of prop_oneof![Just(SemaphoreOp::Acquire), Just(SemaphoreOp::TryAcquire)],
    giver: 2..=3 ops of Just(SemaphoreOp::Release),
    with: .cases(3).executions(300).regressions(None)
        .watchdog(std::time::Duration::from_millis(300))
        .without("kills", "a giver that is killed before its wake-up leaves a taker asleep"),
}

fn takers() -> Suite<Semaphore> {
    suite("semaphore")
        .setup(Just(1))
        .role("taker", 2, 1..=1, Just(SemaphoreOp::TryAcquire))
}

fn pair() -> Suite<Semaphore> {
    suite("semaphore")
        .setup(Just(0))
        .role("taker", 1, 1..=1, Just(SemaphoreOp::Acquire))
        .role("giver", 1, 1..=1, Just(SemaphoreOp::Release))
}

#[test]
fn one_permit_that_two_processes_take_is_found() {
    caught::<Stepped, NotAtomic<SteppedMemory>>(&takers(), Kind::NotLinearizable);
}

#[test]
fn a_release_that_wakes_no_process_is_found() {
    caught::<Stepped, Forgetful<SteppedMemory>>(&pair(), Kind::Deadlock);
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_both() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    caught::<Loom, NotAtomic<LoomMemory>>(&takers(), Kind::NotSequentiallyConsistent);
    caught::<Loom, Forgetful<LoomMemory>>(&pair(), Kind::Deadlock);
}
