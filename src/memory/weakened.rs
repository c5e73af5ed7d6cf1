//! Any memory with one ordering or fence, chosen by its source line, removed or weakened.
//!
//! The protocol stays as it is. Each access knows its source line, so [`record`] finds the sites,
//! [`weakenings`] lists every weaker form of each, and [`with`] puts one in force. A good suite
//! detects every weakening that matters. The state is thread-local; loom runs a whole model on one
//! thread.

use super::{Atomic, Incarnation, Integer, Memory, Ordering, Payload, WordsOf};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

/// A place in the source that names an ordering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The file, as the compiler knows it.
    pub file: &'static str,
    /// The line.
    pub line: u32,
    /// The column: one line can hold several.
    pub column: u32,
    /// The kind of access or fence.
    pub kind: SiteKind,
}

/// The kind of access or fence that an ordering belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SiteKind {
    /// A load.
    Load,
    /// A store.
    Store,
    /// A read-modify-write.
    Update,
    /// A compare-exchange that succeeds.
    ExchangeSuccess,
    /// A compare-exchange that fails.
    ExchangeFailure,
    /// A fence.
    Fence,
}

/// One weaker form of one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weakening {
    /// The place.
    pub site: Site,
    /// The ordering in the source.
    pub from: Ordering,
    /// The weaker ordering; `None` for a fence that is removed.
    pub to: Option<Ordering>,
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Site {
            file, line, kind, ..
        } = self.site;
        write!(f, "{file}:{line} {kind:?} {:?} -> ", self.from)?;
        match self.to {
            Some(to) => write!(f, "{to:?}"),
            None => f.write_str("none"),
        }
    }
}

thread_local! {
    static IN_FORCE: Cell<Option<Weakening>> = const { Cell::new(None) };
    static RECORD: RefCell<Option<BTreeMap<Site, Ordering>>> = const { RefCell::new(None) };
}

/// Runs `body`; returns its result, and the sites with their orderings that it passed on a
/// [`Weakened`] memory.
pub fn record<R>(body: impl FnOnce() -> R) -> (R, Vec<(Site, Ordering)>) {
    RECORD.set(Some(BTreeMap::new()));
    let result = body();
    (
        result,
        RECORD.take().unwrap_or_default().into_iter().collect(),
    )
}

/// Runs `body` with one weakening in force on every [`Weakened`] memory of this thread.
pub fn with<R>(weakening: Weakening, body: impl FnOnce() -> R) -> R {
    struct Lift;
    impl Drop for Lift {
        fn drop(&mut self) {
            IN_FORCE.set(None);
        }
    }
    IN_FORCE.set(Some(weakening));
    let _lift = Lift;
    body()
}

/// Puts one weakening in force on this thread until it ends, or [`with`] puts another: for a model
/// of which only the beginning can be wrapped.
pub fn keep(weakening: Weakening) {
    IN_FORCE.set(Some(weakening));
}

/// Returns every weaker form of every site. `SeqCst` first becomes the strongest ordering below it.
///
/// ```
/// use forkcheck::memory::{Hardware, weakened::{Weakened, record, weakenings}};
/// use forkcheck::publish::OneShot;
/// let (_, sites) = record(|| OneShot::<u64, Weakened<Hardware>>::new_in().set(7));
/// let forms: Vec<String> = weakenings(&sites).iter().map(ToString::to_string).collect();
/// assert_eq!(forms.len(), 1, "of set, only the last store is more than Relaxed");
/// assert!(forms[0].ends_with("Store Release -> Relaxed"));
/// ```
pub fn weakenings(sites: &[(Site, Ordering)]) -> Vec<Weakening> {
    use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
    let weaker = |kind: SiteKind, from: Ordering| -> &'static [Option<Ordering>] {
        match (kind, from) {
            (SiteKind::Fence, SeqCst) => &[Some(AcqRel), None],
            (SiteKind::Fence, AcqRel) => &[Some(Acquire), Some(Release), None],
            (SiteKind::Fence, _) => &[None],
            (_, Relaxed) => &[],
            (SiteKind::Load | SiteKind::ExchangeFailure, SeqCst) => &[Some(Acquire), Some(Relaxed)],
            (SiteKind::Store, SeqCst) => &[Some(Release), Some(Relaxed)],
            (_, SeqCst) => &[Some(AcqRel), Some(Relaxed)],
            (_, AcqRel) => &[Some(Acquire), Some(Release), Some(Relaxed)],
            _ => &[Some(Relaxed)],
        }
    };
    sites
        .iter()
        .flat_map(|&(site, from)| {
            weaker(site.kind, from)
                .iter()
                .map(move |&to| Weakening { site, from, to })
        })
        .collect()
}

