//! Tests of the pauses that are drawn, and of their share of the time.

use super::*;
use crate::engine::processes::code::Instruction;
use crate::region::Region;

/// The instructions in an operation.
const LENGTH: u32 = 64;

fn pauses() -> (Pauses, Region) {
    (Pauses::default(), Learnt::region().unwrap())
}

/// Returns the pauses and what was learnt, at the begin of a program.
fn begun((pauses, learnt): &(Pauses, Region), failed: Option<Position>) -> (&Pauses, &Learnt) {
    let learnt: &Learnt = learnt.get(0).unwrap();
    learnt.begin(7);
    (0..4).for_each(|process| learnt.learn(process, LENGTH, false));
    pauses.forget(failed);
    (pauses, learnt)
}

fn drawn(operations: &[usize], times: u64) -> Vec<(u32, u32, u32)> {
    let memory = pauses();
    let (pauses, learnt) = begun(&memory, None);
    let begun = pauses.begun.load(Relaxed);
    let all = (1..=times).filter_map(|time| {
        pauses.draw(begun + time, time, operations, learnt);
        pauses.current.get().map(|at| {
            let Target::After(instructions) = at.target else {
                panic!("nothing is known: {at:?}");
            };
            let drawn = (at.process, at.operation, instructions);
            assert!(pauses.ended(&AtomicU64::new(clock::now())));
            pauses.step_time.store(0, Relaxed);
            drawn
        })
    });
    all.collect()
}

#[test]
fn every_instruction_of_every_process_with_operations_is_drawn_and_beyond_the_end() {
    assert_eq!(drawn(&[3], 100), [], "no other process");
    assert_eq!(drawn(&[3, 0], 100), []);
    let some = if cfg!(target_arch = "x86_64") { 500 } else { 0 };
    let all = drawn(&[3, 0, 1], some);
    assert_eq!(all.len(), some as usize);
    for process in [0, 2] {
        let own = all.iter().filter(|drawn| drawn.0 == process);
        let mut at: Vec<_> = own.map(|drawn| drawn.2).collect();
        at.sort_unstable();
        at.dedup();
        let expected: Vec<_> = (1..=LENGTH + LENGTH / 4).collect();
        assert!(some == 0 || at == expected, "{at:?}");
    }
    let most = |process| if process == 0 { 3 } else { 1 };
    assert!(all.iter().all(|drawn| drawn.1 < most(drawn.0)));
}

#[test]
fn an_operation_is_taken_to_its_end_once_and_processes_with_the_same_operations_pause_at_different_instructions()
 {
    let memory = pauses();
    let (pauses, learnt): (&Pauses, &Learnt) = (&memory.0, memory.1.get(0).unwrap());
    learnt.begin(7);
    pauses.forget(None);
    let mut drawn = |time| {
        pauses.step_time.store(0, Relaxed);
        pauses.draw(clock::now() + 1 + time, time, &[1, 1, 1], learnt);
        pauses.current.get().map(|position| position.target)
    };
    let first: Vec<_> = (0..3).map(&mut drawn).collect();
    (0..3).for_each(|process| learnt.learn(process, LENGTH, false));
    let then: Vec<_> = (3..6).map(&mut drawn).collect();
    if cfg!(target_arch = "x86_64") {
        assert_eq!(first, [Some(Target::After(MOST_INSTRUCTIONS)); 3]);
        let differ = |one: usize, other: usize| then[one] != then[other];
        assert!(differ(0, 1) && differ(0, 2) && differ(1, 2), "{then:?}");
    }
}

#[test]
fn instructions_are_taken_one_by_one_for_a_share_of_the_time() {
    let memory = pauses();
    let (pauses, learnt) = begun(&memory, None);
    let begun = pauses.begun.load(Relaxed);
    pauses.step_time.store(1_000, Relaxed);
    pauses.draw(begun + 1_000 * STEP_SHARE, 1, &[1, 1], learnt);
    assert_eq!(pauses.part(0, 1, 1), Part::None);
    pauses.draw(begun + 1_000 * STEP_SHARE + 1, 1, &[1, 1], learnt);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(pauses.part(0, 1, 1), Part::Pauses(0));
        assert!(matches!(pauses.part(1, 1, 1), Part::Waits(0, 1..=8_192)));
    }
}

/// Returns the pauses of that many executions, where these instructions are known and no time is left for taking others one by one.
fn breakpoints(known: u64, times: u64, breakpoints: bool) -> Vec<Option<(Instruction, u32)>> {
    let memory = pauses();
    let (pauses, learnt) = begun(&memory, None);
    let begun = pauses.begun.load(Relaxed);
    for address in 1..=known {
        learnt.known.add(Instruction { address, bytes: 0 });
    }
    if !breakpoints {
        learnt.refuse_breakpoints();
    }
    pauses.step_time.store(u64::MAX, Relaxed);
    let all = (0..times).map(|time| {
        pauses.draw(begun + 1 + time, time, &[2, 0, 1], learnt);
        let target = pauses.current.get().map(|position| position.target);
        pauses.breakpoint_time.store(0, Relaxed);
        pauses.ended(&AtomicU64::new(clock::now()));
        target.map(|target| match target {
            Target::Before(instruction, times) => (instruction, times),
            Target::After(_) => panic!("no time is left for it"),
        })
    });
    all.collect()
}

