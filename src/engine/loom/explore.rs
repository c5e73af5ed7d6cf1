//! In the child that belongs to one model: explores it, and answers at the first execution that is not Ok.
//!
//! It answers and ends the process at once, even from within loom's panics: unwinding a model that is half
//! done panics again.

use super::LoomMemory;
use super::memory;
use crate::case::{Call, Case, History};
use crate::check::{Criterion, Finding, Kind, Limits, Verdict, explain, is_of_the_spec, rest};
use crate::engine::served::encode;
use crate::engine::{Budget, Run, incomplete};
use crate::region::Region;
use crate::subject::{Role, Spec, Subject};
use serde::{Deserialize, Serialize};
use std::io::{PipeWriter, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Accesses of one execution before loom gives up on it.
const BRANCHES: usize = 10_000;
/// Switches away from a thread that could go on, in one execution: first all orders without any, then all with one, then
/// all with two. A program that is too large for the last has been explored all the same.
const PREEMPTIONS: std::ops::RangeInclusive<usize> = 0..=2;
/// The part of the time after which what was explored so far has to do: other programs need theirs.
const SHARE: u32 = 4;

const ASLEEP: &str = "every process that is not done waits, and nobody is left to wake it";

/// Everything that outlives one execution of the model.
struct Model<S: Subject<LoomMemory>> {
    case: Case<S::Spec>,
    roles: Vec<String>,
    history: Mutex<History<S::Spec>>,
    /// An `AtomicU64`: executions begun, where the supervisor sees them.
    executions: Arc<Region>,
    /// Bounds on preemptions within which all orders were tried: so many, counted from 0.
    explored: AtomicUsize,
    answer: PipeWriter,
    budget: Budget,
    started: Instant,
}

/// What the child answers: how much was explored, and the execution that was not Ok.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Explored<S: Spec> {
    /// Bounds on preemptions within which all orders were tried: none; 0; 0 and 1; 0, 1 and 2.
    pub(super) bounds: usize,
    /// The execution that is to be told of.
    pub(super) run: Option<Run<S>>,
}

impl<S: Spec> Explored<S> {
    /// Whether that is all that this engine does.
    pub(super) fn to_the_end(&self) -> bool {
        self.bounds > *PREEMPTIONS.end()
    }
}

/// Tries all orders, once with each process as loom's main thread, and writes its answer.
pub(super) fn explore<S: Subject<LoomMemory>>(
    case: &Case<S::Spec>,
    roles: &[String],
    budget: &Budget,
    executions: &Arc<Region>,
    answer: PipeWriter,
) {
    let model = Arc::new(Model::<S> {
        case: case.clone(),
        roles: roles.to_vec(),
        history: Mutex::new(History { calls: Vec::new() }),
        executions: Arc::clone(executions),
        explored: AtomicUsize::new(0),
        answer,
        budget: *budget,
        started: Instant::now(),
    });
    let hooked = Arc::clone(&model);
    std::panic::set_hook(Box::new(move |info| {
        // The check catches it, and makes a verdict of it.
        if is_of_the_spec(info) {
            return;
        }
        let verdict = verdict_of_panic(info);
        hooked.end(verdict);
    }));
    for preemptions in PREEMPTIONS {
        for main in 0..case.program.len() {
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = Some(preemptions);
            builder.max_branches = BRANCHES;
            builder.max_permutations = None;
            builder.max_duration = None;
            let model = Arc::clone(&model);
            builder.check(move || {
                model.begin();
                execute(&model, main);
                model.judge();
            });
        }
        model.explored.store(preemptions + 1, Relaxed);
    }
    model.answer(None);
}

/// One execution: process `main` on the model's main thread, the others on threads of their own.
fn execute<S: Subject<LoomMemory>>(model: &Arc<Model<S>>, main: usize) {
    memory::start_execution(model.case.program.len());
    let subject = Arc::new(S::new(&model.case.setup));
    let others: Vec<_> = (0..model.case.program.len())
        .filter(|&process| process != main)
        .map(|process| {
            let (model, subject) = (Arc::clone(model), Arc::clone(&subject));
            loom::thread::spawn(move || model.process(&*subject, process))
        })
        .collect();
    model.process(&*subject, main);
    for other in others {
        // A panic of the other thread has ended this process already.
        let _ = other.join();
    }
}

