//! Structures built in shared memory for one process alone, which inspects them and ends.
#![allow(
    unsafe_code,
    reason = "the structure is built in place in a shared region"
)]

use crate::error::Error;
use crate::memory::Memory;
use crate::region::Region;
use crate::structure::{SetupOf, WithHandles};
use crate::workers::original::without_copies;
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The alignment of each structure: it starts a page.
const PAGE: usize = 4096;
/// The bytes of the stack that are overwritten before each call of a structure, so that it holds no pointers of earlier
/// calls.
const WIPED: usize = 64 << 10;

/// The places of a number of structures.
pub(super) struct Placed<M: Memory, S: WithHandles<Memory = M>> {
    region: Arc<Region>,
    count: usize,
    /// The number of structures that this process has built.
    built: usize,
    kind: PhantomData<fn() -> (M, S)>,
}

impl<M: Memory, S: WithHandles<Memory = M>> Placed<M, S> {
    /// The bytes from the beginning of one structure to that of the next.
    pub(super) const STRIDE: usize = size_of::<S>().div_ceil(PAGE) * PAGE;

    pub(super) fn new(count: usize) -> Result<Self, Error> {
        Ok(Self {
            region: Arc::new(Region::anonymous((count * Self::STRIDE).max(1))?),
            count,
            built: 0,
            kind: PhantomData,
        })
    }

    /// Returns the memory that they lie in.
    pub(super) fn region(&self) -> Arc<Region> {
        Arc::clone(&self.region)
    }

    /// Builds all of them, at the same depth of the stack.
    pub(super) fn build(&mut self, setup: &SetupOf<S>) -> Vec<&S> {
        while self.built < self.count {
            self.build_one(setup);
        }
        (0..self.built)
            .map(|number| {
                // SAFETY: a shared reference to a structure that `build_one` wrote, which is dropped with `self` alone.
                unsafe { (*self.slot(number).get()).assume_init_ref() }
            })
            .collect()
    }

    #[inline(never)]
    fn build_one(&mut self, setup: &SetupOf<S>) {
        let structure = without_copies(|| {
            wipe_stack();
            S::new(setup)
        });
        // SAFETY: the slot is a place for an `S`, valid for writes and aligned, and exclusively ours: no other process has
        // the region, and there is no reference to this slot yet.
        unsafe { (*self.slot(self.built).get()).write(structure) };
        self.built += 1;
    }

    fn slot(&self, number: usize) -> &UnsafeCell<MaybeUninit<S>> {
        let slot = self
            .region
            .slot::<UnsafeCell<MaybeUninit<S>>>(number * Self::STRIDE)
            .expect("the region was made for it");
        // SAFETY: a reference to the slot.
        // 1. `slot` checked that it lies within the region and is aligned; the region lives as long as `self`.
        // 2. Any bytes are a `MaybeUninit`, and `UnsafeCell` allows them to change behind the reference.
        unsafe { slot.as_ref() }
    }
}

impl<M: Memory, S: WithHandles<Memory = M>> Drop for Placed<M, S> {
    fn drop(&mut self) {
        for number in 0..self.built {
            let slot = self.slot(number).get();
            // SAFETY: drop in place. `build_one` wrote it in this process, and handles and references borrow `self`, so none
            // is left.
            let drops = || unsafe { (*slot).assume_init_drop() };
            // A destructor may assert a condition that holds only after whole programs, and the inspection ends in
            // the middle of one.
            let _ = catch_unwind(AssertUnwindSafe(drops));
        }
    }
}

/// Overwrites the part of the stack that the next call uses. It is called right before code under test, because any call
/// in between may leave a pointer there, which that code copies as padding.
#[inline(never)]
pub(super) fn wipe_stack() {
    black_box(&mut [0xA5u8; WIPED]);
}

/// Discards output: a structure prints it again when the engine runs it.
pub(super) fn be_quiet() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}
