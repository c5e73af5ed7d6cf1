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
//! assert_eq!(judged.report.headline, "b: Read returned Value(0), expected Value(7)");
//! assert!(judged.report.to_string().starts_with("NOT LINEARIZABLE  cache.log  b: Read returned"));
//! ```

use crate::case::History;
use crate::check::{Criterion, Limits, Verdict, blame, check};
use crate::report::{Report, of_history};
use crate::spec::Spec;
use std::time::Instant;

/// The result of judging a recorded history.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged<S: Spec> {
    /// The verdict: Ok, a finding, or Unknown if the limits are reached.
    pub verdict: Verdict<S>,
    /// The verdict as a report. For a finding: what is wrong in one sentence, the calls around it, and the reason why no order
    /// explains them. Its test and its suite are the name of the history, and its engine is `history`.
    pub report: Report,
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
    judge_for_output(what, names, setup, history, limits, false)
}

/// Judges a recorded history; a verbose report has all of its calls and whole values.
#[doc(hidden)]
pub fn judge_for_output<S: Spec>(
    what: &str,
    names: &[String],
    setup: &S::Setup,
    history: &History<S>,
    limits: Limits,
    verbose: bool,
) -> Judged<S> {
    let began = Instant::now();
    let verdict = match history.calls.iter().all(Vec::is_empty) {
        true => Verdict::Unknown("the history holds no call, so nothing was checked".into()),
        false => check(setup, history, Criterion::RealTime, limits),
    };
    let name = |process: usize| match names.get(process) {
        Some(name) => name.clone(),
        None => format!("process {process}"),
    };
    let names: Vec<String> = (0..history.calls.len()).map(name).collect();
    let blamed = match &verdict {
        Verdict::Finding(finding) => finding
            .explanation
            .as_ref()
            .and_then(|explanation| blame(setup, history, Criterion::RealTime, explanation)),
        _ => None,
    };
    let took = began.elapsed();
    let call = blamed.as_ref();
    let report = of_history(what, &names, history, &verdict, call, took, verbose);
    Judged {
        blamed: blamed.map(|call| (call.process, call.call)),
        verdict,
        report,
    }
}
