//! Values that one process replaces and another reads, and an event.

use crate::adapters::Parts;
use crate::row::{Row, row};
use arc_swap::ArcSwap;
use event_listener::Listener;
use forkcheck::prelude::*;
use forkcheck::spec::{Event, EventOp, EventRet, Register, RegisterOp, RegisterRet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const THREADS: &str = "threads of one process; nothing about kills";

/// triple_buffer's two ends.
enum Triple {
    Writer(triple_buffer::Input<[u64; 2]>),
    Reader(triple_buffer::Output<[u64; 2]>),
}

impl WithHandles for Parts<Triple> {
    type Memory = Hardware;
    type Spec = Register<[u64; 2]>;
    type Handle<'a> = &'a mut Triple;
    fn new(first: &[u64; 2]) -> Self {
        let (input, output) = triple_buffer::TripleBuffer::new(first).split();
        Self::of([Triple::Writer(input), Triple::Reader(output)])
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> &'a mut Triple {
        self.lend(role)
    }
    fn apply(end: &mut &mut Triple, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match (end, op) {
            (Triple::Writer(input), RegisterOp::Write(value)) => {
                input.write(*value);
                RegisterRet::Written
            }
            (Triple::Reader(output), RegisterOp::Read) => RegisterRet::Value(*output.read()),
            (_, op) => panic!("{op:?} in the wrong role"),
        }
    }
}

/// A value behind a pointer that is replaced.
struct Swapped(ArcSwap<[u64; 2]>);

impl Structure for Swapped {
    type Memory = Hardware;
    type Spec = Register<[u64; 2]>;
    fn new(first: &[u64; 2]) -> Self {
        Self(ArcSwap::from_pointee(*first))
    }
    fn apply(&self, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(Arc::new(*value));
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(**self.0.load()),
        }
    }
}

/// A flag, and a listener's wait for it.
struct Flag {
    set: AtomicBool,
    event: event_listener::Event,
}

impl Structure for Flag {
    type Memory = Hardware;
    type Spec = Event;
    fn new(set: &bool) -> Self {
        Self {
            set: AtomicBool::new(*set),
            event: event_listener::Event::new(),
        }
    }
    fn apply(&self, op: &EventOp) -> EventRet {
        match op {
            EventOp::Set => {
                self.set.store(true, Ordering::SeqCst);
                self.event.notify(usize::MAX);
            }
            EventOp::Reset => self.set.store(false, Ordering::SeqCst),
            EventOp::Wait => {
                while !self.set.load(Ordering::SeqCst) {
                    let listener = self.event.listen();
                    if self.set.load(Ordering::SeqCst) {
                        break;
                    }
                    listener.wait();
                }
            }
            EventOp::IsSet => return EventRet::State(self.set.load(Ordering::SeqCst)),
        }
        EventRet::Done
    }
}

fn writes() -> impl Strategy<Value = RegisterOp<[u64; 2]>> {
    (1u64..9).prop_map(|n| RegisterOp::Write([n, n]))
}

fn value<T: WithHandles<Memory = Hardware, Spec = Register<[u64; 2]>>>(name: &'static str) -> Row {
    let suite = |name: &'static str| {
        Suite::new(forkcheck::site!(), name)
            .setup(Just([0, 0]))
            .role("writer", 1, 1..=3, writes())
            .role("reader", 1, 1..=3, Just(RegisterOp::Read))
            .regressions(None)
            .seed(1)
    };
    let writes = [1, 2].map(|n| RegisterOp::Write([n, n])).to_vec();
    let program = vec![writes, vec![RegisterOp::Read; 2]];
    row::<T>(name, THREADS, suite, [0, 0], program)
}

pub(crate) fn rows() -> Vec<Row> {
    let event = |name: &'static str| {
        Suite::new(forkcheck::site!(), name)
            .setup(Just(false))
            .role("waiter", 2, 1..=1, Just(EventOp::Wait))
            .role("setter", 1, 1..=1, Just(EventOp::Set))
            .regressions(None)
            .seed(1)
    };
    let program = vec![vec![EventOp::Wait], vec![EventOp::Wait], vec![EventOp::Set]];
    vec![
        value::<Parts<Triple>>("triple_buffer"),
        value::<Swapped>("arc-swap"),
        row::<Flag>("event-listener", THREADS, event, false, program),
    ]
}
