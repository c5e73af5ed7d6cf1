//! The names of words in a report: those of the source, and never a wrong index.

use super::*;
use forkcheck::Report;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

const WORDS: usize = 8;

/// Two of eight words hold one value; the others are never accessed. `BY` selects the way in which
/// the words are accessed.
struct Page<M: Memory, const BY: u8> {
    words: [M::AtomicU64; WORDS],
    extra: M::AtomicU32,
}

const INDEX: u8 = 0;
const REFERENCE: u8 = 1;
const PARAMETER: u8 = 2;

impl<M: Memory, const BY: u8> Page<M, BY> {
    fn put(&self, at: usize, value: u64) {
        match BY {
            INDEX => self.words[at].store(value, Ordering::Relaxed),
            REFERENCE => {
                let cell = &self.words[at];
                cell.store(value, Ordering::Relaxed);
            }
            _ => put(&self.words[at], value),
        }
    }
}

fn put<A: Atomic<u64>>(cell: &A, value: u64) {
    cell.store(value, Ordering::Relaxed);
}

impl<M: Memory, const BY: u8> Structure for Page<M, BY> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Self {
            words: std::array::from_fn(|_| Atomic::new(first)),
            extra: Atomic::new(0),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        self.extra.fetch_add(1, Ordering::Relaxed);
        match op {
            RegisterOp::Write(value) => {
                self.put(4, *value);
                self.put(6, *value);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let [a, b] = [4, 6].map(|at: usize| self.words[at].load(Ordering::Relaxed));
                RegisterRet::Value(if a == b { a } else { 1_000 })
            }
        }
    }
}

fn report<T: WithHandles<Memory = SteppedMemory, Spec = Register<u64>>>() -> Report {
    let suite = suite("names")
        .setup(Just(0))
        .role("writer", 1, 1..=1, (1u64..9).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=1, Just(RegisterOp::Read));
    let (outcome, _) = caught::<Stepped, T>(&suite, Kind::NotLinearizable);
    suite.report_data(&outcome)
}

/// Returns the names of the words in a report.
fn names(report: &Report) -> Vec<&str> {
    report.words.iter().map(|word| &*word.name).collect()
}

#[test]
fn an_element_has_the_index_that_the_source_would_give_it() {
    for report in [
        report::<Page<_, INDEX>>(),
        report::<Page<_, REFERENCE>>(),
        report::<Page<_, PARAMETER>>(),
    ] {
        let names = names(&report);
        for name in ["words[4]", "words[6]", "extra"] {
            assert!(names.contains(&name), "no {name:?}: {report}");
        }
        assert_eq!(report.legend, None, "{names:?}");
    }
}

/// Such an array between other words that are never accessed, so nothing shows where the array
/// begins.
struct Between<M: Memory> {
    before: [M::AtomicU64; 3],
    cells: [M::AtomicU64; WORDS],
    _after: [M::AtomicU64; 3],
}

impl<M: Memory> Structure for Between<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        let word = |_| M::AtomicU64::new(first);
        Self {
            before: std::array::from_fn(word),
            cells: std::array::from_fn(word),
            _after: std::array::from_fn(word),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let at = |at: usize| &self.cells[at];
        let both = [at(3), at(4)];
        match op {
            RegisterOp::Write(value) => {
                both.iter()
                    .for_each(|word| word.store(*value, Ordering::Relaxed));
                RegisterRet::Written
            }
            RegisterOp::Read => {
                let [a, b] = [3, 4].map(|at: usize| self.cells[at].load(Ordering::Relaxed));
                RegisterRet::Value(if a == b { a } else { 1_000 })
            }
        }
    }
}

#[test]
fn where_nothing_says_the_index_the_name_says_the_byte_and_what_that_means() {
    let report = report::<Between<_>>();
    let base = std::mem::offset_of!(Between<SteppedMemory>, cells);
    assert_ne!(base, std::mem::offset_of!(Between<SteppedMemory>, before));
    for element in [3, 4] {
        let name = format!("cells@{}", base + 8 * element);
        assert!(names(&report).contains(&&*name), "no {name:?}: {report}");
    }
    let legend = report.legend.unwrap();
    assert!(
        legend.starts_with("@ and a number: the byte of the structure"),
        "{legend}"
    );
}
