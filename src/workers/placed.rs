//! Structures built in shared memory for one process alone, which looks at them and is gone.
#![allow(
    unsafe_code,
    reason = "the subject is built in place in a shared region"
)]

use crate::error::Error;
use crate::memory::Memory;
use crate::region::Region;
use crate::subject::{SetupOf, Subject};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Where each begins: at a page of its own.
const PAGE: usize = 4096;
/// Bytes of the stack that are written over before each is built, so that it holds no pointers of what ran before.
const WIPED: usize = 64 << 10;

/// Places for a number of structures.
pub(super) struct Placed<M: Memory, S: Subject<M>> {
    region: Arc<Region>,
    count: usize,
    kind: PhantomData<fn() -> (M, S)>,
}

impl<M: Memory, S: Subject<M>> Placed<M, S> {
    /// The bytes from the beginning of one to that of the next.
    pub(super) const STRIDE: usize = size_of::<S>().div_ceil(PAGE) * PAGE;

    pub(super) fn new(count: usize) -> Result<Self, Error> {
        Ok(Self {
            region: Arc::new(Region::anonymous((count * Self::STRIDE).max(1))?),
            count,
            kind: PhantomData,
        })
    }

    /// The memory that they lie in.
    pub(super) fn region(&self) -> Arc<Region> {
        Arc::clone(&self.region)
    }

    /// Builds all of them, at one depth of the stack. Those that were there are forgotten and not dropped.
    pub(super) fn build(&mut self, setup: &SetupOf<S, M>) -> Vec<&S> {
        (0..self.count)
            .map(|number| self.build_one(number, setup))
            .collect()
    }

    #[inline(never)]
    fn build_one(&self, number: usize, setup: &SetupOf<S, M>) -> &S {
        wipe_stack();
        let subject = S::new(setup);
        let slot = self
            .region
            .slot::<UnsafeCell<MaybeUninit<S>>>(number * Self::STRIDE)
            .expect("the region was made for it");
        // SAFETY: a write, and a shared reference to what was written.
        // 1. `slot` checked that it lies within the region and is aligned; the region lives as long as `self`.
        // 2. No reference to what was there is left: `build` takes `&mut self`, and each number once. No other process has
        //    the address: the region was made for this one.
        // 3. Who changes its bytes by `region` does so by atomics, in a process that is ended for whatever comes of it.
        unsafe {
            let place = slot.as_ref().get();
            (*place).write(subject);
            (*place).assume_init_ref()
        }
    }
}

/// Writes over the part of the stack that the next call uses.
#[inline(never)]
fn wipe_stack() {
    black_box(&mut [0xA5u8; WIPED]);
}

/// What a structure prints, it prints again where it is run.
pub(super) fn be_quiet() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}
