//! Regions whose bytes another process has overwritten: each word of the header, each word of each
//! publication, with every kind of wrong value. Opening says what is wrong, operations return some
//! value; nothing panics, faults or hangs.
#![allow(
    unsafe_code,
    reason = "the header of a region lies in front of what it hands out"
)]

use crate::backings::Page;
use crate::scratch::{Scratch, clean, sweeping};
use crate::seeds::kept_in;
use crate::victim::victim;
use forkcheck::memory::{Hardware, Incarnation, Memory, Resident};
use forkcheck::process::{self, Exit};
use forkcheck::publish::{Full, OneShot, SeqLock, WriterGone};
use forkcheck::region::{Layout, Name, View, sweep, sweep_files};
use forkcheck::{Error, Region};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::fmt::Debug;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The words of a header, and the positions of some.
const HEADER: usize = 16;
const MAGIC: usize = 0;
const LEN: usize = 1;
const SHAPE: usize = 2;
const INCARNATION: usize = 3;

/// The way in which a word is overwritten.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    To(u64),
    By(i64),
    Bits(u64),
    /// A process that is alive, and one that was.
    Living,
    Dead,
}

impl Wrong {
    fn of(self, was: u64, dead: Incarnation) -> u64 {
        match self {
            Self::To(value) => value,
            Self::By(difference) => was.wrapping_add_signed(difference),
            Self::Bits(bits) => was ^ bits,
            Self::Living => Hardware::me().to_bits(),
            Self::Dead => dead.to_bits(),
        }
    }
}

fn wrong() -> impl Strategy<Value = Wrong> {
    let edges = [
        0,
        1,
        2,
        3,
        127,
        128,
        u64::MAX,
        u64::MAX - 127,
        1 << 31,
        1 << 32,
        1 << 63,
    ];
    prop_oneof![
        proptest::sample::select(edges.to_vec()).prop_map(Wrong::To),
        any::<u64>().prop_map(Wrong::To),
        (-200i64..200).prop_map(Wrong::By),
        (0..64u32).prop_map(|bit| Wrong::Bits(1 << bit)),
        Just(Wrong::Living),
        Just(Wrong::Dead),
    ]
}

