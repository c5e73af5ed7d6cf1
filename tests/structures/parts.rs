//! Parts of a payload, read and written separately: which bytes are copied, which are left alone,
//! and which are found where two parts do not belong together or a part is not published.

use crate::support::{caught, found};
use forkcheck::case::{Access, Step};
use forkcheck::check::Kind;
use forkcheck::engine::{Kills, Processes, Stepped, SteppedMemory};
use forkcheck::memory::HardwareWords;
use forkcheck::memory::weakened::Weakened;
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

/// Returns a small suite without roles: the same each time, under the name of this module.
fn suite<S: Spec>(name: &str) -> Suite<S> {
    Suite::new(forkcheck::site!(), name)
        .seed(7)
        .cases(8)
        .executions(3_000)
        .regressions(None)
}

/// A part is compared with the slice of the bytes: whole words, less than a word, across words, the tail, none, all.
#[test]
fn a_part_is_the_bytes_at_its_offset_and_no_other_is_touched() {
    const LENGTH: usize = 21;
    type Modelled = <Weakened<Hardware> as Memory>::Words<[u8; LENGTH]>;
    fn part<const N: usize>(offset: usize) {
        let before: [u8; LENGTH] = std::array::from_fn(|n| n as u8);
        let part: [u8; N] = std::array::from_fn(|n| 100 + n as u8);
        let mut after = before;
        after[offset..offset + N].copy_from_slice(&part);
        let (words, modelled) = (HardwareWords::new(before), Modelled::new(before));
        assert_eq!(words.load_part::<[u8; N]>(offset), before[offset..][..N]);
        assert_eq!(modelled.load_part::<[u8; N]>(offset), before[offset..][..N]);
        words.store_part(offset, part);
        modelled.store_part(offset, part);
        assert_eq!((words.load(), modelled.load()), (after, after));
        assert_eq!(words.load_part::<[u8; N]>(offset), part);
        assert_eq!(modelled.load_part::<[u8; N]>(offset), part);
    }
    macro_rules! lengths {
        ($($n:literal)*) => { $((0..=LENGTH - $n).for_each(part::<$n>);)* };
    }
    lengths!(0 1 2 3 4 5 7 8 9 12 15 16 17 20 21);
    // One word of every pair of bytes, in a memory whose last word is not full.
    let region = Region::memfd(size_of::<HardwareWords<[u16; 6]>>()).unwrap();
    let words: &HardwareWords<[u16; 6]> = region.get(0).unwrap();
    words.store_part(10, 7u16);
    let view = region.view().unwrap();
    let seen = view.get::<HardwareWords<[u16; 6]>>(0).unwrap();
    assert_eq!(seen.load_part::<[u16; 2]>(8), [0, 7]);
}

#[test]
fn a_part_that_is_not_within_its_payload_panics() {
    for (offset, inside) in [(0, true), (4, true), (5, false), (usize::MAX, false)] {
        let panics = |access: fn(&HardwareWords<[u32; 3]>, usize)| {
            let caught = std::panic::catch_unwind(|| access(&HardwareWords::new([0; 3]), offset));
            caught.is_err()
        };
        let read = panics(|words, offset| assert_eq!(words.load_part::<u64>(offset), 0));
        let written = panics(|words, offset| words.store_part(offset, 1u64));
        assert_eq!((read, written), (!inside, !inside), "at {offset}");
    }
}

/// Two adjacent registers in one word of 64 bits: process 0 has one, process 1 the other.
mod neighbours {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct Own([u32; 2]);

    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub(crate) enum Op {
        Write(u32),
        Read,
    }

    impl Spec for Own {
        type Setup = ();
        type Op = Op;
        type Ret = Option<u32>;
        fn start(_: &()) -> Self {
            Own([0; 2])
        }
        fn step(&mut self, process: usize, op: &Op) -> Option<u32> {
            match op {
                Op::Write(value) => {
                    self.0[process] = *value;
                    None
                }
                Op::Read => Some(self.0[process]),
            }
        }
    }

