//! The check against an oracle that tries every order, on random histories with calls that never
//! returned.

mod seeds;

use forkcheck::case::{Call, History};
use forkcheck::check::{Criterion, Kind, Limits, Verdict, check, check_blocked};
use forkcheck::spec::{Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet, Spec};
use proptest::prelude::*;
use seeds::kept_in;
use serde::{Deserialize, Serialize};

const LIMITS: Limits = Limits {
    states: 1 << 16,
    steps: 1 << 20,
};

/// A call that is not in the order yet, or the death of its process behind its effect.
struct Left<'a, S: Spec> {
    process: usize,
    number: usize,
    call: &'a Call<S>,
    is_death: bool,
}

// A derived one would ask for a spec that is `Copy`.
impl<S: Spec> Clone for Left<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Spec> Copy for Left<'_, S> {}

impl<S: Spec> Left<'_, S> {
    fn sleeps(&self) -> bool {
        self.call.returned == Call::<S>::NEVER
    }

    fn goes_before(&self, later: &Self, criterion: Criterion) -> bool {
        self.process == later.process && self.number < later.number
            || criterion == Criterion::RealTime && self.call.returned < later.call.invoked
    }

    /// Returns the states after it, each with whether the death of its process is still to come.
    fn after(&self, state: &S) -> Vec<(S, bool)> {
        let (process, op) = (self.process, &self.call.op);
        let mut after = Vec::new();
        if !self.is_death && !state.blocks(process, op) {
            let mut effect = state.clone();
            let fits = match &self.call.ret {
                Some(ret) => effect.accept(process, op, ret),
                None => {
                    effect.step(process, op);
                    true
                }
            };
            after.extend(fits.then_some((effect, self.call.ret.is_none() && !self.sleeps())));
        }
        if self.call.ret.is_none() && !self.sleeps() {
            let mut crashed = state.clone();
            crashed.crash(process, op);
            after.push((crashed, false));
        }
        after
    }
}

