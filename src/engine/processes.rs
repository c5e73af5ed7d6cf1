//! `processes`: really forked processes, really in parallel, on the machine's own memory.
//!
//! A zygote keeps a pool of workers for one subject; a request is a case and a budget, the answer what came of
//! it. The pool is forked anew after a process of it has died or got stuck.

use super::{Answer, Budget, CHECK_STATES, Covered, Engine, Run, incomplete};
use crate::case::{Case, History};
use crate::check::{Criterion, Finding, Kind, Verdict, explain};
use crate::error::Error;
use crate::memory::Hardware;
use crate::process::{Channel, Exit, Job, Session};
use crate::subject::Subject;
use crate::workers::{Batch, Ended, Phase, Pool, Stuck, Tally, machine_turn};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Really forked processes, side by side.
#[derive(Default)]
pub struct Processes {
    session: Option<(&'static str, Session)>,
}

impl Engine for Processes {
    type Memory = Hardware;
    const NAME: &'static str = "processes";
    const CRITERION: Criterion = Criterion::RealTime;
    const BLIND_TO: &'static str = "orders that this machine did not happen to take; missing barriers that x86 forgives, \
        or that the fence of the clock around each call hides";
    const EXPLORES: bool = false;

    fn search<S: Subject<Hardware>>(
        &mut self,
        case: &Case<S::Spec>,
        roles: &[String],
        budget: &Budget,
    ) -> Result<Answer<S::Spec>, Error> {
        let job = Serve::<S>::JOB;
        if self
            .session
            .as_ref()
            .is_none_or(|(name, _)| *name != job.name())
        {
            self.session = None;
            self.session = Some((job.name(), Session::start(job)?));
        }
        let Some((_, session)) = &mut self.session else {
            unreachable!("just started")
        };
        let request = encode(&(case, roles, budget))?;
        let _turn = machine_turn();
        let answer = session.ask(&request);
        if answer.is_err() {
            self.session = None;
        }
        let (tally, run) = decode::<Result<Reply<S>, String>>(&answer?)?
            .map_err(|text| Error::invalid(text, "see above"))?;
        let could_overlap = case.program.iter().filter(|ops| !ops.is_empty()).count() > 1;
        let covered = Covered {
            programs: 1,
            executions: tally.executions,
            failing: tally.failing,
            overlapping: tally.overlapping,
            could_overlap: if could_overlap { tally.executions } else { 0 },
            ..Covered::default()
        };
        Ok((covered, run))
    }

    fn output(&self) -> String {
        self.session
            .as_ref()
            .map(|(_, session)| session.output())
            .unwrap_or_default()
    }
}

/// What the zygote answers.
type Reply<S> = (TallyData, Option<Run<<S as Subject<Hardware>>::Spec>>);

#[derive(Serialize, Deserialize)]
struct TallyData {
    executions: u64,
    overlapping: u64,
    failing: u64,
}

/// The job in the zygote, for one subject.
struct Serve<S>(PhantomData<S>);

impl<S: Subject<Hardware>> Serve<S> {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, serve::<S>);
}

fn serve<S: Subject<Hardware>>(channel: &mut Channel) {
    let mut pool: Option<(Vec<String>, Pool<S>)> = None;
    while let Some(request) = channel.next() {
        let answer: Result<Reply<S>, String> =
            answer(&mut pool, &request).map_err(|e| e.to_string());
        let Ok(bytes) = encode(&answer) else { return };
        if channel.reply(&bytes).is_err() {
            return;
        }
    }
}

fn answer<S: Subject<Hardware>>(
    kept: &mut Option<(Vec<String>, Pool<S>)>,
    request: &[u8],
) -> Result<Reply<S>, Error> {
    let (case, roles, budget): (Case<S::Spec>, Vec<String>, Budget) = decode(request)?;
    if let Some(verdict) = refuse::<S>(&case, &roles) {
        let history = History {
            calls: vec![Vec::new(); case.program.len()],
        };
        let run = Run {
            case,
            history,
            steps: Vec::new(),
            verdict,
        };
        return Ok((
            TallyData {
                executions: 0,
                overlapping: 0,
                failing: 0,
            },
            Some(run),
        ));
    }
    let mut pool = match kept.take() {
        Some((same, pool)) if same == roles => pool,
        _ => Pool::start(roles.clone(), judge::<S>)?,
    };
    let batch = Batch {
        executions: budget.executions,
        seed: budget.seed,
        keep_going: budget.keep_going,
    };
    let (tally, ended) = pool.run(&case, batch)?;
    let reusable = matches!(ended, Ended::Done | Ended::Judged(_));
    let run = told(&case, &roles, ended);
    if reusable {
        *kept = Some((roles, pool));
    }
    let Tally {
        executions,
        overlapping,
        failing,
    } = tally;
    let (executions, failing) = if reusable {
        (executions, failing)
    } else {
        (executions + 1, failing + 1)
    };
    Ok((
        TallyData {
            executions,
            overlapping,
            failing,
        },
        run,
    ))
}