#[test]
fn one_execution_in_eight_has_a_breakpoint_and_each_known_instruction_is_drawn() {
    assert_eq!(breakpoints(0, 100, true), vec![None; 100]);
    assert_eq!(breakpoints(9, 100, false), vec![None; 100]);
    let all = breakpoints(9, 1_000, true);
    if cfg!(target_arch = "x86_64") {
        let mut drawn: Vec<_> = all.iter().flatten().collect();
        assert_eq!(drawn.len() as u64, 1_000 / EVERY);
        assert!(all.iter().step_by(EVERY as usize).all(Option::is_some));
        assert!((1..=3).all(|times| drawn.iter().any(|drawn| drawn.1 == times)));
        drawn.sort_unstable_by_key(|drawn| drawn.0.address);
        drawn.dedup_by_key(|drawn| drawn.0);
        assert_eq!(drawn.len(), 9);
    }
}

#[test]
fn where_calls_hardly_overlap_each_execution_has_a_breakpoint_if_there_is_time_for_it() {
    let memory = pauses();
    let (pauses, learnt) = begun(&memory, None);
    let instruction = Instruction {
        address: 1,
        bytes: 0,
    };
    learnt.known.add(instruction);
    // Of a hundred executions without a pause one overlapped, and many of those with one.
    pauses.plain.store(100, Relaxed);
    pauses.overlapped();
    pauses.decide(200, 100);
    let drawn = |breakpoint_time| {
        pauses.step_time.store(u64::MAX, Relaxed);
        pauses.breakpoint_time.store(breakpoint_time, Relaxed);
        let draw = |time| {
            pauses.draw(clock::now(), time, &[1, 1], learnt);
            pauses.current.get().is_some()
        };
        (0..80).filter(|&time| draw(time)).count()
    };
    let expected = if cfg!(target_arch = "x86_64") { 80 } else { 0 };
    assert_eq!(drawn(0), expected);
    assert_eq!(drawn(u64::MAX), 0, "no time is left");
}

#[test]
fn a_refused_breakpoint_is_the_last_and_steps_take_their_place_where_calls_hardly_overlap() {
    let memory = pauses();
    let (pauses, learnt) = begun(&memory, None);
    let begun = pauses.begun.load(Relaxed);
    let instruction = Instruction {
        address: 1,
        bytes: 0,
    };
    learnt.known.add(instruction);
    pauses.step_time.store(u64::MAX, Relaxed);
    pauses.decide(MIN_OVERLAP, 0);
    let target = || {
        pauses.draw(begun + 1, 1, &[1, 1], learnt);
        pauses.current.get().map(|position| position.target)
    };
    let before = target();
    learnt.refuse_breakpoints();
    let after = target();
    if cfg!(target_arch = "x86_64") {
        assert!(matches!(before, Some(Target::Before(..))));
        assert!(matches!(after, Some(Target::After(_))));
    }
}

#[test]
fn every_second_pause_is_where_an_execution_failed_if_that_operation_is_still_there() {
    let failed = Position {
        process: 1,
        operation: 2,
        target: Target::After(3_000),
    };
    let memory = pauses();
    let same = |operations: &[usize]| {
        let (pauses, learnt) = begun(&memory, Some(failed));
        let begun = pauses.begun.load(Relaxed);
        let drawn = (1..=8).map(|time| {
            pauses.step_time.store(0, Relaxed);
            pauses.draw(begun + time, time, operations, learnt);
            pauses.current.get() == Some(failed)
        });
        drawn.collect::<Vec<_>>()
    };
    if cfg!(target_arch = "x86_64") {
        assert_eq!(same(&[3, 3]), [true, false].repeat(4));
    }
    let (pauses, learnt) = begun(&memory, Some(failed));
    for time in 0..4 * u64::from(IN_VAIN) {
        pauses.step_time.store(0, Relaxed);
        pauses.draw(clock::now() + 1 + time, time, &[3, 3], learnt);
    }
    let is_given_up = pauses.failed.get().is_none();
    assert_eq!(is_given_up, cfg!(target_arch = "x86_64"), "it was in vain");
    assert_eq!(same(&[3, 2]), [false; 8], "it has fewer operations");
    assert_eq!(same(&[3]), [false; 8]);
}

#[test]
fn a_failure_after_many_instructions_is_repeated_in_the_share_of_the_time_for_them() {
    let memory = pauses();
    let repeated = |instructions, step_time| {
        let failed = Position {
            process: 1,
            operation: 0,
            target: Target::After(instructions),
        };
        let (pauses, learnt) = begun(&memory, Some(failed));
        let known = Instruction {
            address: 1,
            bytes: 0,
        };
        learnt.known.add(known);
        let draw = |time| {
            pauses.step_time.store(step_time, Relaxed);
            pauses.draw(clock::now(), time, &[1, 1], learnt);
            pauses.current.get() == Some(failed)
        };
        (0..16).filter(|&time| draw(time)).count()
    };
    if cfg!(target_arch = "x86_64") {
        assert!(repeated(3_000, 0) > 0);
        assert_eq!(repeated(3_000, u64::MAX), 0, "no time is left");
        assert!(repeated(FEW, u64::MAX) > 0, "it takes little time");
    }
}

#[test]
fn the_last_pause_is_that_of_the_last_execution_and_of_none_before() {
    let memory = pauses();
    let (pauses, learnt) = begun(&memory, None);
    let begun = pauses.begun.load(Relaxed);
    pauses.draw(begun + 1, 1, &[1, 1], learnt);
    let drawn = pauses.last();
    assert_eq!(drawn.is_some(), cfg!(target_arch = "x86_64"));
    pauses.ended(&AtomicU64::new(clock::now()));
    assert_eq!(pauses.last(), drawn);
    pauses.failed();
    assert_eq!(pauses.failed.get(), drawn, "it has failed there");
    pauses.step_time.store(u64::MAX, Relaxed);
    pauses.draw(begun + 1, 2, &[1, 1], learnt);
    assert_eq!(pauses.last(), None, "this one has no pause");
}
