//! The cases that belong to a suite.

use super::{Case, named};
use crate::spec::Spec;
use std::ops::RangeInclusive;

/// The cases of a suite: the number of operations of each process, and the processes that are
/// killed.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    /// The role of each process.
    pub(crate) roles: Vec<String>,
    /// Operations of each process, by number.
    pub(crate) operations: Vec<RangeInclusive<usize>>,
    /// Processes whose operations are drawn as a whole sequence, as bits.
    pub(crate) sequences: u32,
    /// Processes that may be killed, as bits.
    pub(crate) killable: u32,
}

impl Extent {
    /// Returns in words why a case is not one of the suite's. `cuts`: it was cut to fit an engine,
    /// which keeps at least one operation of each process.
    pub(crate) fn excludes<S: Spec>(&self, case: &Case<S>, truncates: bool) -> Option<String> {
        let (processes, suites) = (case.program.len(), self.operations.len());
        if processes != suites {
            return Some(format!(
                "it has {processes} processes and the suite {suites}"
            ));
        }
        let own = case.own_operations();
        let lengths = own.into_iter().zip(&self.operations).enumerate();
        let outside = |(process, (length, range)): (usize, (usize, &RangeInclusive<usize>))| {
            let (least, most) = (*range.start(), *range.end());
            let needed = if truncates { least.min(1) } else { least };
            (length < needed || length > most).then(|| {
                let role = named(&self.roles, process);
                format!("{role} has {length} of {least}..={most} operations")
            })
        };
        lengths.into_iter().find_map(outside).or_else(|| {
            let mut kills = case.kills.iter().map(|kill| usize::from(kill.process));
            let spared = kills.find(|process| self.killable >> process & 1 == 0)?;
            let role = named(&self.roles, spared);
            Some(format!("it kills {role}, and the suite kills others only"))
        })
    }

    /// Returns the roles whose processes are never killed.
    pub(crate) fn spared(&self) -> Vec<String> {
        let processes = self.roles.iter().enumerate();
        let spared = processes.filter(|(process, _)| self.killable >> process & 1 == 0);
        let mut roles: Vec<String> = spared.map(|(_, role)| role.clone()).collect();
        roles.dedup();
        roles
    }

    /// Returns whether a process of a program has no operation to spare, beside those of the
    /// prefix. A sequence has none: without one of its operations the suite may not draw it.
    pub(crate) fn is_least(&self, process: usize, operations: usize) -> bool {
        operations <= *self.operations[process].start() || self.sequences >> process & 1 == 1
    }

    /// Returns in words which process of a cut case has a part of a sequence.
    pub(crate) fn cut_sequence<S: Spec>(&self, case: &Case<S>) -> Option<String> {
        let of_sequence = |process: &usize| self.sequences >> process & 1 == 1;
        let process = (0..case.program.len()).find(of_sequence)?;
        let role = named(&self.roles, process);
        Some(format!("{role} may have lost operations of its sequence"))
    }

    /// Returns in words which process of a case does fewer operations than in any case of the
    /// suite.
    pub(crate) fn cut_short<S: Spec>(&self, case: &Case<S>) -> Option<String> {
        let mut lengths = case.own_operations().into_iter().enumerate();
        let (process, length) =
            lengths.find(|&(process, length)| length < *self.operations[process].start())?;
        let (role, least) = (
            named(&self.roles, process),
            self.operations[process].start(),
        );
        Some(format!(
            "{role} has {length} of its at least {least} operations"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Kill, Place};
    use crate::spec::{Register, RegisterOp};

    fn case(lengths: &[usize]) -> Case<Register<u8>> {
        let ops = |&length| vec![RegisterOp::Read; length];
        Case::free(0, lengths.iter().map(ops).collect())
    }

    #[test]
    fn a_case_is_of_a_suite_whose_ranges_hold_all_its_processes() {
        let extent = Extent {
            roles: ["one", "other", "other"].map(String::from).into(),
            operations: vec![2..=3, 0..=1, 0..=1],
            sequences: 0,
            killable: 0b110,
        };
        let words = |lengths: &[usize], truncates| extent.excludes(&case(lengths), truncates);
        for inside in [[2, 0, 0], [3, 1, 1], [2, 1, 0]] {
            assert_eq!(words(&inside, false), None);
        }
        for (outside, why) in [
            (&[1, 0, 0][..], "one has 1 of 2..=3 operations"),
            (&[4, 0, 0], "one has 4 of 2..=3 operations"),
            (&[2, 1, 2], "other 2 has 2 of 0..=1 operations"),
            (&[2, 1], "it has 2 processes and the suite 3"),
            (&[2, 1, 1, 1], "it has 4 processes and the suite 3"),
        ] {
            assert!(words(outside, false).is_some_and(|words| words.contains(why)));
        }
        assert_eq!(words(&[1, 0, 0], true), None, "cut to fit an engine");
        assert!(words(&[0, 1, 1], true).is_some(), "but not to nothing");
        assert!(words(&[4, 1, 1], true).is_some(), "nor made longer");
        let killed = |process| {
            let before = Place {
                operation: Some(0),
                word: "word".into(),
                nth: 1,
            };
            let mut case = case(&[2, 1, 1]);
            case.kills.push(Kill {
                process,
                incarnation: 0,
                before,
            });
            extent.excludes(&case, false)
        };
        assert_eq!(killed(2), None);
        assert_eq!(
            killed(0).as_deref(),
            Some("it kills one, and the suite kills others only")
        );
    }
}
