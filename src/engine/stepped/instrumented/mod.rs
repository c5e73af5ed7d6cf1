//! Steps of code that is not written for [`Memory`](crate::memory::Memory). Compiled with LLVM's
//! ThreadSanitizer pass (`cargo forkcheck`), it calls a function before each access to memory.
//! Those functions are here in place of that tool's runtime. Each announces the access to the
//! [`stepper`](super::stepped::stepper), as the engine's own memory does.
//!
//! | file | what is in it |
//! |---|---|
//! | `hooks`, `atomics` | the functions that the pass calls |
//! | `accesses` | an access of a process of an execution: a step or none, a race or none |
//! | `arena` | the heap of code under test, in shared memory at one address; `heap` C's names for it |
//! | `runtime` | state of all processes of an execution, in shared memory |
//! | `clocks`, `shadow` | what happened before what, by the orderings that the code gives |
//! | `uninstrumented` | locks that the standard library, which is not built with it, may have taken and given back |
//! | `touched` | memory that more than one process touches, whose plain accesses are steps |
//! | `runs` | how a hook finds what its thread runs |
//! | `waits` | system calls by which code waits |
//! | `leaves` | calls by which code leaves the schedule |
//! | `callers` | instructions, and those of the calls in which a thread is |
//! | `zeroed` | tables in shared memory |
//! | `globals`, `blocks`, `keys` | statics, which are put back after each execution, and thread-locals of each coroutine |
//! | `program`, `crates` | the symbols of the program, and the crates that they are of |
//! | `locked` | atomic instructions that the pass has left |
//!
//! All processes of a case see the structure and the arena at one address, also while they are coroutines: such code may
//! hold pointers, and a pointer is valid in each process that inherits the mapping. An address that only the search shares
//! (a stack) shows where forked processes take the same steps and find other values.
//!
//! State is never in statics, which belong to the code under test, but for four words: where the state is, what this thread
//! runs and where threads have that, and whether the probe arrived.

#[cfg(forkcheck_instrumented)]
mod accesses;
#[cfg(forkcheck_instrumented)]
mod arena;
#[cfg(forkcheck_instrumented)]
mod atomics;
#[cfg(forkcheck_instrumented)]
mod blocks;
#[cfg(forkcheck_instrumented)]
mod callers;
#[cfg(any(forkcheck_instrumented, test))]
mod clocks;
#[cfg(any(forkcheck_instrumented, test))]
mod crates;
#[cfg(forkcheck_instrumented)]
mod globals;
#[cfg(forkcheck_instrumented)]
mod heap;
#[cfg(forkcheck_instrumented)]
mod hooks;
#[cfg(forkcheck_instrumented)]
mod keys;
#[cfg(forkcheck_instrumented)]
mod leaves;
#[cfg(any(forkcheck_instrumented, test))]
mod locked;
#[cfg(forkcheck_instrumented)]
mod program;
#[cfg(forkcheck_instrumented)]
mod runs;
#[cfg(forkcheck_instrumented)]
mod runtime;
#[cfg(any(forkcheck_instrumented, test))]
mod shadow;
#[cfg(any(forkcheck_instrumented, test))]
mod touched;
#[cfg(forkcheck_instrumented)]
mod uninstrumented;
#[cfg(forkcheck_instrumented)]
mod waits;
#[cfg(any(forkcheck_instrumented, test))]
mod zeroed;

#[cfg(forkcheck_instrumented)]
pub(crate) use {
    blocks::Block,
    globals::Globals,
    leaves::taken as left_taken,
    runtime::{
        begin, end_incarnation, execution, learn, left_over_taken, mistake, note_left_over,
        resolve_seen, start,
    },
};

use crate::error::Error;
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The thread runs code of the check.
const CHECK: u8 = 0;
/// The thread runs code under test, as a process of an execution or to build or drop the structure.
const UNDER_TEST: u8 = 1;
/// The thread runs the probe.
const PROBE: u8 = 2;

thread_local! {
    static RUNS: Cell<u8> = const { Cell::new(CHECK) };
}

thread_local! {
    /// Accesses of the probe of this thread that have arrived so far, as bits.
    static PROBED: Cell<u32> = const { Cell::new(0) };
}
/// The accesses of the last probe that arrived.
static ARRIVED: AtomicU32 = AtomicU32::new(0);
/// Both bits: of an atomic store, and of a plain one.
const BOTH: u32 = 0b11;

