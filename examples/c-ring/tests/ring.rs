//! The C ring between two processes: the shipped one hands out a message before it is there, the fixed one does not.
//!
//! It is not written over `Memory`, so it runs on the machine's own memory alone, on the engine `processes`.
#![forbid(unsafe_code)]

use c_ring::{Build, Consumer, Fixed, Message, Producer, Ring, Shipped};
use forkcheck::prelude::*;
use forkcheck::spec::{QueueOp, QueueRet, StaleQueue};

/// A ring under test, of three slots that begin empty.
struct CRing<B: Build>(Ring<B>);

fn message(text: &str) -> Message {
    let mut message = Message {
        length: text.len() as u32,
        text: [0; 12],
    };
    message.text[..text.len()].copy_from_slice(text.as_bytes());
    message
}

/// What the consumer makes of a message: it trusts neither its length nor its text.
fn text(message: &Message) -> String {
    let text = message.text.get(..message.length as usize);
    text.map_or("too long".into(), |text| {
        String::from_utf8_lossy(text).into_owned()
    })
}

/// The half of the ring that a process holds.
enum Handle<'a, B: Build> {
    Producer(Producer<'a, B>),
    Consumer(Consumer<'a, B>),
}

impl<B: Build> WithHandles for CRing<B> {
    type Memory = Hardware;
    type Spec = StaleQueue<String>;
    type Handle<'a> = Handle<'a, B>;
    fn new(_: &usize) -> Self {
        CRing(Ring::new())
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> Handle<'a, B> {
        match role.is("producer") {
            true => Handle::Producer(self.0.producer().expect("no process has it")),
            false => Handle::Consumer(self.0.consumer().expect("no process has it")),
        }
    }
    fn apply(handle: &mut Handle<'_, B>, op: &QueueOp<String>) -> QueueRet<String> {
        match (handle, op) {
            (Handle::Producer(producer), QueueOp::Push(text)) => {
                match producer.push(&message(text)) {
                    true => QueueRet::Pushed,
                    false => QueueRet::Full,
                }
            }
            (Handle::Consumer(consumer), QueueOp::Pop) => match consumer.pop() {
                Some(message) => QueueRet::Popped(text(&message)),
                None => QueueRet::Empty,
            },
            (_, op) => unreachable!("this handle cannot {op:?}"),
        }
    }
}

fn pushes() -> impl Strategy<Value = QueueOp<String>> {
    (1u32..1_000_000).prop_map(|n| QueueOp::Push(format!("job {n}")))
}

forkcheck::suite! {
    // With instrumentation it is found out sooner, as a data race.
    #[should_panic(expected = "shrunk from")]
    shipped: CRing<Shipped>,
    setup: Just(3),
    producer: 1..=4 ops of pushes(),
    consumer: 1..=4 ops of Just(QueueOp::Pop),
    with: .regressions(None),
}

forkcheck::suite! {
    fixed: CRing<Fixed>,
    setup: Just(3),
    producer: 1..=4 ops of pushes(),
    consumer: 1..=4 ops of Just(QueueOp::Pop),
}

#[test]
fn there_is_one_handle_of_each_kind() {
    let ring = Ring::<Fixed>::new();
    let producer = ring.producer();
    assert!(producer.is_some() && ring.producer().is_none() && ring.consumer().is_some());
    drop(producer);
    assert!(ring.producer().is_some());
}
