//! Broken twins that the engines must catch, each with the sound one that passes the same suite: a
//! harness that was never seen to fail proves nothing. The tests also assert which engine can never
//! see which bug.
#![forbid(unsafe_code)]

use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Engine, Processes};
use forkcheck::memory::MemoryCell;
use forkcheck::prelude::*;
use forkcheck::publish::Ring;
use forkcheck::spec::{
    Once, OnceOp, OnceRet, QueueOp, QueueRet, Register, RegisterOp, RegisterRet,
};
use forkcheck::suite::Rate;
use std::marker::PhantomData;

/// The mistake of a mailbox.
const SOUND: u8 = 0;
const FLAG_FIRST: u8 = 1;
const FLAG_RELAXED: u8 = 2;
const FLAG_READ_RELAXED: u8 = 3;
const UNGUARDED: u8 = 4;

type Message = [u64; 2];

/// A message and the flag that says that it is there, with a mistake.
struct Mailbox<M: Memory, const MISTAKE: u8> {
    full: M::AtomicU32,
    guard: M::Cell<()>,
    message: M::Words<Message>,
}

impl<M: Memory, const MISTAKE: u8> Structure for Mailbox<M, MISTAKE> {
    type Memory = M;
    type Spec = Once<Message>;
    fn new(_: &()) -> Self {
        Self {
            full: Atomic::new(0),
            guard: MemoryCell::new(()),
            message: Words::new([0, 0]),
        }
    }
    fn apply(&self, op: &OnceOp<Message>) -> OnceRet<Message> {
        let copy_in = |message: &Message| {
            if MISTAKE == FLAG_FIRST {
                // Between the two, as long as encoding a message takes.
                (0..50).for_each(|_| M::fence(Ordering::SeqCst));
            }
            self.message.store(*message);
        };
        let raise = || {
            self.full.store(
                1,
                if MISTAKE == FLAG_RELAXED {
                    Ordering::Relaxed
                } else {
                    Ordering::Release
                },
            )
        };
        match op {
            OnceOp::Set(message) => {
                if MISTAKE == FLAG_FIRST {
                    raise();
                    copy_in(message);
                } else if MISTAKE == UNGUARDED {
                    // Only the race detector objects: this message is never read.
                    self.guard.with_mut(|_| ());
                    raise();
                    copy_in(message);
                } else {
                    copy_in(message);
                    raise();
                }
                OnceRet::Set(true)
            }
            OnceOp::Get => {
                let order = if MISTAKE == FLAG_READ_RELAXED {
                    Ordering::Relaxed
                } else {
                    Ordering::Acquire
                };
                if MISTAKE == UNGUARDED {
                    self.guard.with(|_| ());
                    return OnceRet::Got(None);
                }
                let there = self.full.load(order) == 1;
                OnceRet::Got(there.then(|| self.message.load()))
            }
        }
    }
}

fn mailbox() -> Suite<Once<Message>> {
    Suite::new(forkcheck::site!(), "mailbox")
        .role(
            "sender",
            1,
            1..=1,
            (1u64..100).prop_map(|n| OnceOp::Set([n, n])),
        )
        .role("receiver", 1, 1..=3, Just(OnceOp::Get))
        .regressions(None)
}

/// Asserts the finding of a suite and returns its report; the finding has to be the smallest of its
/// kind and reproducible.
#[track_caller]
fn finding<S: Spec>(suite: &Suite<S>, outcome: &Outcome<S>, operations: usize) -> Kind {
    let text = suite.report(outcome);
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("missed: {text}")
    };
    let found = outcome.found.as_ref().expect("what is found is told");
    assert_eq!(
        found.run.case.operations(),
        operations,
        "not the smallest: {text}"
    );
    match found.rate {
        Rate::Reproduced {
            times: again, of, ..
        } => assert_eq!((again, of), (10, 10), "{text}"),
        Rate::Executions(failing, of) => assert!(failing > 0 && of > 0, "{text}"),
        rate => panic!("{rate:?}: {text}"),
    }
    finding.kind
}

#[test]
fn processes_catch_a_flag_that_is_raised_before_the_data() {
    let outcome = mailbox()
        .check::<Processes, Mailbox<Hardware, FLAG_FIRST>>()
        .unwrap();
    assert_eq!(finding(&mailbox(), &outcome, 2), Kind::NotLinearizable);
    mailbox()
        .cases(8)
        .test::<Processes, Mailbox<Hardware, SOUND>>();
}

