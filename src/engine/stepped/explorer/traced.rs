//! One execution with its steps: to compare two executions of a program, to report a failure, to
//! replay a case.

use super::{Explorer, NO_LIMIT};
use crate::case::{Case, Step, Turn, Until};
use crate::check::{Kind, Verdict};
use crate::engine::stepped::verdict::verdict;
use crate::engine::stepped::{Ended, Note, RunAs, Stop};
use crate::engine::stepped::{elements, trace};
use crate::engine::{Answer, Budget, Covered, Run, Scope};
use crate::error::Error;
use crate::schedule::Exploration;
use crate::spec::Spec;
use std::time::Instant;

/// One execution, traced step by step.
pub(super) struct Retold<S: Spec> {
    pub(super) run: Option<Run<S>>,
    /// The execution, if it is Ok.
    passing: Option<Run<S>>,
    /// Steps in their order.
    pub(super) steps: Vec<Step>,
    /// Results of the calls, process by process.
    pub(super) returned: Vec<Option<S::Ret>>,
    pub(super) covered: Covered,
    /// Processes that were killed.
    pub(super) killed: u32,
    /// The choices that were made.
    pub(super) choices: Vec<u8>,
}

impl<S: Spec> Retold<S> {
    /// Returns whether another execution by the same choices took the same steps, with the same
    /// results. The values of words may differ: a pid is another number in another process.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let path = |step: &Step| {
            (
                (step.process, step.operation, step.access, step.word),
                (step.line, step.column),
            )
        };
        self.steps.iter().map(path).eq(other.steps.iter().map(path))
            && self.returned == other.returned
    }
}

impl<S: Spec> Explorer<S> {
    /// Traces an execution that is not Ok: runs it again for its steps, names its turns, and runs
    /// it by these turns.
    pub(super) fn failed(
        &mut self,
        case: &Case<S>,
        choices: &[u8],
        covered: Covered,
    ) -> Result<Answer<S>, Error> {
        if let Some(lost) = self.lost {
            return Ok((covered, Some(self.lose(case, lost))));
        }
        if self.switched {
            return Ok((covered, None));
        }
        let mut kind = self.confirms();
        let mut first = self.traced_by(kind, case, Exploration::Follow, choices)?;
        if self.lost.is_some() {
            return Ok((covered, first.run));
        }
        if self.structure.instrumented && self.searches() == RunAs::Coroutines {
            // Processes may fail in another way, or not at all.
            let threads = self.traced_by(RunAs::Coroutines, case, Exploration::Follow, choices)?;
            let found = kind_of(&threads.run);
            if found.is_some() && found != kind_of(&first.run) {
                (kind, first) = (RunAs::Coroutines, threads);
            }
        } else if first.run.is_none() && self.searches() == RunAs::Coroutines {
            self.switch_to_processes();
            return Ok((covered, None));
        }
        if matches!(&first.run, Some(run) if is_endless(run)) {
            // A watchdog takes seconds to notice it; its replays show its rate.
            return Ok((covered, first.run));
        }
        let again = self.traced_by(kind, case, Exploration::Follow, choices)?;
        let run = match first.run {
            Some(_) if !first.is_like(&again) => Some(trace::not_deterministic(case)),
            Some(run) => {
                // The case is saved with its turns, so it is reported only as a run by these turns
                // shows it.
                let by_turns = self.traced_by(kind, &run.case, Exploration::Script, &[])?;
                by_turns
                    .run
                    .filter(|again| again.steps == run.steps)
                    .map(|again| Run {
                        case: run.case.clone(),
                        ..again
                    })
                    .or(Some(run))
            }
            None => Some(trace::not_deterministic(case)),
        };
        let scope = self.scope(kind);
        Ok((covered, run.map(|run| Run { scope, ..run })))
    }

    /// Replays a case unchanged.
    pub(in super::super) fn replay(
        &mut self,
        case: &Case<S>,
        budget: &Budget,
    ) -> Result<Answer<S>, Error> {
        self.begin(budget);
        self.learn(case)?;
        let mut retold = self.traced(case, Exploration::Script, &[])?;
        if retold.run.is_none() && !case.kills.is_empty() {
            self.same_id = true;
            retold = self.traced(case, Exploration::Script, &[])?;
        }
        let (mut scope, mut kind) = (None, self.confirms());
        if self.structure.instrumented {
            let threads = self.traced_by(RunAs::Coroutines, case, Exploration::Script, &[])?;
            scope = match (kind_of(&retold.run), kind_of(&threads.run)) {
                (found, by_threads) if found == by_threads => found.map(|_| Scope::Both),
                (_, Some(_)) => {
                    (retold, kind) = (threads, RunAs::Coroutines);
                    Some(Scope::ThreadsOnly)
                }
                (_, None) if self.threads_only => {
                    (retold, kind) = (threads, RunAs::Coroutines);
                    None
                }
                (_, None) => Some(Scope::ProcessesOnly),
            };
        }
        if budget.stop.is_some() {
            self.stop = budget.stop;
            let again = self.traced_by(kind, case, Exploration::Script, &[]);
            self.stop = None;
            retold = again?;
        }
        let Retold {
            run,
            passing,
            covered,
            ..
        } = retold;
        let run = run.or(passing.filter(|_| budget.shows_passing));
        // A saved case keeps its turns: the turns of the current code would follow every change of
        // it.
        let run = run.map(|run| Run {
            case: case.clone(),
            scope,
            ..run
        });
        Ok((covered, run))
    }

