//! The checks of a round: right structures, broken ones, and cells of the hostile matrix.

use crate::cell::{Cell, Hostile, Seven, cells, is_undisturbed};
use crate::misdeeds::{ENGINES, MISDEEDS};
use forkcheck::builtin::{
    CheckedEventCount, CheckedLatest, CheckedOneShot, CheckedRing, CheckedSeqLock, DeadWriter,
    DoubleBuffer, EarlyFlag, EarlyIndex, EarlyPublish, LostWake, dead_writer, double_buffer,
    early_flag, early_index, early_publish, event_count, latest, lost_wake, one_shot, ring,
    seq_lock,
};
use forkcheck::check::Verdict;
use forkcheck::engine::loom::Loom;
use forkcheck::engine::{Covered, Engine, Kills, Processes, Stepped};
use forkcheck::prelude::*;
use forkcheck::spec::{Counter, CounterOp, CounterRet, Register, RegisterOp, RegisterRet};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// The watchdog's time for one check.
const WATCHDOG: Duration = Duration::from_secs(300);

/// A check, and the end that it must have: `run` returns the coverage, or the report of another
/// end.
pub(crate) struct Check {
    what: String,
    engine: &'static str,
    expected: &'static str,
    cell: Option<Cell>,
    pub(crate) run: fn(&Check, u64) -> Result<Covered, String>,
}

impl Check {
    pub(crate) fn name(&self) -> String {
        format!("{} on {}", self.what, self.engine)
    }
}

/// A register of one word.
pub(crate) struct Word<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Word<M> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Word(Atomic::new(first))
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

fn word() -> Suite<Register<u64>> {
    Suite::new(forkcheck::site!(), "word")
        .setup(Just(0))
        .role("writer", 1, 1..=4, (1u64..9).prop_map(RegisterOp::Write))
        .role("reader", 2, 1..=3, Just(RegisterOp::Read))
}

/// A counter that two processes add to by exchanges with retries.
pub(crate) struct Added<M: Memory>(M::AtomicU64);

impl<M: Memory> Structure for Added<M> {
    type Memory = M;
    type Spec = Counter;
    fn new(&first: &i64) -> Self {
        Added(Atomic::new(first.cast_unsigned()))
    }
    fn apply(&self, op: &CounterOp) -> CounterRet {
        let mut seen = self.0.load(Ordering::Acquire);
        let CounterOp::Add(more) = op else {
            return CounterRet::Value(seen.cast_signed());
        };
        loop {
            let sum = seen.wrapping_add(more.cast_unsigned());
            match self
                .0
                .compare_exchange(seen, sum, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return CounterRet::Added,
                Err(other) => seen = other,
            }
        }
    }
}

fn added() -> Suite<Counter> {
    Suite::new(forkcheck::site!(), "added")
        .setup(Just(0))
        .role("adder", 2, 1..=2, (1i64..9).prop_map(CounterOp::Add))
        .role("reader", 1, 1..=2, Just(CounterOp::Read))
}

fn checked<E: Engine, T: WithHandles<Memory = E::Memory>>(
    suite: Suite<T::Spec>,
    is_broken: bool,
    seed: u64,
) -> Result<Covered, String> {
    let suite = suite.seed(seed).time(WATCHDOG).regressions(None);
    let suite = match is_broken {
        true => suite.cases(8),
        false => suite.cases(2).executions(100),
    };
    let outcome = suite.check::<E, T>().map_err(|error| error.to_string())?;
    let as_it_should = match &outcome.verdict {
        Verdict::Finding(_) => is_broken,
        other => !is_broken && is_undisturbed(other),
    };
    if as_it_should && outcome.covered.executions > 0 {
        Ok(outcome.covered)
    } else {
        Err(suite.report(&outcome))
    }
}

macro_rules! checks {
    ($expected:literal: $($suite:path, $structure:ident on $($engine:ident)*;)*) => {
        vec![$($(
            Check {
                what: stringify!($structure).to_owned(),
                engine: <$engine as Engine>::NAME,
                expected: $expected,
                cell: None,
                run: |_, seed| checked::<$engine, $structure<<$engine as Engine>::Memory>>(
                    $suite(), $expected == "found", seed,
                ),
            },
        )*)*]
    };
}

