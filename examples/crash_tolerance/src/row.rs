//! A row of the table: a structure, its suite, and one program whose steps are killed one by one.

use forkcheck::Error;
use forkcheck::case::{Access, Case, Program};
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{KillsCode, Run, SteppedCode};
use forkcheck::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// The limit of a row on the engine `stepped`.
const LIMIT: Duration = Duration::from_secs(60);

/// The name of the engine, in a token.
const STEPPED: &str = "0773746570706564";

/// A structure of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The promise of its documentation about processes and kills, in words.
    pub(crate) promise: &'static str,
    /// Kills a process before each step.
    pub(crate) kill: Box<dyn Fn() -> Result<Counts, Error>>,
    /// Searches all orders of the steps of drawn programs.
    pub(crate) step: Box<dyn Fn() -> Result<Searched, Error>>,
    /// Replays the case of `FORKCHECK_REPLAY`, and panics with its report.
    pub(crate) replay: Box<dyn Fn()>,
}

/// The kill points of a program by their outcome.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) points: usize,
    /// Another process waits indefinitely.
    pub(crate) stuck: usize,
    /// A result that the spec does not allow: an item that is lost or doubled, a value that is torn.
    pub(crate) wrong: usize,
    /// Anything else: a panic, a signal, a race.
    pub(crate) other: usize,
    /// Not judged, with the first reason.
    pub(crate) unknown: Option<String>,
    /// For each kind of failure the sentence and token of its first case.
    pub(crate) cases: BTreeMap<String, (String, String)>,
}

/// The result of a search on the engine `stepped`.
pub(crate) struct Searched {
    pub(crate) verdict: String,
    pub(crate) is_ok: bool,
    pub(crate) programs: u64,
    pub(crate) executions: u64,
    pub(crate) took: Duration,
    /// Whether forked processes searched, since coroutines did something else.
    pub(crate) by_processes: bool,
    pub(crate) token: Option<String>,
}

/// Makes the row of a structure.
pub(crate) fn row<T>(
    name: &'static str,
    promise: &'static str,
    suite: impl Fn(&'static str) -> Suite<T::Spec> + Clone + 'static,
    setup: SetupOf<T>,
    program: Program<T::Spec>,
) -> Row
where
    T: WithHandles<Memory = Hardware>,
    SetupOf<T>: Clone,
{
    let case = Case::free(setup, program);
    let (killed, stepped) = (suite.clone(), suite.clone());
    let replay = move || match std::env::var("FORKCHECK_REPLAY") {
        // A token begins with the names of its suite and engine, in hexadecimal digits.
        Ok(token) if token.contains(STEPPED) => suite(name).test::<SteppedCode, T>(),
        _ => suite(name).test::<KillsCode, T>(),
    };
    Row {
        name,
        promise,
        kill: Box::new(move || kill::<T>(&killed(name), &case)),
        step: Box::new(move || step::<T>(stepped(name))),
        replay: Box::new(replay),
    }
}

fn kill<T: WithHandles<Memory = Hardware>>(
    suite: &Suite<T::Spec>,
    case: &Case<T::Spec>,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    for kill in suite.each_kill::<KillsCode, T>(case)? {
        counts.points += 1;
        let finding = match kill.verdict {
            Verdict::Ok => continue,
            Verdict::Finding(finding) => finding,
            Verdict::Unknown(why) | Verdict::Unavailable(why) => {
                counts.unknown.get_or_insert(why);
                continue;
            }
            other => {
                counts.unknown.get_or_insert(format!("{other:?}"));
                continue;
            }
        };
        match finding.kind {
            Kind::NotCrashTolerant | Kind::Deadlock | Kind::Livelock | Kind::Endless => {
                counts.stuck += 1;
            }
            Kind::NotLinearizable => counts.wrong += 1,
            _ => counts.other += 1,
        }
        if let Some((run, token)) = kill.failed {
            let case = (killed_before(&run), token);
            counts.cases.entry(finding.kind.to_string()).or_insert(case);
        }
    }
    Ok(counts)
}

/// Returns the source line of the step that a killed process was about to take, in words.
fn killed_before<S: Spec>(run: &Run<S>) -> String {
    let killed = run.steps.iter().find(|step| step.access == Access::Killed);
    killed.map_or("killed".into(), |step| {
        let file = step.file.rsplit('/').next().unwrap_or_default();
        format!("killed before {file}:{}", step.line)
    })
}

fn step<T: WithHandles<Memory = Hardware>>(suite: Suite<T::Spec>) -> Result<Searched, Error> {
    let outcome = suite.time(LIMIT).check::<SteppedCode, T>()?;
    let verdict = match &outcome.verdict {
        Verdict::Ok => "ok".to_owned(),
        Verdict::Finding(finding) => format!("{}: {}", finding.kind, finding.detail),
        Verdict::Unknown(why) => format!("UNKNOWN: {why}"),
        Verdict::Unavailable(why) => format!("UNAVAILABLE: {why}"),
        other => format!("{other:?}"),
    };
    Ok(Searched {
        verdict,
        is_ok: outcome.verdict == Verdict::Ok,
        programs: outcome.covered.programs,
        executions: outcome.covered.executions,
        took: outcome.took,
        by_processes: outcome.covered.by_processes > 0,
        token: outcome.found.map(|found| found.token),
    })
}

/// Kills before each step of a program of two users, and returns the number of kills.
pub(crate) fn cases<T: WithHandles<Memory = Hardware>>(case: &Case<T::Spec>) -> usize
where
    SetupOf<T>: Clone,
    OpOf<T>: Clone,
{
    let operations: Vec<_> = case.program.concat();
    let suite = Suite::new(forkcheck::site!(), "measured")
        .setup(Just(case.setup.clone()))
        .role(
            "user",
            2,
            1..=2,
            forkcheck::proptest::sample::select(operations),
        )
        .regressions(None);
    let kills = suite.each_kill::<KillsCode, T>(case);
    kills.expect("the program can be killed").len()
}
