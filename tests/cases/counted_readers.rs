//! A reader-writer lock that counts its readers: a killed reader blocks the writer, which the smaller case of a killed
//! writer hides unless only readers are killed.

use crate::{caught, passes, suite};
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Kills, Stepped, SteppedMemory};
use forkcheck::memory::Incarnation;
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};

const WRITER: u64 = 1 << 63;

struct Cache<M: Memory, const FIXED: bool> {
    lock: M::AtomicU64,
    dirty: M::AtomicU32,
    data: M::Words<[u64; 2]>,
}
type Broken<M> = Cache<M, false>;
type Fixed<M> = Cache<M, true>;

impl<M: Memory, const FIXED: bool> Cache<M, FIXED> {
    /// Waits until the lock can be taken, and leaves what `taken` returns in it.
    fn take(&self, taken: impl Fn(u64) -> Option<u64>) {
        let (order, seen) = (Ordering::AcqRel, Ordering::Relaxed);
        while self.lock.fetch_update(order, seen, &taken).is_err() {
            M::spin_loop();
        }
    }
    /// The fixed lock: one owner for both kinds.
    fn owned(now: u64) -> Option<u64> {
        let is_free = now == 0 || !M::alive(Incarnation::from_bits(now));
        is_free.then(|| M::me().to_bits())
    }
}

impl<M: Memory, const FIXED: bool> Structure for Cache<M, FIXED> {
    type Memory = M;
    type Spec = Register<[u64; 2]>;
    fn new(first: &[u64; 2]) -> Self {
        Cache {
            lock: Atomic::new(0),
            dirty: Atomic::new(0),
            data: Words::new(*first),
        }
    }
    fn apply(&self, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match op {
            RegisterOp::Write(value) => {
                self.take(|now| match FIXED {
                    true => Self::owned(now),
                    false => (now == 0).then_some(WRITER),
                });
                self.dirty.store(1, Ordering::Relaxed);
                self.data.store(*value);
                self.dirty.store(0, Ordering::Relaxed);
                self.lock.store(0, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                self.take(|now| match FIXED {
                    true => Self::owned(now),
                    false => (now & WRITER == 0).then_some(now + 1),
                });
                let dirty = self.dirty.load(Ordering::Relaxed) == 1;
                let value = self.data.load();
                match FIXED {
                    true => self.lock.store(0, Ordering::Release),
                    false => _ = self.lock.fetch_sub(1, Ordering::AcqRel),
                }
                match dirty {
                    true => RegisterRet::WriterGone,
                    false => RegisterRet::Value(value),
                }
            }
        }
    }
}

fn cache() -> Suite<Register<[u64; 2]>> {
    let write = (1u64..9).prop_map(|n| RegisterOp::Write([n, n]));
    suite("cache")
        .setup(Just([0; 2]))
        .role("writer", 1, 1..=2, write)
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
        .cases(32)
        .executions(50)
}

/// The processes that a finding kills.
fn killed<S: Spec>(outcome: &forkcheck::Outcome<S>) -> Vec<u16> {
    let found = outcome.found.as_ref().unwrap();
    let kills = found.run.case.kills.iter();
    kills.map(|kill| kill.process).collect()
}

#[test]
fn the_killed_reader_is_found_where_only_readers_are_killed() {
    type T = Broken<SteppedMemory>;
    let (any, _) = caught::<Kills, T>(&cache(), Kind::NotCrashTolerant);
    assert_eq!(killed(&any), [0], "a killed writer is the smaller case");
    let readers = cache().kill_only("reader");
    let (found, report) = caught::<Kills, T>(&readers, Kind::NotCrashTolerant);
    assert_eq!(killed(&found), [1], "{report}");
    let writers = cache().kill_only("writer");
    let (found, _) = caught::<Kills, T>(&writers, Kind::NotCrashTolerant);
    assert_eq!(killed(&found), [0]);
    let both = writers.kill_only("reader");
    let (found, _) = caught::<Kills, T>(&both, Kind::NotCrashTolerant);
    assert_eq!(killed(&found), [0], "both are the same as no limit");
    passes::<Stepped, T>(&cache().cases(2));
}

/// Only the steps of processes that may be killed are kill points, so "n of n" can be reached; the
/// report names the other processes.
#[test]
fn the_mended_lock_passes_and_the_report_says_which_roles_were_not_killed() {
    type T = Fixed<SteppedMemory>;
    let suite = cache().kill_only("reader").cases(2);
    let outcome = suite.check::<Kills, T>().unwrap();
    let report = suite.report(&outcome);
    assert_eq!(outcome.verdict, Verdict::Ok, "{report}");
    let covered = outcome.covered;
    assert!(covered.kill_points > 0, "{report}");
    assert_eq!(covered.killed, covered.kill_points, "{report}");
    assert_eq!(outcome.spared, ["writer"]);
    let not_checked: String = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(not_checked.contains("; kills of writer"), "{report}");

    let all = cache().cases(2);
    let both = all.check::<Kills, T>().unwrap();
    assert!(both.covered.kill_points > covered.kill_points);
    assert!(both.spared.is_empty(), "{}", all.report(&both));
    // An engine that does not kill reports that already.
    let stepped = suite.check::<Stepped, T>().unwrap();
    assert!(stepped.spared.is_empty(), "{}", suite.report(&stepped));
}

/// A case that was saved earlier kills another role, and is no longer one of the suite.
#[test]
fn a_saved_case_that_kills_another_role_is_stale() {
    let directory = tempfile::tempdir().unwrap();
    let suite = cache().regressions(Some(directory.path()));
    let (found, _) = caught::<Kills, Broken<SteppedMemory>>(&suite, Kind::NotCrashTolerant);
    assert_eq!(killed(&found), [0]);
    let readers = suite.kill_only("reader");
    let (found, report) = caught::<Kills, Broken<SteppedMemory>>(&readers, Kind::NotCrashTolerant);
    assert_eq!(killed(&found), [1], "{report}");
    assert!(
        found.stale[0].contains("it kills writer, and the suite kills others only"),
        "{report}"
    );
}
