//! Parts of a structure, of which each process has one, and a shorthand for queues.
#![allow(
    unsafe_code,
    reason = "each end of a queue is lent to the one process that has its role"
)]

use forkcheck::prelude::*;
use std::cell::UnsafeCell;

/// Parts of a structure: the process of number N uses the Nth one.
pub(crate) struct Parts<T>(Vec<UnsafeCell<T>>);

// SAFETY: `lend` is called once by each incarnation of a process, with another part for each process.
unsafe impl<T> Sync for Parts<T> {}

impl<T> Parts<T> {
    pub(crate) fn of(parts: impl IntoIterator<Item = T>) -> Self {
        Self(parts.into_iter().map(UnsafeCell::new).collect())
    }
    #[allow(clippy::mut_from_ref, reason = "see `Sync`")]
    pub(crate) fn lend(&self, role: Role<'_>) -> &mut T {
        // SAFETY: a unique reference. The process of this number alone asks for this part, and an incarnation after another
        // one that was killed.
        unsafe { &mut *self.0[role.process].get() }
    }
}

/// A queue that all processes use by a shared reference.
macro_rules! shared_queue {
    ($name:ident($queue:ty): $spec:ty, $new:expr, |$q:ident, $item:ident| $push:expr, $pop:expr) => {
        pub(crate) struct $name($queue);
        impl Structure for $name {
            type Memory = Hardware;
            type Spec = $spec;
            fn new(_: &usize) -> Self {
                Self($new)
            }
            fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
                let $q = &self.0;
                match op {
                    QueueOp::Push($item) => {
                        let $item = *$item;
                        match $push {
                            true => QueueRet::Pushed,
                            false => QueueRet::Full,
                        }
                    }
                    QueueOp::Pop => $pop.map_or(QueueRet::Empty, QueueRet::Popped),
                }
            }
        }
    };
}

/// A queue whose processes each have an end.
macro_rules! split_queue {
    (
        $name:ident { Push($producer:ty), Pop($consumer:ty) }: $spec:ty, $new:expr,
        |$p:ident, $item:ident| $push:expr, |$c:ident| $pop:expr
    ) => {
        pub(crate) enum $name {
            Push($producer),
            Pop($consumer),
        }
        impl WithHandles for Parts<$name> {
            type Memory = Hardware;
            type Spec = $spec;
            type Handle<'a> = &'a mut $name;
            fn new(_: &usize) -> Self {
                let new: fn(fn($producer) -> $name, fn($consumer) -> $name) -> _ = $new;
                Self::of(new($name::Push, $name::Pop))
            }
            fn attach<'a>(&'a self, role: Role<'_>) -> &'a mut $name {
                self.lend(role)
            }
            fn apply(end: &mut &mut $name, op: &QueueOp<u64>) -> QueueRet<u64> {
                match (end, op) {
                    ($name::Push($p), QueueOp::Push($item)) => {
                        let $item = *$item;
                        match $push {
                            true => QueueRet::Pushed,
                            false => QueueRet::Full,
                        }
                    }
                    ($name::Pop($c), QueueOp::Pop) => {
                        $pop.map_or(QueueRet::Empty, QueueRet::Popped)
                    }
                    (_, op) => panic!("{op:?} in the wrong role"),
                }
            }
        }
    };
}
pub(crate) use {shared_queue, split_queue};
