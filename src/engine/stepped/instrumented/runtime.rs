//! State of all processes of an execution, in memory that they share: forked processes judge an
//! access by those of the others.
#![allow(
    unsafe_code,
    reason = "the state is lent to the process that has the turn"
)]

use super::arena::{self, Arena};
use super::clocks::Knowledge;
use super::globals;
use super::shadow::{Found, Shadow};
use super::touched::Touched;
use super::zeroed::{Table, zeroed};
use crate::engine::stepped::stepper;
use crate::engine::stepped::symbols;
use crate::error::Error;
use crate::region::Region;
use crate::schedule::MAX_PROCESSES;
use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The reads that are remembered to see that a process reads the same words repeatedly.
const READS: usize = 16;
/// The instructions that are remembered while memory is learned; a power of two.
const CODES: usize = 1 << 12;

/// Reads of one process since the last change of memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Reads {
    version: u64,
    count: u32,
    each: [(usize, u32, u32); READS],
}

impl Reads {
    /// Notes a read that changed nothing, and says whether the process spins: it has made only reads that it made before, this one
    /// for the third time since. A scan, which reads something new each time, is none.
    pub(super) fn again(&mut self, version: u64, address: usize, code: u32) -> bool {
        if self.version != version {
            (self.version, self.count) = (version, 0);
        }
        let count = (self.count as usize).min(READS);
        let known = self.each[..count].iter_mut();
        for (known, by, times) in known {
            if (*known, *by) == (address, code) {
                *times += 1;
                return *times % 3 == 0;
            }
        }
        if count < READS {
            self.each[count] = (address, code, 1);
            self.count += 1;
        } else {
            // Too many to remember: from here on as if it were the first.
            (self.each[0], self.count) = ((address, code, 1), 1);
        }
        for (_, _, times) in &mut self.each[..self.count as usize] {
            *times = 1;
        }
        false
    }
}

#[repr(C)]
pub(super) struct Runtime {
    pub(super) arena: Arena,
    pub(super) processes: u32,
    /// The number of executions that have begun.
    execution: u64,
    /// 1: each plain access is a step, and its memory is noted.
    pub(super) learns: u32,
    /// Calls that leave the schedule, see [`leaves`](super::leaves).
    pub(super) left: u64,
    /// The mistake of code outside of any process: 1, it freed memory twice, the first time after the instruction `by`; 2, it started a
    /// thread.
    pub(super) outside: u32,
    /// The most allocations for each operation that the drop of a structure left, where none was killed.
    left_over: u32,
    pub(super) by: u32,
    pub(super) known: [Knowledge; MAX_PROCESSES],
    pub(super) reads: [Reads; MAX_PROCESSES],
    /// The last instruction of each process that touched memory.
    pub(super) last: [u32; MAX_PROCESSES],
    /// For each process, the atomic at which its last access was a compare-exchange that failed, and its length; 0 if it was not.
    pub(super) missed: [(usize, usize); MAX_PROCESSES],
    codes: [u32; CODES],
    counts: [u32; CODES],
    pub(super) touched: Touched,
    pub(super) shadow: Shadow,
}

// SAFETY: Table. Integers, and tables of integers.
unsafe impl Table for Runtime {}

/// The state; null if no crew of such a structure was started.
static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(null_mut());
/// The region of the arena, for crews.
static REGION: OnceLock<Arc<Region>> = OnceLock::new();

/// Lends the state to the process that has the turn, or to the supervisor while none has. `None`
/// before [`start`].
#[inline]
pub(super) fn with<R>(use_it: impl FnOnce(&mut Runtime) -> R) -> Option<R> {
    let runtime = RUNTIME.load(Relaxed);
    if runtime.is_null() {
        return None;
    }
    // SAFETY: a unique reference, for the length of `use_it`.
    // 1. `start` put it there, and it is never unmapped. 2. As for the plan of a board: the process that has the turn alone comes
    //    here, and the turn is passed on by a Release that the next holder Acquires. 3. No caller calls this from within
    //    `use_it`: what that runs is code of this module, whose heap is not the arena.
    Some(use_it(unsafe { &mut *runtime }))
}

/// Makes the arena and the state, once, before any process of a crew is forked. Returns the region
/// of structure and arena.
pub(crate) fn start() -> Result<Arc<Region>, Error> {
    if let Some(region) = REGION.get() {
        return Ok(Arc::clone(region));
    }
    let region = Arc::new(Region::anonymous(arena::LENGTH)?);
    let runtime: &'static mut Runtime = zeroed()?;
    runtime.arena.place(region.address());
    RUNTIME.store(runtime, Relaxed);
    heap_is_ours()?;
    globals::start()?;
    Ok(Arc::clone(REGION.get_or_init(|| region)))
}

/// Returns an error where the program's heap functions are not those of this crate: code under test
/// would allocate private memory.
fn heap_is_ours() -> Result<(), Error> {
    let before = super::RUNS.replace(super::UNDER_TEST);
    // The size is not constant, so that the allocation is not optimised away.
    let allocated: Vec<u8> = Vec::with_capacity(std::hint::black_box(8));
    let address = allocated.as_ptr().addr();
    drop(allocated);
    super::RUNS.set(before);
    if arena::holds(address) {
        return Ok(());
    }
    Err(Error::invalid(
        "the program has an allocator of its own, whose memory processes do not share",
        "test with the system's: #[cfg(not(test))] before #[global_allocator]",
    ))
}

