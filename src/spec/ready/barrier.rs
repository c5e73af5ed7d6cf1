//! A barrier as two operations: to arrive, and to leave once all have arrived.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A barrier of as many processes as its setup says. `Arrive` counts the process and never waits;
/// `Leave` waits until all have arrived. Then the next phase begins, and a process that has left
/// may arrive again. An `Arrive` before the `Leave` of the phase before, and a `Leave` without an
/// `Arrive`, are refused.
///
/// A barrier with one operation `wait` is specified by these two: a `wait` has to overlap the
/// `wait`s of all others, so it is not one point in an order of operations, which a spec requires.
///
/// ```
/// use forkcheck::spec::{Barrier, BarrierOp, BarrierRet, Spec};
/// let mut barrier = Barrier::start(&2);
/// assert_eq!(barrier.step(0, &BarrierOp::Arrive), BarrierRet::Arrived);
/// assert!(barrier.blocks(0, &BarrierOp::Leave));
/// assert_eq!(barrier.step(1, &BarrierOp::Arrive), BarrierRet::Arrived);
/// assert_eq!(barrier.step(0, &BarrierOp::Leave), BarrierRet::Left);
/// assert_eq!(barrier.step(0, &BarrierOp::Leave), BarrierRet::Refused);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Barrier {
    parties: usize,
    /// Processes that arrived in this phase.
    arrived: BTreeSet<usize>,
    /// Processes that may leave: all arrived in the phase before, and they have not left.
    leaving: BTreeSet<usize>,
}

/// An operation of [`Barrier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BarrierOp {
    /// Counts this process.
    Arrive,
    /// Waits until all processes are counted.
    Leave,
}

/// A result of [`Barrier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BarrierRet {
    /// The process is counted.
    Arrived,
    /// All processes had arrived.
    Left,
    /// The process had arrived already, or had not.
    Refused,
}

impl Spec for Barrier {
    type Setup = usize;
    type Op = BarrierOp;
    type Ret = BarrierRet;
    fn start(parties: &usize) -> Self {
        Self {
            parties: *parties,
            arrived: BTreeSet::new(),
            leaving: BTreeSet::new(),
        }
    }
    fn step(&mut self, process: usize, op: &BarrierOp) -> BarrierRet {
        match op {
            BarrierOp::Arrive => {
                if self.leaving.contains(&process) || !self.arrived.insert(process) {
                    return BarrierRet::Refused;
                }
                if self.arrived.len() >= self.parties {
                    self.leaving.append(&mut self.arrived);
                }
                BarrierRet::Arrived
            }
            BarrierOp::Leave if self.leaving.remove(&process) => BarrierRet::Left,
            BarrierOp::Leave => BarrierRet::Refused,
        }
    }
    fn blocks(&self, process: usize, op: &BarrierOp) -> bool {
        *op == BarrierOp::Leave && self.arrived.contains(&process)
    }
    fn only_reads(_: &BarrierOp, ret: &BarrierRet) -> bool {
        *ret == BarrierRet::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BarrierOp::{Arrive, Leave};
    use BarrierRet::{Arrived, Left, Refused};

    #[test]
    fn the_next_phase_does_not_begin_without_a_process_that_is_still_leaving() {
        let mut barrier = Barrier::start(&2);
        for (process, op, ret) in [
            (0, Arrive, Arrived),
            (1, Arrive, Arrived),
            (0, Leave, Left),
            (0, Arrive, Arrived),
            (1, Arrive, Refused),
            (1, Leave, Left),
        ] {
            assert!(!barrier.blocks(process, &op), "{op:?} of {process}");
            assert_eq!(barrier.step(process, &op), ret, "{op:?} of {process}");
        }
        assert!(barrier.blocks(0, &Leave), "one of two has arrived");
        assert_eq!(barrier.step(1, &Arrive), Arrived);
        assert!(!barrier.blocks(0, &Leave));
    }
}