/// Runs code under test: its accesses are those of a process, and its heap is the arena.
#[inline]
pub(super) fn under_test<R>(instrumented: bool, call: impl FnOnce() -> R) -> R {
    struct Back(u8);
    impl Drop for Back {
        fn drop(&mut self) {
            RUNS.set(self.0);
        }
    }
    if !cfg!(forkcheck_instrumented) || !instrumented {
        return call();
    }
    let _back = Back(RUNS.replace(UNDER_TEST));
    call()
}

/// Makes a function of the user's crate store two values, and notes whether both stores arrived
/// here. If they do not, no access of a structure is seen, and a check of it would pass.
pub(crate) fn probe(store: fn(&AtomicU32, &mut u32)) {
    PROBED.set(0);
    let (atomic, mut plain) = (AtomicU32::new(0), 0);
    let before = RUNS.replace(PROBE);
    std::hint::black_box(store)(&atomic, std::hint::black_box(&mut plain));
    RUNS.set(before);
    ARRIVED.store(PROBED.get(), Relaxed);
}

/// Returns the reason why accesses of the code under test are not seen, if they are not.
pub(crate) fn check_instrumented() -> Result<(), Error> {
    let refuse = |what: &str, remedy: &str| Err(Error::invalid(what, remedy));
    if !cfg!(forkcheck_instrumented) {
        return refuse(
            "the accesses of this structure are seen where it is built with instrumentation, and it was not",
            "run cargo forkcheck test",
        );
    }
    match ARRIVED.load(Relaxed) {
        BOTH => Ok(()),
        0 => refuse(
            "no access of this crate arrives: it was not built with instrumentation",
            "run cargo forkcheck test with nothing else as RUSTC_WRAPPER in its configuration, and write the suite by suite!",
        ),
        _ => refuse(
            "some accesses of this crate arrive and others do not, so a finding could be missed",
            "use the compiler that this release was tested with",
        ),
    }
}

/// Returns the functions of instrumented crates that have atomic instructions which are not seen.
#[cfg(forkcheck_instrumented)]
pub(crate) fn plain_atomics() -> Vec<String> {
    static FOUND: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    // A program that cannot be read is refused by the engine, in words.
    FOUND
        .get_or_init(|| program::plain_atomics().unwrap_or_default())
        .clone()
}

#[cfg(not(forkcheck_instrumented))]
mod without {
    //! The functions for builds without instrumentation, where no structure is instrumented.

    use crate::error::Error;
    use crate::region::Region;
    use std::sync::Arc;

    pub(crate) fn start() -> Result<Arc<Region>, Error> {
        super::check_instrumented()?;
        Region::anonymous(1).map(Arc::new)
    }
    /// Statics, which are looked after for instrumented code alone.
    pub(crate) struct Globals;
    impl Globals {
        pub(crate) fn of_this_thread() -> Self {
            Self
        }
        pub(crate) fn keep(&mut self) {}
        pub(crate) fn put_back(&self) {}
        pub(crate) fn enter(&mut self, _: u64) {}
        pub(crate) fn stay(&mut self, _: u64) {}
    }
    /// Thread-locals, which each coroutine has of its own for instrumented code alone.
    pub(crate) struct Block;
    impl Block {
        pub(crate) fn of_processes(_: usize) -> Vec<Self> {
            Vec::new()
        }
        pub(crate) fn within<R>(&self, call: impl FnOnce() -> R) -> R {
            call()
        }
        pub(crate) fn put_back(&self) {}
    }

    pub(crate) fn begin(_: usize, _: usize) {}
    pub(crate) fn end_incarnation(_: usize) {}
    pub(crate) fn learn(_: bool) {}
    pub(crate) fn resolve_seen() -> Vec<(String, u64)> {
        Vec::new()
    }
    pub(crate) fn plain_atomics() -> Vec<String> {
        Vec::new()
    }
    pub(crate) struct Mistake {
        pub(crate) starts_thread: bool,
        pub(crate) words: String,
    }
    pub(crate) fn mistake() -> Option<Mistake> {
        None
    }
    pub(crate) fn execution() -> u64 {
        0
    }
    pub(crate) fn note_left_over(_: usize) {}
    pub(crate) fn left_over_taken() -> u64 {
        0
    }
    pub(crate) fn left_taken() -> u64 {
        0
    }
}
#[cfg(not(forkcheck_instrumented))]
pub(crate) use without::{
    Block, Globals, begin, end_incarnation, execution, learn, left_over_taken, left_taken, mistake,
    note_left_over, plain_atomics, resolve_seen, start,
};
