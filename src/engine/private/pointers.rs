//! Pointers to private memory in the bytes of a structure. A `Box`, `Vec` or `Arc` keeps its data on the heap, and a
//! reference to a static leads to the program's data. Other processes have the pointer, but not that data.
//! proc_pid_maps(5).
//!
//! A forked process that does nothing else builds the structure eight times in shared memory, keeps all eight, and
//! does the operations of a program in each of them, one after the other. After `new`, after each first `attach` and
//! after each operation it looks at every aligned word:
//!
//! - A word that leads to private heap in all of them, to another address in each, points to it: data that all
//!   keep cannot be at one address. A number that happens to look like an address is the same in each, since
//!   the setup, the operations and the stack's depth are. Padding and slots without a value may hold pointers to
//!   freed heap; those repeat after a few structures, since that heap is used again.
//! - A word that holds the same address of the program's writable data in all points to a static, if that lies
//!   above 4 GiB (as in every program that is linked to run at any address) and the program does not hold that
//!   number.
//!
//! Not checked: pointers that are not whole aligned words, or lie beyond the structure itself; those to stacks, of
//! which padding is full; those to heap that all eight share (a `static` that keeps an `Arc`) or to data of
//! libraries. Constants, functions and other data that cannot be written are the same in all forked processes, and
//! pointers to them are valid.
//!
//! The operations are done in an order in which the spec lets none wait. If one does not return all the same, the
//! look ends; what would have come after it was not looked at, and the result says so.

use super::placed::{Placed, be_quiet, wipe_stack};
use crate::case::Case;
use crate::error::Error;
use crate::memory::Memory;
use crate::process;
use crate::region::Region;
use crate::spec::Spec;
use crate::structure::{Role, WithHandles};
use crate::workers::maps::{Mapped, Maps};
use crate::workers::original::{self, without_copies};
use crate::workers::possible;
use crate::workers::watch::state_and_time;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The number of structures that are built: more than the addresses that an allocator reuses in turn if all memory is
/// freed.
const INSTANCES: usize = 8;
/// The least address that is taken for one: a program does not count with such numbers.
const LEAST_STATIC: usize = 1 << 32;

/// The time between two looks at the process that inspects; the looks in a row at which it sleeps, and the processor
/// time without progress, after which it is given up. That costs a part of the inspection and never a finding of the
/// engine.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
const ASLEEP: u32 = 20;
const ENDLESS: Duration = Duration::from_millis(100);

/// The result of an inspection.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Looked<S: Spec> {
    /// It found nothing, to the end of the program.
    Through,
    /// It found nothing, but did not finish: an operation did not return, failed, or the mappings cannot be read.
    Short,
    /// It found a pointer.
    Found(Pointer<S>),
}

/// A pointer to private memory.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Pointer<S: Spec> {
    /// The offset in the structure, in bytes.
    pub(crate) offset: usize,
    /// Whether it leads to data of the program, and not to heap.
    pub(crate) to_static: bool,
    /// The event after which it was first seen.
    pub(crate) after: After,
    /// The results of the operations until then, in their order.
    pub(crate) returned: Vec<Returned<S>>,
}

/// A process, and the result of one of its operations.
type Returned<S> = (usize, <S as Spec>::Ret);

/// The last event before a look.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum After {
    New,
    Attach(usize),
    /// An operation, by its process and number.
    Operation(usize, usize),
}

/// Looks for pointers to private memory after `new`, and, if `operations` says so, in the course of a program. Only
/// from a single-threaded process: the zygote.
///
/// The flag says whether it had to be given up.
pub(crate) fn look<M: Memory, S: WithHandles<Memory = M>>(
    case: &Case<S::Spec>,
    roles: &[String],
    operations: bool,
) -> Result<(Looked<S::Spec>, bool), Error> {
    if possible(size_of::<S>(), roles).is_err() {
        // The engine reports the reason.
        return Ok((Looked::Short, false));
    }
    let mut placed = Placed::<M, S>::new(INSTANCES)?;
    let progress = Region::anonymous(size_of::<AtomicU64>())?;
    let progress: &AtomicU64 = progress.get(0)?;
    let region = placed.region();
    let mut child = process::spawn(move || {
        be_quiet();
        original::mark();
        let looker = Looker::<M, S> {
            case,
            roles,
            region,
            progress,
            memory: std::marker::PhantomData,
        };
        looker.look(&mut placed, operations)
    })?;
    let (mut seen, mut since, mut last, mut asleep) = (0, None, None, 0);
    while child.wait_timeout(BETWEEN_LOOKS)?.is_none() {
        let Some((sleeping, used)) = state_and_time(child.id()) else {
            continue;
        };
        let now = progress.load(Relaxed);
        if now != seen {
            (seen, since, last, asleep) = (now, None, None, 0);
        }
        let moved = last.replace(used).is_none_or(|last| used > last);
        asleep = if sleeping && !moved { asleep + 1 } else { 0 };
        if asleep >= ASLEEP || used - *since.get_or_insert(used) >= ENDLESS {
            return Ok((Looked::Short, true));
        }
    }
    // A structure that panics or ends its process is a finding of the engine's.
    Ok((child.value().unwrap_or(Looked::Short), false))
}

