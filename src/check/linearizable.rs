//! The check whether some order of the calls explains a history: the search of Wing and Gong with
//! the cache of Lowe ("Testing for linearizability", 2017), and rules of its own for reads and for
//! pending calls.
//!
//! **Pending calls** never returned: each took effect at some time after it began, or not at all.
//! To try all subsets in all orders is exponential, and not needed: any history that can be
//! explained can be explained with the fewest pending calls, each as late as possible. So they are
//! only ever put right before another call, in a chain of which each member is noticed by the next.
//! A chain whose next call could as well come first, or come without, is not tried. Of
//! pending calls of the same operation only the first is tried, as long as they have the same effect in each state in which one
//! of them is tried, and it passes over no earlier call of its process in which that process died. Where each call is noticed by the
//! next in any order, as pushes to one queue are, that prunes little: ten of those and an
//! impossible pop end as `Unknown`. (Two neighbours may be swapped because nothing has to come
//! after a call that never returned; one may be left out because it need not have taken effect.)

use super::criterion::{Criterion, Limits, Order, Watcher};
use super::search::{Answer, Ending, Of, Search};
use super::verdict::{Finding, Kind};
use super::{Blocked, Explanation, Verdict, asked, witness};
use crate::case::{Call, History};
use crate::spec::Spec;
use std::collections::BTreeMap;

/// The watcher of a check that only its limits end.
const UNWATCHED: Watcher<'static> = &|| true;

/// The length of a history beyond which no single call is looked for that is to blame.
const LONG: usize = 64;

/// The number of calls of one process up to which all are looked at.
const FEW: usize = 8;
/// The limits of each search for the call that is to blame.
const OF_BLAME: Limits = Limits {
    states: 1 << 12,
    steps: 1 << 14,
};

/// Steps of the first share of each key where there are several.
const SHARE: u64 = 1 << 13;
/// The next share of the keys that are not done, as a multiple of the last one.
const GROWTH: u64 = 4;

/// Judges a history: [`Verdict::Ok`], a [`Finding`] with the reason why no order explains it, or
/// [`Verdict::Unknown`] when the limits are spent. A panic of the spec is a finding too ([`Kind::SpecPanic`]).
///
/// In real time a history is judged key by key ([`Spec::key`]), in shares: a key that is hard to
/// judge hides no finding of another. Sequential consistency cannot be judged by keys.
///
/// ```
/// use forkcheck::case::{Call, History};
/// use forkcheck::check::{Criterion, Kind, Limits, Verdict, check};
/// use forkcheck::spec::{Register, RegisterOp::*, RegisterRet::*};
///
/// let write = Call { op: Write(7), ret: Some(Written), invoked: 0, returned: 1 };
/// let read = |value, invoked| Call { op: Read, ret: Some(Value(value)), invoked, returned: 9 };
/// let history = |read| History::<Register<u32>> { calls: vec![vec![write.clone()], vec![read]] };
/// let verdict = |read| check(&0, &history(read), Criterion::RealTime, Limits::default());
///
/// assert_eq!(verdict(read(7, 2)), Verdict::Ok);
/// let Verdict::Finding(stale) = verdict(read(0, 2)) else { panic!() };
/// assert_eq!(stale.kind, Kind::NotLinearizable);
/// // A read that overlaps the write may come before it.
/// assert_eq!(verdict(read(0, 0)), Verdict::Ok);
/// ```
pub fn check<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    criterion: Criterion,
    limits: Limits,
) -> Verdict<S> {
    check_watched(setup, history, criterion, (limits, UNWATCHED))
}

/// Does what [`check`] does, with a watcher.
pub(crate) fn check_watched<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    order: impl Into<Order>,
    limits: (Limits, Watcher<'_>),
) -> Verdict<S> {
    let order = order.into();
    asked::verdict(|| judge(setup, history, order, limits, Ending::Any))
}

/// Judges an execution in which every process is done or sleeps, so that none will ever move. The
/// verdict is [`Verdict::Ok`] if some order of the calls that returned ends in a state in which
/// every other call may wait ([`Spec::blocks`]), else a deadlock.
///
/// ```
/// use forkcheck::case::{Call, History};
/// use forkcheck::check::{Criterion, Limits, Verdict, check_blocked};
/// use forkcheck::spec::{Lock, LockOp, LockRet};
/// let lock = |ret, invoked, returned| Call { op: LockOp::Lock, ret, invoked, returned };
/// let first = vec![lock(Some(LockRet::Acquired), 0, 1)];
/// let second = vec![lock(None, 2, Call::<Lock>::NEVER)];
/// let history = History::<Lock> { calls: vec![first, second] };
/// // The first process keeps the lock, so the second one has to wait.
/// let verdict = check_blocked(&(), &history, Criterion::RealTime, Limits::default());
/// assert_eq!(verdict, Verdict::Ok);
/// ```
pub fn check_blocked<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    criterion: Criterion,
    limits: Limits,
) -> Verdict<S> {
    check_blocked_watched(setup, history, criterion, (limits, UNWATCHED))
}

