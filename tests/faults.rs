//! Structures that misbehave, and an environment that does: each is a verdict or an error in plain
//! words, within bounds, and the next test is undisturbed. No zombie, no orphan.

use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Budget, Engine, Kills, Known, Processes, Stepped, Strategy};
use forkcheck::prelude::*;
use forkcheck::suite::Rate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The effect of an operation on its process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    Fine,
    Panic,
    /// Panics, and catches it.
    Caught,
    /// Panics and catches it, endlessly.
    CaughtEndlessly,
    Abort,
    Exit(i32),
    /// Uses processor time endlessly.
    Loop,
    /// Sleeps endlessly.
    Wait,
    /// Prints a megabyte.
    Print,
    /// Dies as if killed by hand.
    Killed,
}

/// Each operation that returns gives 7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seven;

impl Spec for Seven {
    type Setup = ();
    type Op = Op;
    type Ret = u8;
    fn start(_: &()) -> Self {
        Seven
    }
    fn step(&mut self, _: usize, _: &Op) -> u8 {
        7
    }
}

struct Faulty<M: Memory>(M::AtomicU32);

impl<M: Memory> Structure for Faulty<M> {
    type Memory = M;
    type Spec = Seven;
    fn new(_: &()) -> Self {
        Faulty(Atomic::new(0))
    }
    fn apply(&self, op: &Op) -> u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        match op {
            Op::Fine => {}
            Op::Panic => panic!("the structure's own words"),
            Op::Caught => {
                assert!(std::panic::catch_unwind(|| panic!("a caught one")).is_err());
            }
            Op::CaughtEndlessly => loop {
                assert!(std::panic::catch_unwind(|| panic!("a caught one")).is_err());
            },
            Op::Abort => std::process::abort(),
            Op::Exit(code) => std::process::exit(*code),
            Op::Loop => loop {
                std::hint::black_box(());
            },
            Op::Wait => loop {
                nix::unistd::pause();
            },
            Op::Print => println!("{}", "all work and no play ".repeat(50_000)),
            Op::Killed => {
                let me = nix::unistd::Pid::this();
                nix::sys::signal::kill(me, nix::sys::signal::SIGKILL).unwrap();
            }
        }
        7
    }
}

fn suite(op: Op) -> Suite<Seven> {
    // A hang shows at once: a longer wait would show nothing more.
    let watchdog = match op {
        Op::Loop | Op::CaughtEndlessly => Duration::from_millis(100),
        Op::Wait => Duration::from_millis(300),
        _ => Duration::from_secs(2),
    };
    Suite::new(forkcheck::site!(), "faulty")
        .watchdog(watchdog)
        .role("misbehaving", 1, 1..=3, Just(op))
        .role("innocent", 1, 0..=3, Just(Op::Fine))
        .cases(8)
        .executions(100)
        // Each candidate of an endless case takes as long as the watchdog: this seed draws a case with few.
        .seed(3)
        .without_turn()
        .regressions(None)
}

/// Checks a structure that does `op`, and asserts that no process is left of it and that the next
/// test is undisturbed.
fn check<E: Engine>(op: Op) -> (Outcome<Seven>, String)
where
    Faulty<E::Memory>: WithHandles<Memory = E::Memory, Spec = Seven>,
{
    let outcome = suite(op).check::<E, Faulty<E::Memory>>().unwrap();
    assert_eq!(children(), "", "something is left of it");
    let next = suite(Op::Fine).check::<E, Faulty<E::Memory>>().unwrap();
    assert!(undisturbed(&next), "{:?}", next.verdict);
    let text = suite(Op::Fine).report(&outcome);
    (outcome, text)
}

/// Returns whether everything ran and nothing was found. (So few executions may be too few to
/// overlap, which is Unknown.)
fn undisturbed(outcome: &Outcome<Seven>) -> bool {
    let found = matches!(
        outcome.verdict,
        Verdict::Finding(_) | Verdict::Unavailable(_)
    );
    !found && outcome.covered.failing == 0 && outcome.covered.executions > 0
}

/// Returns the children of this thread, zombies among them.
fn children() -> String {
    std::fs::read_to_string("/proc/thread-self/children").expect("Linux lists our children")
}

