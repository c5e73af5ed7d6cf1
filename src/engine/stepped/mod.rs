//! The engines `stepped` and `kills`: one process moves at a time, in the order that a strategy
//! decides. A failure is a list of choices, so it is deterministic. `kills` also kills processes at
//! each step.
//!
//! Before each access to shared memory, a process asks a strategy, and gives the turn to the process that it names. An
//! execution is therefore a list of choices, and can be repeated.
//!
//! To search, the processes are coroutines of one forked process. Every reported execution was run
//! by forked processes and a real SIGKILL, and so were samples of the executions that passed.
//!
//! A file uses only files below it in this table:
//!
//! | file | content |
//! |---|---|
//! | `explorer` | the executions of a program that are tried: `batch` runs some by one strategy, `traced` one with its steps |
//! | `verdict`, `trace`, `elements` | an execution in words and as data |
//! | `crew` | forks the host or the workers, and supervises them; replaces those that were killed; its `results` |
//! | `structure_type` | the type of a structure as a value, for the files above, which are compiled once for each specification |
//! | `worker` | one forked process |
//! | `processor` | the processor of all forked workers |
//! | `host` | all processes as coroutines; `statics` and `room` are what they share and forked processes do not |
//! | `execution` | the structure of one execution after another: built, used, judged, dropped |
//! | `instrumented` | accesses of code that is not written for `Memory` |
//! | `memory` | the words of a structure: each access of them is a step |
//! | `stepper` | the call before each access, in a coroutine or a worker; `trace` notes the steps |
//! | `coroutine`, `novelty`, `location` | a coroutine's way back to the host; kinds of steps seen so far; where a step is in the source |
//! | `stop` | the step before which a process stops for a debugger |
//! | `ends` | the end of a batch |
//! | `shared`, `board` | the memory that all processes share, and the page in it that holds the plan and the turn |
//! | `scheduler` | the plan: the state between two steps, and the choice of the next process |

mod board;
mod coroutine;
mod crew;
mod elements;
mod ends;
mod execution;
mod explorer;
mod host;
mod instrumented;
mod location;
mod memory;
mod novelty;
#[cfg(test)]
mod outcomes;
mod pieces;
mod processor;
mod scheduler;
mod shared;
mod stepper;
mod stop;
mod structure_type;
#[cfg(forkcheck_instrumented)]
mod symbols;
mod trace;
mod verdict;
mod worker;

use crew::{Crew, RunAs};
use ends::Ended;
pub use memory::SteppedMemory;
use scheduler::decision::Stop;
use scheduler::{MOST_STEPS, Outside};
use stepper::Note;
pub(crate) use stepper::alone;

/// Notes whether accesses of the calling crate arrive: its function stores both values. `suite!`
/// calls it.
#[doc(hidden)]
pub fn probe(store: fn(&AtomicU32, &mut u32)) {
    instrumented::probe(store);
}

use super::private::Looks;
use super::served::{self, Served};
use super::{Answer, Budget, Engine, MachineWait, Strategy};
use crate::case::{Case, Schedule};
use crate::check::Criterion;
use crate::error::Error;
use crate::memory::{Hardware, Memory};
use crate::process::{Channel, Job};
use crate::structure::WithHandles;
use crate::workers::MachineTurn;
use explorer::Explorer;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use structure_type::StructureType;

