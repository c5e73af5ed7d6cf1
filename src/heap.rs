//! A heap in shared memory for the code under test: [`heap!`](crate::heap!) makes it the allocator of a test program.
//!
//! Processes of the engine `processes` see its allocations at one address, so a structure may hold `Box`, `Vec` and `Arc`. Only code
//! of the structure allocates here; everything else allocates where it always does. Nothing is allocated twice in one execution.
#![allow(
    unsafe_code,
    reason = "an allocator, whose bytes lie in a region that lives as long as the program"
)]

use crate::error::Error;
use crate::region::Region;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// The bytes of the heap, of which only those use memory that were allocated.
const LENGTH: usize = 256 << 20;

/// Makes an allocator in shared memory the one of a test program, so that the engine `processes` runs structures which allocate.
///
/// It stands once in a test program, outside of functions. A program that has another `#[global_allocator]` does not compile with it.
/// The engines that see the steps of unmodified code have such a heap without it.
///
/// ```standalone_crate
/// use forkcheck::prelude::*;
/// use forkcheck::spec::{Counter, CounterOp, CounterRet};
/// use std::sync::atomic::AtomicI64;
///
/// forkcheck::heap!();
///
/// /// A counter on the heap.
/// struct Boxed(Box<AtomicI64>);
/// impl Structure for Boxed {
///     type Memory = Hardware;
///     type Spec = Counter;
///     fn new(&first: &i64) -> Self { Boxed(Box::new(AtomicI64::new(first))) }
///     fn apply(&self, op: &CounterOp) -> CounterRet {
///         match op {
///             CounterOp::Add(more) => { self.0.fetch_add(*more, Ordering::SeqCst); CounterRet::Added }
///             CounterOp::Read => CounterRet::Value(self.0.load(Ordering::SeqCst)),
///         }
///     }
/// }
/// # fn main() -> Result<(), forkcheck::Error> {
///
/// let suite = Suite::new(forkcheck::site!(), "boxed")
///     .setup(Just(0))
///     .role("adder", 2, 1..=2, Just(CounterOp::Add(1)))
///     .executions(20)
///     .cases(2)
///     .regressions(None);
/// let outcome = suite.check::<forkcheck::engine::Processes, Boxed>()?;
/// assert!(!matches!(outcome.verdict, forkcheck::check::Verdict::Finding(_)));
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! heap {
    () => {
        #[global_allocator]
        static HEAP_OF_FORKCHECK: $crate::heap::Heap = $crate::heap::Heap;
    };
}

thread_local! {
    /// Whether this thread runs code under test.
    static UNDER_TEST: Cell<bool> = const { Cell::new(false) };
}

/// Whether it is the allocator of this program.
static IS_ALLOCATOR: AtomicBool = AtomicBool::new(false);

/// The heap; null in a program without one, and before [`start`].
static ARENA: AtomicPtr<Arena> = AtomicPtr::new(null_mut());

/// The head of the heap, in its first bytes. All processes change it.
#[repr(C)]
struct Arena {
    /// The distance of the first free byte.
    next: AtomicUsize,
    /// The distance from which allocations are of this execution, and how many of those are not freed.
    mark: AtomicUsize,
    live: AtomicUsize,
    /// 1: an allocation was refused.
    full: AtomicU32,
}

/// The allocator that [`heap!`](crate::heap!) makes.
#[doc(hidden)]
#[derive(Debug)]
pub struct Heap;

// SAFETY: the contract of an allocator.
// 1. Each allocation in the arena is a range of its own: `next` only grows while processes run. It is aligned and within the region,
// by `take`. 2. Others are the system's, which frees what it has given: the address tells which.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IS_ALLOCATOR.load(Relaxed) {
            IS_ALLOCATOR.store(true, Relaxed);
        }
        match here() {
            Some(arena) => arena.take(layout),
            // SAFETY: the contract of this function.
            None => unsafe { System.alloc(layout) },
        }
    }
    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        match holding(old) {
            Some(arena) => arena.freed(old),
            // SAFETY: it is not of the arena, so the system gave it.
            None => unsafe { System.dealloc(old, layout) },
        }
    }
    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if here().is_none() && holding(old).is_none() {
            // SAFETY: the contract of this function; the system gave it.
            return unsafe { System.realloc(old, layout, size) };
        }
        let Ok(larger) = Layout::from_size_align(size, layout.align()) else {
            return null_mut();
        };
        // SAFETY: the contract of `alloc`: by that of this function the size is not 0.
        let new = unsafe { self.alloc(larger) };
        if !new.is_null() {
            // SAFETY: 1. Both are as long as what is copied, and are two allocations. 2. By the contract of this function the old one is
            // given back.
            unsafe {
                new.copy_from_nonoverlapping(old, layout.size().min(size));
                self.dealloc(old, layout);
            }
        }
        new
    }
}

