//! Saved cases: written once, run first, and never lost: a file that cannot be read is an error
//! with the remedy, and stays as it is.
#![forbid(unsafe_code)]

mod seeds;

use forkcheck::Outcome;
use forkcheck::check::Verdict;
use forkcheck::engine::Processes;
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use forkcheck::suite::Origin;
use nix::fcntl::{Flock, FlockArg};
use seeds::kept_in;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The watchdog's time, longer than any check here takes, even on a busy machine.
const HANGS: Duration = Duration::from_secs(200);

/// A register whose first process reads the value that it wrote only below `WRONG_FROM`; the others
/// read the written value. One process alone sees the fault, so the smallest case does not depend
/// on how processes overlap.
struct Lossy<const WRONG_FROM: u64> {
    written: AtomicU64,
    kept: AtomicU64,
}

impl<const WRONG_FROM: u64> WithHandles for Lossy<WRONG_FROM> {
    type Memory = Hardware;
    type Spec = Register<u64>;
    type Handle<'a> = (&'a Self, bool);
    fn new(&first: &u64) -> Self {
        Lossy {
            written: first.into(),
            kept: first.into(),
        }
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> (&'a Self, bool) {
        (self, role.name == "one")
    }
    fn apply((register, writes): &mut (&Self, bool), op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                register.written.store(*value, Ordering::Release);
                if *value < WRONG_FROM {
                    register.kept.store(*value, Ordering::Release);
                }
                RegisterRet::Written
            }
            RegisterOp::Read if *writes => {
                RegisterRet::Value(register.kept.load(Ordering::Acquire))
            }
            RegisterOp::Read => RegisterRet::Value(register.written.load(Ordering::Acquire)),
        }
    }
}
type Broken = Lossy<5>;
type Sound = Lossy<{ u64::MAX }>;

/// Returns a suite whose cases are saved in a directory of the test's own.
fn suite(directory: &Path) -> Suite<Register<u64>> {
    let ops = prop_oneof![
        (1u64..20).prop_map(RegisterOp::Write),
        Just(RegisterOp::Read)
    ];
    Suite::new(forkcheck::site!(), "lossy")
        .setup(Just(0))
        .role("one", 1, 1..=6, ops)
        .role("other", 1, 1..=2, Just(RegisterOp::Read))
        .executions(100)
        // Next to eight busy loops a suite of this size takes longer than the default of 30 s.
        .time(Duration::from_secs(300))
        .regressions(Some(directory))
}

fn file(directory: &Path) -> PathBuf {
    directory.join("regressions-lossy.ron")
}

fn check<S: WithHandles<Memory = Hardware, Spec = Register<u64>>>(
    directory: &Path,
) -> Outcome<Register<u64>> {
    suite(directory).check::<Processes, S>().unwrap()
}

fn origin(outcome: &Outcome<Register<u64>>) -> Origin {
    outcome
        .found
        .as_ref()
        .unwrap_or_else(|| panic!("{:?}", outcome.verdict))
        .origin
}

#[test]
fn a_failure_is_saved_once_runs_first_and_stays_when_it_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let first = check::<Broken>(directory.path());
    assert!(matches!(origin(&first), Origin::Drawn { .. }));
    let found = first.found.unwrap();
    assert_eq!(found.saved, Some(Ok(file(directory.path()))));
    // The smallest failing case: one process writes 5 and reads 0, and the other reads once, as it
    // must.
    let smallest = [
        vec![RegisterOp::Write(5), RegisterOp::Read],
        vec![RegisterOp::Read],
    ];
    assert_eq!(found.run.case.program, smallest);
    let text = std::fs::read_to_string(file(directory.path())).unwrap();
    assert!(
        text.contains("Commit this file") && text.contains("Write(5)"),
        "{text}"
    );

    let again = check::<Broken>(directory.path());
    assert_eq!(origin(&again), Origin::Saved);
    assert_eq!(
        again.covered.programs, 1,
        "nothing new is drawn before the saved case is mended"
    );
    assert_eq!(
        std::fs::read_to_string(file(directory.path())).unwrap(),
        text,
        "saved once"
    );

    let mended = check::<Sound>(directory.path());
    assert_eq!((mended.verdict, mended.saved_cases), (Verdict::Ok, 1));
    assert_eq!(
        std::fs::read_to_string(file(directory.path())).unwrap(),
        text,
        "kept for the day it comes back"
    );
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        1,
        "and nothing else is left there"
    );
    assert_eq!(
        origin(&check::<Broken>(directory.path())),
        Origin::Saved,
        "red again when it comes back"
    );
}

