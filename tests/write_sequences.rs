//! proptest generates random write sequences across fork: some processes write them, others read.
//!
//! Properties, for every sequence:
//! - the last value of a child is the one that its parent finds when the child has ended;
//! - while one process writes, others see values that were written whole, in the order in which
//!   they were written: for each publication, for payloads of every shape (one byte to a page, with
//!   and without a tail), among two to four processes, from any start of its words, including those
//!   just before a wrap;
//! - the consumer of a ring gets each value once;
//! - words that were not written stay as they were.
//!
//! The twins that must fail: memory that the child does not share, a copy in two halves without a
//! seqlock, and for each shape the bare words of the payload.

mod seeds;

use forkcheck::memory::{HardwareWords, Memory, Words};
use forkcheck::process::{in_fresh_process, spawn};
use forkcheck::publish::{Latest, OneShot, Ring, SeqLock};
use forkcheck::{Hardware, Region};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use seeds::kept_in;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The number of words of the shared page that a sequence writes to.
const WORDS: usize = 16;

/// Returns a configuration with few cases, each of many writes, since forks are slow.
fn config(cases: u32) -> Config {
    kept_in!("write_sequences.txt", cases)
}

fn writes() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0..WORDS, any::<u64>()), 0..200)
}

/// Returns the page after the writes, one after the other.
fn model(writes: &[(usize, u64)]) -> Vec<u64> {
    let mut page = vec![0; WORDS];
    for &(word, value) in writes {
        page[word] = value;
    }
    page
}

/// In a fresh process: a child writes to a page, and the page is read when the child has ended.
fn written_by_a_child(writes: Vec<(usize, u64)>) -> Vec<u64> {
    let region = Region::anonymous(size_of::<[AtomicU64; WORDS]>()).unwrap();
    let page: &[AtomicU64; WORDS] = region.get(0).unwrap();
    let mut child = spawn(|| {
        writes
            .iter()
            .for_each(|&(word, value)| page[word].store(value, Release))
    })
    .unwrap();
    child.wait().unwrap();
    page.iter().map(|word| word.load(Acquire)).collect()
}

/// The twin: the page is the child's own copy.
fn written_to_a_private_page(writes: Vec<(usize, u64)>) -> Vec<u64> {
    let page = [const { AtomicU64::new(0) }; WORDS];
    let mut child = spawn(|| {
        writes
            .iter()
            .for_each(|&(word, value)| page[word].store(value, Release))
    })
    .unwrap();
    child.wait().unwrap();
    page.iter().map(|word| word.load(Acquire)).collect()
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn the_parent_finds_what_the_child_wrote(writes in writes()) {
        let found = in_fresh_process(written_by_a_child, writes.clone()).unwrap();
        prop_assert_eq!(found, model(&writes));
    }
}

#[test]
fn a_page_that_is_not_shared_is_noticed() {
    // A step per write and a few hundred for the two numbers of the last one; the usual limit is
    // four times the cases.
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 4096,
        ..config(64)
    });
    let failed = runner.run(&writes(), |writes| {
        let found = in_fresh_process(written_to_a_private_page, writes.clone()).unwrap();
        prop_assert_eq!(found, model(&writes));
        Ok(())
    });
    let Err(proptest::test_runner::TestError::Fail(_, smallest)) = failed else {
        panic!("{failed:?}")
    };
    assert!(
        matches!(smallest[..], [(0, 1)]),
        "one write is enough: {smallest:?}"
    );
}

#[test]
fn a_sequence_that_failed_leaves_its_seed_and_runs_first_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let seeds = directory.path().join("seeds.txt");
    let seeds: &str = Box::leak(seeds.to_str().unwrap().into());
    let first_of_a_run = |broken: bool| {
        let first = std::cell::RefCell::new(None);
        let ran = TestRunner::new(seeds::kept(16, seeds)).run(&writes(), |writes| {
            first.borrow_mut().get_or_insert_with(|| writes.clone());
            prop_assert!(!broken || writes.len() < 2);
            Ok(())
        });
        assert_eq!(ran.is_err(), broken);
        first.into_inner().unwrap()
    };
    first_of_a_run(true);
    let kept = std::fs::read_to_string(seeds).unwrap();
    let lines = kept.lines().filter(|line| line.starts_with("cc "));
    assert_eq!(lines.count(), 1, "{kept}");
    assert!(first_of_a_run(false).len() >= 2, "the one that failed");
    assert_eq!(std::fs::read_to_string(seeds).unwrap(), kept);
    assert!(config(1).failure_persistence.is_some_and(|kept| {
        format!("{kept:?}").contains("/proptest-regressions/write_sequences.txt")
    }));
}

