//! Ways to run a case. Each engine brings a memory of its own and says what it cannot see.
//!
//! Called by `search` only; to use one, name it to a [`Suite`](crate::suite::Suite).

#[cfg(feature = "loom")]
pub mod loom;
mod private;
mod processes;
mod served;
mod stepped;
mod value;

pub use processes::Processes;
#[doc(hidden)]
pub use stepped::probe;
pub use stepped::{Kills, KillsCode, Stepped, SteppedCode, SteppedMemory};

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
    /// Its name in tests, reports and saved cases.
    const NAME: &'static str;
    /// Which orders of the calls explain a history here.
    const CRITERION: Criterion;
    /// What it could never see, in words.
    const LIMITATIONS: &'static str;
    /// Whether it explores all orders of a program, within its bounds; the others sample, and so have to show that
    /// calls of different processes overlapped.
    const EXPLORES: bool;
    /// Whether it kills processes, and so has to show that there were steps at which it could.
    const KILLS: bool = false;
    /// Of an engine that explores: it draws programs until it has run as many executions as this many of them may take. Small
    /// programs are explored in a few hundred.
    const PROGRAMS: u64 = 4;
    /// The time limit of a test where the suite and the environment set none: a safety net where executions are counted, and
    /// what ends the sampling of an engine that samples.
    const TIME: Duration = Duration::from_secs(600);

    /// Waits until the engine has the processors for itself, if it needs that; the turn ends when the engine is dropped. `lock` is
    /// the file that stands for the machine, where it is not the temporary directory.
    fn take_machine(&mut self, lock: Option<&Path>) -> Turn {
        let _ = lock;
        Turn::default()
    }

    /// Whether [`fit`](Engine::fit) cuts programs: operations at the end of each process go, and one at least stays.
    const CUTS: bool = false;

    /// The largest part of `program` that this engine can explore: the whole of it, unless it says otherwise.
    fn fit<S: Spec>(program: Program<S>) -> Program<S> {
        program
    }

    /// Runs one case, many times or in all its orders, and judges each history where it arose.
    ///
    /// # Errors
    /// Where the case could not be run at all; the suite's verdict is then [`Verdict::Unavailable`].
    fn search<S: WithHandles<Memory = Self::Memory>>(
        &mut self,
        case: &Case<S::Spec>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<S::Spec>, Error>;

    /// What the processes of the engine printed lately; shown when something fails.
    fn output(&self) -> String;
}

/// What a search answers: what was covered, and the execution that is not Ok, if there is one.
pub type Answer<S> = (Covered, Option<Run<S>>);

/// Remedy of a finding that an operation does not return.
const IF_SLOW: &str = "if it only takes long, raise FORKCHECK_WATCHDOG";

/// How an engine came to have the machine for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The time that it waited for other suites.
    pub waited: Duration,
    /// It goes on beside them: the turn was not given within the longest wait.
    pub shared: bool,
}

impl Turn {
    fn of(turn: &MachineTurn) -> Self {
        Self {
            waited: turn.waited,
            shared: turn.shared,
        }
    }
}

/// How much of one case to run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// Executions, at most.
    pub executions: u64,
    /// The safety net: what is not done by then is left out, and [`Covered::timed_out`] says so.
    pub time: Duration,
    /// How long processes may go without progress until they hang: so much processor time, or so long asleep.
    pub watchdog: Duration,
    /// For what is left to chance.
    pub seed: u64,
    /// Go on after the first execution that is not Ok, and count them.
    pub keep_going: bool,
    /// Nobody is killed, even by an engine that does.
    pub nobody_dies: bool,
    /// What the structure promises of how its operations get on, where an engine counts steps.
    pub progress: Progress,
    /// Processes that map the region read-only, as bits, where an engine sees who writes.
    pub read_only: u32,
    /// Processes that may be killed, as bits, by an engine that kills.
    pub killable: u32,
    /// How an engine that places steps chooses them.
    pub strategy: Strategy,
    /// Facts that earlier programs have shown.
    pub known: Known,
    /// Whether panics are printed with backtraces, if `RUST_BACKTRACE` asks for them: to print one takes up to a second.
    pub backtraces: bool,
}

/// Facts that the programs of a suite have shown so far of its structure. The search keeps them in the order of the programs, so
/// that the next search does not depend on which program was done first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Programs that were searched.
    pub programs: u64,
    /// Programs that had to be left before they were looked through for pointers to private memory.
    pub given_up: u64,
    /// One had a lock of std's.
    pub locks: bool,
    /// Forked processes did something else than coroutines.
    pub differs: bool,
    /// The last finding took a real kill.
    pub for_real: bool,
}

