//! `processes`: forked processes that run in parallel, on the machine's own memory.
//!
//! A zygote keeps a pool of workers for one structure. A request is a case and a budget, and the
//! answer is the outcome. The pool is forked again after one of its processes has died or got
//! stuck.
//!
//! | file | content |
//! |---|---|
//! | `pool` | the processes, forked once, and their supervisor |
//! | `worker` | one process: its operations, and the check by the last one to finish |
//! | `control` | the words that they share |
//! | `start`, `clock` | the moment at which all of them start |
//! | `pause`, `position`, `point` | instruction-level pauses: when there is one, where, and how long |
//! | `trap`, `breakpoint`, `disposition` | how a process is stopped at an instruction |
//! | `code`, `learnt` | the instructions that are known, and what else was learnt about operations |

#[cfg(target_arch = "x86_64")]
mod breakpoint;
mod clock;
mod code;
mod control;
#[cfg(target_arch = "x86_64")]
mod disposition;
mod learnt;
mod pause;
mod point;
mod pool;
mod position;
mod start;
mod trap;
mod worker;

use super::private::Looks;
use super::served::{self, Served, bare};
use super::{Answer, Budget, Covered, Engine, IF_SLOW, MachineWait, Run, incomplete};
use crate::case::{Case, History, named};
use crate::check::{
    Criterion, Finding, Kind, Limits, Verdict, Watcher, check, check_blocked,
    check_blocked_watched, check_watched,
};
use crate::error::Error;
use crate::heap;
use crate::memory::Hardware;
use crate::process::{Channel, Exit, Job};
use crate::region::Region;
use crate::spec::Spec;
use crate::structure::WithHandles;
use crate::workers::{MachineTurn, PrivateWait, Stuck};
use control::Phase;
use learnt::Learnt;
use pool::{Batch, Pool, PoolCounts, PoolEnd};
use position::Position;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A program ends after this many executions that end where processes wait and may: each takes time to be sure of that, and new
/// workers.
const RESTS: u64 = 4;

/// The engine of forked processes that run side by side.
///
/// ```
/// use forkcheck::engine::Processes;
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
/// let outcome = suite.check::<Processes, Sum<_>>()?;
/// assert!(outcome.covered.executions > 0);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Default)]
pub struct Processes {
    served: Served,
    turn: Option<MachineTurn>,
}

impl Engine for Processes {
    type Memory = Hardware;
    const NAME: &'static str = "processes";
    const CRITERION: Criterion = Criterion::RealTime;
    const LIMITATIONS: &'static str = "interleavings that did not occur on this machine; missing orderings that x86-64 makes \
        up for, or that the fence of the clock around each call hides";
    const EXPLORES: bool = false;
    const TIME: Duration = Duration::from_secs(30);

    fn take_machine(&mut self, lock: Option<&Path>) -> MachineWait {
        let turn = self.turn.insert(MachineTurn::on_this_machine(lock));
        MachineWait::of(turn)
    }

    fn leave_machine(&mut self) {
        self.turn = None;
    }

    fn search<S: WithHandles<Memory = Hardware>>(
        &mut self,
        case: &Case<S::Spec>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<S::Spec>, Error> {
        self.served.ask(Serve::<S>::JOB, case, roles, budget)
    }

    fn output(&self) -> String {
        self.served.output()
    }
}

/// The job in the zygote, for one structure.
struct Serve<S>(PhantomData<S>);

impl<S: WithHandles<Memory = Hardware>> Serve<S> {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, serve::<S>);
}

fn serve<S: WithHandles<Memory = Hardware>>(channel: &mut Channel) {
    let mut kept = Kept::<S> {
        pool: None,
        learnt: None,
        failed: None,
    };
    served::serve(channel, &mut |case, roles, budget| {
        heap::start()?;
        Looks::of::<S>().before(case, roles, budget.known, &mut |case, roles| {
            search::<S>(&mut kept, case, roles, budget)
        })
    });
}

/// The state that one program leaves for the next.
struct Kept<S: WithHandles<Memory = Hardware>> {
    /// The pool, and the roles of its processes.
    pool: Option<(Vec<String>, Pool<S>)>,
    /// The memory of [`Learnt`].
    learnt: Option<Arc<Region>>,
    /// The pause of the last execution that failed.
    failed: Option<Position>,
}

impl<S: WithHandles<Memory = Hardware>> Kept<S> {
    fn learnt(&mut self) -> Result<Arc<Region>, Error> {
        let learnt = match self.learnt.take() {
            Some(learnt) => learnt,
            None => Arc::new(Learnt::region()?),
        };
        Ok(Arc::clone(self.learnt.insert(learnt)))
    }
}

