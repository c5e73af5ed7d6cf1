//! A test that enumeration omits no outcome: small programs, run by the plan in one process.

use super::board::BoardRef;
use super::scheduler::Plan;
use super::scheduler::decision::{Decision, Stop};
use super::scheduler::states::State;
use crate::case::Access;
use crate::schedule;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_oneof};
use proptest::test_runner::{Config, TestCaseError};
use std::collections::BTreeSet;

/// An access: its kind and its word.
type Touch = (Access, u64);
/// The operations of each process, each a list of accesses.
type Program = Vec<Vec<Vec<Touch>>>;
/// The values that each operation read, and which operations returned before which others were called, by their
/// numbers.
type Outcome = (Vec<Vec<u64>>, BTreeSet<(usize, usize)>);

/// Runs a program in this process, step by step as the plan says; each write stores a unique number.
fn run(plan: &mut Plan, program: &Program) -> Outcome {
    plan.begin();
    let (mut memory, mut numbers) = ([0; 8], 0);
    let mut at = vec![(0, 0); program.len()];
    let mut read: Vec<Vec<Vec<u64>>> = program
        .iter()
        .map(|ops| vec![Vec::new(); ops.len()])
        .collect();
    let mut times = Vec::new();
    let publish = |plan: &mut Plan,
                   process: usize,
                   at: &mut (usize, usize),
                   times: &mut Vec<(usize, usize, (u64, u64))>| {
        while let Some(op) = program[process].get(at.0) {
            if at.1 == 0 {
                plan.enter(process, at.0);
            }
            if let Some(&(kind, word)) = op.get(at.1) {
                return plan.publish(process, kind, word + 1);
            }
            times.push((process, at.0, plan.leave(process)));
            *at = (at.0 + 1, 0);
        }
        plan.done(process);
    };
    loop {
        match plan.decide() {
            Decision::Run(process) if plan.state(process.into()) == State::Fresh => {
                let process = usize::from(process);
                publish(plan, process, &mut at[process], &mut times);
            }
            Decision::Run(process) => {
                let process = usize::from(process);
                plan.take(process);
                let (op, access) = at[process];
                let (kind, word) = program[process][op][access];
                if kind != Access::Store {
                    read[process][op].push(memory[word as usize]);
                }
                if kind != Access::Load {
                    numbers += 1;
                    memory[word as usize] =
                        100 * (process as u64 + 1) + 10 * op as u64 + access as u64;
                    plan.changed();
                }
                at[process].1 += 1;
                publish(plan, process, &mut at[process], &mut times);
            }
            Decision::Stop(Stop::Over) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(numbers <= 64);
    let mut before = BTreeSet::new();
    for (p, op, (_, returned)) in &times {
        for (q, other, (invoked, _)) in &times {
            if returned < invoked {
                before.insert((10 * p + op, 10 * q + other));
            }
        }
    }
    (read.into_iter().flatten().collect(), before)
}

fn outcomes(
    board: &BoardRef,
    program: &Program,
    preemptions: u32,
    every: bool,
) -> (BTreeSet<Outcome>, usize) {
    let operations: Vec<usize> = program.iter().map(Vec::len).collect();
    board.plan(|plan| {
        plan.set_case(&operations);
        let (mut all, mut runs) = (BTreeSet::new(), 0);
        // The shared words are learnt on the way, as in the engine: bound by bound, and again until nothing is new.
        for bound in 0..=preemptions {
            loop {
                plan.scheduler.set(schedule::Exploration::Bounded {
                    preemptions: bound,
                    kills: 0,
                });
                plan.every = every.into();
                loop {
                    all.insert(run(plan, program));
                    runs += 1;
                    let steps = plan.steps();
                    if !plan.scheduler.end(steps) {
                        break;
                    }
                }
                if plan.footprint.is_stable() {
                    break;
                }
            }
        }
        (all, runs)
    })
}

/// Returns programs of `processes` processes, with operations and accesses of these numbers.
fn programs(
    processes: usize,
    operations: usize,
    accesses: usize,
) -> impl Strategy<Value = Program> {
    let kind = prop_oneof![
        Just(Access::Load),
        Just(Access::Store),
        Just(Access::Update)
    ];
    let operation = vec((kind, 0u64..4), 1..=accesses);
    vec(vec(operation, 1..=operations), processes)
}

/// Checks that the values read in any execution are read in one that is tried, with at least as many operations
/// before others.
fn nothing_is_lost(program: &Program, preemptions: u32) -> Result<(), TestCaseError> {
    let board = BoardRef::new().unwrap();
    for preemptions in 0..=preemptions {
        let (every, _) = outcomes(&board, program, preemptions, true);
        let (tried, _) = outcomes(&board, program, preemptions, false);
        for (read, before) in &every {
            let mut tried = tried.iter();
            let stands = tried.any(|(other, as_much)| other == read && before.is_subset(as_much));
            prop_assert!(
                stands,
                "{preemptions}: {program:?} lost {read:?} {before:?}"
            );
        }
    }
    Ok(())
}

proptest::proptest! {
    #![proptest_config(Config { cases: 1_000, failure_persistence: None, ..Config::default() })]

    /// Switching only where another process accesses the word, or an operation begins, loses nothing.
    #[test]
    fn what_is_not_tried_is_no_other_outcome(program in programs(2, 2, 3)) {
        nothing_is_lost(&program, 2)?;
    }

    #[test]
    fn what_is_not_tried_within_three_preemptions_is_no_other_outcome(program in programs(2, 1, 4)) {
        nothing_is_lost(&program, 3)?;
    }

    #[test]
    fn what_is_not_tried_of_three_processes_is_no_other_outcome(program in programs(3, 1, 3)) {
        nothing_is_lost(&program, 2)?;
    }
}

#[test]
fn words_of_ones_own_cost_no_switches() {
    let board = BoardRef::new().unwrap();
    let own = |word| {
        vec![vec![
            (Access::Store, word),
            (Access::Load, word),
            (Access::Store, word),
            (Access::Load, word),
        ]]
    };
    let (all, runs) = outcomes(&board, &vec![own(0), own(1)], 2, false);
    let (_, every) = outcomes(&board, &vec![own(0), own(1)], 2, true);
    assert!(!all.is_empty() && runs * 3 < every, "{runs} of {every}");
}

#[test]
fn the_first_failure_has_the_fewest_preemptions() {
    // Both processes read, then both write: the lost update takes one preemption, and none is not enough.
    let board = BoardRef::new().unwrap();
    let update = || vec![vec![(Access::Load, 0), (Access::Store, 0)]];
    let lost = |preemptions| {
        let (all, _) = outcomes(&board, &vec![update(), update()], preemptions, false);
        all.iter()
            .any(|(read, _)| read.iter().all(|read| read == &[0]))
    };
    assert!(!lost(0) && lost(1));
}
