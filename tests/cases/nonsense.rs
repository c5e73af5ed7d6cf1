//! Invalid settings are refused with a message, at their source line, before anything runs.

use forkcheck::engine::{Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Once, OnceOp, OnceRet};

struct Flag<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for Flag<M> {
    type Memory = M;
    type Spec = Once<()>;
    fn new(_: &()) -> Self {
        Flag(Atomic::new(0))
    }
    fn apply(&self, op: &OnceOp<()>) -> OnceRet<()> {
        match op {
            OnceOp::Set(()) => {
                let first = self.0.swap(1, Ordering::AcqRel) == 0;
                forkcheck::sometimes!(!first, "set again");
                OnceRet::Set(first)
            }
            OnceOp::Get => OnceRet::Got((self.0.load(Ordering::Acquire) == 1).then_some(())),
        }
    }
}

fn suite() -> Suite<Once<()>> {
    crate::suite("flag").role("setter", 1, 1..=1, Just(OnceOp::Set(())))
}

/// Asserts that the suite is refused on two engines, one of which waits for the machine, with this
/// message at this line.
#[track_caller]
fn refused(suite: &Suite<Once<()>>, line: u32, words: &str) {
    let errors = [
        suite.check::<Processes, Flag<Hardware>>().unwrap_err(),
        suite.check::<Stepped, Flag<SteppedMemory>>().unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        let at = format!("{}:{line}: ", file!());
        assert!(text.starts_with(&at) && text.contains(words), "{text}");
    }
}

#[test]
fn each_call_that_makes_no_sense_is_refused_at_its_line() {
    let get = || Just(OnceOp::Get);
    let wrong = [
        (
            suite().role("getter", 0, 1..=1, get()),
            line!() - 1,
            "the role \"getter\" has 0 processes; give it at least 1",
        ),
        (
            suite().role("getter", 1, 0..=0, get()),
            line!() - 1,
            "has 0..=0 operations: it does nothing; let it do at least one",
        ),
        (
            #[allow(clippy::reversed_empty_ranges, reason = "that is what is refused")]
            suite().role("getter", 1, 3..=1, get()),
            line!() - 1,
            "has 3..=1 operations: none is both; write 1..=3",
        ),
        (
            suite().role("getter", 1, 1..=usize::MAX, get()),
            line!() - 1,
            "give it at most 65535",
        ),
        (
            suite().role("setter", 1, 1..=1, get()),
            line!() - 1,
            "there are two roles \"setter\"",
        ),
        (
            suite().role("getter", 16, 1..=1, get()),
            line!() - 1,
            "the suite has 17 processes; give it at most 16",
        ),
        (
            suite().without("kill", "it is not robust"),
            line!() - 1,
            "there is no engine \"kill\"; name one of processes, stepped, kills, loom",
        ),
        (
            suite().read_only("getter"),
            line!() - 1,
            "has no role \"getter\"; name one of setter",
        ),
        (
            suite().kill_only("getter"),
            line!() - 1,
            "has no role \"getter\"; name one of setter",
        ),
        (
            suite().unreached("set agian", "one setter sets it"),
            line!() - 1,
            "no mark of this program has the label \"set agian\"; name one of ",
        ),
        (
            suite().unreached("set agian", "one setter sets it"),
            line!() - 1,
            "\"set again\"",
        ),
        (
            suite().unreached("", "it has no label"),
            line!() - 1,
            "no mark of this program has the label \"\"",
        ),
        (suite().cases(0), line!(), "cases(0); give it at least 1"),
        (suite().executions(0), line!(), "executions(0)"),
        (suite().lock_free(0), line!(), "lock_free(0)"),
        (suite().wait_free(0), line!(), "wait_free(0)"),
    ];
    for (suite, line, words) in wrong {
        refused(&suite, line, words);
    }
}

