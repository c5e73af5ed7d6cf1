//! Ways to run a case. Each engine brings a memory of its own and names its limitations.
//!
//! Called by `search` only; to use one, name it to a [`Suite`](crate::suite::Suite).
//!
//! Each engine is one folder: `processes`, `stepped` (with `kills`), `loom`. They share `served`, the two halves of an
//! engine; `private`, the search for pointers and locks that work within one process alone; `value`, the values of words
//! as 64 bits; and `workers`, a module of its own.

mod crates;
mod left;
#[cfg(feature = "loom")]
pub mod loom;
mod private;
mod processes;
mod served;
mod stepped;
mod value;

pub use crates::Crates;
pub use processes::Processes;
pub(crate) use stepped::alone;
pub use stepped::{Kills, KillsCode, Stepped, SteppedCode};
#[doc(hidden)]
pub use stepped::{SteppedMemory, probe};

use crate::case::{Case, History, Program, Step};
use crate::check::{Criterion, Verdict};
use crate::error::Error;
use crate::memory::Memory;
use crate::reached::Reached;
pub(crate) use crate::schedule::MAX_PROCESSES;
use crate::spec::Spec;
use crate::structure::{Progress, WithHandles};
use crate::workers::MachineTurn;
pub(crate) use crate::workers::WATCHDOG;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// A way to run a case.
pub trait Engine: Default + 'static {
    /// The memory that its structures run on.
    type Memory: Memory;
    /// The name in tests, reports and saved cases.
    const NAME: &'static str;
    /// The orders of the calls that may explain a history here.
    const CRITERION: Criterion;
    /// The kinds of failures that it cannot see, in words.
    const LIMITATIONS: &'static str;
    /// Whether it explores all orders of a program, within its bounds. The others sample, and so
    /// have to show that calls of different processes overlapped.
    const EXPLORES: bool;
    /// Whether it kills processes, and so has to show that there were steps at which it could.
    const KILLS: bool = false;
    /// Whether it checks the invariant of a structure after each step.
    const CHECKS_INVARIANT: bool = false;
    /// Of an engine that explores: it draws programs until it has run as many executions as this
    /// many programs may take. Small programs are explored in a few hundred.
    const PROGRAMS: u64 = 4;
    /// The time limit of a test where the suite and the environment set none. It is a safety net
    /// where executions are counted, and ends the sampling of an engine that samples.
    const TIME: Duration = Duration::from_secs(600);

    /// Waits until the engine has the processors for itself, if it needs that; its turn ends by
    /// [`leave_machine`](Engine::leave_machine), or when the engine is dropped. `lock` is the file
    /// that stands for the machine, where it is not the temporary directory.
    fn take_machine(&mut self, lock: Option<&Path>) -> MachineWait {
        let _ = lock;
        MachineWait::default()
    }

    /// Ends the turn before the engine is dropped: what is left to do needs no processor.
    fn leave_machine(&mut self) {}

    /// Whether [`fit`](Engine::fit) cuts programs: it removes operations at the end of each
    /// process, and leaves at least one.
    const TRUNCATES: bool = false;

    /// Returns the largest part of `program` that this engine can explore: by default the whole
    /// program.
    fn fit<S: Spec>(program: Program<S>) -> Program<S> {
        program
    }

    /// Runs one case, many times or in all its orders, and judges each history where it arose.
    ///
    /// # Errors
    /// The case could not be run at all; the suite's verdict is then [`Verdict::Unavailable`].
    fn search<S: WithHandles<Memory = Self::Memory>>(
        &mut self,
        case: &Case<S::Spec>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<S::Spec>, Error>;

    /// Returns the functions whose accesses it does not see although their crates are instrumented, where it runs such code.
    fn not_instrumented(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the last output of the engine's processes; shown when a check fails.
    fn output(&self) -> String;
}

/// The answer of a search: what was covered, and the execution that is not Ok, if there is one.
#[doc(hidden)]
pub type Answer<S> = (Covered, Option<Run<S>>);

/// Remedy of a finding that an operation does not return.
const IF_SLOW: &str = "if it only takes long, raise FORKCHECK_WATCHDOG";

/// The wait of an engine for the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MachineWait {
    /// The time that it waited for other suites.
    pub waited: Duration,
    /// Whether it runs beside other suites: it did not get its turn within the longest wait.
    pub shared: bool,
}

impl MachineWait {
    fn of(turn: &MachineTurn) -> Self {
        Self {
            waited: turn.waited,
            shared: turn.shared,
        }
    }
}

