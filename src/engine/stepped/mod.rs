//! `stepped` and `kills`: really forked processes, of which one moves at a time, in the order that a strategy says. A
//! failure is a list of choices, so it comes again. `kills` sends a real SIGKILL at each step besides.

mod memory;
mod retell;

pub use memory::SteppedMemory;

use super::served::{self, Served};
use super::{Answer, Budget, By, Covered, Engine, Run};
use crate::case::{Case, History, Schedule};
use crate::check::{Criterion, Finding, Kind, Limits, Verdict, explain, rest};
use crate::error::Error;
use crate::process::{Channel, Exit, Job};
use crate::schedule::Strategy;
use crate::subject::{Spec, Subject};
use crate::workers::stepped::{Crew, Ended, Note};
use crate::workers::{Stuck, machine_turn};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// Bounds of `stepped`: preemptions, rising.
const PREEMPTIONS: &[(u32, u32)] = &[(0, 0), (1, 0), (2, 0), (3, 0)];
/// Bounds of `kills`: preemptions and kills, rising. The second kill is that of the life that recovers, or of a survivor.
const KILLS: &[(u32, u32)] = &[(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)];
/// The part of the time that a program may take, so that others get theirs; a kill takes so much longer than a step that
/// there is always another one to try.
const SHARE: u32 = 8;
const SHARE_OF_KILLS: u32 = 40;
/// The part of the executions of a program, or of those that it may take, that comes by chance besides.
const BY_CHANCE: u64 = 4;
/// Points of change for PCT, which finds what takes one more than that of orders.
const POINTS: u32 = 3;

/// Really forked processes, one step at a time.
#[derive(Default)]
pub struct Stepped {
    served: Served,
}

/// The same, and SIGKILL at each step.
#[derive(Default)]
pub struct Kills {
    served: Served,
}

