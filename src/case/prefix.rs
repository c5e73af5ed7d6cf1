//! The prefix of a case: operations that lead to the state from which its processes begin.

use super::{Call, Case};
use crate::spec::Spec;
use crate::structure::{OpOf, RetOf, Role, WithHandles};
use serde::ser::{Serialize, SerializeStruct, Serializer};

impl<S: Spec> Case<S> {
    /// Returns the number of operations of a process that are of the prefix: the first ones of its
    /// program.
    pub(crate) fn prefix_of(&self, process: usize) -> usize {
        let of = |other: &&u16| usize::from(**other) == process;
        self.prefix.iter().filter(of).count()
    }

    /// Returns the number of operations of each process without those of the prefix.
    pub(crate) fn own_operations(&self) -> Vec<usize> {
        let programs = self.program.iter().enumerate();
        programs
            .map(|(process, ops)| ops.len().saturating_sub(self.prefix_of(process)))
            .collect()
    }

    /// Does the prefix on a structure that was just built, and passes on each operation with its
    /// process, its number and its result. A process attaches, does the operations that it has in a
    /// row, and detaches.
    pub(crate) fn do_prefix<T: WithHandles<Spec = S>>(
        &self,
        structure: &T,
        roles: &[String],
        mut tell: impl FnMut(usize, usize, RetOf<T>),
    ) {
        let mut next = vec![0; self.program.len()];
        for in_a_row in self.prefix.chunk_by(|a, b| a == b) {
            let process = usize::from(in_a_row[0]);
            let mut handle = structure.attach(Role::of(roles, process, 0));
            for _ in in_a_row {
                let op: &OpOf<T> = &self.program[process][next[process]];
                let ret = T::apply(&mut handle, op);
                tell(process, next[process], ret);
                next[process] += 1;
            }
        }
    }
}

impl<S: Spec> Call<S> {
    /// Returns whether the call is of the prefix: it has one time for call and return, before all
    /// others.
    pub(crate) fn is_of_prefix(&self) -> bool {
        self.invoked == self.returned
    }
}

/// As derived, except that an empty prefix is left out of text, so that earlier versions can read
/// it.
impl<S: Spec> Serialize for Case<S> {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        let is_short = to.is_human_readable() && self.prefix.is_empty();
        let mut case = to.serialize_struct("Case", if is_short { 4 } else { 5 })?;
        case.serialize_field("setup", &self.setup)?;
        case.serialize_field("program", &self.program)?;
        case.serialize_field("schedule", &self.schedule)?;
        case.serialize_field("kills", &self.kills)?;
        if !is_short {
            case.serialize_field("prefix", &self.prefix)?;
        }
        case.end()
    }
}
