//! Verdicts on executions, by the way in which they ended.

use super::trace;
use crate::case::{Case, History};
use crate::check::{
    Criterion, Finding, Kind, Limits, Verdict, Watcher, check, check_blocked,
    check_blocked_watched, check_watched,
};
use crate::engine::IF_SLOW;
use crate::engine::stepped::{Ended, Note, Outside, Stop};
use crate::process::Exit;
use crate::spec::Spec;
use crate::structure::Progress;
use crate::workers::{Lost, PrivateWait, Stuck};

/// Returns whether a history is Ok. It has all calls, those that a kill interrupted too.
pub(super) fn judge<S: Spec>(case: &Case<S>, history: &History<S>, watcher: Watcher<'_>) -> bool {
    let limits = (Limits::default(), watcher);
    check_watched(&case.setup, history, Criterion::RealTime, limits) == Verdict::Ok
}

/// Returns whether every process in an operation may wait there indefinitely, and all results are
/// right.
pub(super) fn rests<S: Spec>(case: &Case<S>, history: &History<S>, watcher: Watcher<'_>) -> bool {
    let limits = (Limits::default(), watcher);
    judge(case, history, watcher)
        && check_blocked_watched(&case.setup, history, Criterion::RealTime, limits) == Verdict::Ok
}

pub(super) fn verdict<S: Spec>(
    case: &Case<S>,
    roles: &[String],
    history: &History<S>,
    notes: &[Note],
    (ended, outside): (&Ended, &[(usize, Outside)]),
    (progress, read_only): (Progress, u32),
    private_wait: Option<PrivateWait>,
) -> Verdict<S> {
    let finding = |kind, detail| {
        Verdict::Finding(Finding {
            kind,
            detail,
            explanation: None,
        })
    };
    let trace = trace::Narrator {
        case,
        roles,
        history,
        notes,
    };
    match ended {
        Ended::Stopped(stop) if stop.leaves_crew_usable() => {
            check(&case.setup, history, Criterion::RealTime, Limits::default())
        }
        Ended::Stopped(Stop::Stuck) => {
            // All results have to be right, and the spec has to allow each wait.
            match check(&case.setup, history, Criterion::RealTime, Limits::default()) {
                Verdict::Ok => {}
                wrong => return wrong,
            }
            if !outside.is_empty() {
                let (kind, detail) = trace.stuck(outside);
                return finding(kind, detail);
            }
            match check_blocked(&case.setup, history, Criterion::RealTime, Limits::default()) {
                Verdict::Finding(found) => {
                    let (kind, detail) = trace.stuck(&[]);
                    Verdict::Finding(Finding {
                        kind,
                        detail,
                        ..found
                    })
                }
                verdict => verdict,
            }
        }
        Ended::Stopped(Stop::TooLong) if progress == Progress::Any && trace.goes_on() => {
            Verdict::Unknown(format!(
                "{}, most of them on a word of its own: that is more than this engine follows; give it less to do here, such as a smaller payload or fewer items",
                trace.too_long(progress)
            ))
        }
        Ended::Stopped(Stop::TooLong) => finding(Kind::StepBound, trace.too_long(progress)),
        Ended::Stopped(Stop::Waits) => {
            let (_, detail) = trace.stuck(&[]);
            finding(
                Kind::NotLockFree,
                format!("{detail}, if the others are held up where they are"),
            )
        }
        Ended::Stopped(Stop::Beyond) => Verdict::Unknown(
            "a process allocates more than 4 MiB in one execution, or all touch more than 128 KiB of what processes share: that is more than this \
             engine follows; check a smaller structure, or fewer items"
                .into(),
        ),
        Ended::Stopped(Stop::Thread) => Verdict::Unknown(format!(
            "{}: this engine schedules the processes of a case, and no thread beside them; let a process of the suite do its work, or start \
             it outside of the structure",
            trace.race()
        )),
        Ended::Stopped(Stop::Wrote) => finding(Kind::WriteToReadOnly, trace.wrote()),
        Ended::Stopped(Stop::Race) => finding(Kind::DataRace, trace.race()),
        Ended::Stopped(Stop::Invariant) => finding(Kind::InvariantViolated, trace.invariant()),
        Ended::Stopped(Stop::Freed) => finding(Kind::UseAfterFree, trace.race()),
        Ended::Died { process, exit } => match exit {
            Exit::Panic(panic) => finding(
                Kind::Panic,
                format!(
                    "{} panicked at {}: {}",
                    trace.place(*process),
                    panic.location,
                    panic.message
                ),
            ),
            Exit::Signal(libc::SIGSEGV) if read_only >> *process & 1 == 1 => finding(
                Kind::WriteToReadOnly,
                format!(
                    "{} was ended by SIGSEGV, where its mapping is read-only: a write that is not of this memory",
                    trace.place(*process)
                ),
            ),
            Exit::Signal(libc::SIGKILL) => Verdict::Unknown(format!(
                "{} was killed from outside (SIGKILL: by hand, or for want of memory); run it again",
                trace.place(*process)
            )),
            exit => finding(
                Kind::Died,
                format!("{} ended its process: {exit}", trace.place(*process)),
            ),
        },
        Ended::Lost(lost) => Verdict::Unknown(lost.to_string()),
        // No forked process stops for such a reason: the number was overwritten.
        Ended::Stopped(_) => Verdict::Unknown(Lost::Overwritten.to_string()),
        Ended::Outside { process, stuck } => match (stuck, private_wait) {
            (Stuck::Endless(used), _) => finding(
                Kind::Endless,
                format!(
                    "{} used {:.1} s of processor time without touching shared memory, and did not return; {IF_SLOW}",
                    trace.place(*process),
                    used.as_secs_f64()
                ),
            ),
            (Stuck::Stopped, _) => Verdict::Unknown(format!(
                "{} was stopped by a signal (SIGSTOP, say), and nothing continued it; if no operation sends one, run it again",
                trace.place(*process)
            )),
            (Stuck::Asleep, Some(wait)) => {
                finding(Kind::Deadlock, format!("{} {wait}", trace.place(*process)))
            }
            (Stuck::Asleep, None) => Verdict::Unknown(format!(
                "{} sleeps in something that this engine does not know: wait by Memory::wait, or check it with `processes`",
                trace.place(*process)
            )),
        },
    }
}