    pub(crate) struct Fields<M: Memory, const WHOLE: bool>(M::Words<[u32; 3]>);

    impl<M: Memory, const WHOLE: bool> WithHandles for Fields<M, WHOLE> {
        type Memory = M;
        type Spec = Own;
        type Handle<'a> = (&'a Self, usize);
        fn new(_: &()) -> Self {
            Fields(Words::new([0; 3]))
        }
        fn attach<'a>(&'a self, role: Role<'_>) -> (&'a Self, usize) {
            (self, usize::from(role.name == "right"))
        }
        fn apply((fields, own): &mut (&Self, usize), op: &Op) -> Option<u32> {
            match op {
                Op::Write(value) if WHOLE => {
                    let mut all = fields.0.load();
                    all[*own] = *value;
                    fields.0.store(all);
                    None
                }
                Op::Write(value) => {
                    fields.0.store_part(4 * *own, *value);
                    None
                }
                Op::Read => Some(fields.0.load_part(4 * *own)),
            }
        }
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![(1u32..9).prop_map(Op::Write), Just(Op::Read)]
    }

    forkcheck::suite! {
        fields_of_one_word: Fields<_, false>,
        left: 1..=2 ops of op(),
        right: 1..=2 ops of op(),
        with: .cases(16).executions(500).regressions(None),
    }

    #[test]
    fn a_field_that_is_written_with_its_neighbours_undoes_what_they_wrote() {
        let suite = suite("fields")
            .role("left", 1, 2..=2, op())
            .role("right", 1, 2..=2, op());
        let lost = Some(Kind::NotLinearizable);
        let (kind, report) = found::<Stepped, Fields<SteppedMemory, true>>(&suite);
        assert_eq!(kind, lost, "{report}");
        let (kind, report) = found::<Kills, Fields<SteppedMemory, true>>(&suite);
        assert_eq!(kind, lost, "{report}");
        let (kind, report) = found::<Processes, Fields<Hardware, true>>(&suite);
        assert_eq!(kind, lost, "{report}");
    }
}

/// A pair whose halves are written and read one by one, under a sequence number that the reader
/// compares or does not.
struct Halves<M: Memory, const COMPARED: bool> {
    sequence: M::AtomicU64,
    data: M::Words<[u64; 2]>,
}

impl<M: Memory, const COMPARED: bool> Structure for Halves<M, COMPARED> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Halves {
            sequence: Atomic::new(0),
            data: Words::new([first; 2]),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                let before = self.sequence.load(Ordering::Relaxed);
                self.sequence.store(before + 1, Ordering::Relaxed);
                M::fence(Ordering::Release);
                self.data.store_part(0, *value);
                self.data.store_part(8, *value);
                self.sequence.store(before + 2, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => loop {
                let before = self.sequence.load(Ordering::Acquire);
                let second: u64 = self.data.load_part(8);
                let first: u64 = self.data.load_part(0);
                M::fence(Ordering::Acquire);
                let same = self.sequence.load(Ordering::Relaxed) == before;
                if !COMPARED || before.is_multiple_of(2) && same {
                    // A torn pair is no value that was written.
                    let torn = u64::MAX;
                    return RegisterRet::Value(if first == second { first } else { torn });
                }
                M::spin_loop();
            },
        }
    }
}

fn halves() -> Suite<Register<u64>> {
    suite("halves")
        .setup(Just(0))
        .role("writer", 1, 1..=2, (1u64..9).prop_map(RegisterOp::Write))
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
}

#[test]
fn parts_of_two_values_are_a_torn_read_and_the_report_names_each_part() {
    let suite = halves();
    let (outcome, _) =
        caught::<Stepped, Halves<SteppedMemory, false>>(&suite, Kind::NotLinearizable);
    let report = suite.report_data(&outcome);
    for (name, access) in [
        ("data[1]", Access::Load),
        ("data[0]", Access::Load),
        ("data[0]", Access::Store),
    ] {
        let is_of_part = |step: &Step| {
            let word = step.word.map(|word| &*report.words[word].name);
            word == Some(name) && step.access == access
        };
        assert!(report.steps.iter().any(is_of_part), "{name}: {report}");
    }
    let (kind, report) = found::<Processes, Halves<Hardware, false>>(&halves());
    assert_eq!(kind, Some(Kind::NotLinearizable), "{report}");
    let (kind, report) = found::<Stepped, Halves<SteppedMemory, true>>(&halves());
    assert_eq!(kind, None, "{report}");
}

