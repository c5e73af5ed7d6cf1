//! The sentence of a finding: the error, and why it is one.

use super::screen::Room;
use super::table::{apart, short};
use crate::case::{Call, History, named};
use crate::check::{Blocked, Finding, Kind, Order, blame, other_result};
use crate::engine::Run;
use crate::spec::Spec;

/// Describes the error, or the actual and the expected result.
pub(super) fn sentence<S: Spec>(
    roles: &[String],
    run: &Run<S>,
    finding: &Finding<S>,
    room: Room,
) -> String {
    let explanation = finding.explanation.as_ref();
    let Some(explanation) = explanation.filter(|_| finding.detail.is_empty()) else {
        return format!(
            "{}{}",
            finding.detail,
            standstill(roles, run, finding, room)
        );
    };
    let order = match finding.kind {
        Kind::NotSequentiallyConsistent => Order::AfterPrefix,
        _ => Order::RealTime,
    };
    let (setup, history) = (&run.case.setup, &run.history);
    let Some(blamed) = blame(setup, history, order, explanation) else {
        return String::new();
    };
    let other = blamed.expected.as_ref();
    let other = other.and_then(|_| other_result(setup, history, order, explanation, &blamed));
    let or = other.map_or(String::new(), |other| {
        format!(" or {}", short(&other, room))
    });
    accusation(roles, history, &blamed, room) + &or
}

/// Describes the result of a call, and the expected one.
pub(super) fn accusation<S: Spec>(
    roles: &[String],
    history: &History<S>,
    blamed: &Blocked<S>,
    room: Room,
) -> String {
    let call = &history.calls[blamed.process][blamed.call];
    let process = named(roles, blamed.process);
    let (op, got) = (short(&call.op, room), call.ret.as_ref());
    let shown = got.map(|got| short(got, room)).unwrap_or_default();
    match (got, &blamed.expected) {
        (Some(got), Some(wanted)) if got != wanted => {
            let (got, wanted) = apart(got, wanted, room);
            format!("{process}: {op} returned {got}, expected {wanted}")
        }
        _ if blamed.waits => format!("{process}: {op} returned {shown}, expected that it waits"),
        _ => format!("{process}: {op} returned {shown}, which the spec does not allow there"),
    }
}

/// Describes why a standstill is wrong, where no step shows it: the spec's rule on a call that did
/// not return, or the calls that might have ended a wait.
fn standstill<S: Spec>(roles: &[String], run: &Run<S>, finding: &Finding<S>, room: Room) -> String {
    if !run.steps.is_empty() {
        return String::new();
    }
    let called = |process: usize, call: &Call<S>| {
        let role = named(roles, process);
        format!("{role} {}", short(&call.op, room))
    };
    let calls = &run.history.calls;
    let explanation = finding.explanation.as_ref();
    let mut blocked = explanation.into_iter().flat_map(|why| &why.blocked);
    let expected = blocked.find_map(|blocked| {
        let call = &calls[blocked.process][blocked.call];
        let expected = blocked.expected.as_ref().filter(|_| call.ret.is_none())?;
        let call = called(blocked.process, call);
        Some(format!(
            "; the spec does not let {call} wait: expected {}",
            short(expected, room)
        ))
    });
    if let Some(expected) = expected {
        return expected;
    }
    let pending: Vec<String> = calls
        .iter()
        .enumerate()
        .flat_map(|(process, calls)| calls.iter().map(move |call| (process, call)))
        .filter(|(_, call)| call.ret.is_none())
        .map(|(process, call)| called(process, call))
        .collect();
    match (finding.kind, pending.as_slice()) {
        (Kind::Endless, [_]) => "; no other operation was under way".into(),
        (Kind::Endless, [_, _, ..]) => format!("; under way were {}", pending.join(" and ")),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::check::{Criterion, Explanation, Limits, Verdict, check};
    use crate::spec::{Queue, QueueOp, QueueRet, Register, RegisterOp, RegisterRet};

    /// Returns the sentence on a Pop that returned 9, where 1 was pushed to an empty queue from 2 on.
    fn sentence_on_pop(pushed: u64, (invoked, returned): (u64, u64)) -> String {
        let call = |op, ret, invoked, returned| Call {
            op,
            ret: Some(ret),
            invoked,
            returned,
        };
        let push = call(QueueOp::Push(1), QueueRet::Pushed, 2, pushed);
        let pop = call(QueueOp::Pop, QueueRet::Popped(9), invoked, returned);
        let history = History::<Queue<u64>> {
            calls: vec![vec![push], vec![pop]],
        };
        let verdict = check(&1, &history, Criterion::RealTime, Limits::default());
        let Verdict::Finding(finding) = verdict else {
            panic!("{verdict:?}")
        };
        let run = Run {
            case: Case::free(1, vec![Vec::new(); 2]),
            history,
            steps: Vec::new(),
            verdict: Verdict::Ok,
            scope: None,
        };
        sentence(
            &["sender".to_owned(), "receiver".to_owned()],
            &run,
            &finding,
            Room::USUAL,
        )
    }

    #[test]
    fn a_concurrent_call_is_reported_the_result_that_the_longest_order_expects_too() {
        let concurrent = sentence_on_pop(9, (3, 4));
        let words = "receiver: Pop returned Popped(9), expected";
        assert_eq!(concurrent, format!("{words} Empty or Popped(1)"));
        assert_eq!(sentence_on_pop(4, (5, 9)), format!("{words} Popped(1)"));
    }

    #[test]
    fn a_standstill_without_steps_says_what_is_wrong_with_it() {
        let call = |ret| Call::<Register<u64>> {
            op: RegisterOp::Read,
            ret,
            invoked: 1,
            returned: Call::<Register<u64>>::NEVER,
        };
        let run = |calls: Vec<Vec<Call<_>>>| Run {
            case: Case::free(0, vec![Vec::new(); 2]),
            history: History { calls },
            steps: Vec::new(),
            verdict: Verdict::Ok,
            scope: None,
        };
        let finding = |kind, explanation| Finding {
            kind,
            detail: "it stands still".into(),
            explanation,
        };
        let roles = ["one".to_owned(), "other".to_owned()];
        let explanation = Explanation {
            longest: Vec::new(),
            state: String::new(),
            blocked: vec![Blocked {
                process: 1,
                call: 0,
                expected: Some(RegisterRet::Value(7)),
                waits: false,
            }],
        };
        let one = run(vec![
            vec![call(Some(RegisterRet::Value(7)))],
            vec![call(None)],
        ]);
        assert_eq!(
            sentence(
                &roles,
                &one,
                &finding(Kind::Deadlock, Some(explanation)),
                Room::USUAL
            ),
            "it stands still; the spec does not let other Read wait: expected Value(7)"
        );
        let endless = finding(Kind::Endless, None);
        assert_eq!(
            sentence(&roles, &one, &endless, Room::USUAL),
            "it stands still; no other operation was under way"
        );
        let both = run(vec![vec![call(None)], vec![call(None)]]);
        assert_eq!(
            sentence(&roles, &both, &endless, Room::USUAL),
            "it stands still; under way were one Read and other Read"
        );
        assert_eq!(
            sentence(&roles, &both, &finding(Kind::Died, None), Room::USUAL),
            "it stands still"
        );
    }
}
