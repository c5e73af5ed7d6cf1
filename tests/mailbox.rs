//! The README's example of a user's structure.
use forkcheck::prelude::*;
use forkcheck::spec::{Once, OnceOp, OnceRet};

/// One message between processes: first the data, then the flag that says that it is there.
struct Mailbox<M: Memory> {
    full: M::AtomicU32,
    message: M::Words<[u64; 2]>,
}

impl<M: Memory> Structure for Mailbox<M> {
    type Memory = M;
    type Spec = Once<[u64; 2]>; // what it should do: a reader sees nothing, or all of it
    fn new(_: &()) -> Self {
        Mailbox {
            full: Atomic::new(0),
            message: Words::new([0, 0]),
        }
    }
    fn apply(&self, op: &OnceOp<[u64; 2]>) -> OnceRet<[u64; 2]> {
        match op {
            OnceOp::Set(message) => {
                self.message.store(*message);
                self.full.store(1, Ordering::Release); // with Relaxed, `loom` fails
                OnceRet::Set(true)
            }
            OnceOp::Get if self.full.load(Ordering::Acquire) == 0 => OnceRet::Got(None),
            OnceOp::Get => OnceRet::Got(Some(self.message.load())),
        }
    }
}

forkcheck::suite! {
    mailbox: Mailbox<_>,
    sender: 1..=1 ops of any::<[u64; 2]>().prop_map(OnceOp::Set),
    receiver: 2 processes, 1..=3 ops of Just(OnceOp::Get),
    with: .cases(8), // programs to draw; 64 without this line
}
