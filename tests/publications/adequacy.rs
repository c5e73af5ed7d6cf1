//! The built-in suites detect faults in the publications that they check: each weaker ordering of
//! three of them, a claim that is none, and a notification that wakes one process where it has to
//! wake all.

use forkcheck::builtin::{CheckedEventCount, CheckedOneShot, event_count, one_shot};
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Engine, Kills, Stepped, SteppedMemory};
use forkcheck::memory::{Incarnation, Payload};
use forkcheck::prelude::*;
use std::marker::PhantomData;
use std::time::Duration;

/// Returns the kind of finding of a suite, if there is one.
fn found<E: Engine, T: WithHandles<Memory = E::Memory>>(suite: Suite<T::Spec>) -> Option<Kind> {
    let suite = suite.seed(1).time(Duration::from_secs(120));
    let outcome = suite.check::<E, T>().unwrap();
    match outcome.verdict {
        Verdict::Finding(finding) => Some(finding.kind),
        _ => None,
    }
}

/// A structure on a faulty form of the memory `M` of the engine.
struct On<M, T>(T, PhantomData<fn() -> M>);

impl<M: Memory, T: WithHandles> WithHandles for On<M, T> {
    type Memory = M;
    type Spec = T::Spec;
    type Handle<'a> = T::Handle<'a>;
    fn new(setup: &<T::Spec as Spec>::Setup) -> Self {
        On(T::new(setup), PhantomData)
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> T::Handle<'a> {
        self.0.attach(role)
    }
    fn apply(handle: &mut T::Handle<'_>, op: &<T::Spec as Spec>::Op) -> <T::Spec as Spec>::Ret {
        T::apply(handle, op)
    }
}

/// A 32-bit word whose exchange is only a load: two processes that both find the expected value
/// both take it for theirs.
struct Unclaimed<A>(A);

impl<A: Atomic<u32>> Atomic<u32> for Unclaimed<A> {
    fn new(value: u32) -> Self {
        Self(A::new(value))
    }
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn compare_exchange(
        &self,
        current: u32,
        _: u32,
        _: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        let found = self.0.load(failure);
        if found == current {
            Ok(found)
        } else {
            Err(found)
        }
    }
    fn compare_exchange_weak(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.compare_exchange(current, new, success, failure)
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_sub(value, order)
    }
    fn fetch_and(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_and(value, order)
    }
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_or(value, order)
    }
    fn fetch_xor(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_xor(value, order)
    }
    fn fetch_max(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_max(value, order)
    }
    fn fetch_min(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_min(value, order)
    }
}

/// Implements `Memory` by that of an engine, except for its 32-bit words and the most processes
/// that one call wakes.
macro_rules! faulty {
    ($name:ident: $word:ty, |$inner:ident| $of:expr, $most:expr) => {
        struct $name<M>(PhantomData<fn() -> M>);

        impl<M: Memory> Memory for $name<M> {
            type AtomicBool = M::AtomicBool;
            type AtomicU8 = M::AtomicU8;
            type AtomicU16 = M::AtomicU16;
            type AtomicU32 = $word;
            type AtomicU64 = M::AtomicU64;
            type AtomicI32 = M::AtomicI32;
            type AtomicI64 = M::AtomicI64;
            type AtomicUsize = M::AtomicUsize;
            type Words<T: Payload> = M::Words<T>;
            type Cell<T: Send + 'static> = M::Cell<T>;
            const PATIENCE: u32 = M::PATIENCE;
            fn fence(order: Ordering) {
                M::fence(order);
            }
            fn spin_loop() {
                M::spin_loop();
            }
            fn me() -> Incarnation {
                M::me()
            }
            fn alive(incarnation: Incarnation) -> bool {
                M::alive(incarnation)
            }
            fn wait($inner: &Self::AtomicU32, seen: u32) {
                M::wait($of, seen);
            }
            fn wait_timeout($inner: &Self::AtomicU32, seen: u32, left: &mut Duration) {
                M::wait_timeout($of, seen, left);
            }
            fn wake($inner: &Self::AtomicU32, n: u32) {
                M::wake($of, n.min($most));
            }
        }
    };
}
faulty!(NeverClaims: Unclaimed<M::AtomicU32>, |word| &word.0, u32::MAX);
faulty!(WakesOne: M::AtomicU32, |word| word, 1);

#[test]
fn a_one_shot_that_is_never_claimed_is_set_twice() {
    type Twin<M> = On<M, CheckedOneShot<NeverClaims<M>>>;
    let twice = Some(Kind::NotLinearizable);
    assert_eq!(
        found::<Stepped, Twin<SteppedMemory>>(one_shot::suite()),
        twice
    );
    assert_eq!(
        found::<Kills, Twin<SteppedMemory>>(one_shot::suite()),
        twice
    );
}

