//! The type of a structure as a value. Crews and explorers use nothing else of it, so they are
//! compiled once for each specification, and not for each structure.

use super::host::host;
use super::shared::CrewState;
use super::worker::work;
use crate::memory::Hardware;
use crate::spec::Spec;
use crate::structure::WithHandles;
use std::any::{TypeId, type_name};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// The code of a structure with this specification, and what its processes have to know of it.
pub(super) struct StructureType<S: Spec> {
    pub(super) name: &'static str,
    /// The bytes of a value, and those that it takes in a region.
    pub(super) size: usize,
    pub(super) size_in_region: usize,
    /// Whether it is code that is not written for `Memory`: the instrumentation announces its accesses.
    pub(super) instrumented: bool,
    /// Runs the host of all its processes, with stacks of this size.
    pub(super) host: fn(&Arc<CrewState<S>>, usize),
    /// Runs the worker of this slot.
    pub(super) work: fn(&Arc<CrewState<S>>, usize),
}

impl<S: Spec> StructureType<S> {
    pub(super) fn of<T: WithHandles<Spec = S>>() -> Self {
        Self {
            name: type_name::<T>(),
            size: size_of::<T>(),
            size_in_region: size_of::<UnsafeCell<MaybeUninit<T>>>().max(1),
            // `Hardware` is the one memory that does not announce accesses.
            instrumented: TypeId::of::<T::Memory>() == TypeId::of::<Hardware>(),
            host: host::<T::Memory, T>,
            work: work::<T::Memory, T>,
        }
    }
}

impl<S: Spec> Clone for StructureType<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Spec> Copy for StructureType<S> {}
