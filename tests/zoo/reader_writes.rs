//! A reader that marks the values that it has read, where readers should map the page read-only: in production that is a
//! fault, and only when there is something new to read.

use super::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use std::sync::atomic::AtomicU64;

const MENDED: u8 = 0;
const MARKS: u8 = 1;
/// The reader marks a word that bypasses the given memory.
const MARKS_BESIDE: u8 = 2;

struct Marked<M: Memory, const HOW: u8> {
    value: M::AtomicU64,
    seen: M::AtomicU64,
    beside: AtomicU64,
    guard: M::Cell<()>,
}

impl<M: Memory, const HOW: u8> Structure for Marked<M, HOW> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Self {
            value: Atomic::new(first),
            seen: Atomic::new(first),
            beside: AtomicU64::new(first),
            guard: MemoryCell::new(()),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.value.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let value = self.value.load(Ordering::Acquire);
                // Being in a cell does not count as a write of the reader's.
                self.guard.with(|_| ());
                if HOW == MARKS_BESIDE {
                    self.beside.store(value, Ordering::Relaxed);
                }
                if HOW == MARKS && value != self.seen.load(Ordering::Relaxed) {
                    self.seen.store(value, Ordering::Relaxed);
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
    let report = caught::<Stepped, Marked<_, MARKS>>(&only, Kind::WriteToReadOnly, 2);
    assert!(
        report.contains("reader: Read writes, where its mapping is read-only")
            && report.contains("seen: write refused  reader_writes.rs:45"),
        "{report}"
    );
    caught::<Kills, Marked<_, MARKS>>(&only, Kind::WriteToReadOnly, 2);
    passes::<Stepped, Marked<_, MENDED>>(&only);
    // The kernel detects a write that bypasses the memory.
    let report = caught::<Stepped, Marked<_, MARKS_BESIDE>>(&only, Kind::WriteToReadOnly, 2);
    assert!(
        report.contains("reader: Read was ended by SIGSEGV"),
        "{report}"
    );
    let report = side_by_side::<Marked<_, MARKS>>(&only, Kind::WriteToReadOnly, 2);
    assert!(
        report.contains("Read was ended by SIGSEGV, where its mapping is read-only"),
        "{report}"
    );
    only.test::<Processes, Marked<_, MENDED>>();
    // Without the promise, the reader may write.
    passes::<Stepped, Marked<_, MARKS>>(&marked);
    let no_role = marked
        .read_only("raeder")
        .check::<Stepped, Marked<_, MENDED>>();
    assert!(no_role.is_err_and(|error| error.to_string().contains("writer, reader")));
}
