//! An event: a condition that processes set, reset and wait for.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};

/// An event that stays set until it is reset: `Wait` waits while it is not set. The setup says
/// whether it is set at first. A waiter may miss an event that is set and reset at once; it then
/// waits for the next `Set`. An event that lets one waiter through and then resets itself is a
/// [`Semaphore`](crate::spec::Semaphore) of one permit.
///
/// ```
/// use forkcheck::spec::{Event, EventOp, EventRet, Spec};
/// let mut event = Event::start(&false);
/// assert!(event.blocks(1, &EventOp::Wait));
/// assert_eq!(event.step(0, &EventOp::Set), EventRet::Done);
/// assert_eq!(event.step(1, &EventOp::Wait), EventRet::Done);
/// assert_eq!(event.step(1, &EventOp::IsSet), EventRet::State(true));
/// assert_eq!(event.step(0, &EventOp::Reset), EventRet::Done);
/// assert!(event.blocks(1, &EventOp::Wait));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    set: bool,
}

/// An operation of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventOp {
    /// Sets it, and wakes all that wait.
    Set,
    /// Resets it.
    Reset,
    /// Waits until it is set.
    Wait,
    /// Reads whether it is set.
    IsSet,
}

/// A result of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventRet {
    /// It is set or reset, or was set when it was waited for.
    Done,
    /// Whether it is set.
    State(bool),
}

impl Spec for Event {
    type Setup = bool;
    type Op = EventOp;
    type Ret = EventRet;
    fn start(set: &bool) -> Self {
        Self { set: *set }
    }
    fn step(&mut self, _: usize, op: &EventOp) -> EventRet {
        match op {
            EventOp::Set => self.set = true,
            EventOp::Reset => self.set = false,
            EventOp::Wait => {}
            EventOp::IsSet => return EventRet::State(self.set),
        }
        EventRet::Done
    }
    fn blocks(&self, _: usize, op: &EventOp) -> bool {
        *op == EventOp::Wait && !self.set
    }
    fn only_reads(op: &EventOp, _: &EventRet) -> bool {
        matches!(op, EventOp::Wait | EventOp::IsSet)
    }
}
