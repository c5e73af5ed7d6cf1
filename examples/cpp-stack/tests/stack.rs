//! The C++ stack between processes: the shipped one mixes slots up that were popped and pushed again (ABA), the fixed one
//! does not. `cargo forkcheck test -p cpp-stack` runs it step by step.
#![forbid(unsafe_code)]

use cpp_stack::{Build, CAPACITY, Fixed, Item, Shipped, Stack};
use forkcheck::prelude::*;
use forkcheck::spec::{QueueOp, QueueRet};

/// A stack under test.
struct Shared<B: Build>(Stack<B>);

/// The spec: a stack with room for three items. `Full` may be said beside a pop, which gives its slot back after it took the
/// item, and beside a push that takes a slot first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OfThree(Vec<u64>);

impl Spec for OfThree {
    type Setup = ();
    type Op = QueueOp<u64>;
    type Ret = QueueRet<u64>;
    fn start((): &()) -> Self {
        Self(Vec::new())
    }
    fn step(&mut self, _: usize, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(_) if self.0.len() == CAPACITY => QueueRet::Full,
            QueueOp::Push(item) => {
                self.0.push(*item);
                QueueRet::Pushed
            }
            QueueOp::Pop => self.0.pop().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
    fn only_reads(_: &QueueOp<u64>, ret: &QueueRet<u64>) -> bool {
        matches!(ret, QueueRet::Full | QueueRet::Empty)
    }
    fn allowed_beside(_: &QueueOp<u64>, ret: &QueueRet<u64>, _: &QueueOp<u64>) -> bool {
        *ret == QueueRet::Full
    }
}

impl<B: Build> Structure for Shared<B> {
    type Memory = Hardware;
    type Spec = OfThree;
    fn new(_: &()) -> Self {
        Self(Stack::new())
    }
    fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
        match op {
            QueueOp::Push(number) => {
                let (number, check) = (*number, *number);
                match self.0.push(&Item { number, check }) {
                    true => QueueRet::Pushed,
                    false => QueueRet::Full,
                }
            }
            QueueOp::Pop => self.0.pop().map_or(QueueRet::Empty, |item| {
                assert_eq!(item.number, item.check, "the item is torn");
                QueueRet::Popped(item.number)
            }),
        }
    }
}

fn operations() -> impl Strategy<Value = QueueOp<u64>> {
    prop_oneof![(1u64..100).prop_map(QueueOp::Push), Just(QueueOp::Pop),]
}

const LOST: &str = "the slot that a killed process has taken is lost, so that it is full too early";

forkcheck::suite! {
    fixed: Shared<Fixed>,
    user: 3 processes, 1..=3 ops of operations(),
    with: .without("kills", LOST),
}

/// The broken twin: without a tag, an exchange takes a slot for one that never changed, though it was popped and pushed again.
mod shipped {
    use super::*;

    #[test]
    #[should_panic(expected = "stack.hpp:")]
    #[cfg_attr(not(forkcheck_instrumented), ignore = "run: cargo forkcheck test")]
    fn stepped() {
        forkcheck::probe!();
        Suite::new(forkcheck::site!(), "shipped")
            .role("user", 3, 1..=3, operations())
            .regressions(None)
            .test::<forkcheck::engine::SteppedCode, Shared<Shipped>>();
    }
}
