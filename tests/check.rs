//! The check against an oracle that tries every order, on random histories, with calls that never returned.

use forkcheck::case::{Call, History};
use forkcheck::check::{Criterion, Verdict, explain};
use forkcheck::subject::{Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Spec};
use proptest::prelude::*;

const STATES: usize = 1 << 16;

/// By definition: some subset of the calls that never returned and all others, in some order that keeps what the
/// criterion wants kept, gives the results that were seen.
fn oracle<S: Spec>(setup: &S::Setup, history: &History<S>, criterion: Criterion) -> bool {
    fn go<S: Spec>(left: &[(usize, usize, &Call<S>)], criterion: Criterion, state: &S) -> bool {
        if left.iter().all(|(_, _, call)| call.ret.is_none()) {
            return true;
        }
        (0..left.len()).any(|next| {
            let (process, number, call) = left[next];
            let comes_too_early = left.iter().any(|&(other, n, before)| match criterion {
                Criterion::RealTime => {
                    before.returned < call.invoked || other == process && n < number
                }
                Criterion::ProgramOrder => other == process && n < number,
            });
            if comes_too_early {
                return false;
            }
            let mut state = state.clone();
            let fits = match &call.ret {
                Some(ret) => state.step(&call.op) == *ret,
                None => {
                    state.step(&call.op);
                    true
                }
            };
            let rest: Vec<_> = left
                .iter()
                .enumerate()
                .filter(|&(n, _)| n != next)
                .map(|(_, &call)| call)
                .collect();
            fits && go(&rest, criterion, &state)
        })
    }
    let calls = history.calls.iter().enumerate();
    let all: Vec<_> = calls
        .flat_map(|(p, calls)| calls.iter().enumerate().map(move |(n, call)| (p, n, call)))
        .collect();
    go(&all, criterion, &S::start(setup))
}

/// Up to three processes with up to three calls each at random times; the last of a process may never return.
fn histories<S: Spec>(
    op_and_ret: impl Strategy<Value = (S::Op, S::Ret)> + Clone + 'static,
) -> impl Strategy<Value = History<S>> {
    let process = (
        prop::collection::vec((op_and_ret, 0u64..6, 1u64..6), 0..=3),
        any::<bool>(),
    );
    prop::collection::vec(process, 1..=3).prop_map(|processes| {
        let calls = processes.into_iter().map(|(calls, pending)| {
            let count = calls.len();
            let mut time = 0;
            let timed = calls
                .into_iter()
                .enumerate()
                .map(|(number, ((op, ret), wait, length))| {
                    let invoked = time + wait;
                    time = invoked + length;
                    let never = pending && number + 1 == count;
                    let returned = if never { Call::<S>::NEVER } else { time };
                    time += 1;
                    Call {
                        op,
                        ret: (!never).then_some(ret),
                        invoked,
                        returned,
                    }
                });
            timed.collect()
        });
        History {
            calls: calls.collect(),
        }
    })
}

fn register_calls() -> impl Strategy<Value = (RegisterOp<u8>, RegisterRet<u8>)> + Clone {
    prop_oneof![
        (1u8..4).prop_map(|value| (RegisterOp::Write(value), RegisterRet::Written)),
        (0u8..4).prop_map(|value| (RegisterOp::Read, RegisterRet::Value(value))),
    ]
}

fn queue_calls() -> impl Strategy<Value = (QueueOp<u8>, QueueRet<u8>)> + Clone {
    prop_oneof![
        4 => (1u8..3).prop_map(|item| (QueueOp::Push(item), QueueRet::Pushed)),
        1 => (1u8..3).prop_map(|item| (QueueOp::Push(item), QueueRet::Full)),
        3 => (1u8..3).prop_map(|item| (QueueOp::Pop, QueueRet::Popped(item))),
        1 => Just((QueueOp::Pop, QueueRet::Empty)),
    ]
}