impl Arena {
    fn take(&self, layout: Layout) -> *mut u8 {
        let first = (&raw const *self).expose_provenance();
        let Some(room) = layout.size().checked_add(layout.align()) else {
            return null_mut();
        };
        // What does not fit at all takes no room of others.
        if room > LENGTH || self.next.load(Relaxed) > LENGTH - room {
            self.full.store(1, Relaxed);
            return null_mut();
        }
        let at = self.next.fetch_add(room, Relaxed);
        if at > LENGTH - room {
            self.full.store(1, Relaxed);
            return null_mut();
        }
        self.live.fetch_add(1, Relaxed);
        with_exposed_provenance_mut((first + at).next_multiple_of(layout.align()))
    }

    /// Begins an execution, while no process allocates.
    fn begin(&self) {
        let mark = self.mark.load(Relaxed);
        if self.live.load(Relaxed) == 0 && mark > 0 {
            self.next.store(mark, Relaxed);
        }
        self.mark.store(self.next.load(Relaxed), Relaxed);
        self.live.store(0, Relaxed);
    }

    fn freed(&self, old: *mut u8) {
        let at = old.addr() - (&raw const *self).addr();
        if at >= self.mark.load(Relaxed) {
            self.live.fetch_sub(1, Relaxed);
        }
    }
}

fn arena() -> Option<&'static Arena> {
    // SAFETY: a reference to the head. `start` put it there, in a region that is never dropped; it is made of atomics.
    unsafe { ARENA.load(Relaxed).as_ref() }
}

/// Returns the arena, if this thread is to allocate there.
fn here() -> Option<&'static Arena> {
    arena().filter(|_| UNDER_TEST.try_with(Cell::get) == Ok(true))
}

/// Returns the arena, if an address is one of it.
fn holding(address: *mut u8) -> Option<&'static Arena> {
    let arena = arena()?;
    let first = (&raw const *arena).addr();
    (first..first + LENGTH)
        .contains(&address.addr())
        .then_some(arena)
}

/// Makes the heap in a program that has [`heap!`](crate::heap!), before its processes are forked.
pub(crate) fn start() -> Result<(), Error> {
    if !IS_ALLOCATOR.load(Relaxed) || arena().is_some() {
        return Ok(());
    }
    let region: &'static Region = Box::leak(Box::new(Region::anonymous(LENGTH)?));
    let arena: &'static Arena = {
        let slot = region.slot::<Arena>(0)?;
        // SAFETY: 1. `slot` checked that it lies in the region and is aligned; the region is never dropped. 2. Zeros are an `Arena`.
        unsafe { slot.as_ref() }
    };
    ARENA.store((&raw const *arena).cast_mut(), Relaxed);
    arena.next.store(size_of::<Arena>(), Relaxed);
    begin();
    Ok(())
}

/// Begins an execution. Memory of the last one is given out again if all of it was freed.
pub(crate) fn begin() {
    if let Some(arena) = arena() {
        arena.begin();
    }
}

/// Returns whether an allocation was refused, in words, since it was asked last.
pub(crate) fn was_full() -> Option<String> {
    let full = arena()?.full.swap(0, Relaxed) != 0;
    full.then(|| {
        format!(
            "the shared heap of {} MiB is full: the structure allocates more in one execution, or frees little of it; check fewer \
             operations, or free what an execution allocates",
            LENGTH >> 20
        )
    })
}

/// Calls code under test, which allocates in the heap.
#[inline]
pub(crate) fn under_test<R>(call: impl FnOnce() -> R) -> R {
    let _back = enter();
    call()
}

/// Restores the flag of what called code under test.
struct Back(bool);

impl Drop for Back {
    fn drop(&mut self) {
        UNDER_TEST.set(self.0);
    }
}

fn enter() -> Option<Back> {
    // A coroutine that is killed leaves the flag as it is: those that step have none.
    arena().map(|_| Back(UNDER_TEST.replace(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Arena {
        let next = AtomicUsize::new(size_of::<Arena>());
        let (mark, live, full) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU32::new(0));
        let arena = Arena {
            next,
            mark,
            live,
            full,
        };
        arena.begin();
        arena
    }

    #[test]
    fn allocations_are_aligned_and_apart_until_there_is_no_room() {
        let arena = empty();
        let mut end = 0;
        for (size, align) in [(1, 1), (7, 64), (100, 8), (3, 2)] {
            let taken = arena
                .take(Layout::from_size_align(size, align).unwrap())
                .addr();
            assert!(
                taken.is_multiple_of(align) && taken >= end,
                "{size} {align}"
            );
            end = taken + size;
        }
        for size in [LENGTH, usize::MAX / 4] {
            assert!(
                arena
                    .take(Layout::from_size_align(size, 8).unwrap())
                    .is_null(),
                "{size}"
            );
        }
        assert_eq!(arena.full.load(Relaxed), 1);
    }

    #[test]
    fn memory_is_given_out_again_where_all_of_an_execution_was_freed_and_never_beside_what_was_not()
    {
        let (arena, layout) = (empty(), Layout::new::<u64>());
        let first = arena.take(layout);
        arena.freed(first);
        arena.begin();
        let kept = arena.take(layout);
        assert_eq!(kept, first, "all was freed");
        arena.begin();
        let other = arena.take(layout);
        assert!(other > kept, "one was kept");
        // Of an earlier execution: it is not counted for this one.
        arena.freed(kept);
        arena.begin();
        assert!(arena.take(layout) > other);
    }
}