#[cfg(feature = "loom")]
mod in_loom {
    use super::*;
    use forkcheck::engine::loom::{Loom, LoomMemory};

    #[test]
    fn parts_of_two_values_are_a_torn_read_there_too() {
        let (kind, report) = found::<Loom, Halves<LoomMemory, false>>(&halves());
        assert!(
            matches!(
                kind,
                Some(Kind::NotLinearizable | Kind::NotSequentiallyConsistent)
            ),
            "{report}"
        );
        let (kind, report) = found::<Loom, Halves<LoomMemory, true>>(&halves());
        assert_eq!(kind, None, "{report}");
    }

    /// The ways in which a reader takes the first field of two that are published one by one.
    const BY_ITSELF: u8 = 0;
    const WITHOUT_ACQUIRE: u8 = 1;
    const WITH_THE_OTHER: u8 = 2;

    /// Two fields, of which the first is published before the second is written.
    struct OneByOne<M: Memory, const HOW: u8> {
        done: M::AtomicBool,
        data: M::Words<[u64; 2]>,
        guards: [M::Cell<()>; 2],
    }

    impl<M: Memory, const HOW: u8> Structure for OneByOne<M, HOW> {
        type Memory = M;
        type Spec = Register<u64>;
        fn new(&first: &u64) -> Self {
            OneByOne {
                done: Atomic::new(false),
                data: Words::new([first; 2]),
                guards: [MemoryCell::new(()), MemoryCell::new(())],
            }
        }
        fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
            let [first, second] = &self.guards;
            match op {
                RegisterOp::Write(value) => {
                    first.with_mut(|_| self.data.store_part(0, *value));
                    self.done.store(true, Ordering::Release);
                    second.with_mut(|_| self.data.store_part(8, *value));
                    RegisterRet::Written
                }
                RegisterOp::Read => {
                    let acquire = if HOW == WITHOUT_ACQUIRE {
                        Ordering::Relaxed
                    } else {
                        Ordering::Acquire
                    };
                    if !self.done.load(acquire) {
                        return RegisterRet::Value(0);
                    }
                    let value = first.with(|_| {
                        if HOW == WITH_THE_OTHER {
                            second.with(|_| self.data.load())[0]
                        } else {
                            self.data.load_part(0)
                        }
                    });
                    RegisterRet::Value(value)
                }
            }
        }
    }

    #[test]
    fn a_part_that_is_not_handed_over_is_a_race_and_its_neighbour_is_none() {
        let suite = suite("one_by_one")
            .setup(Just(0))
            .role("writer", 1, 1..=1, (1u64..9).prop_map(RegisterOp::Write))
            .role("reader", 1, 1..=1, Just(RegisterOp::Read));
        let (kind, report) = found::<Loom, OneByOne<LoomMemory, BY_ITSELF>>(&suite);
        assert_eq!(kind, None, "{report}");
        let (kind, report) = found::<Stepped, OneByOne<SteppedMemory, BY_ITSELF>>(&suite);
        assert_eq!(kind, None, "{report}");
        let (kind, report) = found::<Loom, OneByOne<LoomMemory, WITHOUT_ACQUIRE>>(&suite);
        assert_eq!(kind, Some(Kind::DataRace), "{report}");
        let (kind, report) = found::<Loom, OneByOne<LoomMemory, WITH_THE_OTHER>>(&suite);
        assert_eq!(kind, Some(Kind::DataRace), "{report}");
        let (kind, report) = found::<Stepped, OneByOne<SteppedMemory, WITH_THE_OTHER>>(&suite);
        assert_eq!(kind, Some(Kind::DataRace), "{report}");
    }
}