    /// Returns where a finding shows that such processes have confirmed, after coroutines or they themselves found it.
    fn scope(&self, confirmed: RunAs) -> Option<Scope> {
        if !self.structure.instrumented {
            return None;
        }
        Some(match (self.searches(), confirmed) {
            (_, RunAs::Coroutines) => Scope::ThreadsOnly,
            (RunAs::Coroutines, _) => Scope::Both,
            (RunAs::Processes | RunAs::SameIds, _) => Scope::ProcessesOnly,
        })
    }

    /// Runs one execution by processes, and notes all its steps.
    pub(super) fn traced(
        &mut self,
        case: &Case<S>,
        strategy: Exploration,
        choices: &[u8],
    ) -> Result<Retold<S>, Error> {
        self.traced_by(self.confirms(), case, strategy, choices)
    }

    /// Runs one execution and notes all its steps.
    fn traced_by(
        &mut self,
        kind: RunAs,
        case: &Case<S>,
        strategy: Exploration,
        choices: &[u8],
    ) -> Result<Retold<S>, Error> {
        let (roles, stop) = (self.roles.clone(), self.stop);
        let crew = self.crew(kind)?;
        crew.take(case)?;
        crew.follow(choices);
        // One execution has its own limits: bounds on steps, and the watch.
        let until = Instant::now() + NO_LIMIT;
        crew.keep_going(false);
        let before = crew.again();
        crew.stop_before(stop);
        let ended = crew.run(strategy, (1, u64::MAX), until, true)?;
        if let Ended::Lost(lost) = ended {
            return Ok(Retold {
                run: Some(self.lose(case, lost)),
                passing: None,
                steps: Vec::new(),
                returned: Vec::new(),
                covered: Covered::default(),
                killed: 0,
                choices: Vec::new(),
            });
        }
        let again = crew.again() > before;
        let choices = crew.choices();
        let (history, mut notes) = (crew.history(case), crew.notes());
        // A process that ended the execution in its turn did not note that turn itself.
        if let Ended::Died { .. }
        | Ended::Stopped(
            Stop::Race | Stop::Invariant | Stop::Freed | Stop::Beyond | Stop::Thread | Stop::Wrote,
        )
        | Ended::Outside { .. } = ended
            && let Some(process) = crew.current()
        {
            notes.push(Note::Turn(Turn {
                process,
                until: Until::End,
            }));
        }
        let (matched, died) = crew.matched();
        let covered = Covered {
            unscheduled: crew.unscheduled().into(),
            ..trace::requested(case, matched, died)
        };
        let private_wait = match &ended {
            Ended::Outside { process, .. } => crew.private_wait(*process),
            _ => None,
        };
        // The supervisor may read the plan where all wait, and not while one of them still runs.
        let outside = match ended {
            Ended::Stopped(Stop::Stuck) => crew.outside(),
            _ => Vec::new(),
        };
        let mut verdict = self::verdict(
            case,
            &roles,
            &history,
            &notes,
            (&ended, &outside),
            self.promised,
            private_wait,
        );
        if let Verdict::Finding(finding) = &mut verdict
            && again
        {
            finding.detail +=
                "; the kernel has given the pid of the one that was killed to another process";
        }
        if !matches!(ended, Ended::Stopped(stop) if stop.leaves_crew_usable()) {
            match kind {
                RunAs::Coroutines => self.coroutines = None,
                RunAs::Processes | RunAs::SameIds => self.processes = None,
            }
        }
        let steps = trace::steps(&notes);
        let accesses =
            (steps.iter()).filter(|step| step.word.is_some() && step.operation.is_some());
        let covered = Covered {
            accesses: accesses.count() as u64,
            ..covered
        };
        let calls = history.calls.iter().flatten();
        let returned = calls.map(|call| call.ret.clone()).collect();
        let is_ok = verdict == Verdict::Ok;
        let run = {
            let mut steps = steps.clone();
            elements::number(&mut steps, self.structure.name, self.structure.size);
            Run {
                case: trace::case(case, &notes),
                history,
                steps,
                verdict,
                scope: None,
            }
        };
        let (run, passing) = match is_ok {
            true => (None, Some(run)),
            false => (Some(run), None),
        };
        Ok(Retold {
            run,
            passing,
            steps,
            returned,
            covered,
            killed: died,
            choices,
        })
    }
}

/// Returns the kind of a run that is a finding.
fn kind_of<S: Spec>(run: &Option<Run<S>>) -> Option<Kind> {
    match &run.as_ref()?.verdict {
        Verdict::Finding(finding) => Some(finding.kind),
        _ => None,
    }
}

fn is_endless<S: Spec>(run: &Run<S>) -> bool {
    matches!(&run.verdict, Verdict::Finding(finding) if finding.kind == Kind::Endless)
}