/// A register whose write is a read and a write: two writers lose one. With one process it is never
/// wrong.
struct Counter<M: Memory, const ATOMIC: bool>(M::AtomicU64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Count(u64);
impl Spec for Count {
    type Setup = ();
    type Op = ();
    type Ret = u64;
    fn start(_: &()) -> Self {
        Count(0)
    }
    fn step(&mut self, _: usize, _: &()) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl<M: Memory, const ATOMIC: bool> Structure for Counter<M, ATOMIC> {
    type Memory = M;
    type Spec = Count;
    fn new(_: &()) -> Self {
        Self(Atomic::new(0))
    }
    fn apply(&self, _: &()) -> u64 {
        if ATOMIC {
            return self.0.fetch_add(1, Ordering::AcqRel) + 1;
        }
        let count = self.0.load(Ordering::Acquire) + 1;
        self.0.store(count, Ordering::Release);
        count
    }
}

fn counter() -> Suite<Count> {
    Suite::new(forkcheck::site!(), "counter")
        .role("adder", 2, 1..=3, Just(()))
        .regressions(None)
}

fn lost_update<E: Engine>()
where
    Counter<E::Memory, false>: WithHandles<Memory = E::Memory, Spec = Count>,
    Counter<E::Memory, true>: WithHandles<Memory = E::Memory, Spec = Count>,
{
    let outcome = counter().check::<E, Counter<E::Memory, false>>().unwrap();
    finding(&counter(), &outcome, 2);
    counter().test::<E, Counter<E::Memory, true>>();
}

#[test]
fn processes_catch_a_lost_update() {
    lost_update::<Processes>();
}

/// A register whose reads return the last written value, except for a reader that keeps its first
/// answer.
struct Stale<M: Memory>(M::AtomicU64);
impl<M: Memory> WithHandles for Stale<M> {
    type Memory = M;
    type Spec = Register<u64>;
    type Handle<'a> = (&'a Self, Option<u64>);
    fn new(&first: &u64) -> Self {
        Self(Atomic::new(first))
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Self::Handle<'a> {
        (self, None)
    }
    fn apply((register, kept): &mut Self::Handle<'_>, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                register.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                RegisterRet::Value(*kept.get_or_insert_with(|| register.0.load(Ordering::Acquire)))
            }
        }
    }
}

fn stale(write_too: bool) -> Suite<Register<u64>> {
    let ops = if write_too {
        prop_oneof![
            (1u64..9).prop_map(RegisterOp::Write),
            Just(RegisterOp::Read)
        ]
        .boxed()
    } else {
        Just(RegisterOp::Read).boxed()
    };
    Suite::new(forkcheck::site!(), "stale")
        .setup(Just(0))
        .role("one", 1, 1..=6, ops)
        .regressions(None)
}

#[test]
fn one_process_alone_is_enough_for_a_sequential_bug() {
    let outcome = stale(true).check::<Processes, Stale<Hardware>>().unwrap();
    assert_eq!(finding(&stale(true), &outcome, 3), Kind::NotLinearizable);
    let found = outcome.found.unwrap();
    let Rate::Executions(failing, of) = found.rate else {
        panic!()
    };
    assert_eq!(failing, of, "it fails each time");
    stale(false).test::<Processes, Stale<Hardware>>();
}

/// [`Ring`], with one of its two slots taken, against a spec of a queue.
struct RingUnder<S, M: Memory>(Ring<u8, 2, M>, PhantomData<fn() -> S>);

/// The start of that ring, for both specs of queues.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OneOfTwo<S>(S);

impl<S: Spec<Setup = usize, Op = QueueOp<u8>, Ret = QueueRet<u8>>> Spec for OneOfTwo<S> {
    type Setup = ();
    type Op = QueueOp<u8>;
    type Ret = QueueRet<u8>;
    fn start(_: &()) -> Self {
        let mut queue = S::start(&2);
        queue.step(0, &QueueOp::Push(0));
        Self(queue)
    }
    fn step(&mut self, process: usize, op: &QueueOp<u8>) -> QueueRet<u8> {
        self.0.step(process, op)
    }
    fn accept(&mut self, process: usize, op: &QueueOp<u8>, ret: &QueueRet<u8>) -> bool {
        self.0.accept(process, op, ret)
    }
}