/// Tests a property where processes can be forked; returns the number of cases that were tried.
fn property<S>(
    strategy: S,
    config: ProptestConfig,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<u32, String>
where
    S: Strategy,
    S::Value: Debug,
{
    let cases = std::cell::Cell::new(0);
    let ran = TestRunner::new(config).run(&strategy, |case| {
        cases.set(cases.get() + 1);
        check(case)
    });
    ran.map(|()| cases.get()).map_err(|error| error.to_string())
}

/// Returns the [`Incarnation`] of a process that has ended.
fn dead() -> Incarnation {
    process::run(Hardware::me).unwrap()
}

/// Returns the words of a region from its first byte, with those of the header before it if
/// `header` is set.
fn words(region: &Region, header: bool) -> &[AtomicU64] {
    let first: &AtomicU64 = region.get(0).unwrap();
    let (before, after) = (if header { HEADER } else { 0 }, region.len() / 8);
    // SAFETY: from_raw_parts.
    // 1. Before the bytes of a region with a header lie the 16 words of that header, in the same
    // mapping.
    // 2. Behind it are `len` bytes. 3. Any bytes are an AtomicU64, which may change behind a shared
    // reference.
    unsafe { std::slice::from_raw_parts((&raw const *first).sub(before), before + after) }
}

/// A named region, and the ways to open it.
struct Target {
    region: Region,
    name: Option<Name>,
}

impl Target {
    const KINDS: [&str; 4] = ["posix", "sysv", "file", "memfd"];

    fn new(scratch: &Scratch, kind: &str) -> Self {
        let name = scratch.names().into_iter().find(|(what, _)| *what == kind);
        let name = name.map(|(_, name)| name);
        let layout = Layout::of::<Page>();
        let region = match &name {
            Some(name) => Region::create(name, layout),
            None => Region::memfd(layout),
        };
        Self {
            region: region.unwrap(),
            name,
        }
    }
    fn open(&self, layout: Layout) -> Result<Region, Error> {
        match &self.name {
            Some(name) => Region::open(name, layout),
            None => Region::from_fd(self.fd(), layout),
        }
    }
    fn view(&self, layout: Layout) -> Result<View, Error> {
        match &self.name {
            Some(name) => View::open(name, layout),
            None => View::from_fd(self.fd(), layout),
        }
    }
    fn fd(&self) -> std::os::fd::OwnedFd {
        self.region.fd().unwrap().try_clone_to_owned().unwrap()
    }
}

/// Returns the length, or the error message. The last byte of an opened region is accessed.
fn opened(region: Result<Region, Error>) -> Result<usize, String> {
    let region = region.map_err(|error| error.to_string())?;
    let last: &AtomicU8 = region.get(region.len() - 1).unwrap();
    last.load(Relaxed);
    assert!(region.get::<AtomicU8>(region.len()).is_err());
    let _ = region.creator();
    Ok(region.len())
}

#[test]
fn a_header_with_any_word_wrong_is_refused_in_words_or_harmless() {
    let cases = clean(|| {
        let (scratch, dead) = (Scratch::new(), dead());
        let spoilt = (
            0..Target::KINDS.len(),
            prop::collection::vec((0..HEADER, wrong()), 1..=3),
        );
        let config = kept_in!("hostile_header.txt", 400);
        property(spoilt, config, |(kind, spoilt)| {
            let _alone = sweeping();
            let target = Target::new(&scratch, Target::KINDS[kind]);
            let whole = target.region.len();
            let (before, after) = victim(|| {
                let words = &words(&target.region, true)[..HEADER];
                let read = || {
                    words
                        .iter()
                        .map(|word| word.load(Relaxed))
                        .collect::<Vec<_>>()
                };
                let before = read();
                for (at, wrong) in spoilt {
                    words[at].store(wrong.of(words[at].load(Relaxed), dead), Relaxed);
                }
                (before, read())
            })
            .unwrap();
            let seen = victim(|| {
                let (exact, any) = (Layout::of::<Page>(), Layout::from(0));
                let view = target.view(any).map(|view| view.len());
                let seen = [
                    opened(target.open(exact)),
                    opened(target.open(any)),
                    view.map_err(|error| error.to_string()),
                ];
                sweep().unwrap();
                sweep_files(scratch.directory()).unwrap();
                seen
            });
            let seen = seen.map_err(TestCaseError::fail)?;
            let said = after[LEN];
            let judged = after[MAGIC] == before[MAGIC] && (1..=whole as u64).contains(&said);
            // Zero: its creator gave no layout.
            let shape = after[SHAPE] == before[SHAPE] || after[SHAPE] == 0;
            let fits = judged && said == whole as u64 && shape;
            // A name whose creator is now another process, perhaps a dead one, may be swept by any
            // program of this user.
            let orphan = after[INCARNATION] != before[INCARNATION];
            let gone: &[&str] = match Target::KINDS[kind] {
                "posix" if orphan => &["ENOENT"],
                "sysv" if orphan => &["ENOENT", "EIDRM", "EINVAL"],
                _ => &[],
            };
            let is_gone = |words: &String| gone.iter().any(|gone| words.contains(gone));
            for (seen, fine) in seen.iter().zip([fits, judged, judged]) {
                if seen.as_ref().is_err_and(is_gone) {
                    continue;
                }
                prop_assert_eq!(seen.is_ok(), fine, "{:?} of {:?}", seen, after);
                if let Ok(len) = seen {
                    prop_assert_eq!(*len as u64, said);
                }
                if let Err(words) = seen {
                    prop_assert!(words.contains("remove it") || words.contains("create it again"));
                }
            }
            // The creator knows from its own memory that the name is its own, and removes it.
            drop(target);
            drop(Target::new(&scratch, Target::KINDS[kind]));
            Ok(())
        })
    });
    // Besides the saved failures.
    assert!(cases.as_ref().is_ok_and(|&cases| cases >= 400), "{cases:?}");
}

/// Calls every operation of every publication, a few times; any result is allowed.
fn use_all(page: &Page) {
    let _ = page.once.set([1; 13]);
    let _ = page.once.get();
    let _ = page.lock.try_read();
    let _ = page.latest.read();
    for value in 0..10 {
        let _ = page.ring.pop();
        if let Err(Full(back)) = page.ring.push(value) {
            assert_eq!(back, value);
        }
        page.latest.write(value as u32);
        let _ = page.latest.read();
        page.lock.writer().write([value; 4]);
        let _ = page.lock.try_read();
        page.event.notify();
    }
    let soon = Duration::from_micros(100);
    let _ = page.event.wait_timeout(soon, || page.ring.pop());
}

#[test]
fn publications_with_any_word_wrong_return_something_and_a_seqlock_is_repaired() {
    let cases = clean(|| {
        let dead = dead();
        let region = Region::memfd(Layout::of::<Page>()).unwrap();
        let all = words(&region, false);
        let spoilt = prop::collection::vec((0..all.len(), wrong()), 1..=8);
        let config = kept_in!("hostile_words.txt", 600);
        property(spoilt, config, |spoilt| {
            all.iter().for_each(|word| word.store(0, Relaxed));
            victim(|| {
                for (at, wrong) in spoilt {
                    all[at].store(wrong.of(all[at].load(Relaxed), dead), Relaxed);
                }
            })
            .unwrap();
            let repaired = victim(|| {
                let page: &Page = region.get(0).unwrap();
                let view = region.view().unwrap();
                let lock = view.get::<SeqLock<[u64; 4]>>(offset_of!(Page, lock));
                let once = view.get::<OneShot<[u8; 13]>>(offset_of!(Page, once));
                let _ = (lock.unwrap().try_read(), once.unwrap().get());
                use_all(page);
                page.lock.writer().write([7; 4]);
                page.lock.read()
            });
            prop_assert_eq!(repaired, Ok(Ok([7; 4])));
            Ok(())
        })
    });
    assert_eq!(cases, Ok(600));
}

/// A process overwrites all words while all of them are used.
#[test]
fn publications_that_are_written_over_while_they_are_used_return_something() {
    let seeds = clean(|| {
        let region = Region::memfd(Layout::of::<Page>()).unwrap();
        let page: &Page = region.get(0).unwrap();
        let used = (1..=20u64).map(|seed| {
            let mut scribbler = process::spawn(|| -> () {
                let (words, mut next) = (words(&region, false), seed);
                loop {
                    // Knuth's linear congruential generator; the high bits are good enough.
                    next = next
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    let at = (next >> 33) as usize % words.len();
                    let value = if next & 1 << 32 == 0 {
                        next >> 60
                    } else {
                        next
                    };
                    words[at].store(value, Relaxed);
                }
            })
            .unwrap();
            let used = victim(|| (0..500).for_each(|_| use_all(page)));
            scribbler.kill().unwrap();
            used
        });
        used.collect::<Result<Vec<()>, _>>().map(|used| used.len())
    });
    assert_eq!(seeds, Ok(20));
}

/// Half written, by no living process: no reader waits for such an owner.
#[test]
fn an_odd_number_without_an_owner_is_no_reason_to_wait() {
    let read = clean(|| {
        let region = Region::anonymous(size_of::<Page>()).unwrap();
        let page: &Page = region.get(0).unwrap();
        let sequence = offset_of!(Page, lock) / 8;
        let lock = &words(&region, false)[sequence..];
        let owners = [
            0,
            u64::MAX,
            1 << 31,
            1 << 63,
            u64::from(u32::MAX),
            dead().to_bits(),
        ];
        owners.map(|owner| {
            lock[0].store(u64::MAX, Relaxed);
            lock[1].store(owner, Relaxed);
            let gone = victim(|| page.lock.read());
            page.lock.writer().write([3; 4]);
            (owner, gone, page.lock.read())
        })
    });
    for (owner, gone, after) in read {
        assert_eq!(gone, Ok(Err(WriterGone)), "{owner:x}");
        assert_eq!(after, Ok([3; 4]), "{owner:x}");
    }
}

/// The tests above can fail: residents that trust a word are detected.
#[test]
fn an_index_that_is_believed_panics_and_a_wait_for_a_word_hangs() {
    forkcheck::layout! {
        struct Believer { index: AtomicU32, done: AtomicU32, slots: [AtomicU64; 4] }
    }
    fn is_resident<T: Resident>() {}
    is_resident::<Believer>();
    let (panics, reads) = clean(|| {
        let region = Region::memfd(Layout::of::<Believer>()).unwrap();
        let page: &Believer = region.get(0).unwrap();
        victim(|| page.index.store(9, Relaxed)).unwrap();
        let panics = victim(|| page.slots[page.index.load(Relaxed) as usize].load(Relaxed));
        // It is not `victim` that waits for it, which takes its time.
        let mut waits = process::spawn(|| {
            while page.done.load(Relaxed) == 0 {
                std::hint::spin_loop();
            }
        })
        .unwrap();
        let ends = waits.wait_timeout(Duration::from_millis(50)).unwrap();
        assert_eq!(waits.kill().unwrap(), Exit::Signal(9));
        (panics, ends)
    });
    assert!(panics.unwrap_err().contains("index out of bounds"));
    assert_eq!(reads, None);
}