/// Does what [`check_blocked`] does, with a watcher.
pub(crate) fn check_blocked_watched<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    order: impl Into<Order>,
    limits: (Limits, Watcher<'_>),
) -> Verdict<S> {
    let order = order.into();
    match asked::verdict(|| judge(setup, history, order, limits, Ending::AllBlocked)) {
        Verdict::Finding(finding) if finding.kind.is_of_history() => Verdict::Finding(Finding {
            kind: Kind::Deadlock,
            ..finding
        }),
        verdict => verdict,
    }
}

/// Returns the call to blame for a history that no order explains, with the result that it should
/// have returned: the one call which, with another result, makes the history right. Where there is
/// none, or several of which none is blocked, it is the first blocked one.
pub(crate) fn blame<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    order: impl Into<Order>,
    explanation: &Explanation<S>,
) -> Option<Blocked<S>> {
    let blocked = &explanation.blocked;
    // A panic of the spec here does not hide the finding.
    let order = order.into();
    let wrong = asked::words_of_panic(|| wrong(setup, history, order));
    let mut wrong = wrong.unwrap_or_default();
    let is_blocked = |one: &Blocked<S>| {
        let same = |other: &Blocked<S>| (other.process, other.call) == (one.process, one.call);
        blocked.iter().any(same)
    };
    match wrong.iter().position(is_blocked) {
        Some(first) => Some(wrong.swap_remove(first)),
        None if wrong.len() == 1 => wrong.pop(),
        None => blocked.first().cloned(),
    }
}

/// Returns the calls each of which alone would make the history right with another result.
fn wrong<S: Spec>(setup: &S::Setup, history: &History<S>, order: Order) -> Vec<Blocked<S>> {
    let mut wrong = Vec::new();
    // In a long history nearly every call is right: it is not worth the time.
    if history.calls.iter().map(Vec::len).sum::<usize>() > LONG {
        return wrong;
    }
    for of_key in keys(history, order).into_values() {
        let limits = (OF_BLAME, UNWATCHED);
        let search = || Search::new(&of_key, S::start(setup), order, Ending::Any, limits);
        if matches!(search().run(), Answer::Explained(_)) {
            continue;
        }
        for &(process, ref calls) in &of_key {
            for &(number, call) in calls.iter().filter(|(_, call)| call.ret.is_some()) {
                let mut search = search().with_any_result((process, number));
                if let Answer::Explained(node) = search.run()
                    && let Some(before) = search.state_before(node, (process, number))
                {
                    let blocked = Blocked::at(&before, process, number, call);
                    if blocked.expected.is_some() && blocked.expected != call.ret {
                        wrong.push(blocked);
                    }
                }
            }
        }
    }
    wrong
}

/// Returns the result that the longest order expects of the blamed call, if `blamed` expects another one and either makes the history
/// right: where calls run concurrently, several results may be right.
pub(crate) fn other_result<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    order: impl Into<Order>,
    explanation: &Explanation<S>,
    blamed: &Blocked<S>,
) -> Option<S::Ret> {
    let mut blocked = explanation.blocked.iter();
    let other = blocked.find(|one| (one.process, one.call) == (blamed.process, blamed.call))?;
    let other = other.expected.clone()?;
    let got = history.calls[blamed.process][blamed.call].ret.as_ref();
    if Some(&other) == blamed.expected.as_ref() || Some(&other) == got {
        return None;
    }
    let mut mended = history.clone();
    mended.calls[blamed.process][blamed.call].ret = Some(other.clone());
    let order = order.into();
    let is_right = || {
        keys(&mended, order).into_values().all(|of_key| {
            let start = S::start(setup);
            let mut search = Search::new(&of_key, start, order, Ending::Any, (OF_BLAME, UNWATCHED));
            matches!(search.run(), Answer::Explained(_))
        })
    };
    matches!(asked::words_of_panic(is_right), Ok(true)).then_some(other)
}

