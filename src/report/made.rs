//! A report from the outcome of a check.

use super::covered::{coverage, not_checked, unscheduled};
use super::data::{Execution, Linearization, NearMiss, Operation, Process, Reason, Report};
use super::phrases::counted;
use super::printed::printed;
use super::screen::Room;
use super::sentence::sentence;
use super::table::{apart, short};
use super::words::words;
use crate::case::{Call, History, Step, named};
use crate::check::{Explanation, Verdict};
use crate::engine::Run;
use crate::search::{Found, Origin, Outcome, Rate};
use crate::spec::Spec;

/// Facts about the suite of a report.
pub(crate) struct About<'a> {
    /// The path of the test.
    pub(crate) test: String,
    /// The name of the suite.
    pub(crate) suite: &'a str,
    /// The role of each process.
    pub(crate) roles: &'a [String],
    /// Labels that need not be reached.
    pub(crate) unreached: &'a [&'a str],
    /// The directory to which names of files are relative.
    pub(crate) home: &'a str,
    /// Whether values in its sentences are whole.
    pub(crate) verbose: bool,
    /// The function that returns the command to replay a token.
    pub(crate) replay: &'a dyn Fn(&str) -> String,
}

/// Makes the report of an outcome.
pub(crate) fn report<S: Spec>(about: &About<'_>, outcome: &Outcome<S>) -> Report {
    let (verdict, headline) = match &outcome.verdict {
        Verdict::Ok => ("ok", String::new()),
        Verdict::Finding(finding) => ("finding", finding.detail.clone()),
        Verdict::Unknown(why) => ("unknown", why.clone()),
        Verdict::Unavailable(why) => ("unavailable", why.clone()),
    };
    let processes = (0..about.roles.len()).map(|process| Process {
        name: named(about.roles, process),
        role: about.roles[process].clone(),
        operations: Vec::new(),
    });
    let mut report = Report {
        test: about.test.clone(),
        suite: about.suite.to_owned(),
        engine: outcome.engine.to_owned(),
        verdict,
        headline,
        machine: machine(),
        processes: processes.collect(),
        covered: outcome.covered,
        coverage: coverage(outcome),
        seconds: outcome.took.as_secs_f64(),
        waited: outcome.machine.waited.as_secs_f64(),
        seed: outcome.seed,
        stale: outcome.stale.clone(),
        unscheduled: unscheduled(outcome),
        not_reached: match outcome.verdict {
            Verdict::Ok => (outcome.covered.reached).missing(outcome.structure, about.unreached),
            _ => Vec::new(),
        },
        not_checked: not_checked(outcome),
        printed: printed(&outcome.output),
        ..Report::default()
    };
    if let (Verdict::Finding(finding), Some(found)) = (&outcome.verdict, &outcome.found) {
        report.kind = Some(finding.kind.to_string());
        let room = Room::of(about.verbose);
        report.headline = sentence(about.roles, &found.run, finding, room);
        let explanation = finding.explanation.as_ref();
        report.linearization = explanation.map(|explanation| Linearization {
            reason: reason(about.roles, &found.run.history, explanation, room),
            before: 0,
            longest: explanation.longest.clone(),
            blocked: explanation
                .blocked
                .iter()
                .map(|blocked| (blocked.process, blocked.call))
                .collect(),
        });
        of_found(&mut report, about, found, outcome.explores);
    }
    report
}

fn of_found<S: Spec>(report: &mut Report, about: &About<'_>, found: &Found<S>, explores: bool) {
    let run = &found.run;
    report.origin = Some(origin(found.origin, run));
    report.rate = Some(rate(found.rate, explores));
    report.scope = run.scope.map(|scope| scope.to_string());
    report.setup = (size_of::<S::Setup>() > 0).then(|| format!("{:?}", run.case.setup));
    for (process, operations) in report.processes.iter_mut().zip(operations_of(run)) {
        process.operations = operations;
    }
    let words = words(&run.steps);
    report.legend = words.legend();
    report.words = words.all;
    report.steps.clone_from(&run.steps);
    report.schedule = Some(run.case.schedule.clone());
    report.kills.clone_from(&run.case.kills);
    let near_misses = found.passes.iter().map(|passing| NearMiss {
        words: passing.words.clone(),
        step: passing.step,
        execution: passing.run.as_ref().map(|passing| execution(passing, run)),
    });
    report.near_misses = near_misses.collect();
    report.excerpts = report.find_excerpts();
    report.token = Some(found.token.clone());
    report.replay = Some((about.replay)(&found.token));
    match &found.saved {
        Some(Ok(file)) => {
            let file = file.strip_prefix(about.home).unwrap_or(file);
            report.saved = Some(file.display().to_string());
        }
        Some(Err(error)) => report.not_saved = Some(error.clone()),
        None => {}
    }
}