/// Checks a history by definition: all calls that returned, some of those that never returned, and some deaths of processes, in
/// some order that the criterion permits, give the observed results. If all are `at_rest`, no call
/// that never returned took effect, and each may wait at the end.
fn oracle<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    criterion: Criterion,
    at_rest: bool,
) -> bool {
    fn go<S: Spec>(left: &[Left<'_, S>], criterion: Criterion, at_rest: bool, state: &S) -> bool {
        if left.iter().all(|one| {
            let may_wait = || state.blocks(one.process, &one.call.op);
            one.call.ret.is_none() && (!at_rest || !one.sleeps() || may_wait())
        }) {
            return true;
        }
        left.iter().enumerate().any(|(place, next)| {
            let goes_before = |other: &Left<S>| other.goes_before(next, criterion);
            let comes_too_early = left
                .iter()
                .any(|one| one.call.ret.is_some() && goes_before(one));
            if comes_too_early || at_rest && next.sleeps() {
                return false;
            }
            // Calls and deaths that had to come before this one never did.
            let others = left.iter().enumerate();
            let others = others.filter(|&(other, one)| other != place && !goes_before(one));
            let others: Vec<_> = others.map(|(_, &one)| one).collect();
            next.after(state).into_iter().any(|(state, dies)| {
                let death = dies.then_some(Left {
                    is_death: true,
                    ..*next
                });
                let left: Vec<_> = others.iter().copied().chain(death).collect();
                go(&left, criterion, at_rest, &state)
            })
        })
    }
    let calls = history.calls.iter().enumerate();
    let all: Vec<_> = calls
        .flat_map(|(process, calls)| {
            let calls = calls.iter().enumerate();
            calls.map(move |(number, call)| Left {
                process,
                number,
                call,
                is_death: false,
            })
        })
        .collect();
    go(&all, criterion, at_rest, &S::start(setup))
}

/// Returns histories of few processes with few calls each at random times. The last call of a
/// process may never return, and a process may die in any other.
fn histories<S: Spec>(
    op_and_ret: impl Strategy<Value = (S::Op, S::Ret)> + Clone + 'static,
    processes: usize,
    calls: usize,
) -> impl Strategy<Value = History<S>> {
    let process = (
        prop::collection::vec((op_and_ret, 0u64..6, 1u64..6, 0..8), 0..=calls),
        any::<bool>(),
    );
    prop::collection::vec(process, 1..=processes).prop_map(|processes| {
        let calls =
            processes.into_iter().map(|(calls, pending)| {
                let count = calls.len();
                let mut time = 0;
                let timed = calls.into_iter().enumerate().map(
                    |(number, ((op, ret), wait, length, died))| {
                        let last = number + 1 == count;
                        let invoked = time + wait;
                        time = invoked + length;
                        let returned = if pending && last {
                            Call::<S>::NEVER
                        } else {
                            time
                        };
                        time += 1;
                        Call {
                            op,
                            ret: (returned != Call::<S>::NEVER && died > 0).then_some(ret),
                            invoked,
                            returned,
                        }
                    },
                );
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

/// Asserts that the check and the oracle agree, and that over the run both answers are frequent
/// enough to mean something.
fn agree<S: Spec>(setup: S::Setup, histories: impl Strategy<Value = History<S>>) {
    let (yes, no, kept) = (
        std::cell::Cell::new(0),
        std::cell::Cell::new(0),
        std::cell::Cell::new(0),
    );
    let mut runner = proptest::test_runner::TestRunner::new(kept_in!("check.txt", 3_000));
    let ran = runner.run(&histories, |history| {
        for criterion in [Criterion::RealTime, Criterion::ProgramOrder] {
            let expected = oracle(&setup, &history, criterion, false);
            let verdict = check(&setup, &history, criterion, LIMITS);
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
        let orders = |criterion| check(&setup, &history, criterion, LIMITS) == Verdict::Ok;
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
    agree::<Register<u8>>(0, histories(register_calls(), 3, 3));
}

#[test]
fn the_check_agrees_with_the_oracle_on_queues() {
    agree::<Queue<u8>>(2, histories(queue_calls(), 3, 3));
}

#[test]
fn the_check_agrees_with_the_oracle_where_many_calls_never_returned() {
    agree::<Register<u8>>(0, histories(register_calls(), 5, 2));
    agree::<Queue<u8>>(3, histories(queue_calls(), 5, 2));
    agree::<Stack>((), histories(stack_calls(), 5, 2));
}

/// A machine whose steps, results, waits and crashes are drawn: each depends on the process too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Drawn {
    seed: u64,
    state: u8,
}

impl Drawn {
    const STATES: u64 = 4;
    /// An operation that leaves each state as it is.
    const READ: u8 = 3;

    /// Returns a number that is always the same for the same arguments.
    fn draw(&self, kind: u64, process: usize, op: u8) -> u64 {
        let of = [self.state.into(), kind, process as u64, op.into()];
        of.iter().fold(self.seed, |hash, part| {
            let mixed = (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ mixed >> 29
        }) >> 20
    }
}

impl Spec for Drawn {
    type Setup = u64;
    type Op = u8;
    type Ret = u8;
    fn start(seed: &u64) -> Self {
        Self {
            seed: *seed,
            state: 0,
        }
    }
    fn step(&mut self, process: usize, op: &u8) -> u8 {
        if *op == Self::READ {
            return self.state % 2;
        }
        let ret = self.draw(0, process, *op) % 2;
        self.state = (self.draw(1, process, *op) % Self::STATES) as u8;
        ret as u8
    }
    fn blocks(&self, process: usize, op: &u8) -> bool {
        self.draw(2, process, *op).is_multiple_of(6)
    }
    fn crash(&mut self, process: usize, op: &u8) {
        if self.draw(3, process, *op).is_multiple_of(2) {
            self.state = (self.draw(4, process, *op) % Self::STATES) as u8;
        }
    }
    fn only_reads(op: &u8, _: &u8) -> bool {
        *op == Self::READ
    }
}

#[test]
fn the_check_agrees_with_the_oracle_on_drawn_specs_and_the_deaths_of_their_processes() {
    let calls = (0u8..4, 0u8..2);
    let shapes = prop_oneof![histories(calls.clone(), 3, 3), histories(calls, 5, 2)];
    let (yes, no) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(kept_in!("check.txt", 20_000));
    let ran = runner.run(&(any::<u64>(), shapes), |(seed, history)| {
        for criterion in [Criterion::RealTime, Criterion::ProgramOrder] {
            for at_rest in [false, true] {
                let expected = oracle::<Drawn>(&seed, &history, criterion, at_rest);
                let verdict = match at_rest {
                    false => check(&seed, &history, criterion, LIMITS),
                    true => check_blocked(&seed, &history, criterion, LIMITS),
                };
                let count = if expected { &yes } else { &no };
                count.set(count.get() + 1);
                prop_assert_eq!(
                    verdict == Verdict::Ok,
                    expected,
                    "{:?} {} {:?}",
                    criterion,
                    at_rest,
                    verdict
                );
            }
        }
        Ok(())
    });
    ran.unwrap();
    assert!(
        yes.get() > 2_000 && no.get() > 2_000,
        "{} allowed, {} not",
        yes.get(),
        no.get()
    );
}

/// A stack that also returns its height: pushes do not commute, and one call can observe several of
/// them. Popping an empty one waits, and a push may be dropped without notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stack(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum StackOp {
    Push(u8),
    Pop,
    Height,
}

impl Spec for Stack {
    type Setup = ();
    type Op = StackOp;
    /// The popped item, or the height; 0 for a push.
    type Ret = u8;
    fn start(_: &()) -> Self {
        Self(Vec::new())
    }
    fn step(&mut self, _: usize, op: &StackOp) -> u8 {
        match op {
            StackOp::Push(item) => {
                self.0.push(*item);
                0
            }
            StackOp::Pop => self.0.pop().expect("a pop from an empty stack waits"),
            StackOp::Height => self.0.len() as u8,
        }
    }
    fn accept(&mut self, _: usize, op: &StackOp, ret: &u8) -> bool {
        // A height that is too low by one is allowed.
        let here = self.step(0, op);
        here == *ret || *op == StackOp::Height && here == ret + 1
    }
    fn blocks(&self, _: usize, op: &StackOp) -> bool {
        *op == StackOp::Pop && self.0.is_empty()
    }
}

fn stack_calls() -> impl Strategy<Value = (StackOp, u8)> + Clone {
    prop_oneof![
        4 => (1u8..4).prop_map(|item| (StackOp::Push(item), 0)),
        3 => (1u8..4).prop_map(|item| (StackOp::Pop, item)),
        2 => (0u8..4).prop_map(|height| (StackOp::Height, height)),
    ]
}

#[test]
fn the_check_agrees_with_the_oracle_where_calls_wait_and_several_results_are_allowed() {
    agree::<Stack>((), histories(stack_calls(), 3, 3));
}

#[test]
fn the_check_agrees_with_the_oracle_on_which_calls_may_sleep_indefinitely() {
    let (rests, deadlocks) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(kept_in!("check.txt", 5_000));
    let ran = runner.run(&histories::<Stack>(stack_calls(), 3, 2), |history| {
        for criterion in [Criterion::RealTime, Criterion::ProgramOrder] {
            let expected = oracle(&(), &history, criterion, true);
            let verdict = check_blocked(&(), &history, criterion, LIMITS);
            prop_assert_eq!(verdict == Verdict::Ok, expected, "{:?}", verdict);
            if let Verdict::Finding(finding) = verdict {
                prop_assert_eq!(finding.kind, Kind::Deadlock);
            }
            let waiting = history
                .calls
                .iter()
                .flatten()
                .any(|call| call.ret.is_none());
            let count = if expected { &rests } else { &deadlocks };
            count.set(count.get() + usize::from(waiting));
        }
        Ok(())
    });
    ran.unwrap();
    assert!(
        rests.get() > 30 && deadlocks.get() > 300,
        "{} may sleep, {} may not",
        rests.get(),
        deadlocks.get()
    );
}

/// Two registers, separated by key; `Whole` is the same without that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Two<const APART: bool>([Register<u8>; 2]);

impl<const APART: bool> Spec for Two<APART> {
    type Setup = ();
    type Op = (usize, RegisterOp<u8>);
    type Ret = RegisterRet<u8>;
    fn start(_: &()) -> Self {
        Self([Register::start(&0), Register::start(&0)])
    }
    fn step(&mut self, process: usize, (which, op): &Self::Op) -> RegisterRet<u8> {
        self.0[*which].step(process, op)
    }
    fn key((which, _): &Self::Op) -> u64 {
        if APART { *which as u64 } else { 0 }
    }
}

#[test]
fn a_history_taken_apart_by_key_is_judged_as_the_whole_is() {
    let calls = || (0usize..2, register_calls()).prop_map(|(which, (op, ret))| ((which, op), ret));
    agree::<Two<true>>((), histories(calls(), 3, 3));
    agree::<Two<false>>((), histories(calls(), 3, 3));
}

#[test]
fn an_explanation_of_a_key_numbers_the_calls_of_the_whole_history() {
    let call = |which, op, ret, time| Call {
        op: (which, op),
        ret: Some(ret),
        invoked: time,
        returned: time + 1,
    };
    let history = History::<Two<true>> {
        calls: vec![vec![
            call(0, RegisterOp::Write(1), RegisterRet::Written, 0),
            call(1, RegisterOp::Write(2), RegisterRet::Written, 2),
            call(0, RegisterOp::Read, RegisterRet::Value(1), 4),
            call(1, RegisterOp::Read, RegisterRet::Value(1), 6),
        ]],
    };
    let Verdict::Finding(finding) = check(&(), &history, Criterion::RealTime, LIMITS) else {
        panic!()
    };
    let explanation = finding.explanation.unwrap();
    assert_eq!(explanation.longest, [(0, 1)]);
    assert_eq!(
        (explanation.blocked[0].process, explanation.blocked[0].call),
        (0, 3)
    );
}

/// Returns a history in which each process dies in a push; then one pops an item that none can have
/// pushed.
fn ten_pending<S: Spec>(ops: impl Iterator<Item = S::Op>, seen: &[(S::Op, S::Ret)]) -> History<S> {
    let pending = ops.map(|op| {
        vec![Call {
            op,
            ret: None,
            invoked: 0,
            returned: Call::<S>::NEVER,
        }]
    });
    let mut calls: Vec<_> = pending.collect();
    let observer = seen.iter().enumerate().map(|(n, (op, ret))| Call {
        op: op.clone(),
        ret: Some(ret.clone()),
        invoked: 1 + 2 * n as u64,
        returned: 2 + 2 * n as u64,
    });
    calls.push(observer.collect());
    History { calls }
}

#[test]
fn pending_calls_that_no_process_can_have_observed_cost_next_to_nothing() {
    let few = Limits {
        states: 200,
        steps: 20_000,
    };
    let writes = || (1..=10).map(RegisterOp::Write);
    let read = |value| (RegisterOp::Read, RegisterRet::Value(value));
    let judged = |seen: &[_]| {
        let history = ten_pending::<Register<u8>>(writes(), seen);
        check(&0, &history, Criterion::RealTime, few)
    };
    assert_eq!(judged(&[read(3), read(5), read(7)]), Verdict::Ok);
    // A thousand subsets in millions of orders, and none of them explains it.
    assert!(matches!(
        judged(&[read(3), read(5), read(11)]),
        Verdict::Finding(_)
    ));
    assert!(matches!(
        judged(&[read(3), read(5), read(3)]),
        Verdict::Finding(_)
    ));
}

/// A set of numbers, to which members are added without notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Members(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum MembersOp {
    Add(u8),
    Has(u8),
}

impl Spec for Members {
    type Setup = ();
    type Op = MembersOp;
    /// Whether it has the member; `false` for an addition.
    type Ret = bool;
    fn start(_: &()) -> Self {
        Self(0)
    }
    fn step(&mut self, _: usize, op: &MembersOp) -> bool {
        match op {
            MembersOp::Add(member) => self.0 |= 1 << member,
            MembersOp::Has(member) => return self.0 >> member & 1 == 1,
        }
        false
    }
}

#[test]
fn pending_calls_that_may_come_before_or_after_those_that_returned_come_after_them() {
    let returned = (10..20).map(|member| (MembersOp::Add(member), false));
    let seen: Vec<_> = returned.chain([(MembersOp::Has(20), true)]).collect();
    let history = ten_pending::<Members>((0..5).map(MembersOp::Add), &seen);
    // With the pending calls in front of each addition as well it takes more than 5,000 steps.
    let limits = Limits {
        steps: 3_000,
        ..LIMITS
    };
    let verdict = check(&(), &history, Criterion::RealTime, limits);
    assert!(matches!(verdict, Verdict::Finding(_)), "{verdict:?}");
}

#[test]
fn of_ten_equal_calls_that_never_returned_each_number_is_tried_once() {
    let pushes = std::iter::repeat_n(QueueOp::Push(1), 10);
    let history = ten_pending::<Queue<u8>>(pushes, &[(QueueOp::Pop, QueueRet::Popped(9))]);
    // There are 1,024 sets of them.
    let limits = Limits {
        steps: 500,
        ..LIMITS
    };
    let verdict = check(&16, &history, Criterion::RealTime, limits);
    assert!(matches!(verdict, Verdict::Finding(_)), "{verdict:?}");
}

#[test]
fn states_after_pending_calls_alone_count_as_states_remembered() {
    let pushes = (0..10).map(QueueOp::Push);
    let history = ten_pending::<Queue<u8>>(pushes, &[(QueueOp::Pop, QueueRet::Popped(99))]);
    let limits = Limits {
        states: 1 << 12,
        steps: u64::MAX,
    };
    assert!(
        matches!(check(&16, &history, Criterion::RealTime, limits), Verdict::Unknown(why)
            if why.contains("raise Limits::states"))
    );
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
    let Verdict::Finding(finding) = check(&0, &history, Criterion::RealTime, LIMITS) else {
        panic!()
    };
    let explanation = finding.explanation.unwrap();
    assert_eq!(explanation.longest, [(0, 0), (1, 0), (0, 1)]);
    assert_eq!(explanation.blocked.len(), 1);
    assert_eq!(
        (explanation.blocked[0].process, explanation.blocked[0].call),
        (1, 1)
    );
    assert_eq!(explanation.blocked[0].expected, Some(RegisterRet::Value(2)));
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
        matches!(check(&0, &history, Criterion::RealTime, Limits { states: 50, ..LIMITS }), Verdict::Unknown(why) if why.contains("51 states"))
    );
    assert!(matches!(
        check(&0, &history, Criterion::RealTime, LIMITS),
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
        check(
            &0,
            &History {
                calls: vec![vec![pending.clone()], reads],
            },
            Criterion::RealTime,
            LIMITS,
        )
    };
    assert_eq!(verdict(vec![read(0, 1), read(5, 3)]), Verdict::Ok);
    assert_eq!(verdict(vec![read(0, 1), read(0, 3)]), Verdict::Ok);
    assert_ne!(verdict(vec![read(5, 1), read(0, 3)]), Verdict::Ok);
}

/// A lock that only its holder can release.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct HeldLock(Option<usize>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum LockOp {
    Lock(usize),
    Unlock,
}

impl Spec for HeldLock {
    type Setup = ();
    type Op = LockOp;
    type Ret = ();
    fn start(_: &()) -> Self {
        Self(None)
    }
    fn step(&mut self, _: usize, op: &LockOp) {
        self.0 = match op {
            LockOp::Lock(process) => Some(*process),
            LockOp::Unlock => None,
        };
    }
    fn blocks(&self, process: usize, op: &LockOp) -> bool {
        match op {
            LockOp::Lock(_) => self.0.is_some(),
            LockOp::Unlock => self.0 != Some(process),
        }
    }
    /// The lock of a dead holder is free.
    fn crash(&mut self, process: usize, _: &LockOp) {
        if self.0 == Some(process) {
            self.0 = None;
        }
    }
}

/// Returns calls of one process: the operation, its invocation, and its return if it has one.
fn lock_calls(calls: &[(LockOp, u64, Option<u64>)]) -> Vec<Call<HeldLock>> {
    let call = |&(op, invoked, returned): &(LockOp, u64, Option<u64>)| Call {
        op,
        ret: returned.map(|_| ()),
        invoked,
        returned: returned.unwrap_or(Call::<HeldLock>::NEVER),
    };
    calls.iter().map(call).collect()
}

/// A counter, and a lease that outlives operations and ends with its holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Leased {
    total: u8,
    holder: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum LeaseOp {
    Acquire(usize),
    Add,
}

impl Spec for Leased {
    type Setup = ();
    type Op = LeaseOp;
    type Ret = u8;
    fn start(_: &()) -> Self {
        Self {
            total: 0,
            holder: None,
        }
    }
    fn step(&mut self, _: usize, op: &LeaseOp) -> u8 {
        match op {
            LeaseOp::Acquire(process) => (*self.holder.get_or_insert(*process) == *process).into(),
            LeaseOp::Add => {
                self.total += 1;
                self.total
            }
        }
    }
    fn crash(&mut self, process: usize, _: &LeaseOp) {
        self.holder = self.holder.filter(|holder| *holder != process);
    }
}

#[test]
fn a_call_cut_short_by_a_death_may_have_taken_effect_and_left_what_a_crash_does_as_well() {
    use LeaseOp::{Acquire, Add};
    let verdict = |acquired: u8, total: u8| {
        let call = |op, ret: u8, at| Call {
            op,
            ret: Some(ret),
            invoked: at,
            returned: at + 1,
        };
        let died = Call {
            op: Add,
            ret: None,
            invoked: 2,
            returned: Call::<Leased>::DIED,
        };
        let history = History::<Leased> {
            calls: vec![
                vec![call(Acquire(0), 1, 0), died],
                vec![call(Acquire(1), acquired, 4), call(Add, total, 6)],
            ],
        };
        check(&(), &history, Criterion::RealTime, Limits::default())
    };
    // It added before it died, or did not; and the lease ended with it, or has not ended yet.
    for (acquired, total) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
        assert_eq!(verdict(acquired, total), Verdict::Ok, "{acquired} {total}");
    }
    // It did not add twice.
    assert_ne!(verdict(1, 3), Verdict::Ok);
}

/// A lock whose call returns whether the caller holds it then; it is free again when its holder dies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TriedLock(Option<usize>);

impl Spec for TriedLock {
    type Setup = ();
    type Op = ();
    type Ret = bool;
    fn start(_: &()) -> Self {
        Self(None)
    }
    fn step(&mut self, process: usize, (): &()) -> bool {
        *self.0.get_or_insert(process) == process
    }
    fn crash(&mut self, process: usize, (): &()) {
        self.0 = self.0.filter(|holder| *holder != process);
    }
}

#[test]
fn calls_of_others_may_come_between_the_effect_of_a_call_and_the_death_of_its_process() {
    let tried = |ret, at| Call {
        op: (),
        ret: Some(ret),
        invoked: at,
        returned: at + 1,
    };
    let verdict = |returned, seen: &[bool]| {
        let died = Call {
            op: (),
            ret: None,
            invoked: 1,
            returned,
        };
        let others = (2..).step_by(2).zip(seen);
        let others = others.map(|(at, &ret)| tried(ret, at)).collect();
        let history = History::<TriedLock> {
            calls: vec![vec![died], others],
        };
        check(&(), &history, Criterion::RealTime, Limits::default())
    };
    let died = Call::<TriedLock>::DIED;
    // It was held by the process that died, and then free.
    assert_eq!(verdict(died, &[false, true]), Verdict::Ok);
    assert_eq!(verdict(died, &[false, false, true, true]), Verdict::Ok);
    // It did not become held by a dead process, nor was it taken from the other one.
    assert_ne!(verdict(died, &[true, false]), Verdict::Ok);
    assert_ne!(verdict(died, &[false, true, false]), Verdict::Ok);
    // The death comes before the next call of its process.
    let again = |seen: bool| {
        let died = Call {
            op: (),
            ret: None,
            invoked: 1,
            returned: 4,
        };
        let own = vec![died, tried(true, 4)];
        let history = History::<TriedLock> {
            calls: vec![own, vec![tried(false, 2), tried(seen, 6)]],
        };
        check(&(), &history, Criterion::RealTime, Limits::default())
    };
    assert_eq!(again(false), Verdict::Ok);
    assert_ne!(again(true), Verdict::Ok);
}

#[test]
fn the_longest_order_has_the_most_calls_and_a_death_is_none() {
    use forkcheck::spec::{Once, OnceOp::*, OnceRet, OnceRet::Got};
    let call = |op, ret: OnceRet<u8>, invoked, returned| Call {
        op,
        ret: Some(ret),
        invoked,
        returned,
    };
    let died = || Call {
        op: Get,
        ret: None,
        invoked: 7,
        returned: Call::<Once<u8>>::DIED,
    };
    let get = || vec![call(Get, Got(Some(2)), 1, 20)];
    let history = History::<Once<u8>> {
        calls: vec![
            vec![call(Set(1), OnceRet::Set(true), 1, 6)],
            vec![call(Set(2), OnceRet::Set(true), 1, 20)],
            get(),
            get(),
            get(),
            vec![died()],
            vec![died()],
        ],
    };
    let verdict = check(&(), &history, Criterion::RealTime, Limits::default());
    let Verdict::Finding(finding) = verdict else {
        panic!("{verdict:?}")
    };
    let explanation = finding.explanation.unwrap();
    assert_eq!(explanation.longest, [(1, 0), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(explanation.blocked.len(), 1);
}

#[test]
fn an_explanation_has_the_killed_calls_that_nothing_notices_in_an_order_that_is_possible() {
    use RegisterOp::Read;
    let read = |value: Option<u8>, invoked, returned| Call {
        op: Read,
        ret: value.map(RegisterRet::Value),
        invoked,
        returned,
    };
    let history = History::<Register<u8>> {
        calls: vec![
            vec![read(None, 0, 4), read(None, 6, 7), read(None, 21, 22)],
            vec![read(None, 1, 5)],
            vec![read(Some(9), 3, 20)],
        ],
    };
    let longest = |criterion| {
        let verdict = check(&0, &history, criterion, LIMITS);
        let Verdict::Finding(finding) = verdict else {
            panic!("{verdict:?}")
        };
        finding.explanation.unwrap().longest
    };
    // The third read of the first process began after the wrong one returned.
    assert_eq!(longest(Criterion::RealTime), [(0, 0), (1, 0), (0, 1)]);
    let of_processes = [(0, 0), (0, 1), (0, 2), (1, 0)];
    assert_eq!(longest(Criterion::ProgramOrder), of_processes);
}

/// The members of a group, which closes when its last member dies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    members: [bool; 2],
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum GroupOp {
    Join,
    Count,
}

impl Spec for Group {
    type Setup = ();
    type Op = GroupOp;
    type Ret = (u8, bool);
    fn start(_: &()) -> Self {
        Self {
            members: [true, false],
            open: true,
        }
    }
    fn step(&mut self, process: usize, op: &GroupOp) -> (u8, bool) {
        if *op == GroupOp::Join && self.open {
            self.members[process] = true;
        }
        (self.members.iter().map(|&is| u8::from(is)).sum(), self.open)
    }
    fn crash(&mut self, process: usize, _: &GroupOp) {
        self.members[process] = false;
        self.open &= self.members != [false; 2];
    }
}

#[test]
fn a_call_that_never_returned_may_be_noticed_by_a_crash_alone() {
    let call = |op, ret, invoked, returned| Call::<Group> {
        op,
        ret,
        invoked,
        returned,
    };
    let died = Call::<Group>::DIED;
    let verdict = |counted| {
        let history = History::<Group> {
            calls: vec![
                vec![call(GroupOp::Count, None, 1, died)],
                vec![call(GroupOp::Join, None, 1, Call::<Group>::NEVER)],
                vec![call(GroupOp::Count, Some(counted), 4, 5)],
            ],
        };
        check(&(), &history, Criterion::RealTime, Limits::default())
    };
    // The other process joined before the first one died, so the group is open; or it did not; or the first one was still alive.
    for counted in [(1, true), (0, false), (2, true)] {
        assert_eq!(verdict(counted), Verdict::Ok, "{counted:?}");
    }
    assert_ne!(verdict((0, true)), Verdict::Ok);
    assert_ne!(verdict((1, false)), Verdict::Ok);
}

#[test]
fn of_two_equal_calls_that_never_returned_the_one_that_may_take_effect_is_tried() {
    use LockOp::{Lock, Unlock};
    let verdict = |first: &[(LockOp, u64, Option<u64>)]| {
        let history = History::<HeldLock> {
            calls: vec![
                lock_calls(first),
                lock_calls(&[(Lock(1), 1, Some(2)), (Unlock, 3, None)]),
                lock_calls(&[(Lock(2), 5, Some(6))]),
            ],
        };
        check(&(), &history, Criterion::RealTime, Limits::default())
    };
    assert_eq!(verdict(&[]), Verdict::Ok);
    // An unlock by a process without the lock waits indefinitely, and hides no other's.
    assert_eq!(verdict(&[(Unlock, 0, None)]), Verdict::Ok);
}

/// The pending call of a process passes over the earlier calls in which that process died.
#[test]
fn of_two_equal_calls_that_never_returned_the_one_that_passes_over_no_other_is_tried() {
    use RegisterOp::{Read, Write};
    use RegisterRet::{Value, Written};
    let call = |op, ret, invoked, returned| Call {
        op,
        ret,
        invoked,
        returned,
    };
    let never = Call::<Register<u8>>::NEVER;
    let verdict = |ret, last| {
        let history = History::<Register<u8>> {
            calls: vec![
                vec![call(Write(1), ret, 0, 1), call(Write(2), None, 2, never)],
                vec![call(Write(2), None, 3, never)],
                vec![
                    call(Read, Some(Value(2)), 4, 5),
                    call(Read, Some(Value(last)), 6, 7),
                ],
            ],
        };
        check(&0, &history, Criterion::ProgramOrder, LIMITS)
    };
    // The second process writes 2, and then the first one dies in its write of 1.
    assert_eq!(verdict(None, 1), Verdict::Ok);
    assert_eq!(verdict(Some(Written), 1), Verdict::Ok);
    assert!(matches!(verdict(None, 3), Verdict::Finding(_)));
}

/// A register that the death of a process sets to 9.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fragile(Register<u8>);

impl Spec for Fragile {
    type Setup = ();
    type Op = RegisterOp<u8>;
    type Ret = RegisterRet<u8>;
    fn start(_: &()) -> Self {
        Self(Register::start(&0))
    }
    fn step(&mut self, process: usize, op: &Self::Op) -> Self::Ret {
        self.0.step(process, op)
    }
    fn crash(&mut self, _: usize, _: &Self::Op) {
        self.0 = Register::start(&9);
    }
}

#[test]
fn of_two_equal_calls_that_never_returned_the_one_that_passes_over_no_death_is_tried() {
    use RegisterOp::{Read, Write};
    let call = |op, value: Option<u8>, invoked, returned| Call {
        op,
        ret: value.map(RegisterRet::Value),
        invoked,
        returned,
    };
    let never = Call::<Fragile>::NEVER;
    let reads = [(1, 4), (2, 6), (9, 8)];
    let reads = reads.map(|(value, invoked)| call(Read, Some(value), invoked, invoked + 1));
    let history = History::<Fragile> {
        calls: vec![
            vec![call(Write(1), None, 0, 1), call(Write(2), None, 2, never)],
            vec![call(Write(2), None, 3, never)],
            reads.to_vec(),
        ],
    };
    // The first process writes 1, the second one 2, and then the first one dies in its write of 1.
    let verdict = check(&(), &history, Criterion::ProgramOrder, LIMITS);
    assert_eq!(verdict, Verdict::Ok);
}

#[test]
fn a_call_cut_short_by_a_death_took_effect_or_not_or_left_what_a_crash_does() {
    use LockOp::Lock;
    use forkcheck::spec::{
        Once,
        OnceOp::*,
        OnceRet::{Got, Set as WasSet},
    };
    let died = |op| Call {
        op,
        ret: None,
        invoked: 1,
        returned: 3,
    };
    let done = |op, ret, at| Call {
        op,
        ret: Some(ret),
        invoked: at,
        returned: at + 1,
    };
    let once = |calls: Vec<Call<Once<u8>>>| {
        let mut all = vec![died(Set(7))];
        all.extend(calls);
        check(
            &(),
            &History { calls: vec![all] },
            Criterion::RealTime,
            Limits::default(),
        )
    };
    // Nothing, everything, and the effect of a crash of a set: nothing to read, and nothing can be
    // set any more.
    assert_eq!(
        once(vec![
            done(Set(8), WasSet(true), 3),
            done(Get, Got(Some(8)), 5)
        ]),
        Verdict::Ok
    );
    assert_eq!(
        once(vec![
            done(Set(8), WasSet(false), 3),
            done(Get, Got(Some(7)), 5)
        ]),
        Verdict::Ok
    );
    assert_eq!(
        once(vec![
            done(Set(8), WasSet(false), 3),
            done(Get, Got(None), 5)
        ]),
        Verdict::Ok
    );
    // But not two of them.
    assert_ne!(
        once(vec![
            done(Set(8), WasSet(false), 3),
            done(Get, Got(Some(8)), 5)
        ]),
        Verdict::Ok
    );
    assert_ne!(
        once(vec![done(Get, Got(Some(7)), 3), done(Get, Got(None), 5)]),
        Verdict::Ok
    );
    // A lock whose holder died in its next call is free, or that call released it; it can be taken
    // in either case.
    let history = History::<HeldLock> {
        calls: vec![
            lock_calls(&[(Lock(0), 1, Some(2)), (Lock(0), 3, None)]),
            lock_calls(&[(Lock(1), 5, Some(6))]),
        ],
    };
    // While its holder has only not returned, no other process gets it.
    assert_ne!(
        check(&(), &history, Criterion::RealTime, Limits::default()),
        Verdict::Ok
    );
    let mut history = history;
    history.calls[0][1].returned = Call::<HeldLock>::DIED;
    assert_eq!(
        check(&(), &history, Criterion::RealTime, Limits::default()),
        Verdict::Ok
    );
}

/// A flag that any process raises, and that process 0 alone raises further.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ranked(u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum RankedOp {
    Raise,
    Look,
}

impl Spec for Ranked {
    type Setup = ();
    type Op = RankedOp;
    type Ret = u8;
    fn start(_: &()) -> Self {
        Self(0)
    }
    fn step(&mut self, process: usize, op: &RankedOp) -> u8 {
        if *op == RankedOp::Raise && (self.0 == 0 || self.0 == 1 && process == 0) {
            self.0 += 1;
        }
        self.0
    }
}

/// In the first state their effects are the same, so one of them is tried there; it has to be the other one.
#[test]
fn of_two_equal_calls_that_never_returned_each_is_tried_where_their_effects_differ_later() {
    let raise = || Call::<Ranked> {
        op: RankedOp::Raise,
        ret: None,
        invoked: 1,
        returned: Call::<Ranked>::NEVER,
    };
    let verdict = |seen: u8| {
        let look = Call {
            op: RankedOp::Look,
            ret: Some(seen),
            invoked: 2,
            returned: 3,
        };
        let history = History::<Ranked> {
            calls: vec![vec![raise()], vec![raise()], vec![look]],
        };
        check(&(), &history, Criterion::RealTime, LIMITS)
    };
    assert_eq!(verdict(2), Verdict::Ok, "process 1, then process 0");
    assert_eq!(verdict(1), Verdict::Ok);
    assert_ne!(verdict(3), Verdict::Ok);
}

/// A counter that wrongly declares its additions as reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Liar(u8);

impl Spec for Liar {
    type Setup = ();
    type Op = ();
    type Ret = u8;
    fn start(_: &()) -> Self {
        Self(0)
    }
    fn step(&mut self, _: usize, _: &()) -> u8 {
        self.0 += 1;
        self.0
    }
    fn only_reads(_: &(), _: &u8) -> bool {
        true
    }
}

#[test]
fn a_spec_that_says_wrongly_that_an_operation_only_reads_is_reported() {
    let call = Call {
        op: (),
        ret: Some(1),
        invoked: 0,
        returned: 1,
    };
    let history = History::<Liar> {
        calls: vec![vec![call]],
    };
    let Verdict::Finding(finding) = check(&(), &history, Criterion::RealTime, LIMITS) else {
        panic!()
    };
    assert_eq!(finding.kind, Kind::SpecPanic);
    assert!(
        finding.detail.contains("only_reads says"),
        "{}",
        finding.detail
    );
}

/// Times say nothing there, be they what they may.
#[test]
fn program_order_asks_for_no_order_in_time() {
    let call = |op, ret, time| Call::<Register<u8>> {
        op,
        ret: Some(ret),
        invoked: time,
        returned: time,
    };
    let history = History {
        calls: vec![
            vec![call(RegisterOp::Write(7), RegisterRet::Written, 1)],
            vec![call(RegisterOp::Read, RegisterRet::Value(0), 2)],
        ],
    };
    let verdict = |criterion| check(&0, &history, criterion, Limits::default());
    assert_eq!(verdict(Criterion::ProgramOrder), Verdict::Ok);
    assert_ne!(verdict(Criterion::RealTime), Verdict::Ok);
}