impl<M: Memory, S> WithHandles for RingUnder<S, M>
where
    S: Spec<Setup = usize, Op = QueueOp<u8>, Ret = QueueRet<u8>>,
{
    type Memory = M;
    type Spec = OneOfTwo<S>;
    type Handle<'a>
        = &'a Ring<u8, 2, M>
    where
        S: 'a;
    fn new(_: &()) -> Self {
        let ring = Ring::new_in();
        assert_eq!(ring.push(0), Ok(()));
        Self(ring, PhantomData)
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Ring<u8, 2, M> {
        &self.0
    }
    fn apply(ring: &mut &Ring<u8, 2, M>, op: &QueueOp<u8>) -> QueueRet<u8> {
        match op {
            QueueOp::Push(item) => match ring.push(*item) {
                Ok(()) => QueueRet::Pushed,
                Err(_) => QueueRet::Full,
            },
            QueueOp::Pop => ring.pop().map_or(QueueRet::Empty, QueueRet::Popped),
        }
    }
}

fn ring<S: Spec<Setup = usize, Op = QueueOp<u8>, Ret = QueueRet<u8>>>() -> Suite<OneOfTwo<S>> {
    Suite::new(forkcheck::site!(), "ring")
        .role("producer", 1, 2..=2, Just(QueueOp::Push(1)))
        .role("consumer", 1, 2..=2, Just(QueueOp::Pop))
        .regressions(None)
}

#[cfg(feature = "loom")]
mod loom {
    use super::*;
    use forkcheck::spec::{Queue, StaleQueue};

    /// A push that finds the ring full and a pop that finds it empty, of which no order explains both: a spec with an
    /// exact `Full` and `Empty` promises more than a ring without a fence between its indices does.
    #[test]
    fn loom_rejects_a_spec_that_promises_more_than_the_ring_does() {
        let outcome = ring::<Queue<u8>>()
            .check::<Loom, RingUnder<Queue<u8>, LoomMemory>>()
            .unwrap();
        let kind = finding(&ring::<Queue<u8>>(), &outcome, 4);
        assert_eq!(kind, Kind::NotSequentiallyConsistent);
        ring::<StaleQueue<u8>>().test::<Loom, RingUnder<StaleQueue<u8>, LoomMemory>>();
    }
    use forkcheck::engine::loom::{Loom, LoomMemory};

    fn mistake<const MISTAKE: u8>(operations: usize) -> Kind {
        let outcome = mailbox()
            .check::<Loom, Mailbox<LoomMemory, MISTAKE>>()
            .unwrap();
        finding(&mailbox(), &outcome, operations)
    }

    #[test]
    fn loom_passes_the_sound_mailbox() {
        mailbox().test::<Loom, Mailbox<LoomMemory, SOUND>>();
    }

    #[test]
    fn loom_catches_a_flag_that_is_raised_before_the_data() {
        assert_eq!(mistake::<FLAG_FIRST>(2), Kind::NotSequentiallyConsistent);
    }

    #[test]
    fn loom_catches_a_relaxed_store_of_the_flag() {
        assert_eq!(mistake::<FLAG_RELAXED>(2), Kind::NotSequentiallyConsistent);
    }

    #[test]
    fn loom_catches_a_relaxed_load_of_the_flag() {
        assert_eq!(
            mistake::<FLAG_READ_RELAXED>(2),
            Kind::NotSequentiallyConsistent
        );
    }

    #[test]
    fn loom_catches_a_race_that_no_result_shows() {
        assert_eq!(mistake::<UNGUARDED>(2), Kind::DataRace);
    }

    #[test]
    fn loom_catches_a_lost_update() {
        lost_update::<Loom>();
    }

    /// `processes` cannot see what x86 permits here, and says so.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn processes_on_x86_cannot_see_a_missing_release() {
        let outcome = mailbox()
            .cases(8)
            .check::<Processes, Mailbox<Hardware, FLAG_RELAXED>>()
            .unwrap();
        assert_eq!(outcome.verdict, Verdict::Ok);
        assert!(
            mailbox()
                .report(&outcome)
                .contains("missing orderings that x86-64 makes")
        );
    }
}