/// The engine of forked processes that take one step at a time.
///
/// ```
/// use forkcheck::engine::Stepped;
/// use forkcheck::prelude::*;
/// # use forkcheck::spec::{Counter, CounterOp, CounterRet};
/// # struct Sum<M: Memory>(M::AtomicI64);
/// # impl<M: Memory> Structure for Sum<M> {
/// #     type Memory = M;
/// #     type Spec = Counter;
/// #     fn new(first: &i64) -> Self { Sum(Atomic::new(*first)) }
/// #     fn apply(&self, op: &CounterOp) -> CounterRet {
/// #         match op {
/// #             CounterOp::Add(n) => { self.0.fetch_add(*n, Ordering::AcqRel); CounterRet::Added }
/// #             CounterOp::Read => CounterRet::Value(self.0.load(Ordering::Acquire)),
/// #         }
/// #     }
/// # }
/// let suite = Suite::new(forkcheck::site!(), "sum")
///     .setup(Just(0))
///     .role("adder", 2, 1..=2, Just(CounterOp::Add(1)))
///     .cases(1)
///     .executions(20)
///     .regressions(None);
/// let outcome = suite.check::<Stepped, Sum<_>>()?;
/// assert!(outcome.covered.executions > 0);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Default)]
pub struct Stepped {
    served: Served,
    turn: Option<MachineTurn>,
}

/// The engine [`Stepped`] with SIGKILL at each step.
///
/// ```
/// use forkcheck::engine::Kills;
/// use forkcheck::prelude::*;
/// # use forkcheck::spec::{Counter, CounterOp, CounterRet};
/// # struct Sum<M: Memory>(M::AtomicI64);
/// # impl<M: Memory> Structure for Sum<M> {
/// #     type Memory = M;
/// #     type Spec = Counter;
/// #     fn new(first: &i64) -> Self { Sum(Atomic::new(*first)) }
/// #     fn apply(&self, op: &CounterOp) -> CounterRet {
/// #         match op {
/// #             CounterOp::Add(n) => { self.0.fetch_add(*n, Ordering::AcqRel); CounterRet::Added }
/// #             CounterOp::Read => CounterRet::Value(self.0.load(Ordering::Acquire)),
/// #         }
/// #     }
/// # }
/// let suite = Suite::new(forkcheck::site!(), "sum")
///     .setup(Just(0))
///     .role("adder", 2, 1..=2, Just(CounterOp::Add(1)))
///     .cases(1)
///     .executions(20)
///     .regressions(None);
/// let outcome = suite.check::<Kills, Sum<_>>()?;
/// assert!(outcome.covered.executions > 0);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Default)]
pub struct Kills {
    served: Served,
    turn: Option<MachineTurn>,
}

/// The engine [`Stepped`] for code that is not written for [`Memory`](crate::memory::Memory):
/// `cargo forkcheck` builds it so that it announces each of its accesses.
#[derive(Default)]
pub struct SteppedCode {
    served: Served,
    turn: Option<MachineTurn>,
}

/// The engine [`SteppedCode`] with SIGKILL at each step.
#[derive(Default)]
pub struct KillsCode {
    served: Served,
    turn: Option<MachineTurn>,
}

macro_rules! engine {
    ($Engine:ident, $Memory:ident, $name:literal, $kills:literal, $limitations:expr) => {
        impl Engine for $Engine {
            type Memory = $Memory;
            const NAME: &'static str = $name;
            const CRITERION: Criterion = Criterion::RealTime;
            const LIMITATIONS: &'static str = $limitations;
            const EXPLORES: bool = true;
            const KILLS: bool = $kills;
            const CHECKS_INVARIANT: bool = $Memory::SCHEDULES;
            const PROGRAMS: u64 = 16;

            fn take_machine(&mut self, _: Option<&Path>) -> MachineWait {
                MachineWait::of(self.turn.insert(MachineTurn::beside_others()))
            }

            fn leave_machine(&mut self) {
                self.turn = None;
            }

            fn search<S: WithHandles<Memory = $Memory>>(
                &mut self,
                case: &Case<S::Spec>,
                roles: &[String],
                budget: &Budget,
            ) -> Result<Answer<S::Spec>, Error> {
                let job = $Memory::job::<S, $kills>()?;
                self.served.ask(job, case, roles, budget)
            }

            fn not_instrumented(&self) -> Vec<String> {
                $Memory::not_instrumented()
            }

            fn output(&self) -> String {
                self.served.output()
            }
        }
    };
}
engine!(
    Stepped,
    SteppedMemory,
    "stepped",
    false,
    "more than three preemptions, except at random; weak memory (execution is sequentially consistent); accesses that bypass \
        `Memory`; spurious failures of `compare_exchange_weak` and spurious wake-ups; kills"
);
engine!(
    Kills,
    SteppedMemory,
    "kills",
    true,
    "more than one preemption beside a kill; more than two kills in one execution; weak memory (execution is sequentially \
        consistent); accesses that bypass `Memory`; spurious failures of `compare_exchange_weak` and spurious wake-ups"
);
engine!(
    SteppedCode,
    Hardware,
    "stepped",
    false,
    "more than three preemptions, except at random; weak memory, but for data races (execution is sequentially consistent); code that \
        was not built with instrumentation: the standard library but for its generics, inline assembly, `fetch_max` and \
        `fetch_min`; accesses to statics that are no atomics; kills"
);
engine!(
    KillsCode,
    Hardware,
    "kills",
    true,
    "more than one preemption beside a kill; more than two kills in one execution; weak memory, but for data races (execution is \
        sequentially consistent); code that was not built with instrumentation: the standard library but for its generics, \
        inline assembly, `fetch_max` and `fetch_min`; accesses to statics that are no atomics"
);

