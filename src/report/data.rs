//! A report as plain data: strings and numbers, made once from an outcome. Text, JSON and pages are rendered from it.

use crate::case::{Access, Form, Kill, Place, Schedule, Step};
use crate::engine::Covered;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// The name that stands for an engine where there was none.
pub(super) const RECORDED: &str = "history";

/// The result of checking a suite on one engine, or of judging a recorded history, as data. [`Suite::report_data`](crate::Suite::report_data) makes it.
///
/// Displayed, it is the text of a failing test; [`html`](Report::html) is a page for a browser.
///
/// ```
/// use forkcheck::prelude::*;
/// use forkcheck::engine::Stepped;
/// use forkcheck::spec::{Counter, CounterOp, CounterRet};
///
/// /// A counter that loses what two processes add at the same time.
/// struct Lossy<M: Memory>(M::AtomicU64);
/// impl<M: Memory> Structure for Lossy<M> {
///     type Memory = M;
///     type Spec = Counter;
///     fn new(&first: &i64) -> Self { Lossy(Atomic::new(first as u64)) }
///     fn apply(&self, op: &CounterOp) -> CounterRet {
///         let now = self.0.load(Ordering::SeqCst);
///         let CounterOp::Add(more) = op else { return CounterRet::Value(now as i64) };
///         self.0.store(now + *more as u64, Ordering::SeqCst);
///         CounterRet::Added
///     }
/// }
///
/// let suite = Suite::new(forkcheck::site!(), "lossy")
///     .setup(Just(0))
///     .role("adder", 2, 1..=2, Just(CounterOp::Add(1)))
///     .role("reader", 1, 1..=1, Just(CounterOp::Read))
///     .seed(1)
///     .regressions(None);
/// let report = suite.report_data(&suite.check::<Stepped, Lossy<_>>()?);
/// assert_eq!(report.verdict, "finding");
/// assert_eq!(report.kind.as_deref(), Some("NOT LINEARIZABLE"));
/// assert_eq!(report.processes[0].name, "adder 1");
/// assert!(report.to_string().starts_with("NOT LINEARIZABLE"));
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The path of the test, the crate first: `crate::module::suite::engine`.
    pub test: String,
    /// The name of the suite: `crate::module::suite`.
    pub suite: String,
    /// The engine's name; `history` where the calls were recorded without one.
    pub engine: String,
    /// `ok`, `finding`, `unknown` or `unavailable`.
    pub verdict: &'static str,
    /// The kind of a finding, as reports write it: `NOT LINEARIZABLE`.
    pub kind: Option<String>,
    /// Of a finding what is wrong, in one sentence; of an unknown or unavailable verdict the reason.
    pub headline: String,
    /// Origin of the failing case, in words.
    pub origin: Option<String>,
    /// How often the case failed when it was run again, in words.
    pub rate: Option<String>,
    /// The processes among which a finding in unmodified code shows: `threads and processes`, `threads only` or `processes only`.
    pub scope: Option<String>,
    /// The profile, the architecture and the number of cores.
    pub machine: String,
    /// Parameters from which the failing case starts, where the spec has any.
    pub setup: Option<String>,
    /// Processes of the suite, and what each did in the failing execution.
    pub processes: Vec<Process>,
    /// Steps of the failing execution, where the engine sees them.
    pub steps: Vec<Step>,
    /// The words that steps access, by [`Step::word`].
    pub words: Vec<Word>,
    /// Explanation of the names of words, where one is needed.
    pub legend: Option<&'static str>,
    /// The schedule of the failing case.
    pub schedule: Option<Schedule>,
    /// The kills of the failing case.
    #[serde(serialize_with = "with_incarnations")]
    pub kills: Vec<Kill>,
    /// The longest order of operations that the spec explains, and where it breaks.
    pub linearization: Option<Linearization>,
    /// The source lines of the accesses that matter: the two of a race, or the kill or the access at which a near miss
    /// differs, and the access that shows the failure.
    pub excerpts: Vec<Excerpt>,
    /// Neighbouring cases that pass.
    pub near_misses: Vec<NearMiss>,
    /// The failing case as a token.
    pub token: Option<String>,
    /// The command that runs it again.
    pub replay: Option<String>,
    /// The command that looks for the finding of forked processes step by step, where the code is not written for
    /// [`Memory`](crate::memory::Memory) and this build has no instrumentation.
    pub steps_by: Option<String>,
    /// File in which it was saved, from the directory of the package.
    pub saved: Option<String>,
    /// Reason why it could not be saved.
    pub not_saved: Option<String>,
    /// File of the page, where one was asked for.
    pub page: Option<String>,
    /// Reason why the page could not be written, with the remedy.
    pub no_page: Option<String>,
    /// File of the trace, where one was asked for.
    pub trace_file: Option<String>,
    /// Reason why the trace could not be written, with the remedy.
    pub no_trace: Option<String>,
    /// Counts of what was run.
    pub covered: Covered,
    /// Coverage in words, part by part.
    pub coverage: Vec<String>,
    /// Seconds that the check took, without the wait for the machine.
    pub seconds: f64,
    /// Seconds that it waited for other suites on the machine.
    pub waited: f64,
    /// The seed of what was drawn. Serialized, it is a text, since a JSON number may be rounded by its reader.
    #[serde(serialize_with = "as_text")]
    pub seed: u64,
    /// Saved cases that no longer apply as they are, in words.
    pub stale: Vec<String>,
    /// Accesses that the engine could not schedule, in words, where there were any.
    pub unscheduled: Option<String>,
    /// Labels in the structure's code that no execution reached, each with its line; only where the
    /// verdict is `ok`.
    pub not_reached: Vec<String>,
    /// The limitations of the engine, item by item.
    pub not_checked: Vec<String>,
    /// Last lines that the processes printed.
    pub printed: Vec<String>,
    /// The report of `stepped` on the same program, where a finding of forked processes was checked there too.
    pub cross_check: Option<Box<Report>>,
}

