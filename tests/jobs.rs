//! The programs of one test are searched at the same time, and the verdict is that of searching
//! them one after the other.
#![forbid(unsafe_code)]

use forkcheck::builtin::{CheckedSeqLock, EarlyPublish, Pair};
use forkcheck::case::{Case, Program};
use forkcheck::check::{Criterion, Verdict};
use forkcheck::engine::{Answer, Budget, Covered, Engine, Kills, Known, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use forkcheck::suite::{Found, Rate};
use forkcheck::{Error, Outcome};
use std::collections::HashSet;
use std::sync::{Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

/// A correct register.
struct Plain(<Hardware as Memory>::AtomicU64);

impl Structure for Plain {
    type Memory = Hardware;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Plain(Atomic::new(first))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.load(Ordering::Acquire)),
        }
    }
}

/// The searches that engines were asked for, and their threads.
struct Asked {
    searches: Vec<(ThreadId, Known)>,
    /// Whether several should search at the same time.
    several: bool,
}

static ASKED: Mutex<Asked> = Mutex::new(Asked {
    searches: Vec::new(),
    several: false,
});
static CAME: Condvar = Condvar::new();

impl Asked {
    fn threads(&self) -> usize {
        let threads: HashSet<_> = self.searches.iter().map(|(thread, _)| thread).collect();
        threads.len()
    }
    /// Returns the searches of programs after the fifth that did not know what the fifth showed.
    fn too_early(&self) -> usize {
        let early = |(_, known): &&(ThreadId, Known)| known.programs > 4 && !known.differs;
        self.searches.iter().filter(early).count()
    }
}

/// Notes a search, and waits until others search too, if there should be any.
fn asked(known: Known) {
    let mut asked = ASKED.lock().unwrap();
    asked.searches.push((std::thread::current().id(), known));
    CAME.notify_all();
    let alone = |asked: &mut Asked| {
        asked.several && (asked.threads() < 2 || known.programs == 4 && asked.too_early() == 0)
    };
    let limit = Duration::from_secs(60);
    let waited = CAME.wait_timeout_while(asked, limit, alone).unwrap();
    assert!(!waited.1.timed_out(), "no other suite searches");
}

/// An engine that runs nothing, and claims for each program that was searched as the fifth that it
/// showed something that later programs have to know.
#[derive(Default)]
struct Notes;

impl Engine for Notes {
    type Memory = Hardware;
    const NAME: &'static str = "notes";
    const CRITERION: Criterion = Criterion::RealTime;
    const LIMITATIONS: &'static str = "everything";
    const EXPLORES: bool = true;
    const PROGRAMS: u64 = 1_000;

    fn fit<S: Spec>(program: Program<S>) -> Program<S> {
        program
    }

    fn search<S: WithHandles<Memory = Hardware>>(
        &mut self,
        case: &Case<S::Spec>,
        _: &[String],
        budget: &Budget,
    ) -> Result<Answer<S::Spec>, Error> {
        let known = budget.known;
        asked(known);
        let mut covered = Covered::default();
        covered.programs = 1;
        covered.executions = case.operations() as u64 + 100 * u64::from(known.differs);
        covered.by_processes = u64::from(known.programs == 4);
        covered.accesses = 1;
        Ok((covered, None))
    }

    fn output(&self) -> String {
        String::new()
    }
}

/// Returns the coverage, and the searches that were asked for.
fn notes(jobs: usize) -> (Covered, Asked) {
    ASKED.lock().unwrap().several = jobs > 1;
    let ops = (0u64..1_000_000).prop_map(RegisterOp::Write);
    let suite = Suite::<Register<u64>>::new(forkcheck::site!(), "notes")
        .setup(Just(0))
        .role("one", 2, 1..=5, ops)
        .cases(30)
        .seed(3)
        .jobs(jobs)
        .regressions(None);
    let outcome = suite.check::<Notes, Plain>().unwrap();
    assert_eq!(outcome.verdict, Verdict::Ok);
    let mut asked = ASKED.lock().unwrap();
    let searches = std::mem::take(&mut asked.searches);
    let several = asked.several;
    (outcome.covered, Asked { searches, several })
}

#[test]
fn what_a_program_showed_is_known_to_all_after_it_however_many_are_searched_at_once() {
    let (alone, asked) = notes(1);
    assert_eq!(
        (asked.searches.len(), asked.threads()),
        (30, 1),
        "each once"
    );
    for jobs in [2, 3, 8] {
        let (covered, asked) = notes(jobs);
        assert_eq!(covered, alone, "{jobs} jobs");
        assert!(asked.too_early() > 0, "some were searched once more");
        assert!(asked.searches.len() < 30 + 4 * jobs, "and few for nothing");
    }
}

/// Returns a finding and its coverage, without times.
fn told<S: Spec>(outcome: &Outcome<S>) -> impl PartialEq + std::fmt::Debug + use<S> {
    let found = outcome.found.as_ref();
    let found = found.map(
        |Found {
             run, token, rate, ..
         }| {
            assert!(
                matches!(
                    rate,
                    Rate::Reproduced {
                        times: 10,
                        of: 10,
                        ..
                    }
                ),
                "{rate:?}"
            );
            (run.clone(), token.clone())
        },
    );
    // The number of times that the kernel let a shared pid be chosen.
    let mut covered = outcome.covered;
    covered.same_id = 0;
    (outcome.verdict.clone(), covered, found)
}

fn is_the_same<E: Engine<Memory = SteppedMemory>, T: WithHandles<Memory = SteppedMemory>>(
    suite: &Suite<T::Spec>,
) {
    let check = |jobs| told(&suite.clone().jobs(jobs).check::<E, T>().unwrap());
    let alone = check(1);
    for jobs in [2, 3] {
        assert_eq!(check(jobs), alone, "{jobs} jobs");
    }
}

#[test]
fn a_finding_and_what_was_covered_are_those_of_one_job() {
    type Sound = CheckedSeqLock<SteppedMemory>;
    let write = (1u64..9).prop_map(|n| RegisterOp::Write([n, n]));
    let suite = Suite::<Register<Pair>>::new(forkcheck::site!(), "pairs")
        .setup(Just([0, 0]))
        .role("writer", 1, 1..=2, write)
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
        .cases(12)
        .executions(400)
        .seed(5)
        .regressions(None);
    is_the_same::<Stepped, EarlyPublish<_>>(&suite);
    is_the_same::<Stepped, Sound>(&suite);
    is_the_same::<Kills, Sound>(&suite);
}
