//! A process as a coroutine: the way back to the host.
#![allow(unsafe_code, reason = "the yielder of the coroutine that runs")]

use super::scheduler::decision::{Decision, Stop};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use std::any::Any;
use std::cell::Cell;

/// The reason why a coroutine gives control back.
pub(super) enum Ask {
    /// The plan chose another process.
    Next(Decision),
    /// The process has done its program; the flag says whether its log was full.
    Done(bool),
    /// The execution ends here.
    End(Stop),
    /// Code under test panicked.
    Panicked(Box<dyn Any + Send>),
}

pub(super) type Process = Coroutine<(), Ask, (), DefaultStack>;

/// Yielder of a coroutine, by which it gives control back.
pub(super) struct Resumed(pub(super) Cell<*const Yielder<(), Ask>>);

/// Gives control back to the host, and returns when it is resumed.
#[inline]
pub(super) fn suspend(resumed: &Resumed, ask: Ask) {
    // SAFETY: a reference to the yielder.
    // 1. `Host::fresh` set it as the coroutine that calls this began, and it lives as long as that one. 2. Only the coroutine
    // that runs calls this, with its own: `Host::resume` says which one that is.
    unsafe { (*resumed.0.get()).suspend(ask) };
}
