//! The exploration of one model, in a child of its own, which answers at the first execution that
//! is not Ok.
//!
//! The child answers and ends at once, even from within loom's panics: to unwind a model that is
//! half done panics again.

use super::execution::{self, End, Phase, Waits};
use super::memory::{self, Loom as LoomMemory};
use super::panics::{self, BRANCHES, Of, Panic, STACK_MIB};
use crate::case::{Call, Case, History, Step, named};
use crate::check::{
    Finding, Kind, Limits, Order, Verdict, check_blocked_watched, check_watched, is_of_the_spec,
};
use crate::engine::served::encode;
use crate::engine::{Budget, Run, incomplete};
use crate::region::Region;
use crate::spec::Spec;
use crate::structure::{Role, WithHandles};
use crate::workers::original::{self, without_copies};
use crate::workers::{Judging, Sender};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Preemptions in one execution, from one round to the next: first all orders without any, then all
/// with one, and at last all orders. A program that is too large for a round has been explored
/// within the bounds of the rounds before.
pub(super) const BOUNDS: [Option<usize>; 5] = [Some(0), Some(1), Some(2), Some(3), None];
/// Rounds that each program gets.
const WANTED: usize = 3;
/// Executions of the first round, as a multiple of the budget: before the end of that round there
/// is no verdict.
const WITHOUT_PREEMPTIONS: u64 = 10;
/// Executions of a program, as a multiple of those that the wanted rounds took. Beyond it no
/// further round continues.
const BEYOND: u64 = 6;
/// Counters that the supervisor reads: executions begun, 1 once the answer is being written, and
/// steps of the spec that the check of histories has taken.
pub(super) type Counters = [AtomicU64; 3];

/// The state that outlives one execution of the model.
pub(super) struct Model<S: Spec> {
    case: Case<S>,
    roles: Vec<String>,
    history: Mutex<History<S>>,
    /// Executions begun. The count is in this process's own memory, where no operation writes by
    /// mistake.
    begun: AtomicU64,
    /// [`Counters`], for the supervisor.
    shared: Arc<Region>,
    /// Rounds that are done, and executions begun before the wanted rounds were done.
    rounds: AtomicUsize,
    wanted: AtomicU64,
    /// Executions that ended in a state that can be judged.
    judged: AtomicU64,
    answer: Sender,
    budget: Budget,
    started: Instant,
}

/// The answer of the child: how much was explored, and the execution that was not Ok.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Explored<S: Spec> {
    /// Executions begun.
    pub(super) executions: u64,
    /// Rounds that are done, of [`BOUNDS`].
    pub(super) rounds: usize,
    /// Whether orders were left out in which a process spins for longer.
    pub(super) spin_bound_reached: bool,
    /// Whether an operation accessed the memory.
    pub(super) touched: bool,
    /// Whether the time limit ended it.
    pub(super) timed_out: bool,
    /// The execution to report.
    pub(super) run: Option<Run<S>>,
}

/// Runs one execution of a structure, see [`execute`]. All else is compiled once for each specification, and not for each structure.
pub(super) type Execute<S> = fn(&Arc<Model<S>>, usize);

/// Tries all orders, once with each process as the first thread of the model, and writes its answer.
pub(super) fn explore<S: Spec>(
    execute: Execute<S>,
    case: &Case<S>,
    roles: &[String],
    budget: &Budget,
    shared: &Arc<Region>,
    answer: Sender,
) {
    original::mark();
    let model = Arc::new(Model {
        case: case.clone(),
        roles: roles.to_vec(),
        history: Mutex::new(History { calls: Vec::new() }),
        begun: AtomicU64::new(0),
        shared: Arc::clone(shared),
        rounds: AtomicUsize::new(0),
        wanted: AtomicU64::new(0),
        judged: AtomicU64::new(0),
        answer,
        budget: *budget,
        started: Instant::now(),
    });
    let hooked = Arc::clone(&model);
    std::panic::set_hook(Box::new(move |info| {
        // The check catches the panic, and makes it a verdict.
        if is_of_the_spec(info) {
            return;
        }
        let panic = Panic::new(info);
        // This has to be read before `end` takes the execution.
        let unwinds = execution::ended().is_some();
        if unwinds || panic.of != Of::Structure {
            let (steps, race) = execution::take_steps();
            let verdict = panic.verdict(unwinds, || hooked.race(&steps, race));
            hooked.end_with(steps, verdict);
        }
        panic.note();
    }));
    for (round, bound) in BOUNDS.into_iter().enumerate() {
        for first in 0..case.program.len() {
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = bound;
            builder.max_branches = BRANCHES;
            builder.max_permutations = None;
            builder.max_duration = None;
            let model = Arc::clone(&model);
            builder.check(move || {
                let model = Arc::clone(&model);
                let all = thread(move || {
                    model.begin();
                    execute(&model, first);
                    model.judge();
                });
                // A panic of the thread has ended this process already.
                let _ = all.join();
            });
        }
        model.rounds.store(round + 1, Relaxed);
        if round < WANTED {
            model.wanted.store(model.begun.load(Relaxed), Relaxed);
        }
    }
    model.finish(false);
}