/// The amount of work on one case.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// Executions, at most.
    pub executions: u64,
    /// The safety net: work that is not done by then is left out, and [`Covered::timed_out`] says
    /// so.
    pub time: Duration,
    /// The time without progress that is a hang: processor time, or time asleep.
    pub watchdog: Duration,
    /// The seed of random choices.
    pub seed: u64,
    /// Whether to go on after the first execution that is not Ok, and count them.
    pub keep_going: bool,
    /// Whether kills are left out, even by an engine that kills.
    pub without_kills: bool,
    /// The progress that the structure promises of its operations, where an engine counts steps.
    pub progress: Progress,
    /// Processes that map the region read-only, as bits, where an engine sees which process writes.
    pub read_only: u32,
    /// Processes that may be killed, as bits, by an engine that kills.
    pub killable: u32,
    /// Whether the structure is for the threads of one process alone: the suite is without `processes`.
    pub threads_only: bool,
    /// The strategy of an engine that schedules steps.
    pub strategy: Strategy,
    /// Facts that earlier programs have shown.
    pub known: Known,
    /// Whether panics are printed with backtraces, if `RUST_BACKTRACE` asks for them: to print one takes up to a second.
    pub backtraces: bool,
    /// Whether a replay also returns an execution that is Ok, where the engine schedules steps.
    pub shows_passing: bool,
    /// The step of a replay before which a debugger is attached to its process, where the engine schedules steps.
    pub stop: Option<StopAt>,
}

/// A step of a traced execution before which its process stops.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAt {
    /// The step, counted from 0.
    pub(crate) step: u32,
    /// The process that asked, and its descriptor of a pipe, to which the stopping process writes its id as a line.
    pub(crate) asker: u32,
    pub(crate) pipe: i32,
}

/// Facts that the programs of a suite have shown so far of its structure. The search keeps them in
/// the order of the programs, so that the next search does not depend on which program was done
/// first.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Programs that were searched.
    pub programs: u64,
    /// Programs that were left before they were fully searched for pointers to private memory.
    pub given_up: u64,
    /// Whether a program had a lock of std's.
    pub locks: bool,
    /// Whether forked processes did something else than coroutines.
    pub differs: bool,
    /// Whether the last finding needed a real kill.
    pub for_real: bool,
}

/// The strategy by which an engine that schedules steps chooses the next one.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Strategy {
    /// All orders within rising bounds, and random ones if that takes too long.
    #[default]
    Bounded,
    /// Priorities drawn from the seed, and three points at which they change.
    Pct,
    /// Any process that can take a step, drawn from the seed.
    Random,
    /// One execution, by forked processes: this process begins, none is preempted, and one is killed
    /// before step `step` of all that may be killed. [`Covered::kill_points`] is 0 where there is no
    /// such step. Of an engine that kills.
    KillBefore {
        /// The process that begins.
        first: u16,
        /// The number of the step, counted from 0.
        step: u32,
    },
}

/// The processes among which a finding in code that is not written for `Memory` shows. Threads share all memory of a process, and so do the
/// coroutines that search; forked processes share the structure and its heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Scope {
    /// Among both.
    Both,
    /// Among threads only: it needs a static that all change.
    ThreadsOnly,
    /// Among processes only: it needs memory that each has of its own, or a private futex, which wakes no other process.
    ProcessesOnly,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Both => "threads and processes",
            Self::ThreadsOnly => "threads only",
            Self::ProcessesOnly => "processes only",
        })
    }
}

/// One execution that is to be reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Run<S: Spec> {
    /// The case that was run.
    pub case: Case<S>,
    /// The calls with their results.
    pub history: History<S>,
    /// The accesses, where the engine sees them.
    pub steps: Vec<Step>,
    /// The verdict on it; not Ok.
    pub verdict: Verdict<S>,
    /// The processes among which it shows, in code that is not written for `Memory`.
    pub scope: Option<Scope>,
}