#[test]
fn an_event_count_that_wakes_one_leaves_the_other_asleep() {
    type Twin<M> = On<M, CheckedEventCount<WakesOne<M>>>;
    let asleep = Some(Kind::Deadlock);
    assert_eq!(
        found::<Stepped, Twin<SteppedMemory>>(event_count::suite()),
        asleep
    );
    assert_eq!(
        found::<Kills, Twin<SteppedMemory>>(event_count::suite()),
        asleep
    );
}

#[cfg(feature = "loom")]
mod orderings {
    use super::*;
    use forkcheck::builtin::{CheckedLatest, latest};
    use forkcheck::engine::loom::{Loom, LoomMemory};
    use forkcheck::memory::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
    use forkcheck::memory::weakened::{self, Weakened, Weakening};
    use forkcheck::publish::{EventCount, Latest, OneShot};

    /// A structure on a memory with the weakening of this number in force.
    struct Weaker<T, const NUMBER: usize>(T);

    impl<T: WithHandles<Memory = Weakened<LoomMemory>> + Publication, const NUMBER: usize>
        WithHandles for Weaker<T, NUMBER>
    {
        type Memory = LoomMemory;
        type Spec = T::Spec;
        type Handle<'a> = T::Handle<'a>;
        fn new(setup: &<T::Spec as Spec>::Setup) -> Self {
            weakened::keep(weakenings::<T>()[NUMBER]);
            Weaker(T::new(setup))
        }
        fn attach<'a>(&'a self, role: Role<'_>) -> T::Handle<'a> {
            self.0.attach(role)
        }
        fn apply(handle: &mut T::Handle<'_>, op: &<T::Spec as Spec>::Op) -> <T::Spec as Spec>::Ret {
            T::apply(handle, op)
        }
    }

    trait Publication {
        /// The file of the publication.
        const FILE: &'static str;
        /// Executes each of its orderings above `Relaxed`.
        fn pass();
    }
    type Plain = Weakened<Hardware>;
    impl<M: Memory> Publication for CheckedOneShot<M> {
        const FILE: &'static str = "publish/one_shot.rs";
        fn pass() {
            let shared = OneShot::<u64, Plain>::new_in();
            shared.set(1).unwrap();
            shared.get();
        }
    }
    impl<M: Memory> Publication for CheckedLatest<M> {
        const FILE: &'static str = "publish/latest.rs";
        fn pass() {
            let shared = Latest::<u64, Plain>::new_in(0);
            shared.write(1);
            shared.read();
        }
    }
    impl<M: Memory> Publication for CheckedEventCount<M> {
        const FILE: &'static str = "publish/event_count.rs";
        fn pass() {
            let shared = EventCount::<Plain>::new_in();
            shared.notify();
            shared.wait_timeout(Duration::from_nanos(1), || None::<()>);
        }
    }

    /// Returns every weakening of a publication, in the order of its source.
    fn weakenings<T: Publication>() -> Vec<Weakening> {
        let ((), sites) = weakened::record(T::pass);
        let mut all = weakened::weakenings(&sites);
        all.retain(|weakening| weakening.site.file.ends_with(T::FILE));
        all
    }

    /// Asserts that a publication has these weakenings and no others, and that its suite finds each to be this.
    macro_rules! finds {
        ($structure:ident, $suite:expr, $kind:expr, $($number:literal: $from:ident -> $to:expr,)*) => {
            type Twin<const NUMBER: usize> = Weaker<$structure<Weakened<LoomMemory>>, NUMBER>;
            let all = weakenings::<$structure<Plain>>();
            let forms: Vec<_> = all.iter().map(|weakening| (weakening.from, weakening.to)).collect();
            assert_eq!(forms, [$(($from, $to)),*]);
            $(assert_eq!(found::<Loom, Twin<$number>>($suite), Some($kind), "{}", all[$number]);)*
        };
    }

    #[test]
    fn every_weaker_ordering_of_a_one_shot_is_found() {
        finds! {
            CheckedOneShot, one_shot::suite(), Kind::DataRace,
            0: Release -> Some(Relaxed),
            1: Acquire -> Some(Relaxed),
        }
    }

    #[test]
    fn every_weaker_ordering_of_latest_is_found() {
        finds! {
            CheckedLatest, latest::suite(), Kind::DataRace,
            0: AcqRel -> Some(Acquire),
            1: AcqRel -> Some(Release),
            2: AcqRel -> Some(Relaxed),
            3: AcqRel -> Some(Acquire),
            4: AcqRel -> Some(Release),
            5: AcqRel -> Some(Relaxed),
        }
    }

    #[test]
    fn every_weaker_fence_of_an_event_count_is_found() {
        finds! {
            CheckedEventCount, event_count::suite(), Kind::Deadlock,
            0: SeqCst -> Some(AcqRel),
            1: SeqCst -> None,
            2: SeqCst -> Some(AcqRel),
            3: SeqCst -> None,
        }
    }
}
