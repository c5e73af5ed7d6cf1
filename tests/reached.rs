//! Marks in a structure's code: `reached!` and `sometimes!`, on each engine, in any process.
#![forbid(unsafe_code)]

use forkcheck::check::Verdict;
use forkcheck::engine::{Engine, Kills, Processes, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet};
use forkcheck::{Report, reached, sometimes};
use std::process::{Command, Output};

mod ring {
    //! A ring under a spin lock, in a module of its own.
    use super::*;

    pub(super) struct Ring<M: Memory> {
        locked: M::AtomicU32,
        pushed: M::AtomicU64,
        popped: M::AtomicU64,
        slots: [M::AtomicU64; 2],
    }

    impl<M: Memory> Structure for Ring<M> {
        type Memory = M;
        type Spec = Queue<u64>;
        fn new(_: &usize) -> Self {
            Ring {
                locked: Atomic::new(0),
                pushed: Atomic::new(0),
                popped: Atomic::new(0),
                slots: std::array::from_fn(|_| Atomic::new(0)),
            }
        }
        fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
            while self.locked.swap(1, Ordering::Acquire) == 1 {
                M::spin_loop();
            }
            let pushed = self.pushed.load(Ordering::Relaxed);
            let popped = self.popped.load(Ordering::Relaxed);
            sometimes!(pushed > 2, "used again");
            let ret = match op {
                QueueOp::Push(_) if pushed - popped == 2 => {
                    reached!("full");
                    QueueRet::Full
                }
                QueueOp::Push(item) => {
                    self.slots[pushed as usize % 2].store(*item, Ordering::Relaxed);
                    self.pushed.store(pushed + 1, Ordering::Relaxed);
                    reached!("pushed");
                    QueueRet::Pushed
                }
                QueueOp::Pop if pushed == popped => QueueRet::Empty,
                QueueOp::Pop => {
                    self.popped.store(popped + 1, Ordering::Relaxed);
                    reached!("popped");
                    QueueRet::Popped(self.slots[popped as usize % 2].load(Ordering::Relaxed))
                }
            };
            self.locked.store(0, Ordering::Release);
            ret
        }
    }
}

mod untouched {
    //! Code that no suite of this file tests.
    #[expect(dead_code, reason = "its mark is in the program")]
    pub(super) fn never() {
        forkcheck::reached!("never");
    }
}

use ring::Ring;

fn suite(pushes: usize) -> Suite<Queue<u64>> {
    Suite::new(forkcheck::site!(), "ring")
        .setup(Just(2))
        .role(
            "producer",
            1,
            pushes..=pushes,
            (1u64..9).prop_map(QueueOp::Push),
        )
        .role("consumer", 1, 1..=1, Just(QueueOp::Pop))
        .cases(2)
        .executions(200)
        .seed(7)
        .regressions(None)
}

#[track_caller]
fn ok<E: Engine, T: WithHandles<Memory = E::Memory>>(suite: &Suite<T::Spec>) -> Report {
    let outcome = suite.check::<E, T>().unwrap();
    let report = suite.report_data(&outcome);
    assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
    report
}

/// Returns the labels that a report lists.
fn labels(report: &Report) -> Vec<&str> {
    let labels = report.not_reached.iter();
    labels
        .map(|label| label.split('"').nth(1).unwrap())
        .collect()
}

#[test]
fn what_no_execution_reached_is_listed_on_each_engine() {
    let one = suite(1);
    let seldom = ["full", "used again"];
    let stepped = ok::<Stepped, Ring<SteppedMemory>>(&one);
    assert_eq!(labels(&stepped), seldom);
    assert!(stepped.not_reached[1].starts_with("\"used again\" was never true (reached.rs:"));
    assert!(
        stepped
            .to_string()
            .contains(" not reached: \"full\" (reached.rs:")
    );
    assert_eq!(labels(&ok::<Processes, Ring<Hardware>>(&one)), seldom);
    #[cfg(feature = "loom")]
    {
        use forkcheck::engine::loom::{Loom, LoomMemory};
        assert_eq!(labels(&ok::<Loom, Ring<LoomMemory>>(&one)), seldom);
    }
}

