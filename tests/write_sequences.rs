//! proptest generates random write sequences across fork: a child writes them, its parent reads.
//!
//! Properties, for every sequence:
//! - what the child wrote last is what the parent finds when the child has ended;
//! - while the child writes, the parent sees values that were written whole, in the order in which they were written;
//! - words that nobody wrote stay as they were.
//!
//! The twins that must fail: memory that the child does not share, and a copy in two halves without a seqlock.

use forkcheck::Region;
use forkcheck::process::{clean, spawn};
use forkcheck::publish::SeqLock;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Words of the shared page that a sequence writes to.
const WORDS: usize = 16;

/// Forks are dear, so a case is many writes; failing seeds go where saved cases go.
fn config(cases: u32) -> Config {
    let seeds = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/proptest-regressions/write_sequences.txt"
    );
    Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..Config::default()
    }
}

fn writes() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0..WORDS, any::<u64>()), 0..200)
}

/// The page after the writes, one after the other.
fn model(writes: &[(usize, u64)]) -> Vec<u64> {
    let mut page = vec![0; WORDS];
    for &(word, value) in writes {
        page[word] = value;
    }
    page
}

/// In a clean process: a child writes to a page, and the page is read when it has ended.
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
        let found = clean(written_by_a_child, writes.clone()).unwrap();
        prop_assert_eq!(found, model(&writes));
    }
}

#[test]
fn a_page_that_is_not_shared_is_noticed() {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..config(64)
    });
    let failed = runner.run(&writes(), |writes| {
        let found = clean(written_to_a_private_page, writes.clone()).unwrap();
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

/// What a parent saw while its child wrote, and at the end.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    during: Vec<[u64; 4]>,
    last: [u64; 4],
}

/// A value of four words that belong together.
fn quad(value: u64) -> [u64; 4] {
    [value, !value, value.rotate_left(7), value ^ 0x5555]
}

/// In a clean process: a child publishes each value through a seqlock, and the parent reads until it has ended.
fn published_by_a_child(values: Vec<u64>) -> Seen {
    let region = Region::anonymous(size_of::<SeqLock<[u64; 4]>>()).unwrap();
    let page: &SeqLock<[u64; 4]> = region.get(0).unwrap();
    watch(
        || page.read(),
        || values.iter().for_each(|&value| page.write(quad(value))),
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

/// The reads are, in this order, some of the writes, the first possibly the zeros before all of them.
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

/// Each value once, so that reads can be told apart.
fn values() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(1u64.., 0..400)
        .prop_map(|values| values.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn the_parent_sees_whole_values_in_order_while_the_child_writes(values in values()) {
        let seen = clean(published_by_a_child, values.clone()).unwrap();
        in_order(&values, &seen)?;
    }
}

#[test]
fn a_copy_without_a_seqlock_is_noticed() {
    // A search: how often the two run side by side is up to the machine.
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 0,
        ..config(500)
    });
    let failed = runner.run(&prop::collection::vec(1u64.., 400..401), |values| {
        in_order(&values, &clean(copied_by_a_child, values.clone()).unwrap())
    });
    assert!(
        failed
            .unwrap_err()
            .to_string()
            .contains("was not written then")
    );
}