fn search<S: WithHandles<Memory = Hardware>>(
    kept: &mut Kept<S>,
    case: Case<S::Spec>,
    roles: Vec<String>,
    budget: Budget,
) -> Result<Answer<S::Spec>, Error> {
    let until = Instant::now() + budget.time;
    let own = case.own_operations();
    let could_overlap = own.iter().filter(|operations| **operations > 0).count() > 1;
    let (mut all, mut judged, mut at_rest) = (PoolCounts::default(), 0, 0);
    let mut run = loop {
        let mut pool = match kept.pool.take() {
            Some((same, pool)) if same == roles => pool,
            _ => Pool::start(roles.clone(), judge::<S>, rests::<S>, kept.learnt()?)?,
        };
        let batch = Batch {
            executions: budget.executions - all.executions,
            seed: budget.seed.wrapping_add(at_rest),
            keep_going: budget.keep_going,
            read_only: budget.read_only,
            until,
            watchdog: budget.watchdog,
            failed: kept.failed,
        };
        let (tally, ended) = pool.run(&case, batch)?;
        if died_of_breakpoint(&tally, &ended) {
            pool.refuse_breakpoints();
            continue;
        }
        if let PoolEnd::Lost(lost) = ended {
            // The counts may be wrong too.
            let covered = Covered {
                programs: 1,
                executions: 1,
                ..Covered::default()
            };
            let verdict = Verdict::Unknown(lost.to_string());
            return Ok((covered, Some(bare(case, verdict))));
        }
        all.add(&tally);
        judged += tally.executions;
        let private_wait = match &ended {
            PoolEnd::Stuck { process, .. } => pool.private_wait(*process),
            _ => None,
        };
        if matches!(ended, PoolEnd::Done | PoolEnd::Judged(_)) {
            kept.pool = Some((roles.clone(), pool));
            break outcome(&case, &roles, ended, budget.read_only, private_wait);
        }
        // The workers did not count the execution in which a process died, got stuck or came to rest.
        all.executions += 1;
        let overlapped = ended.overlapped();
        let run = outcome(&case, &roles, ended, budget.read_only, private_wait);
        if run.is_some() {
            all.failing += 1;
            break run;
        }
        judged += 1;
        all.overlapping += u64::from(overlapped);
        at_rest += 1;
        // A program that waits in the first execution of a pool most likely waits in each. Its calls should overlap in one.
        let is_new = tally.executions > 0 || could_overlap && all.overlapping == 0;
        if !is_new || at_rest == RESTS || all.executions >= budget.executions {
            break None;
        }
        if Instant::now() >= until {
            all.timed_out = true;
            break None;
        }
    };
    if let (Some(run), Some(why)) = (&mut run, heap::was_full()) {
        // It ended the process, which had no memory.
        run.verdict = Verdict::Unknown(why);
    }
    if run.is_some() && all.pause.is_some() {
        kept.failed = all.pause;
    }
    let covered = Covered {
        programs: 1,
        executions: all.executions,
        failing: all.failing,
        overlapping: all.overlapping,
        paused: all.paused,
        could_overlap: if could_overlap { judged } else { 0 },
        by_pauses: (all.by_pauses && could_overlap).into(),
        timed_out: all.timed_out.into(),
        ..Covered::default()
    };
    Ok((covered, run))
}

/// Returns whether a breakpoint may have ended a process: a handler of the code's own, which blocks SIGTRAP and SIGSYS, interrupted the
/// operation and reached it or made a system call; or a sandbox ends a process that makes a call that a breakpoint needs.
fn died_of_breakpoint<S: WithHandles<Memory = Hardware>>(
    tally: &PoolCounts,
    ended: &PoolEnd<S>,
) -> bool {
    let PoolEnd::Died {
        process,
        exit: Exit::Signal(libc::SIGTRAP | libc::SIGSYS),
        ..
    } = ended
    else {
        return false;
    };
    let is_there = |pause: Position| pause.is_breakpoint() && pause.process as usize == *process;
    !tally.own_trap && tally.pause.is_some_and(is_there)
}

fn judge<S: WithHandles<Memory = Hardware>>(
    case: &Case<S::Spec>,
    history: &History<S::Spec>,
    watcher: Watcher<'_>,
) -> bool {
    let limits = (Limits::default(), watcher);
    incomplete(case, history).is_none()
        && check_watched(&case.setup, history, Criterion::RealTime, limits) == Verdict::Ok
}

/// Returns whether every process is done, or waits in a call that may block there, and all results
/// are right.
fn rests<S: WithHandles<Memory = Hardware>>(
    case: &Case<S::Spec>,
    history: &History<S::Spec>,
    watcher: Watcher<'_>,
) -> bool {
    let (setup, order) = (&case.setup, Criterion::RealTime);
    let limits = (Limits::default(), watcher);
    waits_in_calls(case, history)
        && check_watched(setup, history, order, limits) == Verdict::Ok
        && check_blocked_watched(setup, history, order, limits) == Verdict::Ok
}