/// The values that a parent saw while its child wrote, and at the end.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    during: Vec<[u64; 4]>,
    last: [u64; 4],
}

/// A value of four words that belong together.
fn quad(value: u64) -> [u64; 4] {
    [value, !value, value.rotate_left(7), value ^ 0x5555]
}

/// In a fresh process: a child publishes each value through a seqlock, and the parent reads until it has ended.
fn published_by_a_child(values: Vec<u64>) -> Seen {
    let region = Region::anonymous(size_of::<SeqLock<[u64; 4]>>()).unwrap();
    let page: &SeqLock<[u64; 4]> = region.get(0).unwrap();
    watch(
        || page.read().expect("the writer ends between two writes"),
        || {
            let mut writer = page.writer();
            values.iter().for_each(|&value| writer.write(quad(value)));
        },
    )
}

/// The twin: the same words without a seqlock, with the time between two of them that a larger payload takes.
fn copied_by_a_child(values: Vec<u64>) -> Seen {
    let region = Region::anonymous(size_of::<[AtomicU64; 4]>()).unwrap();
    let page: &[AtomicU64; 4] = region.get(0).unwrap();
    let copy = || {
        for &value in &values {
            for (word, part) in page.iter().zip(quad(value)) {
                word.store(part, Relaxed);
                (0..100)
                    .for_each(|_| std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst));
            }
        }
    };
    watch(
        || std::array::from_fn(|word| page[word].load(Relaxed)),
        copy,
    )
}

fn watch(read: impl Fn() -> [u64; 4], write: impl FnOnce()) -> Seen {
    let mut child = spawn(write).unwrap();
    let mut during = vec![read()];
    loop {
        let ended = child.wait_timeout(std::time::Duration::ZERO).unwrap();
        for _ in 0..64 {
            let value = read();
            if during.last() != Some(&value) {
                during.push(value);
            }
        }
        if ended.is_some() {
            return Seen {
                during,
                last: read(),
            };
        }
    }
}

/// Checks that the reads are, in this order, some of the writes, possibly after the initial zeros.
fn in_order(values: &[u64], seen: &Seen) -> Result<(), TestCaseError> {
    let mut written = std::iter::once([0; 4]).chain(values.iter().map(|&value| quad(value)));
    for read in &seen.during {
        prop_assert!(
            written.any(|value| value == *read),
            "{read:?} was not written then: torn, or out of order"
        );
    }
    let last = values.last().map_or([0; 4], |&value| quad(value));
    prop_assert_eq!(seen.last, last);
    Ok(())
}

/// Returns distinct values, so that reads can be told apart.
fn values() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(1u64.., 0..400)
        .prop_map(|values| values.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn the_parent_sees_whole_values_in_order_while_the_child_writes(values in values()) {
        let seen = in_fresh_process(published_by_a_child, values.clone()).unwrap();
        in_order(&values, &seen)?;
    }
}

#[test]
fn a_copy_without_a_seqlock_is_noticed() {
    // A search, since the machine decides how often the two overlap.
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 0,
        ..config(500)
    });
    let failed = runner.run(&prop::collection::vec(1u64.., 400..401), |values| {
        in_order(
            &values,
            &in_fresh_process(copied_by_a_child, values.clone()).unwrap(),
        )
    });
    assert!(
        failed
            .unwrap_err()
            .to_string()
            .contains("was not written then")
    );
}

/// A sequence of distinct values that are written once each, and read by several processes at the
/// same time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sequence {
    publication: Publication,
    values: u32,
    readers: usize,
    /// The start of the publication's words; see [`Publication::set`].
    start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Publication {
    OneShot,
    SeqLock,
    Latest,
    Ring,
    /// The twin: the payload's words and nothing else.
    Bare,
}

/// Returns the bytes of the nth value; the first are zeros. Two of them differ in most bytes.
fn bytes<const N: usize>(n: u32) -> [u8; N] {
    std::array::from_fn(|at| {
        let mixed = u64::from(n)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(at as u32 % 61)
            .wrapping_add(at as u64 * u64::from(n > 0))
            .wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 56) as u8
    })
}