/// Returns the ordering to use at a site; `None` omits a fence.
fn ordering(kind: SiteKind, from: Ordering, at: &'static Location<'static>) -> Option<Ordering> {
    let site = Site {
        file: at.file(),
        line: at.line(),
        column: at.column(),
        kind,
    };
    RECORD.with_borrow_mut(|record| record.as_mut().map(|record| record.insert(site, from)));
    match IN_FORCE.get() {
        Some(weakening) if weakening.site == site => weakening.to,
        _ => Some(from),
    }
}

/// The memory `M`, with the weakening that is in force.
#[derive(Debug)]
pub struct Weakened<M>(PhantomData<fn() -> M>);

/// A word of [`Weakened`].
#[derive(Debug)]
pub struct WeakenedWord<A>(A);

impl<V: Copy + Eq, A: Atomic<V>> Atomic<V> for WeakenedWord<A> {
    fn new(value: V) -> Self {
        Self(A::new(value))
    }
    fn load(&self, order: Ordering) -> V {
        self.0
            .load(ordering(SiteKind::Load, order, Location::caller()).unwrap_or(order))
    }
    fn store(&self, value: V, order: Ordering) {
        self.0.store(
            value,
            ordering(SiteKind::Store, order, Location::caller()).unwrap_or(order),
        );
    }
    fn compare_exchange(
        &self,
        current: V,
        new: V,
        success: Ordering,
        failure: Ordering,
    ) -> Result<V, V> {
        let (success, failure) = exchange(success, failure, Location::caller());
        self.0.compare_exchange(current, new, success, failure)
    }
    fn compare_exchange_weak(
        &self,
        current: V,
        new: V,
        success: Ordering,
        failure: Ordering,
    ) -> Result<V, V> {
        let (success, failure) = exchange(success, failure, Location::caller());
        self.0.compare_exchange_weak(current, new, success, failure)
    }
    fn swap(&self, value: V, order: Ordering) -> V {
        self.0.swap(value, update(order, Location::caller()))
    }
    fn fetch_add(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        self.0.fetch_add(value, update(order, Location::caller()))
    }
    fn fetch_sub(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        self.0.fetch_sub(value, update(order, Location::caller()))
    }
    fn fetch_and(&self, value: V, order: Ordering) -> V {
        self.0.fetch_and(value, update(order, Location::caller()))
    }
    fn fetch_or(&self, value: V, order: Ordering) -> V {
        self.0.fetch_or(value, update(order, Location::caller()))
    }
    fn fetch_xor(&self, value: V, order: Ordering) -> V {
        self.0.fetch_xor(value, update(order, Location::caller()))
    }
    fn fetch_max(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        self.0.fetch_max(value, update(order, Location::caller()))
    }
    fn fetch_min(&self, value: V, order: Ordering) -> V
    where
        V: Integer,
    {
        self.0.fetch_min(value, update(order, Location::caller()))
    }
}

fn update(order: Ordering, at: &'static Location<'static>) -> Ordering {
    ordering(SiteKind::Update, order, at).unwrap_or(order)
}

fn exchange(
    success: Ordering,
    failure: Ordering,
    at: &'static Location<'static>,
) -> (Ordering, Ordering) {
    (
        ordering(SiteKind::ExchangeSuccess, success, at).unwrap_or(success),
        ordering(SiteKind::ExchangeFailure, failure, at).unwrap_or(failure),
    )
}

impl<M: Memory> Memory for Weakened<M> {
    type AtomicBool = WeakenedWord<M::AtomicBool>;
    type AtomicU8 = WeakenedWord<M::AtomicU8>;
    type AtomicU16 = WeakenedWord<M::AtomicU16>;
    type AtomicU32 = WeakenedWord<M::AtomicU32>;
    type AtomicU64 = WeakenedWord<M::AtomicU64>;
    type AtomicI32 = WeakenedWord<M::AtomicI32>;
    type AtomicI64 = WeakenedWord<M::AtomicI64>;
    type AtomicUsize = WeakenedWord<M::AtomicUsize>;
    type Words<T: Payload> = WordsOf<T, WeakenedWord<M::AtomicU64>>;
    type Cell<T: Send + 'static> = M::Cell<T>;
    const PATIENCE: u32 = M::PATIENCE;

    fn fence(order: Ordering) {
        if let Some(order) = ordering(SiteKind::Fence, order, Location::caller()) {
            M::fence(order);
        }
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
    fn wait(word: &Self::AtomicU32, seen: u32) {
        M::wait(&word.0, seen);
    }
    fn wait_timeout(word: &Self::AtomicU32, seen: u32, left: &mut Duration) {
        M::wait_timeout(&word.0, seen, left);
    }
    fn wake(word: &Self::AtomicU32, n: u32) {
        M::wake(&word.0, n);
    }
}