impl<S: Subject<LoomMemory>> Model<S> {
    fn history(&self) -> MutexGuard<'_, History<S::Spec>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an execution, and ends everything when the budget is spent.
    fn begin(&self) {
        let counter: &AtomicU64 = self.executions.get(0).expect("the region was made for it");
        let done = counter.load(Relaxed);
        *self.history() = History {
            calls: vec![Vec::new(); self.case.program.len()],
        };
        let took = self.started.elapsed();
        if self.explored.load(Relaxed) > 0
            && (done >= self.budget.executions || took >= self.budget.time / SHARE)
        {
            self.answer(None);
            crate::process::end_now(0);
        }
        if done >= self.budget.executions || took >= self.budget.time {
            self.end(Verdict::Unknown(format!(
                "the model was not done after {done} executions and {:.1} s; use fewer or shorter operations, or allow more time",
                took.as_secs_f64()
            )));
        }
        counter.store(done + 1, Relaxed);
    }

    /// The operations of one process, on the thread of the model that it is.
    fn process(&self, subject: &S, process: usize) {
        memory::enter(process);
        let role = Role {
            name: &self.roles[process],
            process,
            life: 0,
        };
        let mut seat = subject.attach(role);
        for (number, op) in self.case.program[process].iter().enumerate() {
            memory::enter_operation(number);
            // The numbers only keep the calls of one process in order; a model has no clock.
            let invoked = 2 * number as u64;
            let call = Call {
                op: op.clone(),
                ret: None,
                invoked,
                returned: Call::<S::Spec>::NEVER,
            };
            self.history().calls[process].push(call);
            let Some(ret) = memory::unless_abandoned(|| S::apply(&mut seat, op)) else {
                break;
            };
            let call = &mut self.history().calls[process][number];
            call.ret = Some(ret);
            call.returned = invoked + 1;
        }
        drop(seat);
        memory::leave();
    }

    fn judge(&self) {
        let history = self.history();
        let (setup, order) = (&self.case.setup, Criterion::ProgramOrder);
        let returned = || explain(setup, &history, order, Limits::default());
        let verdict = if memory::rests() {
            // What returned has to be right; and those that sleep may, if the spec says so.
            match returned() {
                Verdict::Ok => match rest(setup, &history, order, Limits::default()) {
                    Verdict::Finding(found) => Verdict::Finding(Finding {
                        kind: Kind::Deadlock,
                        detail: ASLEEP.into(),
                        ..found
                    }),
                    verdict => verdict,
                },
                wrong => wrong,
            }
        } else {
            incomplete(&self.case, &history).unwrap_or_else(returned)
        };
        drop(history);
        if verdict != Verdict::Ok {
            self.end(verdict);
        }
    }

    /// Answers with this execution, and ends the process without unwinding.
    fn end(&self, verdict: Verdict<S::Spec>) -> ! {
        let verdict = match verdict {
            Verdict::Finding(found) if memory::met_seq_cst() && found.kind != Kind::SpecPanic => {
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
            steps: memory::take_steps(),
            verdict,
        };
        self.answer(Some(run));
        // Not `exit`: the destructors of a model that is half done would run.
        crate::process::end_now(0)
    }

    fn answer(&self, run: Option<Run<S::Spec>>) {
        let bounds = self.explored.load(Relaxed);
        if let Ok(bytes) = encode(&Explored { bounds, run }) {
            // If the supervisor is gone, so is the reason to answer.
            let _ = (&self.answer).write_all(&bytes);
        }
    }
}

fn words<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(words), _) => words,
        (None, Some(words)) => words,
        _ => "no message",
    }
}

/// loom reports by panics; everything else that panics is the subject.
fn verdict_of_panic<S: Spec>(info: &PanicHookInfo<'_>) -> Verdict<S> {
    let message = words(info).trim();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let finding = |kind, detail| {
        Verdict::Finding(Finding {
            kind,
            detail,
            explanation: None,
        })
    };
    // In a registry, or vendored.
    let of_loom = place.contains("/loom-0.") || place.contains("/loom/src/");
    if of_loom && message.starts_with("deadlock") {
        finding(Kind::Deadlock, ASLEEP.into())
    } else if of_loom
        && (message.contains("Causality violation")
            || message.contains("ing to cell")
            || message.contains("ing from cell"))
    {
        finding(
            Kind::DataRace,
            "two accesses to the same data, one of them a write, with nothing that orders them"
                .into(),
        )
    } else if of_loom && message.contains("maximum number of branches") {
        Verdict::Unknown(format!(
            "an execution of the model made more than {BRANCHES} accesses: an operation never ends, spins without spin_loop(), or spins on a \
             lock, which loom does not follow to its end; ask `stepped`"
        ))
    } else if of_loom {
        Verdict::Unknown(format!("loom cannot go on here ({place}): {message}"))
    } else {
        finding(
            Kind::Panic,
            format!("the subject panicked at {place}: {message}"),
        )
    }
}
