//! Recorded histories, such as from a log: the verdict, and the report of what is wrong.
//!
//! ```
//! use forkcheck::case::{Call, History};
//! use forkcheck::check::{Limits, Verdict};
//! use forkcheck::recorded::judge;
//! use forkcheck::spec::{Register, RegisterOp::{Read, Write}, RegisterRet::{Value, Written}};
//!
//! let write = Call { op: Write(7), ret: Some(Written), invoked: 10, returned: 12 };
//! let read = Call { op: Read, ret: Some(Value(0)), invoked: 15, returned: 18 };
//! let history = History::<Register<u32>> { calls: vec![vec![write], vec![read]] };
//!
//! let names = ["a".to_string(), "b".to_string()];
//! let judged = judge("cache.log", &names, &0, &history, Limits::default());
//! assert!(matches!(judged.verdict, Verdict::Finding(_)));
//! assert!(judged.report.starts_with("NOT LINEARIZABLE  cache.log  b: Read returned Value(0), expected Value(7)"));
//! ```

use crate::case::History;
use crate::check::{Criterion, Limits, Verdict, blame, check};
pub use crate::report::Reason;
use crate::report::of_history;
use crate::spec::Spec;

/// The result of judging a recorded history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged<S: Spec> {
    /// The verdict: Ok, a finding, or Unknown if the limits are reached.
    pub verdict: Verdict<S>,
    /// The verdict as text for a terminal. For a finding: what is wrong in one sentence, the calls
    /// around it as a table, and the reason why no order explains them.
    pub report: String,
    /// For a finding: what is wrong, in one sentence.
    pub why: Option<String>,
    /// For a finding: the end of the longest order that works, and the calls that cannot come next.
    pub reason: Option<Reason>,
    /// For a finding: the call to blame, as (process, number of its call).
    pub blamed: Option<(usize, usize)>,
}

/// Judges a recorded history in real time, and says what is wrong with it. `what` names it in the
/// report, `names` its processes. See [`Call::returned`](crate::case::Call) for calls that never
/// returned.
pub fn judge<S: Spec>(
    what: &str,
    names: &[String],
    setup: &S::Setup,
    history: &History<S>,
    limits: Limits,
) -> Judged<S> {
    let calls = history.calls.iter().map(Vec::len).sum::<usize>();
    let verdict = match calls {
        0 => Verdict::Unknown("the history holds no call, so nothing was checked".into()),
        _ => check(setup, history, Criterion::RealTime, limits),
    };
    let name = |process: usize| match names.get(process) {
        Some(name) => name.clone(),
        None => format!("process {process}"),
    };
    let names: Vec<String> = (0..history.calls.len()).map(name).collect();
    let (mut why, mut reason, mut blamed) = (None, None, None);
    let report = match &verdict {
        Verdict::Ok => {
            let one = if calls == 1 { "call" } else { "calls" };
            format!("ok  {what}  {calls} {one}")
        }
        Verdict::Finding(finding) => {
            let explanation = finding.explanation.as_ref();
            let call = explanation
                .and_then(|explanation| blame(setup, history, Criterion::RealTime, explanation));
            blamed = call.as_ref().map(|call| (call.process, call.call));
            let told = of_history(what, &names, history, finding, call.as_ref());
            (why, reason) = (Some(told.why), told.reason);
            told.text
        }
        Verdict::Unknown(words) => format!("UNKNOWN  {what}  {words}"),
        Verdict::Unavailable(words) => format!("UNAVAILABLE  {what}  {words}"),
    };
    Judged {
        verdict,
        report,
        why,
        reason,
        blamed,
    }
}
