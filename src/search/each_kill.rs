//! One program with a kill before each step: the outcome of each kill, where a search ends at the
//! first that fails.

use super::runner::Runner;
use super::{Plan, Search};
use crate::case::Case;
use crate::check::Verdict;
use crate::engine::{Budget, Engine, Run, Strategy};
use crate::error::Error;
use crate::regression;
use crate::spec::Spec;
use crate::structure::WithHandles;

/// The most kill points of one schedule: an engine that counts more does not count.
const MOST: u32 = 1 << 20;

/// The outcome of one kill.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KilledBefore<S: Spec> {
    /// The process that began the schedule.
    pub first: u16,
    /// The verdict on the execution.
    pub verdict: Verdict<S>,
    /// The execution, and the token of its case, where the verdict is not Ok.
    pub failed: Option<(Run<S>, String)>,
}

/// See [`Suite::each_kill`](crate::Suite::each_kill).
///
/// # Errors
/// See there.
pub(crate) fn each_kill<E: Engine, T: WithHandles<Memory = E::Memory>>(
    plan: &Plan<T::Spec>,
    case: &Case<T::Spec>,
) -> Result<Vec<KilledBefore<T::Spec>>, Error> {
    with(Runner::of::<E, T>(), plan, case)
}

fn with<S: Spec>(
    runner: Runner<S>,
    plan: &Plan<S>,
    case: &Case<S>,
) -> Result<Vec<KilledBefore<S>>, Error> {
    if !runner.kills {
        return Err(Error::invalid(
            format!("the engine {} does not kill", runner.name),
            "name an engine that does: Kills, or KillsCode for code under instrumentation",
        ));
    }
    let mut search = Search::new(runner, plan, plan.settings.time.unwrap_or(runner.time));
    let mut kills = Vec::new();
    for first in 0..case.program.len() as u16 {
        for step in 0..MOST {
            if search.left().is_zero() {
                return Err(Error::invalid(
                    format!("the time limit ended this after {} kills", kills.len()),
                    "allow more (FORKCHECK_SECONDS), or name a smaller program",
                ));
            }
            let budget = Budget {
                strategy: Strategy::KillBefore { first, step },
                ..search.budget()
            };
            let (covered, run) = search.engine.search(case, &plan.roles, &budget)?;
            match run {
                None if covered.kill_points == 0 => break,
                Some(run) if covered.kill_points == 0 => return Err(fails_alone(&run)),
                _ if covered.killed == 0 => {
                    return Err(Error::invalid(
                        format!("step {step} of the schedule was not reached again"),
                        "let operations depend on nothing but the structure and their arguments",
                    ));
                }
                run => kills.push(KilledBefore {
                    first,
                    verdict: (run.as_ref()).map_or(Verdict::Ok, |run| run.verdict.clone()),
                    failed: match run {
                        Some(run) => {
                            let token = regression::token(&plan.suite, runner.name, &run.case)?;
                            Some((run, token))
                        }
                        None => None,
                    },
                }),
            }
        }
    }
    Ok(kills)
}

/// Returns the error for a program that is not Ok without a kill.
fn fails_alone<S: Spec>(run: &Run<S>) -> Error {
    let why = match &run.verdict {
        Verdict::Finding(finding) => format!("{}: {}", finding.kind, finding.detail),
        Verdict::Unknown(why) | Verdict::Unavailable(why) => why.clone(),
        Verdict::Ok => "Ok".into(),
    };
    Error::invalid(
        format!("the program is not Ok without a kill: {why}"),
        "check it on the engine `stepped` first",
    )
}