macro_rules! engine {
    ($Engine:ident, $name:literal, $kills:literal, $blind_to:expr) => {
        impl Engine for $Engine {
            type Memory = SteppedMemory;
            const NAME: &'static str = $name;
            const CRITERION: Criterion = Criterion::RealTime;
            const BLIND_TO: &'static str = $blind_to;
            const EXPLORES: bool = true;

            fn search<S: Subject<SteppedMemory>>(
                &mut self,
                case: &Case<S::Spec>,
                roles: &[String],
                budget: &Budget,
            ) -> Result<Answer<S::Spec>, Error> {
                // One execution is over before another suite would have noticed it.
                let free = case.schedule == Schedule::Free;
                let _turn = free.then(machine_turn);
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
    "more than three preemptions, but by chance; missing barriers: all accesses are in one order that everybody agrees \
        on; accesses to shared memory that are not of this memory; kills"
);
engine!(
    Kills,
    "kills",
    true,
    "more than one preemption beside a kill; more than two kills in one execution; missing barriers: all accesses are in one \
        order that everybody agrees on; accesses to shared memory that are not of this memory"
);

/// The job in the zygote, for one subject.
struct Serve<S, const KILLS: bool>(PhantomData<S>);

impl<S: Subject<SteppedMemory>, const KILLS: bool> Serve<S, KILLS> {
    const JOB: &'static Job = &Job::new(std::any::type_name::<Self>, serve::<S, KILLS>);
}

fn serve<S: Subject<SteppedMemory>, const KILLS: bool>(channel: &mut Channel) {
    let mut explorer: Option<Explorer<S>> = None;
    served::serve_placed(channel, |case, roles, budget| {
        if explorer.as_ref().is_none_or(|known| known.roles != roles) {
            explorer = Some(Explorer {
                roles,
                crew: None,
                promised: (0, 0),
            });
        }
        let explorer = explorer.as_mut().expect("it was just made");
        explorer.promised = (budget.lock_free, budget.read_only);
        if case.schedule == Schedule::Free && case.kills.is_empty() {
            let kills = KILLS && !budget.nobody_dies;
            let bounds = if kills { self::KILLS } else { PREEMPTIONS };
            explorer.explore(&case, &budget, bounds, kills)
        } else {
            explorer.replay(&case)
        }
    });
}

/// Runs cases of one subject on a crew that is kept as long as it is of use.
struct Explorer<S: Subject<SteppedMemory>> {
    roles: Vec<String>,
    crew: Option<Crew<SteppedMemory, S>>,
    /// See [`Budget::lock_free`] and [`Budget::read_only`].
    promised: (u32, u32),
}

/// One execution told again, step by step.
struct Retold<S: Spec> {
    run: Option<Run<S>>,
    covered: Covered,
}

impl<S: Subject<SteppedMemory>> Explorer<S> {
    fn crew(&mut self) -> Result<&mut Crew<SteppedMemory, S>, Error> {
        if self.crew.is_none() {
            self.crew = Some(Crew::start(self.roles.clone(), judge::<S::Spec>)?);
        }
        let crew = self.crew.as_mut().expect("it was just made");
        crew.promise(self.promised.0, self.promised.1);
        Ok(crew)
    }

    /// All executions of a program within rising bounds, then some by chance, as far as the budget goes.
    fn explore(
        &mut self,
        case: &Case<S::Spec>,
        budget: &Budget,
        bounds: &[(u32, u32)],
        kills: bool,
    ) -> Result<Answer<S::Spec>, Error> {
        let time = budget.time / if kills { SHARE_OF_KILLS } else { SHARE };
        let mut covered = Covered {
            programs: 1,
            ..Covered::default()
        };
        if let Some(strategy) = by_chance(budget) {
            self.crew()?.take(case)?;
            let until = Instant::now() + budget.time;
            let executions = budget.executions;
            let ended = self.batch(
                case,
                strategy,
                executions,
                until,
                budget.keep_going,
                &mut covered,
            )?;
            return match ended {
                Batch::Failed(picks) => self.failed(case, &picks, covered),
                Batch::Exhausted | Batch::Cut => Ok((covered, None)),
            };
        }
        let in_bounds = (budget.executions - 2 * (budget.executions / BY_CHANCE)).max(1);
        let mut left = in_bounds;
        // One execution with all its steps, to see whether they are all that changes the subject.
        let glance = self.traced(case, Strategy::Follow, &[])?;
        covered.unseen = glance.covered.unseen;
        self.crew()?.take(case)?;
        if kills {
            self.crew()?.keep_spares()?;
        }
        let until = Instant::now() + time;
        let mut reached = None;
        for &(preemptions, kills) in bounds {
            let strategy = Strategy::Bounded { preemptions, kills };
            loop {
                let ended = self.batch(case, strategy, left, until, false, &mut covered)?;
                left = in_bounds.saturating_sub(covered.executions);
                let exhausted = match ended {
                    Batch::Exhausted => true,
                    Batch::Cut => false,
                    Batch::Failed(picks) => return self.failed(case, &picks, covered),
                };
                let crew = self.crew()?;
                // Words that were not known to be shared may matter in executions that were left out: once more.
                if exhausted && !crew.settled() {
                    continue;
                }
                if exhausted && !crew.left_out() {
                    reached = Some((preemptions, kills));
                }
                break;
            }
            if reached != Some((preemptions, kills)) {
                break;
            }
        }
        // Of a program that is done within its bounds some executions beyond them, of any other all that it may take.
        let done = reached == bounds.last().copied();
        let by_chance = if done {
            covered.executions / BY_CHANCE
        } else {
            budget.executions / BY_CHANCE
        };
        let kills = if kills { 2 } else { 0 };
        let until = until + time / BY_CHANCE as u32;
        for strategy in [
            Strategy::Pct {
                seed: budget.seed,
                points: POINTS,
                kills,
            },
            Strategy::Random {
                seed: budget.seed,
                kills,
            },
        ] {
            if let Batch::Failed(picks) =
                self.batch(case, strategy, by_chance.max(1), until, false, &mut covered)?
            {
                return self.failed(case, &picks, covered);
            }
        }
        let kills = kills > 0;
        let crew = self.crew()?;
        (covered.killed, covered.kill_points) = if kills { crew.kill_points() } else { (0, 0) };
        covered.worst = crew.worst().into();
        match reached {
            Some(bound) if bound == *bounds.last().expect("there are some") => {
                covered.exhausted = 1
            }
            // Of kills, those beside a preemption.
            Some((preemptions, dead)) if preemptions > 0 && (!kills || dead > 0) => {
                covered.partly = 1;
            }
            Some(_) | None => covered.hardly = 1,
        }
        Ok((covered, None))
    }

    /// One batch of executions; those that end in rest as the spec allows are gone on from.
    fn batch(
        &mut self,
        case: &Case<S::Spec>,
        strategy: Strategy,
        executions: u64,
        until: Instant,
        keep_going: bool,
        covered: &mut Covered,
    ) -> Result<Batch, Error> {
        if executions == 0 || Instant::now() >= until {
            return Ok(Batch::Cut);
        }
        let crew = self.crew()?;
        crew.keep_going(keep_going);
        let mut ended = crew.run(strategy, executions, until, false)?;
        while matches!(ended, Ended::Stuck) && rests(case, &crew.history(case)) {
            ended = crew.go_on(until)?;
        }
        covered.executions += crew.tally().executions;
        covered.failing += if keep_going { crew.tally().failing } else { 0 };
        Ok(match ended {
            Ended::Done => Batch::Cut,
            Ended::Exhausted => Batch::Exhausted,
            _ => {
                let picks = crew.picks();
                covered.failing += 1;
                if !matches!(ended, Ended::Judged) {
                    covered.executions += 1;
                    self.crew = None;
                }
                Batch::Failed(picks)
            }
        })
    }

    /// An execution that is not Ok: runs it again to tell its steps, names its turns, and runs it by these.
    fn failed(
        &mut self,
        case: &Case<S::Spec>,
        picks: &[u8],
        covered: Covered,
    ) -> Result<Answer<S::Spec>, Error> {
        let first = self.traced(case, Strategy::Follow, picks)?;
        let run = match first.run {
            Some(run) => {
                // By its turns, as it will be saved: only what comes again so is told so.
                let by_turns = self.traced(&run.case, Strategy::Script, &[])?;
                by_turns
                    .run
                    .filter(|again| again.steps == run.steps)
                    .map(|again| Run {
                        case: run.case.clone(),
                        ..again
                    })
                    .or(Some(run))
            }
            None => Some(retell::not_deterministic(case)),
        };
        Ok((covered, run))
    }

    /// A case as it is.
    fn replay(&mut self, case: &Case<S::Spec>) -> Result<Answer<S::Spec>, Error> {
        let Retold { run, covered } = self.traced(case, Strategy::Script, &[])?;
        // What was saved keeps its turns: those of the code as it is now would follow every change.
        let run = run.map(|run| Run {
            case: case.clone(),
            ..run
        });
        Ok((covered, run))
    }

    /// One execution with all its steps.
    fn traced(
        &mut self,
        case: &Case<S::Spec>,
        strategy: Strategy,
        picks: &[u8],
    ) -> Result<Retold<S::Spec>, Error> {
        let roles = self.roles.clone();
        let crew = self.crew()?;
        crew.take(case)?;
        crew.follow(picks);
        let until = Instant::now() + Duration::from_secs(60);
        crew.keep_going(false);
        let ended = crew.run(strategy, 1, until, true)?;
        let (history, notes) = (crew.history(case), crew.notes());
        let (met, died) = crew.met();
        let covered = Covered {
            unseen: crew.unseen().into(),
            ..retell::placed(case, met, died)
        };
        let verdict = self::verdict(case, &roles, &history, &notes, &ended);
        if !matches!(ended, Ended::Done | Ended::Exhausted | Ended::Judged) {
            self.crew = None;
        }
        let run = (verdict != Verdict::Ok).then(|| Run {
            case: retell::case(case, &notes),
            history,
            steps: retell::steps(&notes),
            verdict,
        });
        Ok(Retold { run, covered })
    }
}

/// The strategy that a budget names, if it is not that of rising bounds.
fn by_chance(budget: &Budget) -> Option<Strategy> {
    let (seed, kills) = (budget.seed, 0);
    match budget.by {
        By::Bounds => None,
        By::Pct => Some(Strategy::Pct {
            seed,
            points: POINTS,
            kills,
        }),
        By::Random => Some(Strategy::Random { seed, kills }),
    }
}

/// How a batch ended, for the one that goes on.
enum Batch {
    Exhausted,
    Cut,
    Failed(Vec<u8>),
}

/// Whether a history is Ok. All calls are in it: of those that a kill cut short, too.
fn judge<S: Spec>(case: &Case<S>, history: &History<S>) -> bool {
    explain(&case.setup, history, Criterion::RealTime, Limits::default()) == Verdict::Ok
}

/// Whether all who are in the middle of an operation may wait there for ever, and what returned is right.
fn rests<S: Spec>(case: &Case<S>, history: &History<S>) -> bool {
    judge(case, history)
        && rest(&case.setup, history, Criterion::RealTime, Limits::default()) == Verdict::Ok
}

fn verdict<S: Spec>(
    case: &Case<S>,
    roles: &[String],
    history: &History<S>,
    notes: &[Note],
    ended: &Ended,
) -> Verdict<S> {
    let finding = |kind, detail| {
        Verdict::Finding(Finding {
            kind,
            detail,
            explanation: None,
        })
    };
    let told = retell::Teller {
        case,
        roles,
        history,
        notes,
    };
    match ended {
        Ended::Done | Ended::Exhausted | Ended::Judged => {
            explain(&case.setup, history, Criterion::RealTime, Limits::default())
        }
        Ended::Stuck => {
            // What returned has to be right; and those that wait may, if the spec says so.
            match explain(&case.setup, history, Criterion::RealTime, Limits::default()) {
                Verdict::Ok => {}
                wrong => return wrong,
            }
            match rest(&case.setup, history, Criterion::RealTime, Limits::default()) {
                Verdict::Finding(found) => {
                    let (kind, detail) = told.stuck();
                    Verdict::Finding(Finding {
                        kind,
                        detail,
                        ..found
                    })
                }
                verdict => verdict,
            }
        }
        Ended::TooLong => finding(Kind::StepBound, told.too_long()),
        Ended::Waits => {
            let (_, detail) = told.stuck();
            finding(
                Kind::NotLockFree,
                format!("{detail}, if the others are held up where they are"),
            )
        }
        Ended::Wrote => finding(Kind::WriteToReadOnly, told.wrote()),
        Ended::Race => finding(Kind::DataRace, told.race()),
        Ended::Died { process, exit } => match exit {
            Exit::Panic(panic) => finding(
                Kind::Panic,
                format!(
                    "{} panicked at {}: {}",
                    told.place(*process),
                    panic.location,
                    panic.message
                ),
            ),
            Exit::Signal(libc::SIGKILL) => Verdict::Unknown(format!(
                "{} was killed from outside (SIGKILL: by hand, or for want of memory); run it again",
                told.place(*process)
            )),
            exit => finding(
                Kind::Died,
                format!("{} ended its process: {exit}", told.place(*process)),
            ),
        },
        Ended::Outside { process, stuck } => match stuck {
            Stuck::Endless(used) => finding(
                Kind::Endless,
                format!(
                    "{} used {:.1} s of processor time without touching shared memory, and did not return",
                    told.place(*process),
                    used.as_secs_f64()
                ),
            ),
            Stuck::Asleep => Verdict::Unknown(format!(
                "{} sleeps in something that this engine does not know: wait by Memory::wait, or check it with `processes`",
                told.place(*process)
            )),
        },
    }
}
