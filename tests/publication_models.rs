//! loom models of the publications, writer against reader, in plain `loom::model` style.
//!
//! Properties:
//! - a reader never gets a torn value, and never an older one than before;
//! - when both are done, the last value is there;
//! - a consumer gets the pushed values in order, each once, and those that it did not get are still
//!   there;
//! - no process reads a slot that another writes (loom's race detector, through the guards in the
//!   slots);
//! - a wait ends if and only if it is woken.
//!
//! Each holds with the writer and with the reader as loom's main thread: loom 0.7.3 explores more
//! orders of one than of the other, so the reader is it twice. And each can fail: for every
//! ordering and fence of the publications there is a mutant, made from the shipping source by
//! `Weakened`, with the model that detects it, or the reason why none can.
#![cfg(feature = "loom")]

use forkcheck::engine::loom::LoomMemory;
use forkcheck::memory::weakened::{self, SiteKind, Weakened, Weakening};
use forkcheck::memory::{Atomic, Memory, Ordering, Ordering::*};
use forkcheck::publish::{EventCount, Latest, OneShot, Ring, SeqLock};
use loom::thread;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, Once};

type Weak = Weakened<LoomMemory>;

/// Explores a model within two preemptions. Returns the number of executions, or how one failed.
fn explore(model: impl Fn() + Send + Sync + 'static) -> Result<usize, String> {
    thread_local! {
        static QUIET: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let quiet = QUIET.with_borrow_mut(|first| {
                first.as_mut().map(|first| {
                    if first.is_empty() {
                        let payload = info.payload();
                        let words = payload
                            .downcast_ref::<&str>()
                            .map(|words| words.to_string());
                        *first = words
                            .or_else(|| payload.downcast_ref().cloned())
                            .unwrap_or_default();
                    }
                })
            });
            if quiet.is_none() {
                loud(info);
            }
        }));
    });
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    QUIET.set(Some(String::new()));
    let explored = catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            counted.fetch_add(1, Relaxed);
            model();
        });
    }));
    let failure = QUIET.take().unwrap_or_default();
    let executions = executions.load(Relaxed);
    assert!(executions > 0, "the model did not run");
    explored.map(|()| executions).map_err(|_| failure)
}

/// The choice of the process that is loom's main thread.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Main {
    Writer,
    Reader,
    /// The reader, after the writer has gone first. Otherwise loom 0.7.3 takes a thread's store for
    /// independent of another's earlier load if the thread has loaded the word itself (loom issue
    /// 392), and stops after one execution.
    ReaderLater,
}

fn run<S: Send + Sync + 'static>(
    main: Main,
    shared: &Arc<S>,
    writer: impl FnOnce(&S) + 'static,
    reader: impl FnOnce(&S) + 'static,
) {
    let other = Arc::clone(shared);
    let other = match main {
        Main::Writer => {
            let other = thread::spawn(move || reader(&other));
            writer(shared);
            other
        }
        Main::Reader | Main::ReaderLater => {
            let other = thread::spawn(move || writer(&other));
            if main == Main::ReaderLater {
                thread::yield_now();
            }
            reader(shared);
            other
        }
    };
    other
        .join()
        .expect("a panic of the other thread has ended the model");
}

fn one_shot<M: Memory>(main: Main) {
    let shared = Arc::new(OneShot::<[u64; 2], M>::new_in());
    let writer = |shared: &OneShot<[u64; 2], M>| assert!(shared.set([7, 8]).is_ok());
    let reader = |shared: &OneShot<[u64; 2], M>| {
        let (first, second) = (shared.get(), shared.get());
        for got in [first, second].into_iter().flatten() {
            assert_eq!(got, [7, 8], "torn");
        }
        assert!(first.is_none() || second.is_some(), "went back");
    };
    run(main, &shared, writer, reader);
    assert_eq!(shared.get(), Some([7, 8]), "lost");
}

