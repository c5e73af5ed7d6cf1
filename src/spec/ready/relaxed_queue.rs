//! A bounded queue of several producers and consumers. `Full` and `Empty` are exact only where no
//! operation of the other side is under way.

use super::{Queue, QueueOp, QueueRet};
use crate::spec::{Data, Spec};
use std::hash::Hash;

/// A bounded first-in, first-out [`Queue`] in which a pop may say `Empty` beside a push that has
/// not returned, and a push may say `Full` beside a pop that has not returned. All else is exact:
/// items keep their order, none is lost or popped twice, and both answers are right where no
/// operation of the other side is under way.
///
/// A queue promises this much if its producers first claim a slot and then fill it (Vyukov's array
/// queue, heapless's `mpmc`): a producer that is delayed between the two hides all later pushes of
/// the others.
///
/// ```
/// use forkcheck::spec::{QueueOp, QueueRet, RelaxedQueue, Spec};
/// let mut queue = RelaxedQueue::start(&1);
/// assert_eq!(queue.step(0, &QueueOp::Push(7)), QueueRet::Pushed);
/// assert!(!queue.accept(1, &QueueOp::Pop, &QueueRet::Empty)); // alone it is exact
/// let beside_a_push = RelaxedQueue::allowed_beside(&QueueOp::Pop, &QueueRet::Empty, &QueueOp::Push(8));
/// assert!(beside_a_push);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelaxedQueue<T>(Queue<T>);

impl<T: Data + Eq + Hash> Spec for RelaxedQueue<T> {
    type Setup = usize;
    type Op = QueueOp<T>;
    type Ret = QueueRet<T>;
    fn start(capacity: &usize) -> Self {
        Self(Queue::start(capacity))
    }
    fn step(&mut self, process: usize, op: &QueueOp<T>) -> QueueRet<T> {
        self.0.step(process, op)
    }
    fn only_reads(op: &QueueOp<T>, ret: &QueueRet<T>) -> bool {
        Queue::only_reads(op, ret)
    }
    fn allowed_beside(_: &QueueOp<T>, ret: &QueueRet<T>, other: &QueueOp<T>) -> bool {
        match other {
            QueueOp::Push(_) => *ret == QueueRet::Empty,
            QueueOp::Pop => *ret == QueueRet::Full,
        }
    }
}