/// Returns the finding of a structure that does `op`, with its report.
fn finding<E: Engine>(op: Op) -> (Kind, String)
where
    Faulty<E::Memory>: WithHandles<Memory = E::Memory, Spec = Seven>,
{
    let (outcome, text) = check::<E>(op.clone());
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("missed {op:?}: {text}")
    };
    let found = outcome.found.as_ref().expect("what is found is told");
    assert_eq!(
        found.run.case.program.iter().flatten().collect::<Vec<_>>(),
        [&op],
        "shrunk to what matters\n{text}"
    );
    let Rate::Reproduced {
        times: again, of, ..
    } = found.rate
    else {
        panic!("{text}")
    };
    assert!(
        of > 0 && again == of,
        "a sure thing comes again each time\n{text}"
    );
    // A replay of an engine that samples is a search.
    let words = match E::EXPLORES {
        true => format!("replayed {of} of {of} times"),
        false => format!("seen in {of} of {of} searches of at most 400 executions"),
    };
    assert!(text.contains(&words), "{words}\n{text}");
    (finding.kind, text)
}

/// Returns the output of one check of a structure that does `op`, and its report.
fn printed<E: Engine>(op: Op) -> (String, String)
where
    Faulty<E::Memory>: WithHandles<Memory = E::Memory, Spec = Seven>,
{
    let outcome = suite(op.clone()).check::<E, Faulty<E::Memory>>().unwrap();
    let report = suite(op).report(&outcome);
    (outcome.output, report)
}

/// The variable that marks the process in which backtraces are requested.
const BACKTRACES: &str = "FORKCHECK_TESTS_BACKTRACES";

#[test]
fn a_panic_that_is_reported_comes_with_one_backtrace_and_one_that_is_caught_with_none() {
    if std::env::var_os(BACKTRACES).is_none() {
        let name =
            "a_panic_that_is_reported_comes_with_one_backtrace_and_one_that_is_caught_with_none";
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]);
        let output = command
            .env(BACKTRACES, "1")
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let on = [printed::<Processes>, printed::<Stepped>, printed::<Kills>];
    for printed in on {
        let (output, report) = printed(Op::Panic);
        let backtraces = output.matches("stack backtrace:").count();
        // The host of coroutines that finds it, and the process that confirms it.
        assert!(
            (1..=2).contains(&backtraces),
            "{backtraces} backtraces: {output}"
        );
        assert!(
            output.matches("the structure's own words").count() > backtraces,
            "{output}"
        );
        // The structure's function, with or without its line.
        assert!(
            report.contains("stack backtrace:") && report.contains("faults::Faulty"),
            "{report}"
        );
        let (output, _) = printed(Op::Caught);
        assert!(
            output.contains("a caught one") && !output.contains("stack backtrace:"),
            "{output}"
        );
    }
}

macro_rules! on_each_engine {
    ($($engine:ident: $type:ty),*) => {$(
        mod $engine {
            use super::*;
            type Engine = $type;

            #[test]
            fn a_panic_is_reported_with_its_message_and_place() {
                let (kind, text) = finding::<Engine>(Op::Panic);
                assert_eq!(kind, Kind::Panic);
                assert!(text.contains("the structure's own words") && text.contains("tests/faults.rs:"), "{text}");
            }

            #[test]
            fn an_abort_is_reported_as_such() {
                let (kind, text) = finding::<Engine>(Op::Abort);
                assert_eq!(kind, Kind::Died);
                assert!(text.contains("SIGABRT"), "{text}");
            }

            #[test]
            fn an_exit_is_reported_with_its_code_even_if_that_is_success() {
                for code in [0, 3] {
                    let (kind, text) = finding::<Engine>(Op::Exit(code));
                    assert_eq!(kind, Kind::Died);
                    assert!(text.contains(&format!("code {code}")), "{text}");
                }
            }

            #[test]
            fn a_loop_without_end_is_reported_by_its_processor_time() {
                let (kind, text) = finding::<Engine>(Op::Loop);
                assert_eq!(kind, Kind::Endless);
                let used = text.split_once(" s of processor time").expect("it is told").0;
                let used: f64 = used.rsplit(' ').next().unwrap().parse().unwrap();
                assert!((0.1..2.0).contains(&used), "the watchdog of the suite: {text}");
                assert!(text.contains("raise FORKCHECK_WATCHDOG"), "{text}");
            }

            #[test]
            fn a_process_killed_from_outside_is_unknown_and_says_so() {
                let (outcome, text) = check::<Engine>(Op::Killed);
                assert!(matches!(outcome.verdict, Verdict::Unknown(_)), "{text}");
                assert!(text.contains("killed from outside") && text.contains("run it again"), "{text}");
            }
        }
    )*};
}
on_each_engine!(processes: Processes);
#[cfg(feature = "loom")]
on_each_engine!(loom: forkcheck::engine::loom::Loom);

/// Printing a panic counts as progress, twenty times, even with `RUST_BACKTRACE`, which a test in
/// its own process sets.
#[test]
fn panics_that_are_caught_without_end_are_endless() {
    const WITH: &str = "FORKCHECK_TESTS_CATCH_PANICS";
    if std::env::var_os(WITH).is_some() {
        let (kind, text) = finding::<Processes>(Op::CaughtEndlessly);
        assert_eq!(kind, Kind::Endless, "{text}");
        return;
    }
    let name = "panics_that_are_caught_without_end_are_endless";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name])
        .envs([(WITH, "1"), ("RUST_BACKTRACE", "1")]);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
}