/// Begins an execution of this many processes, whose structure has this size: all allocations of
/// the last one are gone.
pub(crate) fn begin(processes: usize, size: usize) {
    with(|runtime| {
        runtime.arena.reset(size);
        runtime.processes = processes as u32;
        runtime.execution += 1;
        runtime.outside = 0;
        runtime.shadow.begin();
        for process in 0..processes {
            runtime.known[process] = Knowledge::of_first(process);
            runtime.missed[process] = (0, 0);
            (runtime.reads[process].version, runtime.reads[process].count) = (0, 0);
        }
    });
}

/// Returns the number of the execution that runs.
pub(crate) fn execution() -> u64 {
    with(|runtime| runtime.execution).unwrap_or(0)
}

/// Notes that a process was killed: its accesses are no longer concurrent with any.
pub(crate) fn end_incarnation(process: usize) {
    with(|runtime| {
        runtime.known[process].end_incarnation(process);
        runtime.missed[process] = (0, 0);
    });
}

/// Begins to learn memory, from nothing, or ends it.
pub(crate) fn learn(learns: bool) {
    with(|runtime| {
        runtime.learns = learns.into();
        if learns {
            runtime.touched.clear();
            runtime.codes.fill(0);
            runtime.counts.fill(0);
        }
    });
}

impl Runtime {
    /// Returns the granule of an address in the shadow.
    #[inline(always)]
    pub(super) fn find(&mut self, address: usize) -> Option<Found> {
        let processes = self.processes as usize;
        self.shadow.find(address, processes, &self.touched)
    }

    /// Returns whether this execution goes beyond what the engine follows.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.shadow.full != 0 || self.arena.is_full()
    }

    /// Notes an instruction, so that its line is known before the processes that name it are
    /// forked.
    pub(super) fn see(&mut self, code: u32) {
        let mut at = (code.wrapping_mul(0x9E37_79B9) >> 20) as usize % CODES;
        for _ in 0..8 {
            if self.codes[at] == code || self.codes[at] == 0 {
                self.codes[at] = code;
                self.counts[at] = self.counts[at].saturating_add(1);
                return;
            }
            at = (at + 1) % CODES;
        }
    }
}

/// Finds the source lines of all instructions that were seen, so that processes that are forked later know them. Returns the
/// crates that they are of, each with the number of its accesses.
pub(crate) fn resolve_seen() -> Vec<(String, u64)> {
    let seen = |runtime: &mut Runtime| {
        let seen = runtime.codes.iter().copied().zip(runtime.counts);
        seen.filter(|&(code, _)| code != 0).collect::<Vec<_>>()
    };
    let mut crates = BTreeMap::new();
    for (code, count) in with(seen).unwrap_or_default() {
        let file = symbols::site(code).file;
        *crates.entry(crate_of_file(&file)).or_default() += u64::from(count);
    }
    crates.into_iter().collect()
}

/// Returns the crate with its release, by the path of a file of it; another name for files that are not of a registry.
fn crate_of_file(file: &str) -> String {
    match stepper::short(file).split_once('/') {
        Some((name, _)) if file.contains("/registry/src/") => name.to_owned(),
        _ if file.is_empty() => "code without lines".to_owned(),
        _ if file.starts_with("/rustc/") => "the standard library".to_owned(),
        _ if file.starts_with('/') => "files outside of the workspace".to_owned(),
        _ => "this workspace".to_owned(),
    }
}

/// Notes what the drop of a structure has left of an execution of this many operations.
pub(crate) fn note_left_over(operations: usize) {
    with(|runtime| {
        let each = runtime.arena.live.max(0) / operations.max(1) as i64;
        runtime.left_over = runtime.left_over.max(each.min(i64::from(u32::MAX)) as u32);
    });
}

/// Returns the most allocations for each operation that were left since it was asked last.
pub(crate) fn left_over_taken() -> u64 {
    with(|runtime| std::mem::take(&mut runtime.left_over))
        .unwrap_or(0)
        .into()
}

/// A mistake of code outside of any process, in words.
pub(crate) struct Mistake {
    pub(crate) starts_thread: bool,
    pub(crate) words: String,
}

/// Returns the mistake that `new`, the prefix or the drop of the structure made in this execution.
pub(crate) fn mistake() -> Option<Mistake> {
    let (outside, by) = with(|runtime| (runtime.outside, runtime.by))?;
    let place = || match symbols::site(by) {
        place if place.line == 0 => "before, outside of any process".into(),
        place => format!(
            "before, after {}:{}",
            stepper::short(&place.file),
            place.line
        ),
    };
    let words = match outside {
        0 => return None,
        1 => format!(
            "the drop of the structure frees memory twice: it was freed {}",
            place()
        ),
        _ => "`new`, the prefix or the drop of the structure starts a thread".into(),
    };
    Some(Mistake {
        starts_thread: outside != 1,
        words,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads() -> Reads {
        Reads {
            version: 0,
            count: 0,
            each: [(0, 0, 0); READS],
        }
    }

    #[test]
    fn a_process_spins_that_makes_the_same_reads_again_and_again() {
        let mut reads = reads();
        let spins: Vec<_> = (0..9).map(|n| reads.again(1, 8 + n % 2, 7)).collect();
        assert_eq!(spins.iter().position(|&spins| spins), Some(4), "{spins:?}");
        // Memory has changed.
        assert!(!reads.again(2, 8, 7));
    }

    #[test]
    fn a_scan_that_looks_at_a_length_each_time_does_not_spin() {
        let mut reads = reads();
        for element in 0..3 * READS {
            assert!(!reads.again(1, 8, 7), "the length, at element {element}");
            assert!(!reads.again(1, 64 + element, 9), "element {element}");
        }
    }
}
