//! A reader that marks what it has read, where readers are to map the page read-only: in production it is a fault in a
//! process that did nothing wrong, and only when there is something new to read.

use super::*;
use forkcheck::subject::{Register, RegisterOp, RegisterRet};

struct Marked<M: Memory, const MENDED: bool> {
    value: M::AtomicU64,
    seen: M::AtomicU64,
}

impl<M: Memory, const MENDED: bool> Subject<M> for Marked<M, MENDED> {
    type Spec = Register<u64>;
    type Seat<'a> = &'a Self;
    fn new(&first: &u64) -> Self {
        Self {
            value: Atomic::new(first),
            seen: Atomic::new(first),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> &'a Self {
        self
    }
    fn apply(marked: &mut &Self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                marked.value.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let value = marked.value.load(Ordering::Acquire);
                if !MENDED && value != marked.seen.load(Ordering::Relaxed) {
                    marked.seen.store(value, Ordering::Relaxed);
                }
                RegisterRet::Value(value)
            }
        }
    }
}

#[test]
fn reader_writes() {
    let marked = super::suite("reader_writes")
        .setup(Just(0))
        .role("writer", 1, 1..=2, (0u64..9).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=2, Just(RegisterOp::Read));
    let only = marked.clone().read_only("reader");
    let report = caught::<Stepped, Marked<_, false>>(&only, Kind::WriteToReadOnly, 2);
    assert!(
        report.contains("reader: Read writes, where its mapping is read-only")
            && report.contains("seen: write refused  reader_writes.rs:33"),
        "{report}"
    );
    caught::<Kills, Marked<_, false>>(&only, Kind::WriteToReadOnly, 2);
    passes::<Stepped, Marked<_, true>>(&only);
    // Who may write, does.
    passes::<Stepped, Marked<_, false>>(&marked);
    let nobody = marked
        .read_only("raeder")
        .check::<Stepped, Marked<_, true>>();
    assert!(nobody.is_err_and(|error| error.to_string().contains("writer, reader")));
}