/// Returns an execution that passes beside one that fails.
fn execution<S: Spec>(passing: &Run<S>, failing: &Run<S>) -> Execution {
    let is_same = |(one, other): (&Step, &Step)| {
        let of = |step: &Step| {
            (
                step.process,
                step.operation,
                step.access,
                step.line,
                step.column,
            )
        };
        of(one) == of(other) && one.file == other.file
    };
    let same = passing.steps.iter().zip(&failing.steps);
    let same = same.take_while(|&both| is_same(both)).count();
    Execution {
        operations: operations_of(passing),
        words: words(&passing.steps).all,
        steps: passing.steps.clone(),
        differs: (same < passing.steps.len().max(failing.steps.len())).then_some(same),
    }
}

/// Returns the operations of each process of an execution, those of the prefix marked.
fn operations_of<S: Spec>(run: &Run<S>) -> Vec<Vec<Operation>> {
    let mut all = operations(&run.history);
    for (process, operations) in all.iter_mut().enumerate() {
        let of_prefix = run.case.prefix_of(process);
        let of_prefix = operations.iter_mut().take(of_prefix);
        of_prefix.for_each(|operation| operation.is_of_prefix = true);
    }
    all
}

/// Returns the operations of each process of a history.
pub(super) fn operations<S: Spec>(history: &History<S>) -> Vec<Vec<Operation>> {
    let operation = |call: &Call<S>| Operation {
        call: format!("{:?}", call.op),
        result: call.ret.as_ref().map(|ret| format!("{ret:?}")),
        invoked: call.invoked,
        returned: (call.returned < Call::<S>::DIED).then_some(call.returned),
        killed: call.ret.is_none() && call.returned != Call::<S>::NEVER,
        is_of_prefix: false,
    };
    let processes = history.calls.iter();
    processes
        .map(|calls| calls.iter().map(operation).collect())
        .collect()
}

fn origin<S: Spec>(origin: Origin, run: &Run<S>) -> String {
    match origin {
        Origin::Drawn {
            operations,
            candidates,
            took,
            timed_out,
        } => format!(
            "shrunk from {} to {} in {:.1} s ({}{})",
            counted(operations as u64, "operation"),
            run.case.operations(),
            took.as_secs_f64(),
            counted(candidates, "candidate"),
            if timed_out {
                ", then the time limit"
            } else {
                ""
            }
        ),
        Origin::CrossCheck(first) => {
            let operations = counted(run.case.operations() as u64, "operation");
            format!("what {first} found, in {operations}")
        }
        Origin::Saved => "a saved case".into(),
        Origin::Replayed => "replayed from its token".into(),
    }
}

fn rate(rate: Rate, explores: bool) -> String {
    match rate {
        Rate::Executions(0, of) => format!("seen before, and in none of {of} executions since"),
        Rate::Executions(failing, of) => format!("seen in {failing} of {of} more executions"),
        // Each replay of an engine that samples is a search, which ends as soon as it fails.
        Rate::Reproduced { times, of, limit } if !explores => format!(
            "seen in {times} of {of} searches of at most {}",
            counted(limit, "execution")
        ),
        Rate::Reproduced { times, of, .. } => format!("replayed {times} of {of} times"),
    }
}

fn machine() -> String {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{profile}, {}, {}",
        std::env::consts::ARCH,
        counted(cores as u64, "core")
    )
}

/// Returns the reason why no order works: the longest that does, and the calls that break it.
pub(super) fn reason<S: Spec>(
    roles: &[String],
    history: &History<S>,
    explanation: &Explanation<S>,
    room: Room,
) -> Reason {
    let called = |process: usize, call: usize| {
        let Call { op, ret, .. } = &history.calls[process][call];
        let ret = ret.as_ref().map_or(", which never returned".into(), |ret| {
            format!(" -> {}", short(ret, room))
        });
        format!("{} {}{ret}", named(roles, process), short(op, room))
    };
    let longest = explanation.longest.iter();
    let blocked = explanation.blocked.iter().map(|blocked| {
        let ret = history.calls[blocked.process][blocked.call].ret.as_ref();
        let would = match &blocked.expected {
            Some(expected) if ret != Some(expected) => {
                let wanted = match ret {
                    Some(ret) => apart(ret, expected, room).1,
                    None => short(expected, room),
                };
                format!(": the spec expects {wanted}")
            }
            _ if blocked.waits => ": the spec blocks it".into(),
            _ => String::new(),
        };
        let cannot = match ret {
            Some(_) => " cannot come next",
            None => ", may not wait",
        };
        let call = called(blocked.process, blocked.call);
        format!("{call}{cannot}{would}")
    });
    Reason {
        longest: longest
            .map(|&(process, call)| called(process, call))
            .collect(),
        state: explanation.state.clone(),
        blocked: blocked.collect(),
    }
}