fn two_setters<M: Memory>(main: Main) {
    let shared = Arc::new(OneShot::<[u64; 2], M>::new_in());
    let sets = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&sets);
    let set = move |value: u64| {
        let sets = Arc::clone(&counts);
        move |shared: &OneShot<[u64; 2], M>| {
            sets.fetch_add(usize::from(shared.set([value, value]).is_ok()), Relaxed);
        }
    };
    run(main, &shared, set(1), set(2));
    assert_eq!(sets.load(Relaxed), 1, "not once");
    let [a, b] = shared.get().expect("lost");
    assert_eq!(a, b, "torn");
}

fn seq_lock<M: Memory>(main: Main, writes: u64, reads: usize) {
    let shared = Arc::new(SeqLock::<[u64; 2], M>::new_in([0, 0]));
    let writer = move |shared: &SeqLock<[u64; 2], M>| {
        let mut writer = shared.writer();
        (1..=writes).for_each(|n| writer.write([n, n]));
    };
    let reader = move |shared: &SeqLock<[u64; 2], M>| {
        let mut last = 0;
        for [a, b] in (0..reads).filter_map(|_| shared.try_read()) {
            assert_eq!(a, b, "torn");
            assert!(a >= last, "went back");
            last = a;
        }
    };
    run(main, &shared, writer, reader);
    assert_eq!(shared.try_read(), Some([writes; 2]), "lost");
}

fn latest<M: Memory>(main: Main, writes: u64, reads: usize) {
    let shared = Arc::new(Latest::<[u64; 2], M>::new_in([0, 0]));
    let writer = move |shared: &Latest<[u64; 2], M>| {
        // The last value is written by a writer that has to look up its slot, those before by one
        // that knows it.
        let mut writer = shared.writer();
        (1..writes).for_each(|n| writer.write([n, n]));
        shared.write([writes, writes]);
    };
    let reader = move |shared: &Latest<[u64; 2], M>| {
        let mut last = 0;
        for [a, b] in (0..reads).map(|_| shared.read()) {
            assert_eq!(a, b, "torn");
            assert!(a >= last, "went back");
            last = a;
        }
    };
    run(main, &shared, writer, reader);
    assert_eq!(shared.read(), [writes; 2], "lost");
}

/// A ring with `pushes` pushes of 1, 2, ... as long as there is room, and `pops` pops.
fn ring<const N: usize, M: Memory>(main: Main, pushes: u64, pops: usize) {
    let shared = Arc::new(Ring::<u64, N, M>::new_in());
    // loom's threads run one at a time on one of the system's, so a Mutex of std is only a place
    // for values.
    let (pushed, popped) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (pushing, popping) = (Arc::clone(&pushed), Arc::clone(&popped));
    let producer = move |shared: &Ring<u64, N, M>| {
        let mut next = 1;
        for _ in 0..pushes {
            next += u64::from(shared.push(next).is_ok());
        }
        *pushing.lock().unwrap() = next - 1;
    };
    let consumer = move |shared: &Ring<u64, N, M>| {
        let mut last = 0;
        for value in (0..pops).filter_map(|_| shared.pop()) {
            assert_eq!(value, last + 1, "not the next one");
            last = value;
        }
        *popping.lock().unwrap() = last;
    };
    run(main, &shared, producer, consumer);
    let (pushed, popped) = (*pushed.lock().unwrap(), *popped.lock().unwrap());
    let rest: Vec<u64> = std::iter::from_fn(|| shared.pop()).collect();
    assert_eq!(
        rest,
        (popped + 1..=pushed).collect::<Vec<_>>(),
        "not what was left"
    );
}

/// One process publishes by a word and notifies, the other waits for it: a lost wake-up is a
/// deadlock.
fn event_count<M: Memory>(main: Main, waits: u32) {
    let shared = Arc::new((M::AtomicU32::new(0), EventCount::<M>::new_in()));
    let notifier = move |(word, event): &(M::AtomicU32, EventCount<M>)| {
        for value in 1..=waits {
            word.store(value, Release);
            event.notify();
        }
    };
    let waiter = move |(word, event): &(M::AtomicU32, EventCount<M>)| {
        for value in 1..=waits {
            let seen = event.wait(|| Some(word.load(Acquire)).filter(|&seen| seen >= value));
            assert!(seen <= waits);
        }
    };
    run(main, &shared, notifier, waiter);
}