/// The check and the oracle agree, and over the run both answers come often enough to mean something.
fn agree<S: Spec>(setup: S::Setup, histories: impl Strategy<Value = History<S>>) {
    let (yes, no, kept) = (
        std::cell::Cell::new(0),
        std::cell::Cell::new(0),
        std::cell::Cell::new(0),
    );
    let config = ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ran = runner.run(&histories, |history| {
        for criterion in [Criterion::RealTime, Criterion::ProgramOrder] {
            let expected = oracle(&setup, &history, criterion);
            let verdict = explain(&setup, &history, criterion, STATES);
            prop_assert_eq!(
                verdict == Verdict::Ok,
                expected,
                "{:?} {:?}",
                criterion,
                verdict
            );
            let count = if expected { &yes } else { &no };
            count.set(count.get() + 1);
        }
        let orders = |criterion| explain(&setup, &history, criterion, STATES) == Verdict::Ok;
        kept.set(
            kept.get()
                + usize::from(orders(Criterion::ProgramOrder) != orders(Criterion::RealTime)),
        );
        Ok(())
    });
    ran.unwrap();
    assert!(
        yes.get() > 300 && no.get() > 300,
        "{} allowed, {} not",
        yes.get(),
        no.get()
    );
    assert!(
        kept.get() > 20,
        "real time mattered only {} times",
        kept.get()
    );
}

#[test]
fn the_check_agrees_with_the_oracle_on_registers() {
    agree::<Register<u8>>(0, histories(register_calls()));
}

#[test]
fn the_check_agrees_with_the_oracle_on_queues() {
    agree::<Queue<u8>>(2, histories(queue_calls()));
}

#[test]
fn an_explanation_names_the_call_that_no_order_allows_and_what_it_should_have_returned() {
    let call = |op, ret, invoked| Call {
        op,
        ret: Some(ret),
        invoked,
        returned: invoked + 1,
    };
    let history = History::<Register<u8>> {
        calls: vec![
            vec![
                call(RegisterOp::Write(1), RegisterRet::Written, 0),
                call(RegisterOp::Write(2), RegisterRet::Written, 4),
            ],
            vec![
                call(RegisterOp::Read, RegisterRet::Value(1), 2),
                call(RegisterOp::Read, RegisterRet::Value(1), 6),
            ],
        ],
    };
    let Verdict::Finding(finding) = explain(&0, &history, Criterion::RealTime, STATES) else {
        panic!()
    };
    let explanation = finding.explanation.unwrap();
    assert_eq!(explanation.longest, [(0, 0), (1, 0), (0, 1)]);
    assert_eq!(explanation.blocked.len(), 1);
    assert_eq!(
        (explanation.blocked[0].process, explanation.blocked[0].call),
        (1, 1)
    );
    assert_eq!(explanation.blocked[0].expected, RegisterRet::Value(2));
}

#[test]
fn a_spent_budget_is_unknown_and_never_ok() {
    let write = |value| Call {
        op: RegisterOp::Write(value),
        ret: Some(RegisterRet::Written),
        invoked: 0,
        returned: 9,
    };
    let read = Call {
        op: RegisterOp::Read,
        ret: Some(RegisterRet::Value(99)),
        invoked: 0,
        returned: 9,
    };
    let mut calls: Vec<Vec<Call<Register<u8>>>> = (0..7).map(|value| vec![write(value)]).collect();
    calls.push(vec![read]);
    let history = History { calls };
    assert!(
        matches!(explain(&0, &history, Criterion::RealTime, 50), Verdict::Unknown(why) if why.contains("50 states"))
    );
    assert!(matches!(
        explain(&0, &history, Criterion::RealTime, STATES),
        Verdict::Finding(_)
    ));
}

#[test]
fn a_call_that_never_returned_took_effect_or_did_not() {
    let pending = Call {
        op: RegisterOp::Write(5),
        ret: None,
        invoked: 0,
        returned: Call::<Register<u8>>::NEVER,
    };
    let read = |value, invoked| Call {
        op: RegisterOp::Read,
        ret: Some(RegisterRet::Value(value)),
        invoked,
        returned: invoked + 1,
    };
    let verdict = |reads: Vec<Call<Register<u8>>>| {
        explain(
            &0,
            &History {
                calls: vec![vec![pending.clone()], reads],
            },
            Criterion::RealTime,
            STATES,
        )
    };
    assert_eq!(verdict(vec![read(0, 1), read(5, 3)]), Verdict::Ok);
    assert_eq!(verdict(vec![read(0, 1), read(0, 3)]), Verdict::Ok);
    assert_ne!(verdict(vec![read(5, 1), read(0, 3)]), Verdict::Ok);
}
