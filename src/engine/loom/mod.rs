//! `loom`: the subject on the atomics of loom's memory model, each process a thread of the model.
//!
//! loom tries the orders of a small program with at most two preemptions, and what a weak memory may show in
//! them. It is a second opinion: loom 0.7.3 misses some allowed executions (its issues 166 and 392) and knows
//! some impossible ones (389). Which process is loom's main thread matters to what it misses, so each is once.
//! The model runs in a forked child of the zygote, so that a subject that aborts, exits or never returns is a
//! verdict like any other.

mod explore;
mod memory;

pub use memory::Loom as LoomMemory;

use super::processes::{decode, encode};
use super::{Answer, Budget, Covered, Engine, Run, incomplete};
use crate::case::{Case, History, Program};
use crate::check::{Criterion, Finding, Kind, Verdict};
use crate::error::Error;
use crate::process::{self, Channel, Exit, Job, Session};
use crate::region::Region;
use crate::subject::{Spec, Subject};
use crate::workers::{Stuck, Watch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Read;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Operations of two processes, and of each of more, that are explored: what loom can do in seconds.
const OF_TWO: usize = 2;
const OF_EACH: usize = 1;
/// Threads of one model; loom's own limit, with its main thread.
const THREADS: usize = 4;

/// loom's model of weak memory.
#[derive(Default)]
pub struct Loom {
    session: Option<(&'static str, Session)>,
}

impl Engine for Loom {
    type Memory = LoomMemory;
    const NAME: &'static str = "loom";
    const CRITERION: Criterion = Criterion::ProgramOrder;
    const BLIND_TO: &'static str = "more than two preemptions, or two turns of a spin; kills; the order in real time of calls of different \
        processes; executions that loom 0.7.3 misses (its issues 166, 392)";
    const EXPLORES: bool = true;

    /// At most two operations a process, and one where there are more than two processes.
    fn fit<S: Spec>(mut program: Program<S>) -> Program<S> {
        let most = if program.len() > 2 { OF_EACH } else { OF_TWO };
        program.iter_mut().for_each(|ops| ops.truncate(most));
        program
    }

    fn search<S: Subject<LoomMemory>>(
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
        let answer = session.ask(&encode(&(case, roles, budget))?);
        if answer.is_err() {
            self.session = None;
        }
        let (executions, run) = decode::<Result<Reply<S::Spec>, String>>(&answer?)?
            .map_err(|text| Error::invalid(text, "see above"))?;
        let failing = run
            .as_ref()
            .is_some_and(|run: &Run<S::Spec>| matches!(run.verdict, Verdict::Finding(_)));
        let covered = Covered {
            programs: 1,
            executions,
            failing: u64::from(failing),
            exhausted: u64::from(run.is_none()),
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

/// Executions, and what was found.
type Reply<S> = (u64, Option<Run<S>>);

struct Serve<S>(PhantomData<S>);

impl<S: Subject<LoomMemory>> Serve<S> {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, serve::<S>);
}

fn serve<S: Subject<LoomMemory>>(channel: &mut Channel) {
    while let Some(request) = channel.next() {
        let answer: Result<Reply<S::Spec>, String> =
            supervise::<S>(&request).map_err(|e| e.to_string());
        let Ok(bytes) = encode(&answer) else { return };
        if channel.reply(&bytes).is_err() {
            return;
        }
    }
}

/// Runs the model in a child, and watches it.
fn supervise<S: Subject<LoomMemory>>(request: &[u8]) -> Result<Reply<S::Spec>, Error> {
    let (case, roles, budget): (Case<S::Spec>, Vec<String>, Budget) = decode(request)?;
    let told = |case: Case<S::Spec>, verdict| {
        let history = History {
            calls: vec![Vec::new(); case.program.len()],
        };
        Run {
            case,
            history,
            steps: Vec::new(),
            verdict,
        }
    };
    if let Some(verdict) = refuse(&case, &roles) {
        return Ok((0, Some(told(case, verdict))));
    }
    let executions = Arc::new(Region::anonymous(size_of::<AtomicU64>())?);
    let counter: &AtomicU64 = executions.get(0)?;
    let (mut answers, answer) = std::io::pipe()
        .map_err(|e| Error::system("make a pipe", e, "close descriptors or raise RLIMIT_NOFILE"))?;
    let mut child =
        process::spawn(|| explore::explore::<S>(&case, &roles, &budget, &executions, answer))?;
    let mut bytes = Vec::new();
    let mut watch = Watch::new(1);
    loop {
        let mut watched = [PollFd::new(answers.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::from(50u8)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => {
                let mut chunk = [0; 1 << 16];
                let n = answers
                    .read(&mut chunk)
                    .map_err(|e| Error::system("read the model's answer", e, "report this"))?;
                if n == 0 {
                    break;
                }
                bytes.extend_from_slice(&chunk[..n]);
            }
            Err(errno) => return Err(Error::system("wait for the model", errno, "report this")),
        }
        if let Some((_, stuck)) = watch.look(counter.load(Relaxed), &[(0, child.id())]) {
            let detail = match stuck {
                Stuck::Endless(used) => format!(
                    "one execution of the model used {:.1} s of processor time: an operation loops without touching shared memory",
                    used.as_secs_f64()
                ),
                Stuck::Asleep => {
                    "the model sleeps: an operation waits for something that is not of this memory"
                        .into()
                }
            };
            let verdict = Verdict::Finding(Finding {
                kind: Kind::Endless,
                detail,
                explanation: None,
            });
            return Ok((counter.load(Relaxed), Some(told(case, verdict))));
        }
    }
    let count = counter.load(Relaxed);
    if !bytes.is_empty() {
        return Ok((count, decode::<Option<Run<S::Spec>>>(&bytes)?));
    }
    let verdict = match child.wait()? {
        Exit::Signal(libc::SIGKILL) => {
            Verdict::Unknown("the model was killed from outside (SIGKILL: by hand, or for want of memory); run it again".into())
        }
        exit => Verdict::Finding(Finding {
            kind: Kind::Died,
            detail: format!("the subject ended the model's process: {exit}"),
            explanation: None,
        }),
    };
    Ok((count, Some(told(case, verdict))))
}

fn refuse<S: Spec>(case: &Case<S>, roles: &[String]) -> Option<Verdict<S>> {
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
    if case.program.len() > THREADS {
        return Some(Verdict::Unavailable(format!(
            "loom explores at most {THREADS} processes, and there are {}",
            roles.len()
        )));
    }
    (case.schedule != crate::case::Schedule::Free || !case.kills.is_empty()).then(|| {
        Verdict::Unavailable(
            "the case places steps or kills, and a model tries all orders and kills nobody".into(),
        )
    })
}