/// A model with its name, which begins with the publication's.
type Model = (String, Box<dyn Fn() + Send + Sync>);

/// Returns each model of the publications over a memory.
fn models<M: Memory>() -> Vec<Model> {
    let mut models: Vec<Model> = Vec::new();
    for main in [Main::Writer, Main::Reader, Main::ReaderLater] {
        let mut model = |name: &str, model: Box<dyn Fn() + Send + Sync>| {
            models.push((format!("{name}, main is {main:?}"), model));
        };
        model("one_shot", Box::new(move || one_shot::<M>(main)));
        model(
            "one_shot two setters",
            Box::new(move || two_setters::<M>(main)),
        );
        model("seq_lock 1x1", Box::new(move || seq_lock::<M>(main, 1, 1)));
        model("seq_lock 2x2", Box::new(move || seq_lock::<M>(main, 2, 2)));
        model("latest 2x2", Box::new(move || latest::<M>(main, 2, 2)));
        model("latest 3x3", Box::new(move || latest::<M>(main, 3, 3)));
        model(
            "event_count 1x1",
            Box::new(move || event_count::<M>(main, 1)),
        );
        model(
            "event_count 2x2",
            Box::new(move || event_count::<M>(main, 2)),
        );
        model("ring of 1, 2x2", Box::new(move || ring::<1, M>(main, 2, 2)));
        model("ring of 1, 3x3", Box::new(move || ring::<1, M>(main, 3, 3)));
        model("ring of 2, 4x3", Box::new(move || ring::<2, M>(main, 4, 3)));
    }
    models
}

#[test]
fn the_publications_hold_in_every_model_and_both_ways_round() {
    for (name, model) in models::<LoomMemory>() {
        let executions = explore(model).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        println!("{name}: {executions} executions");
        let misses = name.ends_with("Reader");
        assert!(
            misses || executions > 4,
            "{name}: hardly anything was tried"
        );
    }
}

/// Returns every weakening of every ordering in the file of a publication that its models execute,
/// in the order of the source.
fn weakenings_of(publication: &str) -> Vec<Weakening> {
    let ((), sites) = weakened::record(|| {
        for (name, model) in models_of(publication) {
            explore(model).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        }
    });
    let mut weakenings = weakened::weakenings(&sites);
    weakenings.retain(|weakening| {
        weakening
            .site
            .file
            .ends_with(&format!("publish/{publication}.rs"))
    });
    weakenings
}

fn models_of(publication: &str) -> impl Iterator<Item = Model> {
    models::<Weak>()
        .into_iter()
        .filter(move |(name, _)| name.starts_with(publication))
}

/// The mark of a weakening that no model can detect; the reason is next to its row.
const UNSEEN: &str = "unseen";

/// Asserts that each of these weakenings, and no other, has a model that detects it with this text.
#[track_caller]
fn all_fail(publication: &str, expected: &[(SiteKind, Ordering, Option<Ordering>, &str)]) {
    let all = weakenings_of(publication);
    let kinds: Vec<_> = all.iter().map(|w| (w.site.kind, w.from, w.to)).collect();
    let listed: Vec<_> = expected
        .iter()
        .map(|&(kind, from, to, _)| (kind, from, to))
        .collect();
    assert_eq!(kinds, listed, "a new ordering wants a row: {all:#?}");
    for (weakening, &(.., words)) in all.into_iter().zip(expected) {
        let mut models = models_of(publication);
        if words == UNSEEN {
            assert!(
                models.all(|(_, model)| weakened::with(weakening, || explore(model)).is_ok()),
                "{weakening} is noticed"
            );
            continue;
        }
        let noticed = models.find_map(|(name, model)| {
            let explored = weakened::with(weakening, || explore(model));
            explored.err().map(|failure| (name, failure))
        });
        let (model, failure) = noticed.unwrap_or_else(|| panic!("{weakening} passes every model"));
        assert!(
            failure.contains(words),
            "{weakening} fails in {model}, but with: {failure}"
        );
        println!(
            "{weakening}: {model}: {}",
            failure.lines().next().unwrap_or_default()
        );
    }
}