/// The slots of the ring: no power of two, so that its indices wrap at another place than their
/// type does.
const SLOTS: usize = 3;

/// The memory that the processes share.
struct Shared {
    region: Region,
    /// The number of readers that have started, and then whether the writer is done.
    ready: Region,
}

impl Shared {
    fn ready(&self) -> &AtomicU32 {
        self.ready.get(0).unwrap()
    }
    fn done(&self) -> &AtomicU32 {
        self.ready.get(64).unwrap()
    }
}

impl Publication {
    /// Sets its words as they are after many earlier writes: the sequence number, the owners of the
    /// slots, the indices.
    fn set(self, region: &Region, start: u64) {
        let word = |at: usize| region.get::<AtomicU32>(at).unwrap();
        match self {
            Self::SeqLock => region.get::<AtomicU64>(0).unwrap().store(start, Relaxed),
            Self::Latest => word(0).store((start % 3) as u32 | (start / 3 % 2 * 4) as u32, Relaxed),
            Self::Ring => [0, 4, 128, 132]
                .iter()
                .for_each(|&at| word(at).store((start % (2 * SLOTS as u64)) as u32, Relaxed)),
            Self::OneShot | Self::Bare => {}
        }
    }

    /// Writes one value; returns whether there was room.
    fn write<const N: usize>(self, region: &Region, value: [u8; N]) -> bool {
        match self {
            Self::OneShot => region
                .get::<OneShot<[u8; N]>>(0)
                .unwrap()
                .set(value)
                .is_ok(),
            Self::SeqLock => {
                let page = region.get::<SeqLock<[u8; N]>>(0).unwrap();
                page.writer().write(value);
                true
            }
            Self::Latest => {
                region.get::<Latest<[u8; N]>>(0).unwrap().write(value);
                true
            }
            Self::Ring => region
                .get::<Ring<[u8; N], SLOTS>>(0)
                .unwrap()
                .push(value)
                .is_ok(),
            Self::Bare => {
                region
                    .get::<HardwareWords<[u8; N]>>(0)
                    .unwrap()
                    .store(value);
                true
            }
        }
    }

    fn read<const N: usize>(self, region: &Region) -> Option<[u8; N]> {
        match self {
            Self::OneShot => region.get::<OneShot<[u8; N]>>(0).unwrap().get(),
            Self::SeqLock => region.get::<SeqLock<[u8; N]>>(0).unwrap().try_read(),
            Self::Latest => Some(region.get::<Latest<[u8; N]>>(0).unwrap().read()),
            Self::Ring => region.get::<Ring<[u8; N], SLOTS>>(0).unwrap().pop(),
            Self::Bare => Some(region.get::<HardwareWords<[u8; N]>>(0).unwrap().load()),
        }
    }

    /// Runs one reader: each value that it gets is written whole, and never older than before.
    /// Returns the number of different values.
    fn watched<const N: usize>(self, sequence: &Sequence, shared: &Shared) -> Result<u32, String> {
        shared.ready().fetch_add(1, Release);
        let (mut last, mut different) = (0, 0);
        loop {
            // First whether it is done, then the value.
            let done = shared.done().load(Acquire) == 1;
            let mut nothing = true;
            while let Some(value) = self.read::<N>(&shared.region) {
                if value == bytes::<N>(last) && self != Self::Ring {
                    break;
                }
                nothing = false;
                let next = (last + 1..=sequence.values).find(|&n| value == bytes::<N>(n));
                let next = next.ok_or_else(|| {
                    format!("after value {last} came one that was not written then: torn, or out of order")
                })?;
                if self == Self::Ring && next != last + 1 {
                    return Err(format!("after value {last} came {next}"));
                }
                (last, different) = (next, different + 1);
            }
            if done && nothing {
                let expected = if sequence.values == 0 {
                    0
                } else {
                    sequence.values
                };
                return (bytes::<N>(last) == bytes::<N>(expected))
                    .then_some(different)
                    .ok_or_else(|| format!("the last value read is {last}, not {expected}"));
            }
        }
    }
}