#[test]
fn a_second_failure_is_added_to_the_first() {
    let directory = tempfile::tempdir().unwrap();
    check::<Lossy<15>>(directory.path());
    let text = std::fs::read_to_string(file(directory.path())).unwrap();
    // The saved case would fail first here too, so it is edited into one that passes, as a user may
    // do.
    std::fs::write(
        file(directory.path()),
        text.replace("Write(15)", "Write(1)"),
    )
    .unwrap();
    let outcome = check::<Broken>(directory.path());
    assert!(
        matches!(origin(&outcome), Origin::Drawn { .. }),
        "an edited case is run as edited"
    );
    let text = std::fs::read_to_string(file(directory.path())).unwrap();
    assert!(
        text.contains("Write(1)") && text.contains("Write(5)"),
        "{text}"
    );
}

/// The directory for a process that dies while it saves.
const DIRECTORY: &str = "FORKCHECK_TESTS_DIRECTORY";

/// For the test below: may write so few bytes to a file that it is killed in the middle of saving.
#[test]
fn dies_as_it_saves_where_the_environment_says() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let half = std::fs::metadata(file(Path::new(&directory)))
        .unwrap()
        .len()
        / 2;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, half, half).unwrap();
    check::<Lossy<6>>(Path::new(&directory));
}

#[test]
fn a_process_killed_in_the_middle_of_saving_leaves_the_old_file_and_nothing_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let entries = || std::fs::read_dir(directory.path()).unwrap().count();
    check::<Broken>(directory.path());
    let old = std::fs::read_to_string(file(directory.path())).unwrap();
    for _ in 0..2 {
        let mut dies = std::process::Command::new(std::env::current_exe().unwrap());
        dies.args(["--exact", "dies_as_it_saves_where_the_environment_says"]);
        dies.env(DIRECTORY, directory.path());
        let dies = dies.output().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&dies.status);
        assert_eq!(signal, Some(nix::libc::SIGXFSZ), "{dies:?}");
        assert_eq!(
            std::fs::read_to_string(file(directory.path())).unwrap(),
            old
        );
        assert_eq!(entries(), 2, "what is half written is beside it, once");
    }
    // The next process that saves includes it.
    check::<Lossy<6>>(directory.path());
    let new = std::fs::read_to_string(file(directory.path())).unwrap();
    assert!(
        new.contains("Write(5)") && new.contains("Write(6)"),
        "{new}"
    );
    assert_eq!(entries(), 1);
}

/// Asserts that a file with these contents is an error with this message, and stays as it was.
fn refused(contents: &[u8], words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(file(directory.path()), contents).unwrap();
    for error in [
        suite(directory.path())
            .check::<Processes, Sound>()
            .unwrap_err(),
        suite(directory.path())
            .check::<Processes, Broken>()
            .unwrap_err(),
    ] {
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        assert!(text.contains("regressions-lossy.ron"), "{text}");
    }
    assert_eq!(
        std::fs::read(file(directory.path())).unwrap(),
        contents,
        "nothing is lost"
    );
}

#[test]
fn a_corrupt_file_is_an_error_and_stays_as_it_is() {
    let remedy = "mend it, or move it away";
    refused(b"", &[remedy]);
    refused(b"\xff\xfe\x00", &["make it readable"]);
    refused(
        b"(forkcheck: 1, cases: [(found: \"\", engine: \"processes\", case: (setup: 0, pro",
        &[remedy],
    );
    refused(b"(forkcheck: 1, cases: [], colour: 3)", &[remedy]);
}

#[test]
fn a_newer_file_is_an_error_that_names_both_versions() {
    refused(
        b"(forkcheck: 2, what: \"not known yet\")",
        &[
            "has version 2",
            "reads version 1",
            "use the forkcheck that wrote it",
        ],
    );
}

#[test]
fn a_case_that_is_not_in_the_form_of_one_is_an_error_that_names_it() {
    let case = "(found: \"\", engine: \"processes\", case: (setup: 0, programs: [[Read], [Read]]))";
    refused(
        format!("(forkcheck: 1, cases: [{case}])").as_bytes(),
        &["saved case 1 of", "or delete it"],
    );
}

