//! One kill in a schedule without preemptions, by forked processes and a real SIGKILL: to count the
//! kill points of a program by their outcome. A search ends at the first one that fails.

use super::{Explorer, Undisturbed};
use crate::case::Case;
use crate::engine::{Answer, Budget, Covered};
use crate::error::Error;
use crate::schedule::{Choice, Exploration};
use crate::spec::Spec;

impl<S: Spec> Explorer<S> {
    /// Kills a process before one step of the schedule that process `first` begins. The run of that
    /// schedule without a kill is returned where it is not Ok.
    pub(in super::super) fn kill_before(
        &mut self,
        case: &Case<S>,
        budget: &Budget,
        (first, step): (u16, u32),
    ) -> Result<Answer<S>, Error> {
        let none = Covered {
            programs: 1,
            ..Covered::default()
        };
        let is_known = |known: &Undisturbed<S>| known.case == *case && known.first == first;
        if !self.undisturbed.as_ref().is_some_and(is_known) {
            self.undisturbed = None;
            self.begin(budget);
            self.learn(case)?;
            let begins = [Choice::Step(usize::from(first)).to_byte()];
            let alone = self.traced(case, Exploration::Follow, &begins)?;
            if alone.run.is_some() {
                return Ok((none, alone.run));
            }
            self.undisturbed = Some(Undisturbed {
                case: case.clone(),
                first,
                choices: alone.choices,
            });
        }
        let known = self.undisturbed.as_ref().expect("it was just made");
        let steps = known.choices.iter().enumerate();
        let mut steps = steps.filter_map(|(decision, &byte)| match Choice::from_byte(byte) {
            Choice::Step(process) => Some((decision, process)),
            Choice::Kill(_) => None,
        });
        let step = steps
            .by_ref()
            .filter(|&(_, process)| budget.killable >> process & 1 == 1)
            .nth(step as usize);
        let Some((decision, process)) = step else {
            return Ok((none, None));
        };
        let mut choices = known.choices[..decision].to_vec();
        choices.push(Choice::Kill(process).to_byte());
        let killed = self.traced(case, Exploration::Follow, &choices)?;
        let covered = Covered {
            executions: 1,
            kill_points: 1,
            killed: killed.killed.into(),
            by_sigkill: killed.killed.into(),
            ..none
        };
        Ok((covered, killed.run))
    }
}
