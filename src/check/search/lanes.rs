//! Lanes of calls that follow each other in real time, and pending calls apart from them.

use crate::case::Call;
use crate::check::Order;
use crate::spec::Spec;

/// The calls of one process, each with its number in the history.
pub(in super::super) type Of<'a, S> = (usize, Vec<(usize, &'a Call<S>)>);

/// The way in which a call in a lane comes next. A call in which its process died came in one of
/// four ways.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// It took effect, as each call that returned did.
    Effect,
    /// It did not take effect.
    Nothing,
    /// The process died, with the effect of `Spec::crash` alone; also the death behind a call that took effect before.
    Crash,
    /// It took effect, and its process dies later, as a move of its own.
    EffectThenCrash,
}

pub(super) const WAYS: [Way; 4] = [Way::Effect, Way::Nothing, Way::Crash, Way::EffectThenCrash];

/// A call, with the facts that the search reads most.
pub(super) struct Item<'a, S: Spec> {
    pub(super) process: usize,
    pub(super) number: usize,
    pub(super) invoked: u64,
    pub(super) returned: u64,
    pub(super) call: &'a Call<S>,
    /// Whether it leaves each state as it is.
    pub(super) reads: bool,
    /// Whether it is the death behind a call that took effect before. Other calls may come between.
    pub(super) is_death: bool,
}

impl<S: Spec> Item<'_, S> {
    /// Returns whether its process died in it.
    pub(super) fn died(&self) -> bool {
        self.call.ret.is_none()
    }

    /// Returns the number of items of its lane that come next with it: the death of its process too, unless that comes later.
    pub(super) fn taken(&self, way: Way) -> u32 {
        let with_death = self.died() && !self.is_death && way != Way::EffectThenCrash;
        1 + u32::from(with_death)
    }
}

/// A call that may take effect at any time after it began, or never.
pub(super) struct Pending<'a, S: Spec> {
    pub(super) item: Item<'a, S>,
    /// The previous call of its process: lane and position.
    pub(super) after: Option<(usize, u32)>,
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

/// Returns the lane and the position of each death.
pub(super) fn deaths<S: Spec>(lanes: &[Vec<Item<'_, S>>]) -> Vec<(usize, u32)> {
    let of_lane = |(lane, items): (usize, &Vec<Item<'_, S>>)| {
        let deaths = (0..).zip(items).filter(|(_, item)| item.is_death);
        let deaths = deaths.map(|(position, _)| (lane, position));
        deaths.collect::<Vec<_>>()
    };
    lanes.iter().enumerate().flat_map(of_lane).collect()
}
