//! `stepped` and `kills`: processes of which one moves at a time, in the order that a strategy says. A failure is a list of
//! choices, so it comes again. `kills` ends processes at each step besides.
//!
//! While searching the processes are coroutines of one forked process. What is told has been done by really forked processes and
//! a real SIGKILL, and so have been samples of what passes.

mod elements;
mod explorer;
mod memory;
mod trace;
mod verdict;

pub use memory::SteppedMemory;

use super::private::Looks;
use super::served::{self, Served};
use super::{Answer, Budget, Engine, Turn};
use crate::case::{Case, Schedule};
use crate::check::Criterion;
use crate::error::Error;
use crate::process::{Channel, Job};
use crate::structure::WithHandles;
use crate::workers::MachineTurn;
use explorer::Explorer;
use std::marker::PhantomData;
use std::path::Path;

/// Really forked processes, one step at a time.
#[derive(Default)]
pub struct Stepped {
    served: Served,
    turn: Option<MachineTurn>,
}

/// The same, and SIGKILL at each step.
#[derive(Default)]
pub struct Kills {
    served: Served,
    turn: Option<MachineTurn>,
}

macro_rules! engine {
    ($Engine:ident, $name:literal, $kills:literal, $limitations:expr) => {
        impl Engine for $Engine {
            type Memory = SteppedMemory;
            const NAME: &'static str = $name;
            const CRITERION: Criterion = Criterion::RealTime;
            const LIMITATIONS: &'static str = $limitations;
            const EXPLORES: bool = true;
            const KILLS: bool = $kills;
            const PROGRAMS: u64 = 16;

            fn take_machine(&mut self, _: Option<&Path>) -> Turn {
                Turn::of(self.turn.insert(MachineTurn::beside_others()))
            }

            fn search<S: WithHandles<Memory = SteppedMemory>>(
                &mut self,
                case: &Case<S::Spec>,
                roles: &[String],
                budget: &Budget,
            ) -> Result<Answer<S::Spec>, Error> {
                self.served
                    .ask(Serve::<S, $kills>::JOB, case, roles, budget)
            }

            fn output(&self) -> String {
                self.served.output()
            }
        }
    };
}
engine!(
    Stepped,
    "stepped",
    false,
    "more than three preemptions, except at random; weak memory (execution is sequentially consistent); accesses that bypass \
        `Memory`; spurious failures of `compare_exchange_weak` and spurious wake-ups; kills"
);
engine!(
    Kills,
    "kills",
    true,
    "more than one preemption beside a kill; more than two kills in one execution; weak memory (execution is sequentially \
        consistent); accesses that bypass `Memory`; spurious failures of `compare_exchange_weak` and spurious wake-ups"
);

/// The job in the zygote, for one structure.
struct Serve<S, const KILLS: bool>(PhantomData<S>);

impl<S: WithHandles<Memory = SteppedMemory>, const KILLS: bool> Serve<S, KILLS> {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, serve::<S, KILLS>);
}

fn serve<S: WithHandles<Memory = SteppedMemory>, const KILLS: bool>(channel: &mut Channel) {
    let mut explorer: Option<Explorer<S>> = None;
    served::serve_placed(channel, |case, roles, budget| {
        if explorer.as_ref().is_none_or(|known| !known.has(&roles)) {
            explorer = Some(Explorer::of(roles.clone()));
        }
        let explorer = explorer.as_mut().expect("it was just made");
        if case.schedule == Schedule::Free && case.kills.is_empty() {
            Looks::before::<SteppedMemory, S>(case, roles, budget.known, |case, _| {
                explorer.explore(&case, &budget, KILLS)
            })
        } else {
            explorer.replay(&case, &budget)
        }
    });
}
