//! Treiber's stack over the indices of a fixed array of nodes, with a free list that is a second such stack: the form that
//! pools and stacks in shared memory take, where a pointer means something else in each process. A head is one word: the first
//! node, and a tag that each change counts on.

use crate::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Stack, StackOp, StackRet};

/// One node for each push that a suite draws: a process that is killed takes along the node that it holds.
const NODES: usize = 6;

const RIGHT: u8 = 0;
/// Does not count changes: a head whose first node is gone and comes back looks unchanged.
const UNTAGGED: u8 = 1;
/// Stores the link of a node that is already the first one.
const LATE_LINK: u8 = 2;
/// Publishes a node by a relaxed exchange, which does not order the stores to the node.
const RELAXED: u8 = 3;

/// A node of a list. A link is one more than the index of a node; 0: there is none.
struct Node<M: Memory> {
    next: M::AtomicU32,
    item: M::AtomicU64,
}

/// Two lists of nodes. The low half of a head is a link, the high half is the tag.
struct Treiber<M: Memory, const TWIN: u8> {
    top: M::AtomicU64,
    free: M::AtomicU64,
    nodes: [Node<M>; NODES],
}

type Right<M> = Treiber<M, RIGHT>;
type Untagged<M> = Treiber<M, UNTAGGED>;
type LateLink<M> = Treiber<M, LATE_LINK>;

impl<M: Memory, const TWIN: u8> Treiber<M, TWIN> {
    fn node(&self, link: u32) -> &Node<M> {
        &self.nodes[link as usize - 1]
    }

    /// Returns the head that follows `head` with this first node.
    fn changed(head: u64, first: u32) -> u64 {
        let tag = match TWIN {
            UNTAGGED => 0,
            _ => (head >> 32) + 1,
        };
        tag << 32 | u64::from(first)
    }

    /// Takes the first node of a list.
    fn take(&self, head: &M::AtomicU64) -> Option<u32> {
        // Acquire: pairs with the Release in `give`. The stores to the node before it was given are seen.
        let mut seen = head.load(Ordering::Acquire);
        loop {
            let first = seen as u32;
            if first == 0 {
                return None;
            }
            let next = self.node(first).next.load(Ordering::Relaxed);
            // Relaxed: the exchange continues the release sequence of each node that is still in the list.
            let (success, failure) = (Ordering::Relaxed, Ordering::Acquire);
            match head.compare_exchange(seen, Self::changed(seen, next), success, failure) {
                Ok(_) => return Some(first),
                Err(now) => seen = now,
            }
        }
    }

    /// Makes a node the first one of a list.
    fn give(&self, head: &M::AtomicU64, first: u32) {
        let link = &self.node(first).next;
        let success = match TWIN {
            RELAXED => Ordering::Relaxed,
            // Release: pairs with the Acquire in `take`.
            _ => Ordering::Release,
        };
        let mut seen = head.load(Ordering::Relaxed);
        loop {
            if TWIN != LATE_LINK {
                link.store(seen as u32, Ordering::Relaxed);
            }
            let next = Self::changed(seen, first);
            match head.compare_exchange(seen, next, success, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        if TWIN == LATE_LINK {
            link.store(seen as u32, Ordering::Relaxed);
        }
    }
}

impl<M: Memory, const TWIN: u8> Structure for Treiber<M, TWIN> {
    type Memory = M;
    type Spec = Stack<u64>;
    fn new(_: &()) -> Self {
        Treiber {
            top: Atomic::new(0),
            free: Atomic::new(1),
            nodes: std::array::from_fn(|index| Node {
                next: Atomic::new((index as u32 + 2) % (NODES as u32 + 1)),
                item: Atomic::new(0),
            }),
        }
    }
    fn apply(&self, op: &StackOp<u64>) -> StackRet<u64> {
        match op {
            StackOp::Push(item) => {
                let node = self.take(&self.free).expect("each push has a node");
                self.node(node).item.store(*item, Ordering::Relaxed);
                self.give(&self.top, node);
                StackRet::Pushed
            }
            StackOp::Pop => {
                let Some(node) = self.take(&self.top) else {
                    return StackRet::Empty;
                };
                let item = self.node(node).item.load(Ordering::Relaxed);
                self.give(&self.free, node);
                StackRet::Popped(item)
            }
        }
    }
}

fn ops() -> impl Strategy<Value = StackOp<u64>> {
    prop_oneof![(1u64..9).prop_map(StackOp::Push), Just(StackOp::Pop)]
}

forkcheck::suite! {
    stack: Right<_>,
    worker: 2 processes, 1..=3 ops of ops(),
    with: .cases(3).executions(200).seed(7).regressions(None),
}

/// Returns a suite of a pusher and a popper.
fn pair() -> Suite<Stack<u64>> {
    suite("stack")
        .role("pusher", 1, 1..=1, (1u64..9).prop_map(StackOp::Push))
        .role("popper", 1, 1..=2, Just(StackOp::Pop))
}

/// Returns a suite in which the first node comes back with another one below it. Two processes alone cannot do this: each
/// whole operation moves one node between the lists, and nodes keep their order.
fn first_node_comes_back() -> Suite<Stack<u64>> {
    let pops = |times| Just(vec![StackOp::Pop; times]);
    suite("aba")
        .executions(1_500)
        .sequence("delayed", 1, pops(2))
        .sequence("renewer", 1, Just(vec![StackOp::Pop, StackOp::Push(3)]))
        .sequence("popper", 1, pops(1))
        .prefix("popper", Just([1, 2].map(StackOp::Push).to_vec()))
}

#[test]
fn a_first_node_that_comes_back_is_mistaken_for_an_unchanged_head_without_a_tag() {
    caught::<Stepped, Untagged<SteppedMemory>>(&first_node_comes_back(), Kind::NotLinearizable);
    passes::<Stepped, Right<SteppedMemory>>(&first_node_comes_back());
}

#[test]
fn a_node_that_is_the_first_one_before_it_has_its_link_is_found() {
    caught::<Stepped, LateLink<SteppedMemory>>(&pair(), Kind::NotLinearizable);
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_a_node_that_is_published_without_an_order() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    type Relaxed<M> = Treiber<M, RELAXED>;
    let report = caught::<Loom, Relaxed<LoomMemory>>(&pair(), Kind::NotSequentiallyConsistent);
    assert!(report.contains("stale: "), "{report}");
}