/// In a fresh process: one child writes, the others read. Returns the number of different values
/// that each reader got.
fn shared_by_processes<const N: usize>(sequence: Sequence) -> Result<Vec<u32>, String> {
    let Sequence {
        publication,
        values,
        readers,
        start,
    } = sequence;
    let shared = Shared {
        region: Region::anonymous(size_of::<Ring<[u8; N], 4>>() + 4096).unwrap(),
        ready: Region::anonymous(128).unwrap(),
    };
    publication.set(&shared.region, start);
    let watchers: Vec<_> = (0..readers)
        .map(|_| spawn(|| publication.watched::<N>(&sequence, &shared)).unwrap())
        .collect();
    let mut writer = spawn(|| {
        while shared.ready().load(Acquire) < readers as u32 {
            Hardware::spin_loop();
        }
        for n in 1..=values {
            while !publication.write(&shared.region, bytes::<N>(n)) {
                Hardware::spin_loop();
            }
        }
    })
    .unwrap();
    let ended = writer.wait();
    shared.done().store(1, Release);
    let seen = watchers
        .into_iter()
        .map(|watcher| watcher.value().unwrap())
        .collect();
    ended.unwrap();
    seen
}

/// Returns sequences: one value for a one-shot, one reader where only one may read, any start near
/// a wrap, and any other.
fn sequences() -> impl Strategy<Value = Sequence> {
    use Publication::{Latest, OneShot, Ring, SeqLock};
    let publications = prop_oneof![Just(OneShot), Just(SeqLock), Just(Latest), Just(Ring)];
    let starts = prop_oneof![
        (0u64..12).prop_map(|before| u64::MAX - before),
        any::<u64>()
    ];
    (publications, 0u32..300, 1usize..=3, starts).prop_map(
        |(publication, values, readers, start)| {
            Sequence {
                publication,
                values: if publication == OneShot {
                    values.min(1)
                } else {
                    values
                },
                readers: if matches!(publication, Latest | Ring) {
                    1
                } else {
                    readers
                },
                // Even: no process is writing.
                start: start & !1,
            }
        },
    )
}

/// A test for each size of payload.
macro_rules! shapes {
    ($($name:ident: $size:literal,)*) => {
        $(
            proptest! {
                #![proptest_config(config(12))]
                #[test]
                fn $name(sequence in sequences()) {
                    let seen = in_fresh_process(shared_by_processes::<$size>, sequence.clone()).unwrap();
                    let seen = seen.map_err(TestCaseError::fail)?;
                    prop_assert_eq!(seen.len(), sequence.readers);
                }
            }
        )*
    };
}
shapes! {
    payloads_of_one_byte: 1,
    payloads_of_two_bytes: 2,
    payloads_of_three_bytes: 3,
    payloads_of_seven_bytes: 7,
    payloads_of_one_word: 8,
    payloads_of_a_word_and_a_byte: 9,
    payloads_of_a_word_and_seven_bytes: 15,
    payloads_of_two_words: 16,
    payloads_of_a_cache_line: 64,
    payloads_of_a_cache_line_and_a_byte: 65,
    payloads_of_a_thousand_bytes: 1000,
    payloads_of_a_page_less_a_byte: 4095,
    payloads_of_a_page: 4096,
}

#[test]
fn an_odd_sequence_number_that_a_dead_writer_left_is_written_over() {
    let sequence = Sequence {
        publication: Publication::SeqLock,
        values: 200,
        readers: 2,
        start: u64::MAX,
    };
    let seen = in_fresh_process(shared_by_processes::<24>, sequence)
        .unwrap()
        .unwrap();
    assert_eq!(seen.len(), 2);
}

/// Searches, since the machine decides how often two processes overlap.
#[track_caller]
fn bare_words_are_torn<const N: usize>() {
    let sequence = Sequence {
        publication: Publication::Bare,
        values: 2_000,
        readers: 1,
        start: 0,
    };
    let torn = (0..500).find_map(|_| {
        in_fresh_process(shared_by_processes::<N>, sequence.clone())
            .unwrap()
            .err()
    });
    let torn = torn.expect("500 times 2,000 values and none was torn");
    assert!(torn.contains("torn, or out of order"), "{torn}");
}

#[test]
fn bare_words_of_two_bytes_are_torn() {
    bare_words_are_torn::<2>();
}
#[test]
fn bare_words_with_a_tail_are_torn() {
    bare_words_are_torn::<15>();
}
#[test]
fn bare_words_of_a_page_are_torn() {
    bare_words_are_torn::<4096>();
}