/// Starts a thread of the model, with the stack of a process. loom's main thread has a stack of 32 KiB, which is too
/// small for a suite's code, so that thread only waits.
fn thread(run: impl FnOnce() + Send + 'static) -> loom::thread::JoinHandle<()> {
    loom::thread::Builder::new()
        // loom's coroutines count their stack in words.
        .stack_size((STACK_MIB << 20) / size_of::<usize>())
        .spawn(run)
        .expect("a thread of the model needs nothing of the system's")
}

/// Runs one execution: each process on a thread of its own, `first` on the calling thread, so that it begins.
pub(super) fn execute<T: WithHandles<Memory = LoomMemory>>(
    model: &Arc<Model<T::Spec>>,
    first: usize,
) {
    let processes = model.case.program.len();
    let asked = Arc::clone(model);
    execution::start(processes, Rc::new(move || asked.may_wait()));
    let structure = model.calls(|| T::new(&model.case.setup));
    STRUCTURE.set(Some(Rc::new(structure)));
    model.do_prefix(&*the_structure::<T>());
    let others: Vec<_> = (1..processes)
        .map(|n| {
            let process = (first + n) % processes;
            let model = Arc::clone(model);
            thread(move || model.process(&*the_structure::<T>(), process))
        })
        .collect();
    model.process(&*the_structure::<T>(), first);
    execution::exit();
    for other in others {
        let _ = other.join();
    }
    // No thread uses it any more.
    let structure = STRUCTURE.take();
    if execution::ended().is_some() {
        // Processes are still in the middle of operations: assertions of a destructor need not
        // hold.
        return std::mem::forget(structure);
    }
    model.calls(|| drop(structure));
}

thread_local! {
    /// The structure of this execution. All threads of the model run on one of the system's
    /// threads. Values that a new one gets have to be `Send`, which a structure need not be.
    static STRUCTURE: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

fn the_structure<S: 'static>() -> Rc<S> {
    let structure = STRUCTURE.with_borrow(Clone::clone);
    let structure = structure.and_then(|structure| structure.downcast().ok());
    structure.expect("it is there as long as the threads are")
}

