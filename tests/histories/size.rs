//! The cost of checking large histories, in steps of the spec: a search that is quadratic, or that tries orders which
//! need not be tried, spends the limit and is unknown.

use super::format::{Map, Model, Register, RegisterOp, RegisterRet, parse};
use super::generate::{Size, impossible, invented, queue, register, stale};
use forkcheck::Spec;
use forkcheck::case::{Call, History};
use forkcheck::check::{Criterion, Limits, Verdict, check};

/// Judges within a number of steps, and with as many remembered states.
#[track_caller]
fn within<S: Spec>(steps: u64, setup: &S::Setup, history: &History<S>, legal: bool) {
    let limits = Limits {
        states: steps as usize,
        steps,
    };
    let verdict = check(setup, history, Criterion::RealTime, limits);
    match &verdict {
        Verdict::Ok => assert!(legal),
        Verdict::Finding(finding) => {
            assert!(!legal, "no order explains a history that is legal");
            assert!(finding.explanation.is_some(), "{}", finding.detail);
        }
        _ => panic!("{verdict:?}"),
    }
}

#[test]
fn calls_that_follow_each_other_take_one_step_each() {
    let history = register(Size::of(1, 30_000), 10, 0);
    within(30_000, &None, &history, true);
    within(30_000, &None, &impossible(history), false);
}

#[test]
fn a_register_takes_some_steps_for_each_call() {
    for seed in 1..=3 {
        let size = Size {
            seed,
            ..Size::of(8, 1_000)
        };
        within(60_000, &None, &register(size, 10, 0), true);
        within(60_000, &None, &register(size.pending(10), 10, 0), true);
        within(300_000, &None, &stale(register(size, 10, 0)), false);
    }
}

#[test]
fn compare_and_swap_takes_few_steps_with_pending_calls_as_without() {
    for seed in 1..=3 {
        let size = Size {
            seed,
            ..Size::of(16, 100)
        };
        within(20_000, &None, &register(size, 5, 4), true);
        within(20_000, &None, &register(size.pending(20), 5, 4), true);
        within(400_000, &None, &stale(register(size, 5, 4)), false);
        let many = Size {
            seed,
            ..Size::of(32, 100)
        };
        within(100_000, &None, &register(many, 5, 4), true);
    }
}

#[test]
fn a_queue_that_is_not_crowded_takes_few_steps() {
    for seed in 1..=2 {
        let size = Size {
            seed,
            ..Size::of(4, 60).pause(1_000)
        };
        within(20_000, &usize::MAX, &queue(size), true);
        within(60_000, &usize::MAX, &invented(queue(size)), false);
    }
}

/// The same register, without the knowledge that its reads only read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Blind(Register);

impl Spec for Blind {
    type Setup = Option<i64>;
    type Op = RegisterOp;
    type Ret = RegisterRet;
    fn start(first: &Option<i64>) -> Self {
        Self(Register::start(first))
    }
    fn step(&mut self, process: usize, op: &RegisterOp) -> RegisterRet {
        self.0.step(process, op)
    }
}

#[test]
fn a_crowd_takes_few_steps_and_without_the_knowledge_of_what_only_reads_too_many() {
    let limit = 100_000;
    let history = register(Size::of(16, 100).pause(60), 10, 0);
    within(limit, &None, &history, true);
    let blind = |call: &Call<Register>| Call::<Blind> {
        op: call.op.clone(),
        ret: call.ret.clone(),
        invoked: call.invoked,
        returned: call.returned,
    };
    let calls = history.calls.iter();
    let calls = calls.map(|calls| calls.iter().map(blind).collect());
    let limits = Limits {
        states: limit as usize,
        steps: limit,
    };
    let blind = History {
        calls: calls.collect(),
    };
    let verdict = check(&None, &blind, Criterion::RealTime, limits);
    assert!(matches!(verdict, Verdict::Unknown(_)));
}

/// Returns appends to one key at one time, and a read of a value that they cannot make; the same
/// for a second key, with one append.
fn hard_and_easy(hard: &str, easy: &str) -> History<Map> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = |kind: &str, process: usize, f: &str, key: &str, value: &str| {
        lines.push(format!(
            "{{:process {process}, :type :{kind}, :f :{f}, :key \"{key}\", :value \"{value}\"}}"
        ));
    };
    for process in 0..16 {
        line("invoke", process, "append", hard, &process.to_string());
    }
    for process in 0..16 {
        line("ok", process, "append", hard, &process.to_string());
    }
    line("invoke", 16, "append", easy, "x");
    line("ok", 16, "append", easy, "x");
    for key in [hard, easy] {
        line("invoke", 16, "get", key, "");
        line("ok", 16, "get", key, "y");
    }
    match parse(Model::Map, &lines.join("\n")).unwrap() {
        super::format::History::Map(history) => history,
        super::format::History::Register(_) => unreachable!("it is a map"),
    }
}

#[test]
fn a_finding_in_one_key_wins_over_another_key_that_is_too_hard_whatever_their_order() {
    // Sixteen appends have more orders than any limit.
    for (hard, easy) in [("a", "b"), ("b", "a")] {
        let history = hard_and_easy(hard, easy);
        within(50_000, &(), &history, false);
        // Without the easy key it is unknown, and says which key it is, and what to raise.
        let of_key = |calls: &Vec<Call<Map>>| {
            let calls = calls
                .iter()
                .filter(|call| !format!("{:?}", call.op).contains(&format!("key: {easy:?}")));
            calls.cloned().collect()
        };
        let mut other = History {
            calls: history.calls.iter().map(of_key).collect(),
        };
        let easy_and_right = hard_and_easy(easy, easy).calls.remove(0);
        other.calls.push(easy_and_right[..1].to_vec());
        let limits = Limits {
            states: 1 << 20,
            steps: 50_000,
        };
        let verdict = check(&(), &other, Criterion::RealTime, limits);
        let Verdict::Unknown(why) = verdict else {
            panic!("{verdict:?}")
        };
        assert!(
            why.contains(&format!("key: {hard:?}")) && why.contains("one of 2"),
            "{why}"
        );
        assert!(why.ends_with("raise Limits::steps"), "{why}");
    }
}