#[test]
fn a_saved_case_of_an_engine_that_there_is_not_is_an_error_that_names_those_there_are() {
    let case = "(found: \"\", engine: \"sepped\", case: (setup: 0, program: [[Read], [Read]]))";
    refused(
        format!("(forkcheck: 1, cases: [{case}])").as_bytes(),
        &[
            "saved case 1 of",
            "\"sepped\"",
            "processes, stepped, kills, loom",
        ],
    );
}

#[test]
fn a_saved_case_that_names_what_its_program_cannot_have_is_an_error_that_names_the_field() {
    let place =
        |operation: &str, nth| format!("(operation: {operation}, word: \"word\", nth: {nth})");
    let turn = |process, place: String| {
        format!("schedule: Turns([(process: {process}, until: Before({place}))])")
    };
    let kill =
        |process, place: String| format!("kills: [(process: {process}, life: 0, before: {place})]");
    let slips = [
        (turn(9, place("Some(0)", 1)), "`process: 9` in its schedule"),
        (
            turn(1, place("Some(7)", 1)),
            "`operation: Some(7)` in its schedule",
        ),
        (turn(1, place("None", 0)), "`nth: 0` in its schedule"),
        (kill(2, place("None", 1)), "`process: 2` in its kills"),
        (
            kill(0, place("Some(2)", 1)),
            "`operation: Some(2)` in its kills",
        ),
        (kill(0, place("Some(0)", 0)), "`nth: 0` in its kills"),
    ];
    for (field, words) in slips {
        let case = format!("(setup: 0, program: [[Read], [Read]], {field})");
        let case = format!("(found: \"\", engine: \"processes\", case: {case})");
        refused(
            format!("(forkcheck: 1, cases: [{case}])").as_bytes(),
            &["saved case 1 of", words],
        );
    }
}

/// Checks a structure with this as the only saved case.
fn with_saved<S: WithHandles<Memory = Hardware, Spec = Register<u64>>>(
    case: &str,
) -> Outcome<Register<u64>> {
    let directory = tempfile::tempdir().unwrap();
    let text =
        format!("(forkcheck: 1, cases: [(found: \"\", engine: \"processes\", case: {case})])");
    std::fs::write(file(directory.path()), &text).unwrap();
    let outcome = check::<S>(directory.path());
    assert!(
        std::fs::read_to_string(file(directory.path()))
            .unwrap()
            .contains(case),
        "nothing is lost"
    );
    outcome
}

#[test]
fn a_stale_case_runs_as_far_as_it_applies_and_says_what_does_not() {
    let renamed = "(setup: 0, program: [[Put(7), Write(7), Read], [Peek, Read]])";
    let outcome = with_saved::<Broken>(renamed);
    assert_eq!(
        origin(&outcome),
        Origin::Saved,
        "what is left of it still fails"
    );
    let [stale] = &outcome.stale[..] else {
        panic!("{:?}", outcome.stale)
    };
    for words in [
        "3 of 5 operations of saved case 1",
        "Put(7)",
        "Peek",
        "edit it, or delete it",
    ] {
        assert!(stale.contains(words), "no {words:?} in {stale}");
    }
    let fixed = with_saved::<Sound>(renamed);
    assert_eq!(fixed.verdict, Verdict::Ok);
    let report = suite(Path::new("/nowhere")).report(&fixed);
    assert!(
        report.contains("stale:       3 of 5 operations"),
        "{report}"
    );
}

#[test]
fn a_saved_case_that_is_not_one_of_the_suite_is_stale_and_is_not_run() {
    for (case, why) in [
        (
            "(setup: 0, program: [[Write(7), Read]])",
            "other has 0 of 1..=2 operations",
        ),
        (
            "(setup: 0, program: [[Write(7), Read], [Read], [Read]])",
            "it has 3 processes and the suite 2",
        ),
        (
            "(setup: 0, program: [[Write(7), Read], [Read, Read, Read]])",
            "other has 3 of 1..=2 operations",
        ),
        // The rest of it is too short.
        (
            "(setup: 0, program: [[Write(7), Read], [Peek]])",
            "other has 0 of 1..=2 operations",
        ),
    ] {
        let outcome = with_saved::<Broken>(case);
        assert!(
            matches!(origin(&outcome), Origin::Drawn { .. }),
            "it would fail if it were run: {case}"
        );
        assert!(
            outcome.stale[0].starts_with("0 of ") && outcome.stale[0].contains(why),
            "{:?}",
            outcome.stale
        );
    }
}

