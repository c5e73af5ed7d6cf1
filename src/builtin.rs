//! The crate's own publications as subjects, and planted broken twins that the engines must find.
//!
//! Used by the `forkcheck` command and by the crate's tests. What a twin does wrong stands at its top.

use crate::memory::{Atomic, Memory, Ordering, Words};
use crate::publish::{OneShot, SeqLock};
use crate::subject::{Once, OnceOp, OnceRet, Register, RegisterOp, RegisterRet, Role, Subject};
use crate::suite::Suite;
use proptest::prelude::{Just, Strategy, any};

/// A message of two words that belong together: a value and its check sum. A torn copy shows.
pub type Pair = [u64; 2];

/// The message of a value. It takes some tens of nanoseconds, as encoding a message does.
fn message(value: u64) -> Pair {
    let round = |sum: u64, _| {
        (sum ^ value)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
    };
    [value, (0..64).fold(value, round) % 1000]
}

fn writes() -> impl Strategy<Value = RegisterOp<Pair>> {
    any::<u8>().prop_map(|value| RegisterOp::Write(message(value.into())))
}

/// [`OneShot`] against [`Once`].
pub struct OneShotSubject<M: Memory>(OneShot<Pair, M>);

impl<M: Memory> Subject<M> for OneShotSubject<M> {
    type Spec = Once<Pair>;
    type Seat<'a> = &'a Self;
    fn new(_: &()) -> Self {
        Self(OneShot::new_in())
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(seat: &mut &Self, op: &OnceOp<Pair>) -> OnceRet<Pair> {
        match op {
            OnceOp::Set(value) => OnceRet::Set(seat.0.set(*value).is_ok()),
            OnceOp::Get => OnceRet::Got(seat.0.get()),
        }
    }
}

/// [`SeqLock`] against [`Register`].
pub struct SeqLockSubject<M: Memory>(SeqLock<Pair, M>);

impl<M: Memory> Subject<M> for SeqLockSubject<M> {
    type Spec = Register<Pair>;
    type Seat<'a> = &'a Self;
    fn new(first: &Pair) -> Self {
        Self(SeqLock::new_in(*first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(seat: &mut &Self, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                seat.0.write(*value);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(seat.0.read()),
        }
    }
}

/// Planted: a seqlock whose writer publishes the new sequence number *before* it encodes and copies the message.
pub struct EarlyPublish<M: Memory> {
    sequence: M::AtomicU64,
    data: M::Words<Pair>,
}

/// A seat of [`EarlyPublish`]: the writer counts for itself.
pub struct EarlySeat<'a, M: Memory> {
    page: &'a EarlyPublish<M>,
    sequence: u64,
}

impl<M: Memory> EarlySeat<'_, M> {
    fn write(&mut self, value: u64) {
        self.sequence = self.sequence.wrapping_add(2);
        self.page.sequence.store(self.sequence, Ordering::Release);
        self.page.data.store(message(value));
    }
    fn read(&self) -> Pair {
        loop {
            let before = self.page.sequence.load(Ordering::Acquire);
            let value = self.page.data.load();
            M::fence(Ordering::Acquire);
            if self.page.sequence.load(Ordering::Relaxed) == before {
                return value;
            }
            M::spin_loop();
        }
    }
}

impl<M: Memory> Subject<M> for EarlyPublish<M> {
    type Spec = Register<Pair>;
    type Seat<'a> = EarlySeat<'a, M>;
    fn new(first: &Pair) -> Self {
        Self {
            sequence: M::AtomicU64::new(0),
            data: M::Words::new(*first),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> EarlySeat<'a, M> {
        EarlySeat {
            page: self,
            sequence: 0,
        }
    }
    fn apply(seat: &mut EarlySeat<'_, M>, op: &RegisterOp<Pair>) -> RegisterRet<Pair> {
        match op {
            RegisterOp::Write(value) => {
                seat.write(value[0]);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(seat.read()),
        }
    }
}

/// One process sets, one reads. (Of two that set at the same time, the one that comes second is refused before
/// the other's value can be read, which [`Once`] does not allow.)
pub fn one_shot() -> Suite<Once<Pair>> {
    Suite::new(crate::site!(), "one_shot")
        .role(
            "setter",
            1,
            1..=2,
            any::<u8>().prop_map(|value| OnceOp::Set(message(value.into()))),
        )
        .role("getter", 1, 1..=3, Just(OnceOp::Get))
        .regressions(None)
}

/// One process writes, two read.
pub fn seq_lock() -> Suite<Register<Pair>> {
    readers_and_a_writer("seq_lock")
}

/// As [`seq_lock`], for the broken twin.
pub fn early_publish() -> Suite<Register<Pair>> {
    readers_and_a_writer("early_publish")
}

fn readers_and_a_writer(name: &str) -> Suite<Register<Pair>> {
    Suite::new(crate::site!(), name)
        .setup(Just(message(0)))
        .role("writer", 1, 1..=4, writes())
        .role("reader", 1, 1..=4, Just(RegisterOp::Read))
        .regressions(None)
}

// The tests that the reports of these suites name.
macro_rules! tests {
    ($suite:ident: $subject:ident, $(#[$processes:meta])?, $(#[$loom:meta])?) => {
        #[cfg(test)]
        mod $suite {
            #[test]
            $(#[$processes])?
            fn processes() {
                super::$suite().test::<crate::engine::Processes, super::$subject<crate::Hardware>>();
            }

            #[cfg(feature = "loom")]
            #[test]
            $(#[$loom])?
            fn loom() {
                use crate::engine::loom::{Loom, LoomMemory};
                super::$suite().test::<Loom, super::$subject<LoomMemory>>();
            }
        }
    };
}
tests!(one_shot: OneShotSubject, ,);
tests!(seq_lock: SeqLockSubject, ,);
tests!(
    early_publish: EarlyPublish,
    #[should_panic(expected = "NOT LINEARIZABLE  forkcheck::builtin::early_publish::processes  reader: Read returned")],
    #[should_panic(expected = "NOT SEQUENTIALLY CONSISTENT  forkcheck::builtin::early_publish::loom  reader: Read returned")]
);