/// Checks whether this program can see the accesses of a structure over this memory.
trait Seen: Memory {
    /// Whether a step is the access itself, and not its announcement.
    const SCHEDULES: bool;
    /// Returns the job that searches, unless accesses cannot be seen.
    fn job<S: WithHandles<Memory = Self>, const KILLS: bool>() -> Result<&'static Job, Error>;
    fn not_instrumented() -> Vec<String>;
}
impl Seen for SteppedMemory {
    const SCHEDULES: bool = true;
    fn job<S: WithHandles<Memory = Self>, const KILLS: bool>() -> Result<&'static Job, Error> {
        Ok(Serve::<S, KILLS>::JOB)
    }
    fn not_instrumented() -> Vec<String> {
        Vec::new()
    }
}
impl Seen for Hardware {
    const SCHEDULES: bool = false;
    #[cfg(forkcheck_instrumented)]
    fn job<S: WithHandles<Memory = Self>, const KILLS: bool>() -> Result<&'static Job, Error> {
        instrumented::check_instrumented().map(|()| Serve::<S, KILLS>::JOB)
    }
    /// Never names the job: a plain build would compile the search of each structure, and could not run it.
    #[cfg(not(forkcheck_instrumented))]
    fn job<S: WithHandles<Memory = Self>, const KILLS: bool>() -> Result<&'static Job, Error> {
        Err(instrumented::check_instrumented().expect_err("a plain build sees nothing"))
    }
    fn not_instrumented() -> Vec<String> {
        instrumented::plain_atomics()
    }
}

/// The job in the zygote, for one structure.
struct Serve<S, const KILLS: bool>(PhantomData<S>);

impl<S: WithHandles, const KILLS: bool> Serve<S, KILLS> {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, serve::<S, KILLS>);
}

fn serve<S: WithHandles, const KILLS: bool>(channel: &mut Channel) {
    let structure = StructureType::of::<S>();
    let mut explorer: Option<Explorer<S::Spec>> = None;
    served::serve_placed(channel, &mut |case, roles, budget| {
        if explorer.as_ref().is_none_or(|known| !known.has(&roles)) {
            explorer = Some(Explorer::of(structure, roles.clone()));
        }
        let explorer = explorer.as_mut().expect("it was just made");
        if let Strategy::KillBefore { first, step } = budget.strategy {
            return explorer.kill_before(&case, &budget, (first, step));
        }
        if case.schedule != Schedule::Free || !case.kills.is_empty() {
            explorer.replay(&case, &budget)
        } else if structure.instrumented {
            // The heap of instrumented code is shared, so a pointer to it is no mistake.
            explorer.explore(&case, &budget, KILLS)
        } else {
            Looks::of::<S>().before(case, roles, budget.known, &mut |case, _| {
                explorer.explore(&case, &budget, KILLS)
            })
        }
    });
}