/// Counts of what was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Covered {
    /// Programs.
    pub programs: u64,
    /// Executions of all of them.
    pub executions: u64,
    /// Executions that were not Ok.
    pub failing: u64,
    /// Executions in which calls of different processes overlapped.
    pub overlapping: u64,
    /// Executions in which calls of different processes could have overlapped.
    pub could_overlap: u64,
    /// Executions with an instruction-level pause in an operation: a process paused there, and the
    /// others went on.
    pub paused: u64,
    /// Programs whose calls hardly overlapped except at instruction-level pauses: on one processor,
    /// or beside other work.
    pub by_pauses: u64,
    /// Programs all of whose orders were explored, within the engine's bounds.
    pub exhausted: u64,
    /// Programs explored completely, except for orders in which a process spins for longer than the
    /// engine follows.
    pub but_for_spins: u64,
    /// Programs too large for the budget, of which all orders within three preemptions were
    /// explored.
    pub within_three: u64,
    /// Programs too large for the budget, of which all orders within two preemptions were explored.
    pub within_two: u64,
    /// Programs too large for the budget, of which all orders within one preemption were explored.
    pub within_one: u64,
    /// Programs too large for the budget, of which only orders without preemptions were explored.
    pub within_none: u64,
    /// Programs truncated to what the engine can explore.
    pub truncated: u64,
    /// Steps that the cases named, as ends of turns or for kills.
    pub requested: u64,
    /// Requested steps that the execution reached.
    pub matched: u64,
    /// Kill points: steps at which a process could be killed.
    pub kill_points: u64,
    /// Kill points at which a process was killed.
    pub killed: u64,
    /// Kill points of later incarnations, which began after a kill.
    pub later_points: u64,
    /// Kill points of later incarnations at which one was killed.
    pub killed_again: u64,
    /// Kill points of first incarnations at which a process of its own was killed by SIGKILL.
    pub by_sigkill: u64,
    /// Processes that got the id of one that was killed before them.
    pub same_id: u64,
    /// Executions of coroutines that forked processes repeated step by step, with the same results.
    pub samples: u64,
    /// Programs that were searched by forked processes, since coroutines did something else.
    pub by_processes: u64,
    /// Programs in which forked processes did something else than threads, for memory that each has of its own.
    pub unlike: u64,
    /// The most steps of its own that an operation needed.
    pub worst: u64,
    /// Programs in which the structure changed without a step: the engine cannot schedule accesses
    /// that are not of its `Memory`.
    pub unscheduled: u64,
    /// Accesses of operations to the structure's `Memory`, in the first execution of each program.
    pub accesses: u64,
    /// Programs that the time limit cut short.
    pub timed_out: u64,
    /// Programs of which an engine that samples ran all executions that were asked for, and not
    /// only the first few.
    pub sampled_in_full: u64,
    /// Programs that were not fully searched for pointers to private memory.
    pub short_looks: u64,
    /// Programs that were left before that search was done.
    pub given_up: u64,
    /// Programs that had a lock of std's.
    pub locks: u64,
    /// Findings that needed a real kill.
    pub for_real: u64,
    /// Calls of the C library by which operations left the schedule, as bits; [`left_calls`](Self::left_calls) names them.
    pub left: u64,
    /// The most allocations for each operation that the drop of the structure left, where no process was killed and the code is not
    /// written for `Memory`.
    pub left_over: u64,
    /// The crates whose accesses were seen, where the code is not written for `Memory`.
    pub crates: Crates,
    /// Marks in the structure's code that executions reached.
    pub reached: Reached,
}

impl Covered {
    /// Returns the names of the calls by which operations left the schedule.
    pub fn left_calls(&self) -> Vec<String> {
        left::names(self.left)
    }

    /// Adds counts to these.
    pub fn add(&mut self, more: Covered) {
        self.programs += more.programs;
        self.executions += more.executions;
        self.failing += more.failing;
        self.overlapping += more.overlapping;
        self.could_overlap += more.could_overlap;
        self.paused += more.paused;
        self.by_pauses += more.by_pauses;
        self.exhausted += more.exhausted;
        self.but_for_spins += more.but_for_spins;
        self.within_three += more.within_three;
        self.within_two += more.within_two;
        self.within_one += more.within_one;
        self.within_none += more.within_none;
        self.truncated += more.truncated;
        self.requested += more.requested;
        self.matched += more.matched;
        self.kill_points += more.kill_points;
        self.killed += more.killed;
        self.later_points += more.later_points;
        self.killed_again += more.killed_again;
        self.by_sigkill += more.by_sigkill;
        self.same_id += more.same_id;
        self.samples += more.samples;
        self.by_processes += more.by_processes;
        self.unlike += more.unlike;
        self.worst = self.worst.max(more.worst);
        self.unscheduled += more.unscheduled;
        self.accesses += more.accesses;
        self.timed_out += more.timed_out;
        self.sampled_in_full += more.sampled_in_full;
        self.short_looks += more.short_looks;
        self.given_up += more.given_up;
        self.locks += more.locks;
        self.for_real += more.for_real;
        self.left |= more.left;
        self.left_over = self.left_over.max(more.left_over);
        self.crates.add_all(more.crates);
        self.reached.add(more.reached);
    }
}

/// Returns `Unknown` for a history that is not plausible: nothing ran, or calls are missing from
/// one that should be complete.
fn incomplete<S: Spec>(case: &Case<S>, history: &History<S>) -> Option<Verdict<S>> {
    let (operations, responses) = (case.operations(), history.responses());
    if operations == 0 {
        return Some(Verdict::Unknown(
            "the program has no operations, so nothing was checked; ask for at least one".into(),
        ));
    }
    (responses < operations).then(|| {
        Verdict::Unknown(format!(
            "only {responses} of {operations} operations returned, so the history cannot be judged"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Call;
    use crate::spec::{Register, RegisterOp, RegisterRet};

    #[test]
    fn a_history_with_fewer_responses_than_operations_is_unknown() {
        let case = Case::<Register<u8>>::free(0, vec![vec![RegisterOp::Read, RegisterOp::Read]]);
        let call = |ret| Call {
            op: RegisterOp::Read,
            ret,
            invoked: 0,
            returned: 1,
        };
        let history = |calls| History { calls: vec![calls] };
        let read = Some(RegisterRet::Value(0));
        assert_eq!(
            incomplete(
                &case,
                &history(vec![call(read.clone()), call(read.clone())])
            ),
            None
        );
        for calls in [
            vec![],
            vec![call(read.clone())],
            vec![call(read), call(None)],
        ] {
            assert!(matches!(
                incomplete(&case, &history(calls)),
                Some(Verdict::Unknown(_))
            ));
        }
    }
}