#[test]
fn a_sleep_that_no_process_ends_is_a_deadlock() {
    let (kind, text) = finding::<Processes>(Op::Wait);
    assert_eq!(kind, Kind::Deadlock);
    assert!(
        text.contains("misbehaving (process 0): Wait sleeps"),
        "{text}"
    );
}

#[test]
fn a_structure_that_prints_a_lot_neither_hangs_nor_hides_the_verdict() {
    let (outcome, text) = check::<Processes>(Op::Print);
    assert!(undisturbed(&outcome), "{text}");
    assert!(
        outcome.output.contains("all work and no play"),
        "{:?}",
        outcome.output
    );
}

#[test]
fn a_suite_without_processes_or_with_too_many_says_what_to_do() {
    let none =
        Suite::<Seven>::new(forkcheck::site!(), "none").check::<Processes, Faulty<Hardware>>();
    assert!(none.unwrap_err().to_string().contains("give it a role"));
    let many = suite(Op::Fine)
        .role("more", 16, 1..=1, Just(Op::Fine))
        .check::<Processes, Faulty<Hardware>>();
    assert!(many.unwrap_err().to_string().contains("give it at most 16"));
}

#[test]
fn a_program_of_no_operations_is_unknown_and_never_ok() {
    // No suite draws it, but an engine may be given it.
    let empty = forkcheck::case::Case::<Seven>::free((), vec![vec![], vec![]]);
    let budget = Budget {
        executions: 3,
        time: std::time::Duration::from_secs(20),
        seed: 1,
        keep_going: false,
        without_kills: false,
        progress: forkcheck::structure::Progress::Any,
        read_only: 0,
        killable: u32::MAX,
        strategy: Strategy::Bounded,
        known: Known::default(),
        watchdog: Duration::from_secs(2),
        backtraces: false,
        shows_passing: false,
        stop: None,
        threads_only: false,
    };
    let roles = ["idle".to_owned(), "idle".to_owned()];
    let (_, run) = Processes::default()
        .search::<Faulty<Hardware>>(&empty, &roles, &budget)
        .unwrap();
    let verdict = run.map(|run| run.verdict);
    assert!(
        matches!(&verdict, Some(Verdict::Unknown(why)) if why.contains("no operations")),
        "{verdict:?}"
    );
}

#[test]
fn a_setup_that_is_missing_says_how_to_give_it() {
    use forkcheck::spec::{Register, RegisterOp};
    let suite = Suite::<Register<u64>>::new(forkcheck::site!(), "unset").role(
        "reader",
        1,
        1..=1,
        Just(RegisterOp::Read),
    );
    struct Unused;
    impl WithHandles for Unused {
        type Memory = Hardware;
        type Spec = Register<u64>;
        type Handle<'a> = ();
        fn new(_: &u64) -> Self {
            Unused
        }
        fn attach(&self, _: Role<'_>) {}
        fn apply((): &mut (), _: &RegisterOp<u64>) -> forkcheck::spec::RegisterRet<u64> {
            forkcheck::spec::RegisterRet::Written
        }
    }
    let error = suite.check::<Processes, Unused>().unwrap_err();
    assert!(error.to_string().contains("setup: strategy"), "{error}");
}

/// A value that prints when it is made and when it is dropped.
struct Held;
impl WithHandles for Held {
    type Memory = Hardware;
    type Spec = Seven;
    type Handle<'a> = ();
    fn new(_: &()) -> Self {
        println!("made");
        Held
    }
    fn attach(&self, _: Role<'_>) {}
    fn apply((): &mut (), _: &Op) -> u8 {
        7
    }
}
impl Drop for Held {
    fn drop(&mut self) {
        println!("dropped");
    }
}

#[test]
fn each_structure_that_is_made_is_dropped_so_that_nothing_it_holds_is_left() {
    let suite = suite(Op::Fine).cases(3).executions(5);
    let outcome = suite.check::<Processes, Held>().unwrap();
    assert!(undisturbed(&outcome), "{}", suite.report(&outcome));
    let count = |word| outcome.output.lines().filter(|line| *line == word).count();
    // Each execution makes one, and the search for private pointers makes some more. On one processor, where calls hardly overlap, one
    // program is all that runs.
    let executions = outcome.covered.executions as usize;
    assert!(
        executions >= 5 && count("made") >= executions,
        "{}",
        outcome.output
    );
    assert_eq!(count("made"), count("dropped"), "{}", outcome.output);
}