#[test]
fn what_some_execution_reached_is_not_listed() {
    let four = suite(4);
    assert_eq!(labels(&ok::<Stepped, Ring<SteppedMemory>>(&four)), [""; 0]);
    assert_eq!(labels(&ok::<Processes, Ring<Hardware>>(&four)), [""; 0]);
    // A label that is reached so rarely needs a prefix.
    let near = suite(1).prefix("producer", Just(vec![QueueOp::Push(1), QueueOp::Push(2)]));
    assert_eq!(
        labels(&ok::<Stepped, Ring<SteppedMemory>>(&near)),
        ["used again"]
    );
}

/// A word with a mark that each incarnation of a process may reach.
struct Word<M: Memory>(M::AtomicU64);

impl<M: Memory> WithHandles for Word<M> {
    type Memory = M;
    type Spec = Register<u64>;
    type Handle<'a> = &'a Self;
    fn new(&first: &u64) -> Self {
        Word(Atomic::new(first))
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> &'a Self {
        sometimes!(role.incarnation > 0, "taken over");
        self
    }
    fn apply(handle: &mut &Self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                handle.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(handle.0.load(Ordering::Acquire)),
        }
    }
}

#[test]
fn what_takes_a_kill_is_reached_where_processes_are_killed() {
    let suite = Suite::new(forkcheck::site!(), "word")
        .setup(Just(0))
        .role("writer", 2, 2..=2, (1u64..9).prop_map(RegisterOp::Write))
        .cases(1)
        .executions(200)
        .regressions(None);
    let listed = ok::<Stepped, Word<SteppedMemory>>(&suite);
    assert!(labels(&listed).contains(&"taken over"), "{listed}");
    let listed = ok::<Kills, Word<SteppedMemory>>(&suite);
    assert!(!labels(&listed).contains(&"taken over"), "{listed}");
}

#[test]
fn a_label_that_a_suite_excuses_is_not_listed() {
    let excused = suite(1).unreached("full", "one push fills no ring of two");
    let report = ok::<Stepped, Ring<SteppedMemory>>(&excused);
    assert_eq!(labels(&report), ["used again"]);
}

#[test]
fn a_structure_in_another_module_is_about_the_modules_that_it_reaches() {
    struct Checked<M: Memory>(Ring<M>);
    impl<M: Memory> Structure for Checked<M> {
        type Memory = M;
        type Spec = Queue<u64>;
        fn new(capacity: &usize) -> Self {
            Checked(Structure::new(capacity))
        }
        fn apply(&self, op: &QueueOp<u64>) -> QueueRet<u64> {
            Structure::apply(&self.0, op)
        }
    }
    let report = ok::<Stepped, Checked<SteppedMemory>>(&suite(1));
    assert_eq!(labels(&report), ["full", "used again"]);
}

forkcheck::suite! {
    #[ignore = "fails where FORKCHECK_REQUIRE_REACHED is set: a test below runs it"]
    seldom: Ring<_>,
    setup: Just(2),
    producer: 1..=1 ops of Just(QueueOp::Push(1)),
    consumer: 1..=1 ops of Just(QueueOp::Pop),
    with: .cases(1).executions(50).seed(7).regressions(None),
}

fn run(value: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "seldom::stepped", "--nocapture", "--ignored"])
        .env("FORKCHECK_REQUIRE_REACHED", value)
        .env_remove("RUST_BACKTRACE")
        .env_remove("GITHUB_ACTIONS")
        .output()
        .unwrap()
}

#[test]
fn where_each_label_is_required_a_test_fails_for_one() {
    let text = |output: &Output| {
        String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
    };
    let fails = run("1");
    let told = text(&fails);
    assert!(!fails.status.success(), "{told}");
    assert!(
        told.contains("UNKNOWN  reached::seldom::stepped  no execution reached the labels below")
            && told.contains(" not reached: \"full\""),
        "{told}"
    );
    let passes = run("0");
    assert!(passes.status.success(), "{}", text(&passes));
}