#[test]
fn a_stale_case_of_which_nothing_applies_refuses_nothing() {
    for case in [
        "(setup: 0, program: [[Jump], [Peek]])",
        "(setup: (capacity: 3), program: [[Write(7)], [Read]])",
    ] {
        let outcome = with_saved::<Sound>(case);
        assert_eq!(outcome.verdict, Verdict::Ok, "the search goes on");
        assert!(
            outcome.stale[0].starts_with("0 of 2 operations"),
            "{:?}",
            outcome.stale
        );
        let outcome = with_saved::<Broken>(case);
        assert!(
            matches!(origin(&outcome), Origin::Drawn { .. }),
            "and finds what there is"
        );
    }
}

/// The same structure after a refactoring: the operations have other names, one is new, and there
/// may be another reader.
mod refactored {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) enum Op {
        Write(u64),
        Look,
        Read,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub(super) struct Register(super::Register<u64>);

    impl Spec for Register {
        type Setup = u64;
        type Op = Op;
        type Ret = RegisterRet<u64>;
        fn start(first: &u64) -> Self {
            Self(Spec::start(first))
        }
        fn step(&mut self, process: usize, op: &Op) -> RegisterRet<u64> {
            self.0.step(process, &old(op))
        }
    }

    fn old(op: &Op) -> RegisterOp<u64> {
        match op {
            Op::Write(value) => RegisterOp::Write(*value),
            Op::Look | Op::Read => RegisterOp::Read,
        }
    }

    pub(super) struct Lossy<const WRONG_FROM: u64>(super::Lossy<WRONG_FROM>);

    impl<const WRONG_FROM: u64> WithHandles for Lossy<WRONG_FROM> {
        type Memory = Hardware;
        type Spec = Register;
        type Handle<'a> = (&'a super::Lossy<WRONG_FROM>, bool);
        fn new(first: &u64) -> Self {
            Lossy(WithHandles::new(first))
        }
        fn attach<'a>(&'a self, role: Role<'_>) -> Self::Handle<'a> {
            self.0.attach(role)
        }
        fn apply(handle: &mut Self::Handle<'_>, op: &Op) -> RegisterRet<u64> {
            super::Lossy::apply(handle, &old(op))
        }
    }

    pub(super) fn suite(directory: &Path) -> Suite<Register> {
        Suite::new(forkcheck::site!(), "lossy")
            .setup(Just(0))
            // Small values, which are not lost: only the saved case still fails.
            .role("one", 1, 1..=6, (1u64..3).prop_map(Op::Write))
            .role("other", 1, 1..=2, Just(Op::Look))
            .role("onlooker", 1, 0..=2, Just(Op::Look))
            .executions(100)
            .time(Duration::from_secs(300))
            .regressions(Some(directory))
    }
}

#[test]
fn save_fix_refactor_revert_is_red_green_green_and_red_again() {
    let directory = tempfile::tempdir().unwrap();
    // Red, and saved.
    assert!(matches!(
        origin(&check::<Broken>(directory.path())),
        Origin::Drawn { .. }
    ));
    // The fix: green, with the saved case first.
    let fixed = check::<Sound>(directory.path());
    assert_eq!((fixed.verdict, fixed.saved_cases), (Verdict::Ok, 1));
    // A refactoring, with another module name because the file moved too: the saved file moves with
    // it.
    let moved = directory.path().join("regressions-refactored-lossy.ron");
    std::fs::rename(file(directory.path()), moved).unwrap();
    let suite = refactored::suite(directory.path());
    let green = suite
        .check::<Processes, refactored::Lossy<{ u64::MAX }>>()
        .unwrap();
    assert_eq!((&green.verdict, green.saved_cases), (&Verdict::Ok, 1));
    assert!(green.stale.is_empty(), "{:?}", green.stale);
    // The fix is lost: red again, from the saved case, before anything is drawn.
    let red = suite.check::<Processes, refactored::Lossy<5>>().unwrap();
    let found = red.found.as_ref().unwrap();
    assert_eq!((found.origin, red.covered.programs), (Origin::Saved, 1));
    assert!(suite.report(&red).contains("NOT LINEARIZABLE"));
}