/// Serializes a number as a text.
fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// Serializes kills with the field `incarnation`, which saved cases name `life`.
fn with_incarnations<S: Serializer>(kills: &[Kill], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct OfReport<'a> {
        process: u16,
        incarnation: u32,
        before: &'a Place,
    }
    serializer.collect_seq(kills.iter().map(|kill| OfReport {
        process: kill.process,
        incarnation: kill.incarnation,
        before: &kill.before,
    }))
}

/// A process and its operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Process {
    /// Role, with a number where several processes have the same.
    pub name: String,
    /// The role.
    pub role: String,
    /// Operations in the order in which it called them.
    pub operations: Vec<Operation>,
}

/// An operation from its call to its return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Operation {
    /// The operation with its arguments.
    pub call: String,
    /// The result, if it returned.
    pub result: Option<String>,
    /// The time of the call, on a clock that all processes share.
    pub invoked: u64,
    /// The time of the return; of a call that a kill interrupted, the time of the next incarnation's first call.
    pub returned: Option<u64>,
    /// Whether the process was killed in it.
    pub killed: bool,
    /// Whether it is of the prefix, which is done before the processes begin.
    pub is_of_prefix: bool,
}

/// A word of the region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Word {
    /// The name of the word in the source.
    pub name: String,
    /// The byte of the structure at which it begins, where the engine knows.
    pub offset: Option<usize>,
    /// The form in which its values are written.
    pub form: Form,
}

/// The reason why no order of the calls explains a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// The longest order that works, call by call.
    pub longest: Vec<String>,
    /// The state of the spec after it.
    pub state: String,
    /// The calls that cannot come next, each with the result that the spec expects there.
    pub blocked: Vec<String>,
}

/// The longest order of operations that the spec explains. An operation is named by its process and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Linearization {
    /// The order, and the call that breaks it, in words.
    pub reason: Reason,
    /// The number of operations at the start of the order that are left out: of a long recorded history.
    pub before: usize,
    /// The operations of the order.
    pub longest: Vec<(usize, usize)>,
    /// The operations none of which can come next.
    pub blocked: Vec<(usize, usize)>,
}

/// A case that differs little from the failing one, and passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NearMiss {
    /// Difference in words.
    pub words: String,
    /// The step of the failing execution at which they differ, where there is one.
    pub step: Option<usize>,
    /// The execution that passes, where the engine schedules steps.
    pub execution: Option<Execution>,
}