const RACE: &str = "Causality violation";

#[test]
fn a_one_shot_with_a_relaxed_flag_on_either_side_fails() {
    all_fail(
        "one_shot",
        &[
            (SiteKind::Store, Release, Some(Relaxed), RACE),
            (SiteKind::Load, Acquire, Some(Relaxed), RACE),
        ],
    );
}

#[test]
fn a_seqlock_with_a_relaxed_last_store_or_first_load_or_without_a_fence_fails() {
    all_fail(
        "seq_lock",
        &[
            (SiteKind::Load, Acquire, Some(Relaxed), ""),
            (SiteKind::Fence, Acquire, None, "torn"),
            (SiteKind::Fence, Release, None, "torn"),
            (SiteKind::Store, Release, Some(Relaxed), ""),
            // It names the owner to readers that ask whether that one is dead, and no process
            // dies in loom.
            (SiteKind::Fence, Release, None, UNSEEN),
        ],
    );
}

#[test]
fn a_triple_buffer_with_a_relaxed_or_one_sided_exchange_on_either_side_fails() {
    let exchange = |to| (SiteKind::ExchangeSuccess, AcqRel, Some(to), RACE);
    all_fail(
        "latest",
        &[
            exchange(Acquire),
            exchange(Release),
            exchange(Relaxed),
            exchange(Acquire),
            exchange(Release),
            exchange(Relaxed),
        ],
    );
}

#[test]
fn a_ring_with_any_of_its_four_index_accesses_relaxed_fails() {
    all_fail(
        "ring",
        &[
            (SiteKind::Load, Acquire, Some(Relaxed), RACE),
            (SiteKind::Store, Release, Some(Relaxed), RACE),
            (SiteKind::Load, Acquire, Some(Relaxed), RACE),
            (SiteKind::Store, Release, Some(Relaxed), RACE),
        ],
    );
}

#[test]
fn an_event_count_without_a_full_fence_on_either_side_loses_a_wake_up() {
    let weaker = |to| (SiteKind::Fence, SeqCst, to, "deadlock");
    let all = [Some(AcqRel), None].map(weaker);
    all_fail("event_count", &[all, all].concat());
}

/// A flag and a waiter. `mistake` selects a mistake of the waker.
fn wait_and_wake(mistake: Mistake) {
    let flag = Arc::new(<LoomMemory as Memory>::AtomicU32::new(0));
    let other = Arc::clone(&flag);
    let waker = thread::spawn(move || {
        if mistake == Mistake::WakeBeforeStore {
            LoomMemory::wake(&other, 1);
        }
        other.store(1, Ordering::Release);
        if mistake == Mistake::None {
            LoomMemory::wake(&other, 1);
        }
    });
    while flag.load(Ordering::Acquire) == 0 {
        LoomMemory::wait(&flag, 0);
    }
    waker
        .join()
        .expect("a panic of the other thread has ended the model");
}

#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    None,
    NeverWake,
    WakeBeforeStore,
}

#[test]
fn a_wait_that_is_woken_ends() {
    assert!(explore(|| wait_and_wake(Mistake::None)).unwrap() > 1);
}

#[test]
fn a_wait_that_is_never_woken_is_a_deadlock() {
    assert!(
        explore(|| wait_and_wake(Mistake::NeverWake))
            .unwrap_err()
            .contains("deadlock")
    );
}

#[test]
fn a_wake_up_that_comes_before_the_store_is_lost() {
    assert!(
        explore(|| wait_and_wake(Mistake::WakeBeforeStore))
            .unwrap_err()
            .contains("deadlock")
    );
}
