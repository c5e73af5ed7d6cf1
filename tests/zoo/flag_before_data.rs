//! The flag is set before the data is written. crossbeam 0.2.12 (RUSTSEC-2022-0029) and many
//! others.

use super::*;
use forkcheck::spec::{Once, OnceOp, OnceRet};

struct Mailbox<M: Memory, const MENDED: bool> {
    full: M::AtomicU32,
    message: M::Words<[u64; 2]>,
}

impl<M: Memory, const MENDED: bool> Structure for Mailbox<M, MENDED> {
    type Memory = M;
    type Spec = Once<[u64; 2]>;
    fn new(_: &()) -> Self {
        Self {
            full: Atomic::new(0),
            message: Words::new([0; 2]),
        }
    }
    fn apply(&self, op: &OnceOp<[u64; 2]>) -> OnceRet<[u64; 2]> {
        match op {
            OnceOp::Set(message) if MENDED => {
                self.message.store(*message);
                self.full.store(1, Ordering::Release);
                OnceRet::Set(true)
            }
            OnceOp::Set(message) => {
                self.full.store(1, Ordering::Release);
                self.message.store(*message);
                OnceRet::Set(true)
            }
            OnceOp::Get if self.full.load(Ordering::Acquire) == 0 => OnceRet::Got(None),
            OnceOp::Get => OnceRet::Got(Some(self.message.load())),
        }
    }
}

fn once() -> Suite<Once<[u64; 2]>> {
    super::suite("flag_before_data")
        .role(
            "sender",
            1,
            1..=1,
            any::<u8>().prop_map(|n| OnceOp::Set([n.into(), n.into()])),
        )
        .role("receiver", 2, 1..=3, Just(OnceOp::Get))
}

#[test]
fn flag_before_data() {
    let report = caught::<Stepped, Mailbox<_, false>>(&once(), Kind::NotLinearizable, 3);
    assert!(
        report.contains(" near miss:   row ")
            && report.contains(": where sender takes one more step first"),
        "{report}"
    );
    caught::<Kills, Mailbox<_, false>>(&once(), Kind::NotLinearizable, 3);
    passes::<Stepped, Mailbox<_, true>>(&once());
    passes::<Kills, Mailbox<_, true>>(&once());
}

#[test]
fn what_a_report_says_passes_does() {
    use forkcheck::engine::{Budget, Known, Strategy};
    use forkcheck::structure::Progress;
    fn all_pass<E: Engine<Memory = SteppedMemory>>() -> usize {
        let outcome = check::<E, Mailbox<_, false>>(&once());
        let found = outcome.found.expect("it fails");
        let roles = ["sender", "receiver", "receiver"].map(str::to_owned);
        let budget = Budget {
            executions: 1_000,
            time: std::time::Duration::from_secs(20),
            seed: 1,
            keep_going: false,
            without_kills: true,
            progress: Progress::Any,
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
        let mut engine = E::default();
        let mut run = |case: &_| {
            let answer = engine.search::<Mailbox<_, false>>(case, &roles, &budget);
            answer.unwrap()
        };
        assert!(run(&found.run.case).1.is_some(), "the failing one fails so");
        for passing in &found.passes {
            assert_ne!(passing.case, found.run.case);
            let (covered, failing) = run(&passing.case);
            assert!(
                covered.executions > 0 && failing.is_none(),
                "{}: {failing:?}",
                passing.words
            );
        }
        found.passes.len()
    }
    assert!(all_pass::<Stepped>() > 0);
    assert!(all_pass::<Kills>() > 0);
}