/// Who takes the next step, where an engine says that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Strategy {
    /// All orders within bounds that rise, and some by chance if that takes too long.
    #[default]
    Bounded,
    /// Priorities drawn from the seed, and three points at which they change.
    Pct,
    /// Whoever can, drawn from the seed.
    Random,
}

/// One execution that is worth telling about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Run<S: Spec> {
    /// What was run.
    pub case: Case<S>,
    /// What happened.
    pub history: History<S>,
    /// Access by access, where the engine sees them.
    pub steps: Vec<Step>,
    /// What is to be said of it; not Ok.
    pub verdict: Verdict<S>,
}

/// What was covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Covered {
    /// Programs.
    pub programs: u64,
    /// Executions of all of them.
    pub executions: u64,
    /// Executions that were not Ok.
    pub failing: u64,
    /// Executions in which calls of different processes overlapped, ...
    pub overlapping: u64,
    /// ... of so many in which they could have.
    pub could_overlap: u64,
    /// Executions in which a process halted at some instruction of an operation, and the others went on.
    pub halted: u64,
    /// Programs whose calls hardly overlapped except at halts: on one processor, or beside other work.
    pub by_halts: u64,
    /// Programs all of whose orders were explored, within the engine's bounds.
    pub exhausted: u64,
    /// Programs explored to the end, but for orders in which a process spins for longer than the engine follows.
    pub but_for_spins: u64,
    /// Programs too large for the budget, of which all orders within three preemptions were explored, ...
    pub within_three: u64,
    /// ... or within two, ...
    pub within_two: u64,
    /// ... or within one, ...
    pub partly: u64,
    /// ... or only those without any.
    pub hardly: u64,
    /// Programs cut down to what the engine can explore.
    pub cut: u64,
    /// Steps that the cases named, as ends of turns or for kills, ...
    pub requested: u64,
    /// ... and those of them that came.
    pub matched: u64,
    /// Steps at which a process could be killed, ...
    pub kill_points: u64,
    /// ... and those at which one was.
    pub killed: u64,
    /// The same of the lives that came after those that were killed.
    pub later_points: u64,
    /// The same of these.
    pub killed_again: u64,
    /// Kill points of first lives at which a process of its own was killed by SIGKILL.
    pub by_sigkill: u64,
    /// Processes that got the id of one that was killed before them.
    pub same_id: u64,
    /// Executions of coroutines that processes of their own took again step by step, and to the same end.
    pub samples: u64,
    /// Programs that were searched by processes, since coroutines did something else.
    pub by_processes: u64,
    /// The most steps of its own that an operation needed.
    pub worst: u64,
    /// Programs in which the structure changed without a step: accesses that are not of its `Memory` were not requested.
    pub unseen: u64,
    /// Accesses of operations to the structure's `Memory`, in the first execution of each program.
    pub accesses: u64,
    /// Programs that the time limit cut short.
    pub timed_out: u64,
    /// Programs of which an engine that samples ran all executions that were asked for, and not the first few alone.
    pub sampled_in_full: u64,
    /// Programs that were not looked through to their end for pointers to private memory.
    pub short_looks: u64,
    /// Programs that had to be left before they were looked through.
    pub given_up: u64,
    /// Programs that had a lock of std's.
    pub locks: u64,
    /// Findings that took a real kill.
    pub for_real: u64,
    /// Marks in the structure's code that executions reached.
    pub reached: Reached,
}

impl Covered {
    /// Both together.
    pub fn add(&mut self, more: Covered) {
        self.programs += more.programs;
        self.executions += more.executions;
        self.failing += more.failing;
        self.overlapping += more.overlapping;
        self.could_overlap += more.could_overlap;
        self.halted += more.halted;
        self.by_halts += more.by_halts;
        self.exhausted += more.exhausted;
        self.but_for_spins += more.but_for_spins;
        self.within_three += more.within_three;
        self.within_two += more.within_two;
        self.partly += more.partly;
        self.hardly += more.hardly;
        self.cut += more.cut;
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
        self.worst = self.worst.max(more.worst);
        self.unseen += more.unseen;
        self.accesses += more.accesses;
        self.timed_out += more.timed_out;
        self.sampled_in_full += more.sampled_in_full;
        self.short_looks += more.short_looks;
        self.given_up += more.given_up;
        self.locks += more.locks;
        self.for_real += more.for_real;
        self.reached.add(more.reached);
    }
}

/// `Unknown` for what does not add up: nothing ran, or calls are missing from a history that is said to be whole.
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
