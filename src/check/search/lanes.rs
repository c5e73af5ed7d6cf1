//! Lanes of calls that follow each other in real time, and pending calls apart from them.

use crate::case::Call;
use crate::check::Order;
use crate::spec::Spec;

/// The calls of one process, each with its number in the history.
pub(in super::super) type Of<'a, S> = (usize, Vec<(usize, &'a Call<S>)>);

/// A call, with the facts that the search reads most.
pub(super) struct Item<'a, S: Spec> {
    pub(super) process: usize,
    pub(super) number: usize,
    pub(super) invoked: u64,
    pub(super) returned: u64,
    pub(super) call: &'a Call<S>,
    /// Whether it leaves each state as it is.
    pub(super) reads: bool,
    /// Whether it is the death of its process, with the effect of `Spec::crash`: behind the effect of the call, where calls of others
    /// may come between, or without it.
    pub(super) is_death: bool,
}

impl<S: Spec> Item<'_, S> {
    /// Returns whether its process died in it. It may then come next, or be passed over.
    pub(super) fn died(&self) -> bool {
        self.call.ret.is_none()
    }
}

/// A call that may take effect at any time after it began, or never.
pub(super) struct Pending<'a, S: Spec> {
    pub(super) item: Item<'a, S>,
    /// The previous call of its process: lane and position.
    pub(super) after: Option<(usize, u32)>,
}

/// A move: an item of a lane, by its position, or a pending call.
#[derive(Clone, Copy)]
pub(super) enum Move {
    Lane(usize, u32),
    Pending(usize),
}

/// Returns the first return of the calls that may come next: none of them may begin after it.
/// Without a clock it is that of a prefix, which comes before all else in its own order.
pub(super) fn bound<'i, S: Spec + 'i>(
    items: impl Iterator<Item = &'i Item<'i, S>>,
    order: Order,
) -> u64 {
    let counts = |item: &&Item<S>| match order {
        Order::RealTime => true,
        Order::OfProcesses => false,
        Order::AfterPrefix => item.call.is_of_prefix(),
    };
    let returns = items.filter(counts).map(|item| item.returned);
    returns.min().unwrap_or(u64::MAX)
}

/// Returns the calls in lanes, and the pending ones.
pub(super) fn lanes<'a, S: Spec>(
    calls: &[Of<'a, S>],
    order: Order,
) -> (Vec<Vec<Item<'a, S>>>, Vec<Pending<'a, S>>) {
    let mut in_time = order == Order::RealTime;
    let mut items = Vec::new();
    let mut pending = Vec::new();
    // The lane of the last call of each process, by its index in `calls`.
    for (of, (process, calls)) in calls.iter().enumerate() {
        for (place, &(number, call)) in calls.iter().enumerate() {
            let item = Item {
                process: *process,
                number,
                invoked: call.invoked,
                returned: call.returned,
                call,
                reads: (call.ret.as_ref()).is_some_and(|ret| S::only_reads(&call.op, ret)),
                is_death: false,
            };
            let last = place + 1 == calls.len();
            if last && call.ret.is_none() && call.returned == Call::<S>::NEVER {
                pending.push((of, item));
            } else {
                items.push((of, item));
            }
        }
        in_time &= calls.windows(2).all(|two| {
            let (first, second) = (two[0].1, two[1].1);
            first.returned <= second.invoked
        });
        in_time &= (calls.iter()).all(|(_, call)| call.invoked <= call.returned);
    }
    // The order of one process is known even if its clock went back: a lane for each process.
    if in_time {
        items.sort_by_key(|(of, item)| (item.invoked, *of, item.number));
    }
    let mut lanes: Vec<Vec<Item<S>>> = Vec::new();
    let mut own: Vec<Option<usize>> = vec![None; calls.len()];
    for (of, item) in items {
        let free = |lane: &Vec<Item<S>>| {
            let last = lane.last();
            in_time && last.is_none_or(|last| last.returned < item.invoked)
        };
        let follows = |lane: usize| {
            let last = lanes[lane].last();
            last.is_some_and(|last| last.process == item.process) || free(&lanes[lane])
        };
        let lane = own[of]
            .filter(|&lane| follows(lane))
            .or_else(|| lanes.iter().position(free))
            .unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push(Vec::new());
        }
        let death = item.died().then_some(Item {
            is_death: true,
            ..item
        });
        lanes[lane].push(item);
        lanes[lane].extend(death);
        own[of] = Some(lane);
    }
    // The position of the last call of each process that has a pending one after it.
    pending.sort_by_key(|(of, item)| (item.invoked, *of));
    let pending = pending.into_iter().map(|(of, item)| {
        let after = own[of].map(|lane| {
            let before = |other: &Item<S>| other.process == item.process;
            let position = lanes[lane].iter().rposition(before);
            (
                lane,
                position.expect("a call of its own is in its lane") as u32,
            )
        });
        Pending { item, after }
    });
    let pending = pending.collect();
    (lanes, pending)
}

/// Returns for each pending call the first one of the same operation.
pub(super) fn classes<S: Spec>(pending: &[Pending<'_, S>]) -> Vec<usize> {
    let same = |one: &Pending<S>, other: &Pending<S>| one.item.call.op == other.item.call.op;
    let first = |one| pending.iter().position(|other| same(one, other));
    let all = pending.iter().enumerate();
    all.map(|(number, one)| first(one).unwrap_or(number))
        .collect()
}