/// Returns the calls of each key, process by process. There is one key where they cannot be
/// separated.
fn keys<S: Spec>(history: &History<S>, order: Order) -> BTreeMap<u64, Vec<Of<'_, S>>> {
    let mut keys: BTreeMap<u64, Vec<Of<S>>> = BTreeMap::new();
    for (process, calls) in history.calls.iter().enumerate() {
        for (number, call) in calls.iter().enumerate() {
            if is_allowed_beside(history, order, process, call) {
                continue;
            }
            let key = match order {
                Order::RealTime => S::key(&call.op),
                Order::OfProcesses | Order::AfterPrefix => 0,
            };
            let of_key = keys.entry(key).or_default();
            match of_key.last_mut() {
                Some((last, calls)) if *last == process => calls.push((number, call)),
                _ => of_key.push((process, vec![(number, call)])),
            }
        }
    }
    keys
}

/// Returns whether a call may have its result because a call of another process had not returned
/// ([`Spec::allowed_beside`]). It then says nothing about the state, and is not judged.
fn is_allowed_beside<S: Spec>(
    history: &History<S>,
    order: Order,
    process: usize,
    call: &Call<S>,
) -> bool {
    let Some(ret) = &call.ret else { return false };
    let others = history.calls.iter().enumerate();
    let others = others.filter(|(other, _)| *other != process);
    others.into_iter().any(|(_, calls)| {
        let first = match order {
            // A few calls are compared in less time than they are searched.
            Order::RealTime if calls.len() > FEW => {
                calls.partition_point(|other| other.returned < call.invoked)
            }
            Order::RealTime | Order::OfProcesses | Order::AfterPrefix => 0,
        };
        let beside = calls[first..]
            .iter()
            .take_while(|other| order != Order::RealTime || other.invoked <= call.returned)
            .filter(|other| order != Order::RealTime || other.returned >= call.invoked);
        beside
            .into_iter()
            .any(|other| S::allowed_beside(&call.op, ret, &other.op))
    })
}

fn judge<S: Spec>(
    setup: &S::Setup,
    history: &History<S>,
    order: Order,
    (limits, watcher): (Limits, Watcher<'_>),
    ending: Ending,
) -> Verdict<S> {
    let keys = keys(history, order);
    let several = keys.len();
    let mut open: Vec<_> = keys.into_values().collect();
    let (mut steps, mut share) = (0, SHARE);
    while !open.is_empty() {
        let left = limits.steps.saturating_sub(steps) / open.len() as u64;
        // The rest is divided in equal parts.
        let last = several == 1 || share * (GROWTH + 1) > left;
        let limits = Limits {
            steps: if last { left } else { share },
            ..limits
        };
        let mut unknown = None;
        let mut still_open = Vec::new();
        for calls in open {
            let bounds = (limits, watcher);
            if order == Order::RealTime && ending == Ending::Any {
                let (explained, taken) = witness::explains(&calls, S::start(setup), bounds);
                steps += taken;
                if explained {
                    continue;
                }
            }
            let mut search = Search::new(&calls, S::start(setup), order, ending, bounds);
            let answer = search.run();
            steps += search.steps();
            match answer {
                Answer::Explained(_) => {}
                Answer::Inexplicable(explanation) => {
                    return Verdict::Finding(Finding {
                        kind: match order {
                            Order::RealTime => Kind::NotLinearizable,
                            _ => Kind::NotSequentiallyConsistent,
                        },
                        detail: String::new(),
                        explanation: Some(explanation),
                    });
                }
                Answer::Spent => {
                    let why = || spent(&search, limits, several, &calls);
                    if search.is_ended() {
                        return Verdict::Unknown(why());
                    }
                    unknown.get_or_insert_with(why);
                    still_open.push(calls);
                }
            }
        }
        if last && let Some(why) = unknown {
            return Verdict::Unknown(why);
        }
        open = still_open;
        share *= GROWTH;
    }
    Verdict::Ok
}

/// Returns in words why a key could not be judged, and which limit to raise.
fn spent<S: Spec>(
    search: &Search<'_, S>,
    limits: Limits,
    keys: usize,
    calls: &[Of<'_, S>],
) -> String {
    let (states, steps) = (search.states(), search.steps());
    let remedy = if search.is_ended() {
        ", and then its time was over; use fewer operations or fewer processes, or a spec whose steps take less time"
    } else if states > limits.states {
        " and was not done; use fewer operations or fewer processes, or raise Limits::states"
    } else {
        " and was not done; use fewer operations or fewer processes, or raise Limits::steps"
    };
    let what = match calls.first().and_then(|(_, calls)| calls.first()) {
        Some((_, call)) if keys > 1 => {
            format!("the key of {:?}, one of {keys} of a history,", call.op)
        }
        _ => "a history".into(),
    };
    format!(
        "the check of {what} remembered {states} states after {steps} steps of the spec{remedy}"
    )
}