/// Returns right structures on each engine: a finding is a false one.
pub(crate) fn right() -> Vec<Check> {
    checks! { "passed":
        word, Word on Processes Stepped Kills Loom;
        added, Added on Processes Stepped Kills Loom;
        one_shot::suite, CheckedOneShot on Processes Stepped Kills Loom;
        seq_lock::suite, CheckedSeqLock on Processes Stepped Kills Loom;
        latest::suite, CheckedLatest on Processes Stepped Kills Loom;
        ring::suite, CheckedRing on Processes Stepped Kills Loom;
        event_count::suite, CheckedEventCount on Processes Stepped Kills Loom;
        // Broken only for `kills`.
        dead_writer::suite, DeadWriter on Stepped Loom;
    }
}

/// Returns broken structures on engines that see the mistake: a soak without any finding proves
/// nothing.
pub(crate) fn broken() -> Vec<Check> {
    checks! { "found":
        early_flag::suite, EarlyFlag on Processes Stepped Kills Loom;
        dead_writer::suite, DeadWriter on Kills;
        double_buffer::suite, DoubleBuffer on Processes Stepped;
        lost_wake::suite, LostWake on Loom Stepped;
        early_publish::suite, EarlyPublish on Kills Loom;
        early_index::suite, EarlyIndex on Stepped Kills;
    }
}

/// Returns checks that cannot end as they must.
pub(crate) fn unexpected() -> Vec<Check> {
    let mut all = checks! { "found": word, Word on Stepped; };
    all.extend(checks! { "passed": early_flag::suite, EarlyFlag on Stepped; });
    all
}

/// Adds the cells of the hostile matrix on an engine.
fn on<E: Engine>(all: &mut Vec<Check>)
where
    Hostile<E::Memory>: WithHandles<Memory = E::Memory, Spec = Seven>,
{
    let cells = (0..MISDEEDS.len())
        .flat_map(cells::<E>)
        .filter(Cell::is_tried);
    all.extend(cells.map(|cell| Check {
        what: format!("{}, {:?}", MISDEEDS[cell.misdeed].name, cell.place),
        engine: E::NAME,
        expected: "ended as a misdeed has to",
        cell: Some(cell),
        run: |check, _| {
            let complaint = check.cell.expect("it is one").complaint::<E>();
            complaint.map_or(Ok(Covered::default()), Err)
        },
    }));
}

/// Returns all cells of the hostile matrix, in an order in which neighbours are of different
/// engines and misdeeds.
pub(crate) fn hostile() -> Vec<Check> {
    let mut all = Vec::new();
    on::<Processes>(&mut all);
    on::<Stepped>(&mut all);
    on::<Kills>(&mut all);
    on::<Loom>(&mut all);
    // Ordered by a number that is independent of their place, and the same in each run.
    let number = |place: u64| place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut numbered: Vec<_> = (0u64..).map(number).zip(all).collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, check)| check).collect()
}

/// The counts of checks: verdicts by engine and end, and executions.
#[derive(Default)]
pub(crate) struct Counts {
    verdicts: BTreeMap<(&'static str, &'static str), u64>,
    executions: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn add(&mut self, check: &Check, covered: Covered) {
        *self
            .verdicts
            .entry((check.expected, check.engine))
            .or_insert(0) += 1;
        *self.executions.entry(check.engine).or_insert(0) += covered.executions;
    }
    pub(crate) fn are_of_all_engines(&self) -> bool {
        ENGINES
            .iter()
            .all(|engine| self.verdicts.contains_key(&("passed", engine)))
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdicts = self.verdicts.iter();
        let verdicts =
            verdicts.map(|((expected, engine), count)| format!("{count} {expected} on {engine}"));
        let executions = self.executions.iter();
        let executions = executions.map(|(engine, count)| format!("{count} on {engine}"));
        let join = |all: Vec<String>| all.join(", ");
        let (verdicts, executions) = (join(verdicts.collect()), join(executions.collect()));
        write!(
            f,
            "{verdicts}; executions without those of the matrix: {executions}"
        )
    }
}
