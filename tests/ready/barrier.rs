//! A barrier of a count and a generation on a futex, as in `std::sync::Barrier` and
//! `pthread_barrier_t`. A process keeps in its handle the generation in which it arrived.

use crate::{caught, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Barrier, BarrierOp, BarrierRet};

const PARTIES: u32 = 2;

/// `FIXED`: the count is reset before the generation changes. The broken twin lets the others go
/// first, and so forgets a process that has already arrived again.
struct Generations<M: Memory, const FIXED: bool> {
    arrived: M::AtomicU32,
    generation: M::AtomicU32,
}

type Right<M> = Generations<M, true>;
type ResetsLate<M> = Generations<M, false>;

struct Handle<'a, M: Memory, const FIXED: bool> {
    at: &'a Generations<M, FIXED>,
    arrived_in: Option<u32>,
}

impl<M: Memory, const FIXED: bool> Generations<M, FIXED> {
    fn arrive(&self) -> u32 {
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == PARTIES {
            if FIXED {
                self.arrived.store(0, Ordering::Relaxed);
            }
            // Release: a process that sees the next generation sees the count that belongs to it.
            self.generation.store(generation + 1, Ordering::Release);
            M::wake(&self.generation, u32::MAX);
            if !FIXED {
                self.arrived.store(0, Ordering::Relaxed);
            }
        }
        generation
    }
}

impl<M: Memory, const FIXED: bool> WithHandles for Generations<M, FIXED> {
    type Memory = M;
    type Spec = Barrier;
    type Handle<'a> = Handle<'a, M, FIXED>;
    fn new(_: &usize) -> Self {
        Generations {
            arrived: Atomic::new(0),
            generation: Atomic::new(0),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Self::Handle<'a> {
        Handle {
            at: self,
            arrived_in: None,
        }
    }
    fn apply(handle: &mut Handle<'_, M, FIXED>, op: &BarrierOp) -> BarrierRet {
        let at = handle.at;
        match (op, handle.arrived_in) {
            (BarrierOp::Arrive, None) => {
                handle.arrived_in = Some(at.arrive());
                BarrierRet::Arrived
            }
            (BarrierOp::Leave, Some(generation)) => {
                while at.generation.load(Ordering::Acquire) == generation {
                    M::wait(&at.generation, generation);
                }
                handle.arrived_in = None;
                BarrierRet::Left
            }
            (BarrierOp::Arrive, Some(_)) | (BarrierOp::Leave, None) => BarrierRet::Refused,
        }
    }
}

/// Returns rounds in which each process arrives and leaves, this many times.
fn rounds(rounds: usize) -> Just<Vec<BarrierOp>> {
    Just([BarrierOp::Arrive, BarrierOp::Leave].repeat(rounds))
}

forkcheck::suite! {
    barrier: Right<_>,
    setup: Just(PARTIES as usize),
    party: 2 processes, ops in rounds(2),
    with: .cases(2).executions(300).regressions(None)
        .without("kills", "a party that is killed never arrives"),
}

fn parties(of: usize) -> Suite<Barrier> {
    suite("barrier")
        .setup(Just(PARTIES as usize))
        .sequence("party", 2, rounds(of))
}

#[test]
fn a_count_that_begins_again_too_late_is_found() {
    caught::<Stepped, ResetsLate<SteppedMemory>>(&parties(2), Kind::Deadlock);
}