#[test]
fn what_makes_sense_is_not_refused() {
    let right = [
        suite(),
        suite().role("getter", 2, 0..=1, Just(OnceOp::Get)),
        suite()
            .without("kills", "it is not asked for")
            .kill_only("setter")
            .read_only("setter")
            .unreached("set again", "one setter sets it"),
        suite()
            .kill_only("setter")
            .kill_only("setter")
            .cases(1)
            .executions(1),
    ];
    for suite in right {
        suite
            .cases(1)
            .check::<Stepped, Flag<SteppedMemory>>()
            .unwrap();
    }
    // Sixteen processes are not too many.
    let many = suite().role("getter", 15, 1..=1, Just(OnceOp::Get));
    crate::passes::<Stepped, Flag<SteppedMemory>>(&many.cases(1).executions(20));
}

#[test]
fn limits_beyond_all_times_and_counts_are_as_good_as_none() {
    let limits = suite().cases(1).executions(u64::MAX);
    let limits = limits.time(std::time::Duration::MAX);
    crate::passes::<Stepped, Flag<SteppedMemory>>(&limits);
    crate::passes::<Kills, Flag<SteppedMemory>>(&limits);
}

#[test]
fn the_first_call_that_makes_no_sense_is_the_one_that_is_reported() {
    let line = line!() + 1;
    let suite = suite().cases(0).executions(0);
    refused(&suite, line, "cases(0)");
}

const READERS: usize = 0;
const LINE_OF_ROLE: u32 = line!() + 5;
forkcheck::suite! {
    #[should_panic(expected = "the role \"getter\" has 0 processes")]
    no_processes: Flag<_>,
    setter: 1..=1 ops of Just(OnceOp::Set(())),
    getter: READERS processes, 1..=1 ops of Just(OnceOp::Get),
}

const LINE_OF_LABEL: u32 = line!() + 5;
forkcheck::suite! {
    #[should_panic(expected = "no mark of this program has the label \"set agian\"")]
    no_label: Flag<_>,
    setter: 1..=1 ops of Just(OnceOp::Set(())),
    with: .unreached("set agian", "it is mistyped"),
}

const LINE_OF_SETTING: u32 = line!() + 6;
forkcheck::suite! {
    #[should_panic(expected = "there is no engine \"kill\"")]
    no_engine: Flag<_>,
    setter: 1..=1 ops of Just(OnceOp::Set(())),
    with: .cases(1)
        .without("kill", "it is mistyped"),
}

#[test]
fn suite_tells_the_line_of_the_role_and_of_the_setting() {
    let (role, setting) = (no_processes::suite(), no_engine::suite());
    refused(&role, LINE_OF_ROLE, "the role \"getter\" has 0 processes");
    refused(&setting, LINE_OF_SETTING, "there is no engine \"kill\"");
    refused(&no_label::suite(), LINE_OF_LABEL, "the label \"set agian\"");
}

/// Everything that could be drawn has an operation, so an empty program never makes a verdict
/// unknown.
#[test]
fn a_suite_in_which_any_role_may_do_nothing_draws_no_empty_program() {
    let suite = crate::suite("idle")
        .role("setter", 1, 0..=1, Just(OnceOp::Set(())))
        .role("getter", 1, 0..=1, Just(OnceOp::Get));
    crate::passes::<Stepped, Flag<SteppedMemory>>(&suite.cases(16).executions(50));
}

/// loom has tighter limits than the other engines, which is not the user's mistake.
#[cfg(feature = "loom")]
#[test]
fn five_processes_are_too_many_for_loom_alone() {
    use forkcheck::check::Verdict;
    use forkcheck::engine::loom::{Loom, LoomMemory};
    let five = suite().role("getter", 4, 1..=1, Just(OnceOp::Get)).cases(1);
    let outcome = five.check::<Loom, Flag<LoomMemory>>().unwrap();
    assert!(
        matches!(&outcome.verdict, Verdict::Unavailable(why) if why.contains("at most 4 processes")),
        "{:?}",
        outcome.verdict
    );
}
