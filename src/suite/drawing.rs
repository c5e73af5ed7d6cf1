//! The cases of a suite, as a strategy that draws them.

use super::Suite;
use crate::case::{Case, Program};
use crate::error::Error;
use crate::spec::Spec;
use proptest::strategy::{BoxedStrategy, Just, Strategy};

impl<S: Spec> Suite<S> {
    /// Returns the strategy that draws the cases, or an error where the suite does not say from where they start.
    pub(super) fn strategy(&self) -> Result<BoxedStrategy<Case<S>>, Error> {
        let programs: Vec<_> = self
            .roles
            .iter()
            .flat_map(|role| std::iter::repeat_n(role.programs.clone(), role.processes))
            .collect();
        let setup = match &self.setup {
            Some(setup) => setup.clone(),
            // `()` and similar types are read from no bytes at all.
            None => match postcard::from_bytes::<S::Setup>(&[]) {
                Ok(unit) => Just(unit).boxed(),
                Err(_) => {
                    return Err(Error::invalid(
                        format!("the suite {} does not say from where it starts", self.id),
                        "add `setup: strategy,` before its roles, or `.setup(strategy)`",
                    ));
                }
            },
        };
        let (processes, prefixes): (Vec<u16>, Vec<_>) = self
            .prefix
            .iter()
            .map(|prefix| (self.first_of(&prefix.role), prefix.operations.clone()))
            .unzip();
        // The program first: proptest shrinks the first part first, and a short program says more than a small setup.
        Ok((programs, setup, prefixes)
            .prop_filter("it has no operations", |(program, ..)| {
                program.iter().any(|operations| !operations.is_empty())
            })
            .prop_map(move |(program, setup, prefixes)| {
                Self::case(setup, program, processes.iter().copied().zip(prefixes))
            })
            .boxed())
    }

    /// Returns the first process of a role.
    pub(super) fn first_of(&self, role: &str) -> u16 {
        let before = self.roles.iter().take_while(|other| other.name != role);
        before.map(|role| role.processes as u16).sum()
    }

    /// Returns a case whose prefix is done by these processes.
    pub(super) fn case(
        setup: S::Setup,
        own: Program<S>,
        prefixes: impl Iterator<Item = (u16, Vec<S::Op>)>,
    ) -> Case<S> {
        let mut program: Program<S> = own.iter().map(|_| Vec::new()).collect();
        let mut prefix = Vec::new();
        for (process, operations) in prefixes {
            prefix.extend(operations.iter().map(|_| process));
            program[usize::from(process)].extend(operations);
        }
        for (all, own) in program.iter_mut().zip(own) {
            all.extend(own);
        }
        Case {
            prefix,
            ..Case::free(setup, program)
        }
    }
}
