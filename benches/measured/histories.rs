//! The check for linearizability: on histories made here, and on those in the directory that `FORKCHECK_HISTORIES` names.

#[path = "../../tests/histories/format.rs"]
mod format;
#[path = "../../tests/histories/generate.rs"]
mod generate;

use super::Measured;
use forkcheck::Spec;
use forkcheck::case::{self, Call};
use forkcheck::check::{Criterion, Limits, Verdict, check};
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use format::{History, Model, parse};
use generate::{Size, impossible, invented, queue, register, stale};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

pub(super) fn all() -> Vec<Measured> {
    let mut all = vec![
        measured("4 x 20 calls, linearizable", registers(4, 20, 0, false)),
        measured(
            "4 x 20 calls, the last read stale",
            registers(4, 20, 0, true),
        ),
        measured(
            "4 x 20 calls and 8 that never returned",
            registers(4, 20, 8, true),
        ),
    ];
    all.extend(large());
    all.extend(recorded());
    all
}

/// Histories on which checkers differ most: long ones, crowded ones, stale reads, and calls that never returned.
fn large() -> Vec<Measured> {
    let of_register = |name: &str, history: case::History<format::Register>| {
        of("large histories", name, None, history)
    };
    let cas = |size: Size| register(size, 5, 4);
    let writes = |size: Size| register(size, 10, 0);
    vec![
        of_register("register, 300,000 calls", writes(Size::of(1, 300_000))),
        of_register(
            "register, 300,000 calls, a late read impossible",
            impossible(writes(Size::of(1, 300_000))),
        ),
        of_register("register, 4 x 75,000", writes(Size::of(4, 75_000))),
        of_register(
            "register, 8 x 1,000, 10 pending",
            writes(Size::of(8, 1_000).pending(10)),
        ),
        of_register(
            "register, 16 x 1,000, stale",
            stale(writes(Size::of(16, 1_000))),
        ),
        of_register(
            "compare-and-swap, 16 x 100, 20 pending",
            cas(Size::of(16, 100).pending(20)),
        ),
        of_register("compare-and-swap, 32 x 100", cas(Size::of(32, 100))),
        of(
            "large histories",
            "queue, 4 x 100",
            usize::MAX,
            queue(Size::of(4, 100).pause(240)),
        ),
        of(
            "large histories",
            "queue, 4 x 100, a pop of nothing pushed",
            usize::MAX,
            invented(queue(Size::of(4, 100).pause(240))),
        ),
    ]
}

fn of<S: Spec>(group: &str, name: &str, setup: S::Setup, history: case::History<S>) -> Measured {
    Measured::new(group, name, "history", 1, move |turns| {
        let start = Instant::now();
        for _ in 0..turns {
            let (history, limits) = (black_box(&history), Limits::default());
            black_box(check(&setup, history, Criterion::RealTime, limits));
        }
        start.elapsed()
    })
}

fn measured(name: &str, history: case::History<Register<u64>>) -> Measured {
    Measured::new("a verdict", name, "history", 20, move |turns| {
        let start = Instant::now();
        for _ in 0..turns {
            black_box(check(
                &0,
                black_box(&history),
                Criterion::RealTime,
                Limits::default(),
            ));
        }
        start.elapsed()
    })
}

/// Returns a history in which one process writes 1, 2, 3, ..., and the others read the current
/// value meanwhile.
fn registers(
    processes: u64,
    calls: u64,
    pending: u64,
    stale: bool,
) -> case::History<Register<u64>> {
    let call = |op, ret, invoked, returned| Call {
        op,
        ret,
        invoked,
        returned,
    };
    let writes = (0..calls).map(|n| {
        let written = Some(RegisterRet::Written);
        call(RegisterOp::Write(n + 1), written, 10 * n, 10 * n + 6)
    });
    let mut all: Vec<Vec<_>> = vec![writes.collect()];
    for reader in 1..processes {
        let reads = (0..calls).map(|n| {
            let wrong = stale && reader == 1 && n + 1 == calls;
            let value = if wrong { 1 } else { n + reader % 2 };
            let read = Some(RegisterRet::Value(value));
            call(RegisterOp::Read, read, 10 * n + 1, 10 * n + 4 + reader % 3)
        });
        all.push(reads.collect());
    }
    for n in 0..pending {
        let write = RegisterOp::Write(1_000 + n);
        all.push(vec![call(
            write,
            None,
            10 * n,
            Call::<Register<u64>>::NEVER,
        )]);
    }
    let history = case::History { calls: all };
    let verdict = check(&0, &history, Criterion::RealTime, Limits::default());
    assert_eq!(
        verdict == Verdict::Ok,
        !stale,
        "the figure is of another verdict than it says"
    );
    history
}

/// Measures every recorded history, one after the other, as one figure, to be compared with another
/// checker on the same files.
fn recorded() -> Option<Measured> {
    let directory = PathBuf::from(std::env::var_os("FORKCHECK_HISTORIES")?);
    let index = std::fs::read_to_string(directory.join("index.tsv")).expect("an index.tsv there");
    let histories: Vec<History> = index
        .lines()
        .skip(1)
        .map(|row| {
            let columns: Vec<&str> = row.split('\t').collect();
            let model = if columns[1] == "kv" {
                Model::Map
            } else {
                Model::Register
            };
            let text =
                std::fs::read_to_string(directory.join(columns[0])).expect("a file of the index");
            parse(model, &text).expect("a history")
        })
        .collect();
    let name = format!("all {} recorded histories", histories.len());
    Some(Measured::new(
        "recorded histories",
        name,
        "round",
        1,
        move |turns| {
            let start = Instant::now();
            for _ in 0..turns {
                for history in &histories {
                    let limits = Limits::default();
                    match history {
                        History::Register(history) => black_box(
                            check(&None, history, Criterion::RealTime, limits) == Verdict::Ok,
                        ),
                        History::Map(history) => black_box(
                            check(&(), history, Criterion::RealTime, limits) == Verdict::Ok,
                        ),
                    };
                }
            }
            start.elapsed()
        },
    ))
}