impl<S: Spec> Model<S> {
    fn history(&self) -> MutexGuard<'_, History<S>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> &Counters {
        self.shared.get(0).expect("the region was made for it")
    }

    /// Counts an execution, and ends the process when the budget is spent.
    fn begin(&self) {
        let done = self.begun.load(Relaxed);
        *self.history() = History {
            calls: vec![Vec::new(); self.case.program.len()],
        };
        if self.started.elapsed() >= self.budget.time {
            self.finish(true);
        }
        let rounds = self.rounds.load(Relaxed);
        let wanted = self.wanted.load(Relaxed);
        let most = self.budget.executions;
        if rounds == 0 && done >= most.saturating_mul(WITHOUT_PREEMPTIONS) {
            self.end(Verdict::Unknown(format!(
                "the model was not done after {done} executions with the orders without preemptions; use fewer or shorter operations, \
                 or allow more executions"
            )));
        }
        let enough = done >= most || rounds >= WANTED && done >= BEYOND * wanted;
        if rounds > 0 && enough {
            self.finish(false);
        }
        self.begun.store(done + 1, Relaxed);
        self.shared()[0].store(done + 1, Relaxed);
    }

    /// Ends the process: no explored execution was wrong.
    fn finish(&self, timed_out: bool) -> ! {
        if self.judged.load(Relaxed) == 0 && !timed_out {
            self.end(Verdict::Unknown(
                "no execution of the model came to its end: processes spin for longer than loom explores; ask `stepped`".into(),
            ));
        }
        self.answer(None, timed_out);
        crate::process::end_now(0)
    }

    /// Does the operations of one process, on its thread of the model.
    fn process<T>(&self, structure: &T, process: usize)
    where
        T: WithHandles<Memory = LoomMemory, Spec = S>,
    {
        execution::enter(process);
        // An execution that has ended drops nothing: the drop would wait indefinitely.
        if let Some(handle) = self.operations(structure, process) {
            let mut handle = Some(handle);
            self.enters(Phase::Detach, || drop(handle.take()));
            std::mem::forget(handle);
        }
        memory::leave();
    }

    /// Does the prefix, before there is another thread.
    fn do_prefix<T>(&self, structure: &T)
    where
        T: WithHandles<Memory = LoomMemory, Spec = S>,
    {
        let mut time = 0;
        self.calls(|| {
            self.case
                .do_prefix(structure, &self.roles, |process, number, ret| {
                    self.history().calls[process].push(Call {
                        op: self.case.program[process][number].clone(),
                        ret: Some(ret),
                        invoked: time,
                        returned: time,
                    });
                    time += 1;
                });
        });
    }

    /// Attaches and does all operations; `None` if the execution ended meanwhile.
    fn operations<'a, T>(&self, structure: &'a T, process: usize) -> Option<T::Handle<'a>>
    where
        T: WithHandles<Memory = LoomMemory, Spec = S>,
    {
        let role = Role::of(&self.roles, process, 0);
        let mut handle = self.enters(Phase::Attach, || structure.attach(role))?;
        let of_prefix = self.case.prefix_of(process);
        for (number, op) in self.case.program[process]
            .iter()
            .enumerate()
            .skip(of_prefix)
        {
            // The numbers only keep the calls of one process in order, behind the prefix; a model has no clock.
            let invoked = (self.case.prefix.len() + 2 * number) as u64;
            let call = Call {
                op: op.clone(),
                ret: None,
                invoked,
                returned: Call::<S>::NEVER,
            };
            self.history().calls[process].push(call);
            let phase = Phase::Operation(number);
            let Some(ret) = self.enters(phase, || T::apply(&mut handle, op)) else {
                std::mem::forget(handle);
                return None;
            };
            let call = &mut self.history().calls[process][number];
            call.ret = Some(ret);
            call.returned = invoked + 1;
        }
        Some(handle)
    }

    /// Calls code of the structure outside of its processes. A panic that it does not catch is a
    /// finding.
    fn calls<R>(&self, call: impl FnOnce() -> R) -> R {
        let called = catch_unwind(AssertUnwindSafe(|| without_copies(call)));
        called.unwrap_or_else(|payload| self.panicked(payload))
    }

    /// Calls code of the structure in a phase of the process that calls; `None` if the execution ended meanwhile. A panic that
    /// it does not catch is a finding.
    fn enters<R>(&self, phase: Phase, call: impl FnOnce() -> R) -> Option<R> {
        let called = execution::unless_abandoned(phase, || without_copies(call));
        called.unwrap_or_else(|payload| self.panicked(payload))
    }

    fn panicked(&self, payload: Box<dyn Any + Send>) -> ! {
        let verdict = panics::uncaught(&*payload);
        // The payload's drop might panic again.
        std::mem::forget(payload);
        self.end(verdict)
    }

    /// Shows the supervisor a step of the spec, and returns whether there is time for it.
    fn watches(&self, judging: &Judging) -> bool {
        self.shared()[2].fetch_add(1, Relaxed);
        judging.goes_on()
    }

    /// Returns whether all results are right, and all other calls may wait.
    fn may_wait(&self) -> bool {
        let history = self.history();
        let (setup, order) = (&self.case.setup, Order::AfterPrefix);
        let judging = Judging::begin();
        let watcher = || self.watches(&judging);
        let limits = (Limits::default(), &watcher as _);
        check_watched(setup, &history, order, limits) == Verdict::Ok
            && check_blocked_watched(setup, &history, order, limits) == Verdict::Ok
    }

    fn judge(&self) {
        let history = self.history();
        let (setup, order) = (&self.case.setup, Order::AfterPrefix);
        let judging = Judging::begin();
        let watcher = || self.watches(&judging);
        let limits = (Limits::default(), &watcher as _);
        let returned = || check_watched(setup, &history, order, limits);
        let verdict = match execution::ended() {
            Some(End::Impossible | End::Unfair) => return,
            // All results have to be right, and the spec has to allow each wait.
            Some(End::Still) => match returned() {
                Verdict::Ok => self.still(&history),
                wrong => wrong,
            },
            None => incomplete(&self.case, &history).unwrap_or_else(returned),
        };
        drop(history);
        self.judged.fetch_add(1, Relaxed);
        if verdict != Verdict::Ok {
            self.end(verdict);
        }
    }

    /// Judges a standstill: every process that is not done waits, and always will.
    fn still(&self, history: &History<S>) -> Verdict<S> {
        let waiters = execution::waiters();
        let sleeps = waiters.iter().any(|&(_, _, how)| how == Waits::Asleep);
        let (kind, waits) = if sleeps {
            (Kind::Deadlock, "waits, and none is left to wake it")
        } else {
            (
                Kind::Livelock,
                "spins, and none is left to change what it looks at",
            )
        };
        let outside = waiters.iter().find_map(|&(process, phase, _)| match phase {
            Phase::Attach => Some((process, "attach")),
            Phase::Detach => Some((process, "the drop of its handle")),
            Phase::Operation(_) => None,
        });
        if let Some((process, phase)) = outside {
            return Verdict::Finding(Finding {
                kind,
                detail: format!(
                    "{phase} of {} never returned: every process that is not done {waits}",
                    named(&self.roles, process)
                ),
                explanation: None,
            });
        }
        let (setup, order) = (&self.case.setup, Order::AfterPrefix);
        let judging = Judging::begin();
        let watcher = || self.watches(&judging);
        match check_blocked_watched(setup, history, order, (Limits::default(), &watcher)) {
            Verdict::Finding(found) => Verdict::Finding(Finding {
                kind,
                detail: format!("every process that is not done {waits}"),
                ..found
            }),
            verdict => verdict,
        }
    }

    /// Answers with this execution, and ends the process without unwinding.
    fn end(&self, verdict: Verdict<S>) -> ! {
        self.end_with(execution::take_steps().0, verdict)
    }

    fn end_with(&self, steps: Vec<Step>, verdict: Verdict<S>) -> ! {
        let verdict = match verdict {
            Verdict::Finding(found)
                if execution::met_seq_cst() && found.kind != Kind::SpecPanic =>
            {
                Verdict::Unknown(format!(
                    "loom says {}, but takes SeqCst loads and stores for weaker ones, so there may be no such execution; ask `stepped`, \
                 or use SeqCst fences, which it knows",
                    found.kind
                ))
            }
            verdict => verdict,
        };
        let run = Run {
            case: self.case.clone(),
            history: self.history().clone(),
            steps,
            verdict,
            scope: None,
        };
        self.answer(Some(run), false);
        // Not `exit`: the destructors of a model that is half done would run.
        crate::process::end_now(0)
    }

    fn answer(&self, run: Option<Run<S>>, timed_out: bool) {
        let explored = Explored {
            executions: self.begun.load(Relaxed),
            rounds: self.rounds.load(Relaxed),
            spin_bound_reached: execution::reached_the_spin_bound(),
            touched: execution::was_touched(),
            timed_out,
            run,
        };
        self.shared()[1].store(1, Relaxed);
        if let Ok(bytes) = encode(&explored) {
            self.answer.send(&bytes);
        }
    }

    /// Returns the two accesses that race, in words.
    fn race(&self, steps: &[Step], race: Option<[usize; 2]>) -> String {
        let Some(race) = race else {
            return "two accesses to the same data, one of them a write, with nothing that orders them"
                .into();
        };
        let [first, second] = race.map(|step| {
            let step = &steps[step];
            let file = step.file.rsplit('/').next().unwrap_or(&step.file);
            let does = if step.access == crate::case::Access::Write {
                "writes"
            } else {
                "reads"
            };
            let op = step
                .operation
                .and_then(|number| self.case.program[step.process].get(number))
                .map_or("outside of its operations".into(), |op| {
                    format!("in {op:?}")
                });
            let process = named(&self.roles, step.process);
            format!("{process} {op} {does} at {file}:{}", step.line)
        });
        format!("{first} and {second} the same data, with nothing that orders the two")
    }
}