/// Returns whether each process has done its operations, or is in one.
fn waits_in_calls<S: Spec>(case: &Case<S>, history: &History<S>) -> bool {
    let mut processes = history.calls.iter().zip(&case.program);
    processes.all(|(calls, ops)| {
        calls.len() == ops.len() || calls.last().is_some_and(|call| call.ret.is_none())
    })
}

/// Returns the end of a batch as a run with its verdict; `None` if all went well.
fn outcome<S: WithHandles<Memory = Hardware>>(
    case: &Case<S::Spec>,
    roles: &[String],
    ended: PoolEnd<S>,
    read_only: u32,
    private_wait: Option<(usize, PrivateWait)>,
) -> Option<Run<S::Spec>> {
    let (history, verdict) = match ended {
        PoolEnd::Done | PoolEnd::AtRest(_) | PoolEnd::Lost(_) => return None,
        PoolEnd::Judged(history) => {
            let verdict = incomplete(case, &history).unwrap_or_else(|| {
                check(
                    &case.setup,
                    &history,
                    Criterion::RealTime,
                    Limits::default(),
                )
            });
            (history, verdict)
        }
        PoolEnd::Died {
            process,
            phase,
            exit,
            history,
        } => {
            let only_reads = read_only >> process & 1 == 1;
            let place = place(case, roles, process, phase);
            (history, died(&place, exit, only_reads))
        }
        PoolEnd::Stuck {
            process,
            phase,
            stuck,
            history,
        } => {
            let place = place(case, roles, process, phase);
            let verdict = match stuck {
                Stuck::Endless(used) => {
                    let used = used.as_secs_f64();
                    let detail = format!(
                        "{place} used {used:.1} s of processor time and did not return; {IF_SLOW}"
                    );
                    finding(Kind::Endless, detail)
                }
                Stuck::Stopped => {
                    let detail =
                        format!("{place} was stopped by a signal, and nothing continues it");
                    finding(Kind::Deadlock, detail)
                }
                Stuck::Asleep => match private_wait {
                    Some((other, wait)) if other == process => {
                        finding(Kind::Deadlock, format!("{place} {wait}"))
                    }
                    Some((other, wait)) => {
                        let other = named(roles, other);
                        finding(Kind::Deadlock, format!("{place} sleeps; {other} {wait}"))
                    }
                    None => asleep::<S>(case, &history, &place),
                },
            };
            if verdict == Verdict::Ok {
                return None;
            }
            (history, verdict)
        }
    };
    Some(Run {
        case: case.clone(),
        history,
        steps: Vec::new(),
        verdict,
        scope: None,
    })
}

/// Judges a standstill: no process can move any more, and not all of them may wait where they do.
fn asleep<S: WithHandles<Memory = Hardware>>(
    case: &Case<S::Spec>,
    history: &History<S::Spec>,
    place: &str,
) -> Verdict<S::Spec> {
    let detail = format!("{place} sleeps, and no process is left to wake it");
    if !waits_in_calls(case, history) {
        return finding(Kind::Deadlock, detail);
    }
    match check_blocked(&case.setup, history, Criterion::RealTime, Limits::default()) {
        Verdict::Finding(found) => Verdict::Finding(Finding { detail, ..found }),
        verdict => verdict,
    }
}

fn died<S: Spec>(place: &str, exit: Exit, only_reads: bool) -> Verdict<S> {
    match exit {
        Exit::Signal(libc::SIGSEGV) if only_reads => finding(
            Kind::WriteToReadOnly,
            format!("{place} was ended by SIGSEGV, where its mapping is read-only"),
        ),
        Exit::Panic(panic) => finding(
            Kind::Panic,
            format!("{place} panicked at {}: {}", panic.location, panic.message),
        ),
        // The harness sends SIGKILL only to a pool that it is done with.
        Exit::Signal(libc::SIGKILL) => Verdict::Unknown(format!(
            "{place} was killed from outside (SIGKILL: by hand, or for want of memory); run it again"
        )),
        exit => finding(Kind::Died, format!("{place} ended its process: {exit}")),
    }
}

fn finding<S: Spec>(kind: Kind, detail: String) -> Verdict<S> {
    Verdict::Finding(Finding {
        kind,
        detail,
        explanation: None,
    })
}

fn place<S: Spec>(case: &Case<S>, roles: &[String], process: usize, phase: Phase) -> String {
    let what = match phase {
        Phase::Setup => "building the structure".into(),
        Phase::Drop => "dropping the structure".into(),
        Phase::Attach => "attach".into(),
        Phase::Detach => "the drop of its handle".into(),
        Phase::Check => "the spec".into(),
        Phase::Idle => "between two executions, it".into(),
        Phase::Operation { number, .. } => match case.program[process].get(number) {
            Some(op) => format!("{op:?}"),
            None => "an operation".into(),
        },
    };
    format!("{} (process {process}): {what}", roles[process])
}
