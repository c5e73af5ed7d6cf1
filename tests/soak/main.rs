//! A soak: one process checks suites repeatedly, each time with another seed, and asserts that no
//! resource accumulates and that no verdict is wrong.
//!
//! An ordinary run is two rounds, of which the second is compared with the first.
//! `FORKCHECK_SOAK=3600` continues for that many seconds (ci/soak.sh). A round checks right
//! structures on each engine, which have to pass; broken ones, which have to be found; some cells
//! of the matrix of `tests/hostile`, the next ones in each round; and makes regions, forks, kills
//! and drops. Each test is a process of its own with a temporary directory of its own, so that its
//! resources are its own: `held` compares them, and `planted` shows that it would detect a leak of
//! each kind.
#![cfg(feature = "loom")]

#[path = "../hostile/acts.rs"]
mod acts;
#[path = "../hostile/cell.rs"]
mod cell;
mod checks;
mod held;
#[path = "../hostile/misdeeds.rs"]
mod misdeeds;
mod planted;
#[path = "../hostile/raw.rs"]
mod raw;
mod regions;

use checks::{Check, Counts, broken, hostile, right};
use held::Held;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

/// The variable that marks the processes of one soak.
pub(crate) const MARK: &str = "FORKCHECK_TESTS_SOAK";

/// The numbers of right structures, broken ones and cells of the matrix in a round: in an ordinary
/// run, and in a longer one.
const SHORT: [usize; 3] = [12, 2, 2];
const LONG: [usize; 3] = [32, 3, 6];

/// Runs a test of this program again, in a process with that mark, where it runs `body`, and prints
/// its output.
fn in_a_process_of_its_own(test: &str, body: fn()) {
    if std::env::var_os(MARK).is_some() {
        // This process does not outlive the test.
        set_pdeathsig(Signal::SIGKILL).unwrap();
        return body();
    }
    let scratch = tempfile::tempdir().unwrap();
    // `processes` waits for the machine as it does in other tests.
    let lock = std::env::var_os("FORKCHECK_LOCK").unwrap_or(std::env::temp_dir().into());
    // By the name that descriptors of it have.
    let lock = std::fs::canonicalize(lock).unwrap();
    let (output, sink) = std::io::pipe().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(MARK, format!("{}-{test}", std::process::id()))
        .env("TMPDIR", scratch.path())
        .env("FORKCHECK_LOCK", lock)
        .stdout(sink.try_clone().unwrap())
        .stderr(sink);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut lines = Vec::new();
    for line in BufReader::new(output).lines() {
        lines.push(line.unwrap());
        println!("{}", lines[lines.len() - 1]);
    }
    assert!(child.wait().unwrap().success(), "see above");
    // For libtest, a name that no test has is no failure.
    assert!(lines.iter().any(|line| line.contains("1 passed")));
}

/// The checks of one kind, and the start of the next round.
struct Turns {
    checks: Vec<Check>,
    of_a_round: usize,
    next: usize,
}

impl Turns {
    fn new(checks: Vec<Check>, of_a_round: usize) -> Self {
        Self {
            checks,
            of_a_round,
            next: 0,
        }
    }
    /// Runs the next checks, and counts them. Returns the report of one that does not end as it
    /// should.
    fn take(&mut self, seed: u64, counts: &mut Counts) {
        for _ in 0..self.of_a_round {
            let check = &self.checks[self.next % self.checks.len()];
            self.next += 1;
            match (check.run)(check, seed) {
                Ok(covered) => counts.add(check, covered),
                Err(report) => panic!("{}, FORKCHECK_SEED={seed}: {report}", check.name()),
            }
        }
    }
    fn covered(&self) -> String {
        let all = self.checks.len();
        format!("{} of {all}", self.next.min(all))
    }
}

#[test]
fn rounds_of_checks_leave_nothing_behind() {
    in_a_process_of_its_own("rounds_of_checks_leave_nothing_behind", || {
        let seconds = std::env::var("FORKCHECK_SOAK").ok();
        let time = seconds.as_ref().map_or(0, |text| text.parse().unwrap());
        let seed = match std::env::var("FORKCHECK_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            // An ordinary run draws the same cases each time.
            Err(_) if seconds.is_none() => 1,
            Err(_) => u64::from(std::process::id()) << 32,
        };
        soak(Duration::from_secs(time), seed);
    });
}

#[test]
fn a_leak_of_each_kind_is_seen() {
    in_a_process_of_its_own("a_leak_of_each_kind_is_seen", planted::each_is_seen);
}

/// Checks that end in another way than they must: a right structure that should be found, and a
/// broken one that should pass.
#[test]
fn a_verdict_other_than_the_expected_one_ends_a_soak_with_its_report_and_seed() {
    for (check, words) in checks::unexpected()
        .into_iter()
        .zip(["ok", "NOT LINEARIZABLE"])
    {
        let name = check.name();
        let ended = std::panic::catch_unwind(|| {
            Turns::new(vec![check], 1).take(7, &mut Counts::default());
        });
        let told = ended.unwrap_err().downcast::<String>().unwrap();
        let begins = format!("{name}, FORKCHECK_SEED=7: {words}");
        assert!(told.starts_with(&begins), "{told}");
    }
}

/// Runs rounds for that time, at least two.
fn soak(time: Duration, seed: u64) {
    let started = Instant::now();
    let [of_right, of_broken, of_hostile] = if time.is_zero() { SHORT } else { LONG };
    let mut right = Turns::new(right(), of_right);
    let mut broken = Turns::new(broken(), of_broken);
    let mut hostile = Turns::new(hostile(), of_hostile);
    let mut counts = Counts::default();
    let mut first: Option<Held> = None;
    let mut rounds = 0;
    while rounds < 2 || started.elapsed() < time {
        let seed = seed + rounds;
        let began = Instant::now();
        right.take(seed, &mut counts);
        broken.take(seed, &mut counts);
        hostile.take(seed, &mut counts);
        regions::round(rounds);
        rounds += 1;
        let held = Held::after(first.as_ref());
        let took = began.elapsed().as_secs();
        println!("round {rounds}, seed {seed}, {took} s: {held}");
        let first = first.get_or_insert_with(Held::now);
        let more = held.more_than(first);
        assert!(
            more.is_empty(),
            "round {rounds}, seed {seed}: more than after the first round:\n{}\n{held:#?}\n{first:#?}",
            more.join("\n")
        );
    }
    println!(
        "{rounds} rounds in {} s: {counts}",
        started.elapsed().as_secs()
    );
    println!(
        "covered: right structures {}, broken ones {}, cells of the hostile matrix {}",
        right.covered(),
        broken.covered(),
        hostile.covered()
    );
    assert!(counts.are_of_all_engines(), "{counts}");
}