/// An execution that passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Execution {
    /// Operations of each process of the report.
    pub operations: Vec<Vec<Operation>>,
    /// Steps in their order.
    pub steps: Vec<Step>,
    /// The words that they access, by [`Step::word`].
    pub words: Vec<Word>,
    /// The first step that is not the same in the failing execution.
    pub differs: Option<usize>,
}

/// A source line of an access that matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Excerpt {
    /// The access, by its number among the [steps](Report::steps), where it is one of them.
    pub step: Option<usize>,
    /// The process and its access in words.
    pub label: String,
    /// The source file, as the compiler knows it.
    pub file: String,
    /// The line there, counted from 1.
    pub line: u32,
    /// The column there, counted from 1.
    pub column: u32,
    /// The text of the line.
    pub text: String,
    /// The number of characters of the name at that column.
    pub length: usize,
}

impl Report {
    /// Returns an access in words, and the line that made it: `tail.load -> 7  ring.rs:12`.
    pub(super) fn step(&self, step: &Step) -> String {
        if step.file.is_empty() {
            // A wait in the C library, whose line is not known.
            return self.access(step);
        }
        let file = step.file.rsplit('/').next().unwrap_or(&step.file);
        let between = match step.access {
            Access::Killed => " before ",
            _ => "  ",
        };
        format!("{}{between}{file}:{}", self.access(step), step.line)
    }

    /// Returns an access in words.
    pub(super) fn access(&self, step: &Step) -> String {
        let name = self.name(step);
        let (value, shown) = (step.value, step.form.shown(step.value));
        match step.access {
            Access::Load => format!("{name}.load -> {shown}"),
            Access::Store => format!("{name}.store {shown}"),
            Access::Update => format!("{name}.update, was {shown}"),
            Access::Read => format!("{name}: read"),
            Access::Write => format!("{name}: written"),
            Access::Refused => format!("{name}: write refused"),
            Access::Miss => format!("{name}.exchange missed, was {shown}"),
            Access::Fence => "fence".into(),
            Access::Spin => "spin".into(),
            Access::Wait => format!("{name}.wait, was {value}"),
            Access::Timeout if value == 0 => format!("{name}: time is up"),
            Access::Timeout => format!("{name}: woken"),
            Access::Wake if step.value == u64::from(u32::MAX) => format!("{name}.wake all"),
            Access::Wake => format!("{name}.wake {value}"),
            Access::Alive => format!("alive? -> {}", if value == 0 { "no" } else { "yes" }),
            Access::Killed => "x SIGKILL".into(),
        }
    }

    /// Returns an access in words.
    pub(crate) fn access_in_words(&self, step: &Step) -> String {
        self.access(step)
    }

    /// Returns the name of the word that a step accesses.
    pub(super) fn name(&self, step: &Step) -> &str {
        let word = step.word.and_then(|word| self.words.get(word));
        word.map_or("", |word| &word.name)
    }

    /// Returns whether its calls were recorded without an engine.
    pub(super) fn is_of_recorded(&self) -> bool {
        self.engine == RECORDED
    }

    /// Returns the names of the processes.
    pub(super) fn names(&self) -> Vec<&str> {
        self.processes.iter().map(|p| &*p.name).collect()
    }

    /// Returns the report as unknown, where each label has to be reached and some were not.
    pub(crate) fn with_all_required(mut self) -> Self {
        self.verdict = "unknown";
        self.headline = "no execution reached the labels below, and FORKCHECK_REQUIRE_REACHED asks for all of them: let the suite \
            draw what leads there, begin near it (`.prefix`), run more, or excuse a label (`.unreached(\"label\", \"the reason\")`)"
            .into();
        self
    }

    /// Returns whether the program of a finding of forked processes passes under `stepped`.
    pub(super) fn cross_check_passes(&self) -> bool {
        let cross_check = self.cross_check.as_deref();
        cross_check
            .is_some_and(|report| !matches!(report.verdict, "finding" | "unknown" | "unavailable"))
    }

    /// Returns the time that the check took.
    pub fn took(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or_default()
    }
}