#[test]
fn a_case_with_steps_or_kills_is_unavailable_where_no_engine_can_place_them() {
    for part in [
        "schedule: Turns([(process: 0, until: End)])",
        "kills: [(process: 0, life: 0, before: (operation: Some(0), word: \"tail\", nth: 1))]",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let case = format!(
            "(found: \"\", engine: \"processes\", case: (setup: 0, program: [[Read], [Read]], {part}))"
        );
        std::fs::write(
            file(directory.path()),
            format!("(forkcheck: 1, cases: [{case}])"),
        )
        .unwrap();
        let verdict = check::<Sound>(directory.path()).verdict;
        assert!(
            matches!(&verdict, Verdict::Unavailable(why) if why.contains("places steps or kills")),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_reported_and_the_finding_too() {
    let directory = tempfile::tempdir().unwrap();
    let occupied = directory.path().join("a file, not a directory");
    std::fs::write(&occupied, "").unwrap();
    let outcome = check::<Broken>(&occupied);
    let found = outcome.found.as_ref().unwrap();
    let why = found.saved.clone().unwrap().unwrap_err();
    assert!(why.contains("keep the token above"), "{why}");
    let report = suite(&occupied).report(&outcome);
    assert!(
        report.contains("not saved: ") && report.contains(&found.token),
        "{report}"
    );
}

#[test]
fn a_directory_that_another_program_keeps_locked_is_reported_and_the_finding_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let kept = Flock::lock(File::open(path).unwrap(), FlockArg::LockExclusive).unwrap();
    let (give, get) = mpsc::channel();
    let locked = path.to_owned();
    std::thread::spawn(move || {
        let outcome = check::<Broken>(&locked);
        let report = suite(&locked).report(&outcome);
        give.send((outcome.found.unwrap().token, report))
    });
    // It waits for 10 s, and leaves the machine to other suites meanwhile: most of the checks that are made at the same time end before.
    let (until, mut checks) = (Instant::now() + HANGS, 0);
    let (token, report) = loop {
        let beside = suite(Path::new("/nowhere")).regressions(None);
        let beside = beside.cases(1).executions(10);
        beside.check::<Processes, Sound>().unwrap();
        checks += 1;
        match get.try_recv() {
            Ok(answer) => break answer,
            Err(mpsc::TryRecvError::Empty) => {}
            Err(mpsc::TryRecvError::Disconnected) => panic!("the check that waits panicked"),
        }
        assert!(Instant::now() < until, "it does not wait indefinitely");
    };
    // At most two are made before it has the machine, if it keeps it.
    assert!(checks > 3, "only {checks} ended meanwhile");
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "not saved: lock the directory of";
    for words in [words, "for 10 s; end that program", &token] {
        assert!(report.contains(words), "{report}");
    }
    assert!(!file(path).exists());
    drop(kept);
    check::<Broken>(path).found.unwrap().saved.unwrap().unwrap();
    assert!(file(path).exists());
}

proptest::proptest! {
    #![proptest_config(kept_in!("regressions.txt", 6))]

    /// Any case is decoded from its token as it was, and a token that lost or changed a digit is
    /// not decoded.
    #[test]
    fn a_token_is_whole_or_refused(
        values in proptest::collection::vec(5u64..1000, 1..4),
        cut in 1usize..20,
        at in 4usize..30,
    ) {
        use proptest::prelude::*;
        let mut program: Vec<_> = values.into_iter().map(RegisterOp::Write).collect();
        program.push(RegisterOp::Read);
        let quiet = suite(Path::new("/nowhere")).regressions(None);
        let directory = tempfile::tempdir().unwrap();
        let ron = ron_of(&program);
        std::fs::write(file(directory.path()), ron).unwrap();
        let found = check::<Broken>(directory.path()).found.unwrap();
        prop_assert_eq!(&found.run.case.program[0], &program);
        let again = quiet.clone().replay(&found.token).check::<Processes, Broken>().unwrap().found.unwrap();
        prop_assert_eq!(&again.run.case.program[0], &program);
        prop_assert_eq!(again.origin, Origin::Replayed);

        let shorter = &found.token[..found.token.len() - cut];
        prop_assert!(quiet.clone().replay(shorter).check::<Processes, Broken>().is_err());
        let mut changed = found.token.into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(quiet.replay(&changed).check::<Processes, Broken>().is_err());
    }
}

fn ron_of(program: &[RegisterOp<u64>]) -> String {
    let ops: Vec<String> = program.iter().map(|op| format!("{op:?}")).collect();
    format!(
        "(forkcheck: 1, cases: [(found: \"\", engine: \"processes\", case: (setup: 0, program: [[{}], [Read]]))])",
        ops.join(", ")
    )
}