/// What this engine cannot do is said, not ignored.
fn refuse<S: Subject<Hardware>>(
    case: &Case<S::Spec>,
    roles: &[String],
) -> Option<Verdict<S::Spec>> {
    if case.program.len() != roles.len() {
        return Some(Verdict::Unknown(format!(
            "the case has {} processes and the suite {}; it was made for another suite",
            case.program.len(),
            roles.len()
        )));
    }
    if case.operations() == 0 {
        return incomplete(case, &History { calls: Vec::new() });
    }
    (case.schedule != crate::case::Schedule::Free || !case.kills.is_empty()).then(|| {
        Verdict::Unavailable(
            "the case places steps or kills, and here nobody can: the machine orders the steps"
                .into(),
        )
    })
}

fn judge<S: Subject<Hardware>>(case: &Case<S::Spec>, history: &History<S::Spec>) -> bool {
    incomplete(case, history).is_none()
        && explain(&case.setup, history, Criterion::RealTime, CHECK_STATES) == Verdict::Ok
}

/// The end of a batch as a run with its verdict; `None` if all went well.
fn told<S: Subject<Hardware>>(
    case: &Case<S::Spec>,
    roles: &[String],
    ended: Ended<S>,
) -> Option<Run<S::Spec>> {
    let (history, verdict) = match ended {
        Ended::Done => return None,
        Ended::Judged(history) => {
            let verdict = incomplete(case, &history).unwrap_or_else(|| {
                explain(&case.setup, &history, Criterion::RealTime, CHECK_STATES)
            });
            (history, verdict)
        }
        Ended::Died {
            process,
            phase,
            exit,
            history,
        } => {
            let place = place(case, roles, process, phase);
            (history, died(&place, exit))
        }
        Ended::Stuck {
            process,
            phase,
            stuck,
            history,
        } => {
            let place = place(case, roles, process, phase);
            let (kind, how) = match stuck {
                Stuck::Endless(used) => (
                    Kind::Endless,
                    format!(
                        "used {:.1} s of processor time and did not return",
                        used.as_secs_f64()
                    ),
                ),
                Stuck::Asleep => (
                    Kind::Deadlock,
                    "sleeps, and nobody is left to wake it".into(),
                ),
            };
            (history, finding(kind, format!("{place} {how}")))
        }
    };
    Some(Run {
        case: case.clone(),
        history,
        steps: Vec::new(),
        verdict,
    })
}

fn died<S: crate::subject::Spec>(place: &str, exit: Exit) -> Verdict<S> {
    match exit {
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

fn finding<S: crate::subject::Spec>(kind: Kind, detail: String) -> Verdict<S> {
    Verdict::Finding(Finding {
        kind,
        detail,
        explanation: None,
    })
}

fn place<S: crate::subject::Spec>(
    case: &Case<S>,
    roles: &[String],
    process: usize,
    phase: Phase,
) -> String {
    let what = match phase {
        Phase::Setup => "building the subject".into(),
        Phase::Attach => "attach".into(),
        Phase::Check => "the spec".into(),
        Phase::Idle => "between two executions, it".into(),
        Phase::Operation { number, .. } => match case.program[process].get(number) {
            Some(op) => format!("{op:?}"),
            None => "an operation".into(),
        },
    };
    format!("{} (process {process}): {what}", roles[process])
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(value).map_err(|e| {
        Error::system(
            "encode a message for the zygote",
            e,
            "use types that serde's derive can encode",
        )
    })
}

/// The whole of `bytes` as a value: bytes left over mean that the two sides do not mean the same.
pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let error = |e| {
        Error::system(
            "decode a message of the zygote",
            e,
            "make sure that Serialize and Deserialize of the setup, operations and results agree (no untagged enums)",
        )
    };
    match postcard::take_from_bytes(bytes).map_err(error)? {
        (value, []) => Ok(value),
        _ => Err(error(postcard::Error::DeserializeBadEncoding)),
    }
}