struct Looker<'a, M: Memory, S: WithHandles<Memory = M>> {
    case: &'a Case<S::Spec>,
    roles: &'a [String],
    region: Arc<Region>,
    progress: &'a AtomicU64,
    memory: std::marker::PhantomData<fn() -> (M, S)>,
}

impl<M: Memory, S: WithHandles<Memory = M>> Looker<'_, M, S> {
    fn look(&self, placed: &mut Placed<M, S>, operations: bool) -> Looked<S::Spec> {
        let mut returned = Vec::new();
        let structures = placed.build(&self.case.setup);
        if let Some(looked) = self.look_after(After::New, &mut returned) {
            return looked;
        }
        if !operations {
            return Looked::Short;
        }
        let mut handles: Vec<_> = self.roles.iter().map(|_| Vec::new()).collect();
        let mut states = HashMap::new();
        let mut next = vec![0; self.case.program.len()];
        while let Some(process) = self.can_go_on(&next, &mut states) {
            let number = next[process];
            let op = &self.case.program[process][number];
            next[process] += 1;
            if handles[process].is_empty() {
                for structure in &structures {
                    let role = Role::of(self.roles, process, 0);
                    let handle = without_copies(|| {
                        wipe_stack();
                        structure.attach(role)
                    });
                    handles[process].push(handle);
                }
                if let Some(looked) = self.look_after(After::Attach(process), &mut returned) {
                    return looked;
                }
            }
            let mut ret = None;
            for handle in &mut handles[process] {
                // The previous result is dropped first, so that each structure finds the same heap.
                drop(ret.take());
                ret = Some(without_copies(|| {
                    wipe_stack();
                    S::apply(handle, op)
                }));
            }
            let Some(ret) = ret else { break };
            returned.push((process, ret.clone()));
            if let Some(looked) = self.look_after(After::Operation(process, number), &mut returned)
            {
                return looked;
            }
            let state = Self::state(&mut states, self.case, op);
            if !state.accept(process, op, &ret) {
                // The structure is wrong even with one process: the engine reports that.
                return Looked::Short;
            }
        }
        Looked::Through
    }

    /// Returns the state that an operation leads to.
    fn state<'s>(
        states: &'s mut HashMap<u64, S::Spec>,
        case: &Case<S::Spec>,
        op: &<S::Spec as Spec>::Op,
    ) -> &'s mut S::Spec {
        let key = <S::Spec as Spec>::key(op);
        states
            .entry(key)
            .or_insert_with(|| S::Spec::start(&case.setup))
    }

    /// Returns the first process whose next operation does not have to wait.
    fn can_go_on(&self, next: &[usize], states: &mut HashMap<u64, S::Spec>) -> Option<usize> {
        (0..next.len()).find(|&process| {
            self.case.program[process]
                .get(next[process])
                .is_some_and(|op| !Self::state(states, self.case, op).blocks(process, op))
        })
    }

    /// Returns the result, if there is a pointer to private memory now, or if that cannot be decided.
    fn look_after(
        &self,
        after: After,
        returned: &mut Vec<Returned<S::Spec>>,
    ) -> Option<Looked<S::Spec>> {
        self.progress.fetch_add(1, Relaxed);
        let Some(maps) = Maps::of("self") else {
            return Some(Looked::Short);
        };
        let words = size_of::<S>() / size_of::<usize>();
        let mut offsets = (0..words).map(|word| word * size_of::<usize>());
        let (offset, to_static) = offsets.find_map(|offset| {
            let found = self.points(&maps, offset)?;
            Some((offset, found == Mapped::Statics))
        })?;
        Some(Looked::Found(Pointer {
            offset,
            to_static,
            after,
            returned: std::mem::take(returned),
        }))
    }

    /// Returns the private memory that the word at an offset points to.
    fn points(&self, maps: &Maps, offset: usize) -> Option<Mapped> {
        let value = |number: usize| {
            let word = self.region.get(number * Placed::<M, S>::STRIDE + offset);
            let word: &AtomicUsize = word.expect("the region was made for it");
            word.load(Relaxed)
        };
        let first = value(0);
        let mapped = maps.at(first);
        let others = || (1..INSTANCES).map(value);
        let points = match mapped {
            Mapped::Heap => {
                let mut all: Vec<usize> = others().chain([first]).collect();
                all.sort_unstable();
                all.dedup();
                all.len() == INSTANCES && all.iter().all(|&value| maps.at(value) == mapped)
            }
            Mapped::Statics => {
                first >= LEAST_STATIC
                    && others().all(|other| other == first)
                    && !self.is_drawn(first)
            }
            Mapped::Shared | Mapped::Code | Mapped::Other => false,
        };
        points.then_some(mapped)
    }

    /// Returns whether the setup or an operation holds this number.
    fn is_drawn(&self, number: usize) -> bool {
        let drawn = format!("{:?} {:?}", self.case.setup, self.case.program);
        drawn.contains(&number.to_string())
    }
}
