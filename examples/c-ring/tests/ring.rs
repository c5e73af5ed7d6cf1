//! The C ring between two processes: the shipped one hands out a message before it is there, the fixed one does not.
//!
//! It is not written over `Memory`, so it runs on the machine's own memory alone, on the engine `processes`.
#![forbid(unsafe_code)]

use c_ring::{Build, Fixed, Message, Ring, Shipped};
use forkcheck::prelude::*;
use forkcheck::subject::{QueueOp, QueueRet, StaleQueue};

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

impl<B: Build> Subject<Hardware> for CRing<B> {
    type Spec = StaleQueue<String>;
    type Seat<'a> = &'a Self;
    fn new(_: &usize) -> Self {
        CRing(Ring::new())
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(ring: &mut &Self, op: &QueueOp<String>) -> QueueRet<String> {
        match op {
            QueueOp::Push(text) if ring.0.push(&message(text)) => QueueRet::Pushed,
            QueueOp::Push(_) => QueueRet::Full,
            QueueOp::Pop => match ring.0.pop() {
                Some(message) => QueueRet::Popped(text(&message)),
                None => QueueRet::Empty,
            },
        }
    }
}

fn pushes() -> impl Strategy<Value = QueueOp<String>> {
    (1u32..1_000_000).prop_map(|n| QueueOp::Push(format!("job {n}")))
}

forkcheck::suite! {
    #[should_panic(expected = "consumer: Pop returned")]
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
