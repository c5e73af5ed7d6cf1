//! loom models of the publications, writer against reader, in plain `loom::model` style.
//!
//! Properties:
//! - a reader never gets a torn value, and never an older one than before;
//! - when both are done, the last value is there;
//! - what is read was written before (loom's race detector, through the guard in `OneShot`);
//! - a wait ends if and only if it is woken.
//!
//! Each holds with the writer and with the reader as loom's main thread: loom 0.7.3 looks harder at one than at the
//! other. And each can fail: for every ordering and fence of the publications there is a mutant, made from the
//! shipping source by `Weakened`, and the model that notices it, or the reason why none can.
#![cfg(feature = "loom")]

use forkcheck::engine::loom::LoomMemory;
use forkcheck::memory::weakened::{self, SiteKind, Weakened, Weakening};
use forkcheck::memory::{Atomic, Memory, Ordering};
use forkcheck::publish::{OneShot, SeqLock};
use loom::thread;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

type Weak = Weakened<LoomMemory>;

/// Explores a model within two preemptions: how many executions, or how one failed.
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

/// Which of the two is loom's main thread.
#[derive(Clone, Copy, Debug)]
enum Main {
    Writer,
    Reader,
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
        Main::Reader => {
            let other = thread::spawn(move || writer(&other));
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
    let writer =
        move |shared: &SeqLock<[u64; 2], M>| (1..=writes).for_each(|n| shared.write([n, n]));
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

/// Each model of the publications over a memory, with its name.
fn models<M: Memory>() -> Vec<(String, Box<dyn Fn() + Send + Sync>)> {
    let mut models: Vec<(String, Box<dyn Fn() + Send + Sync>)> = Vec::new();
    for main in [Main::Writer, Main::Reader] {
        models.push((
            format!("one_shot, main is {main:?}"),
            Box::new(move || one_shot::<M>(main)),
        ));
        models.push((
            format!("two setters, main is {main:?}"),
            Box::new(move || two_setters::<M>(main)),
        ));
        models.push((
            format!("seq_lock 1x1, main is {main:?}"),
            Box::new(move || seq_lock::<M>(main, 1, 1)),
        ));
        models.push((
            format!("seq_lock 2x2, main is {main:?}"),
            Box::new(move || seq_lock::<M>(main, 2, 2)),
        ));
    }
    models
}

#[test]
fn the_publications_hold_in_every_model_and_both_ways_round() {
    for (name, model) in models::<LoomMemory>() {
        let executions = explore(model).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        println!("{name}: {executions} executions");
    }
}

/// Every weakening of every ordering that the models come past.
fn all_weakenings() -> Vec<Weakening> {
    let ((), sites) = weakened::record(|| {
        for (name, model) in models::<Weak>() {
            explore(model).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        }
    });
    weakened::weakenings(&sites)
        .into_iter()
        .filter(|weakening| weakening.site.file.contains("publish"))
        .collect()
}

/// The first model that notices a weakening, and how.
fn noticed(weakening: Weakening) -> Option<(String, String)> {
    models::<Weak>().into_iter().find_map(|(name, model)| {
        weakened::with(weakening, || explore(model))
            .err()
            .map(|failure| (name, failure))
    })
}

/// The only weakening of this kind in this file.
fn the(file: &str, kind: SiteKind, from: Ordering) -> Weakening {
    let all = all_weakenings();
    let found: Vec<_> = all
        .iter()
        .filter(|w| w.site.file.ends_with(file) && w.site.kind == kind && w.from == from)
        .collect();
    assert_eq!(found.len(), 1, "{found:?} of {all:?}");
    *found[0]
}

#[track_caller]
fn must_fail(weakening: Weakening, with: &str) {
    match noticed(weakening) {
        Some((model, failure)) => {
            assert!(
                failure.contains(with),
                "{weakening} fails in {model}, but with: {failure}"
            );
            println!(
                "{weakening}: {model}: {}",
                failure.lines().next().unwrap_or_default()
            );
        }
        None => panic!("{weakening} passes every model"),
    }
}

#[test]
fn a_relaxed_store_of_the_flag_fails() {
    must_fail(
        the("one_shot.rs", SiteKind::Store, Ordering::Release),
        "Causality violation",
    );
}

#[test]
fn a_relaxed_load_of_the_flag_fails() {
    must_fail(
        the("one_shot.rs", SiteKind::Load, Ordering::Acquire),
        "Causality violation",
    );
}

#[test]
fn a_seqlock_without_the_writers_fence_fails() {
    must_fail(
        the("seq_lock.rs", SiteKind::Fence, Ordering::Release),
        "torn",
    );
}

#[test]
fn a_seqlock_without_the_readers_fence_fails() {
    must_fail(
        the("seq_lock.rs", SiteKind::Fence, Ordering::Acquire),
        "torn",
    );
}

#[test]
fn a_seqlock_whose_reader_begins_with_a_relaxed_load_fails() {
    must_fail(the("seq_lock.rs", SiteKind::Load, Ordering::Acquire), "");
}

#[test]
fn a_seqlock_whose_last_store_is_relaxed_fails() {
    must_fail(the("seq_lock.rs", SiteKind::Store, Ordering::Release), "");
}

#[test]
fn no_ordering_of_the_publications_is_left_without_a_model_that_needs_it() {
    let all = all_weakenings();
    assert_eq!(
        all.len(),
        6,
        "a new ordering wants a named test above: {all:#?}"
    );
    let unnoticed: Vec<_> = all
        .into_iter()
        .filter(|&weakening| noticed(weakening).is_none())
        .collect();
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// A flag and a waiter. `mistake` makes the waker do it wrong.
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
