//! A process as a coroutine: the way back to the host.
#![allow(unsafe_code, reason = "the yielder of the coroutine that runs")]

use super::scheduler::decision::{Decision, Stop};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};
use std::any::Any;
use std::cell::Cell;
use std::ptr::null;

/// The reason why a coroutine gives control back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The plan chose another process.
    Next(Decision),
    /// The process has done its program; the flag says whether its log was full.
    Done(bool),
    /// The execution ends here.
    End(Stop),
    /// Code under test panicked: [`Resumed`] has the payload.
    Panicked,
}

impl Ask {
    const RUN: u8 = 0;
    const KILL: u8 = 1;
    const STOP: u8 = 2;
    const DONE: u8 = 3;
    const END: u8 = 4;
    const PANICKED: u8 = 5;

    /// Returns it as a word, which a switch passes in a register: the kind in the lowest byte, its value above.
    #[inline]
    pub(super) fn to_word(self) -> usize {
        let word = |kind: u8, value: usize| usize::from(kind) | value << u8::BITS;
        let of = |why| Stop::to_word(Some(why)) as usize;
        match self {
            Self::Next(Decision::Run(process)) => word(Self::RUN, process.into()),
            Self::Next(Decision::Kill(process)) => word(Self::KILL, process.into()),
            Self::Next(Decision::Stop(why)) => word(Self::STOP, of(why)),
            Self::Done(full) => word(Self::DONE, full.into()),
            Self::End(why) => word(Self::END, of(why)),
            Self::Panicked => word(Self::PANICKED, 0),
        }
    }

    /// Returns it from such a word.
    #[inline]
    pub(super) fn from_word(word: usize) -> Self {
        let value = word >> u8::BITS;
        let why = || Stop::from_word(value as u32).unwrap_or(Stop::Stuck);
        // Nearly always.
        if word as u8 == Self::RUN {
            return Self::Next(Decision::Run(value as u8));
        }
        match word as u8 {
            Self::KILL => Self::Next(Decision::Kill(value as u8)),
            Self::STOP => Self::Next(Decision::Stop(why())),
            Self::DONE => Self::Done(value != 0),
            Self::PANICKED => Self::Panicked,
            _ => Self::End(why()),
        }
    }
}

pub(super) type Process = Coroutine<(), usize, (), DefaultStack>;

/// The way of a coroutine back to the host.
pub(super) struct Resumed {
    /// Yielder of the coroutine, by which it gives control back.
    yielder: Cell<*const Yielder<(), usize>>,
    /// The payload of the panic with which its last program ended: too large for the word that a switch passes.
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

impl Resumed {
    /// Makes the way back of a coroutine that has not begun.
    pub(super) fn new() -> Self {
        Self {
            yielder: Cell::new(null()),
            panic: Cell::new(None),
        }
    }

    /// Notes that the coroutine of this yielder began.
    pub(super) fn set(&self, yielder: *const Yielder<(), usize>) {
        self.yielder.set(yielder);
    }

    /// Keeps the payload of a panic for the host, and returns the reason that tells it so.
    pub(super) fn panicked(&self, panic: Box<dyn Any + Send>) -> Ask {
        self.panic.set(Some(panic));
        Ask::Panicked
    }

    /// Takes the payload of the last panic.
    pub(super) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.take()
    }
}

/// Gives control back to the host, and returns when it is resumed.
#[inline(always)]
pub(super) fn suspend(resumed: &Resumed, ask: Ask) {
    // SAFETY: a reference to the yielder.
    // 1. `Host::fresh` set it as the coroutine that calls this began, and it lives as long as that one. 2. Only the coroutine
    // that runs calls this, with its own: `Host::resume` says which one that is.
    unsafe { (*resumed.yielder.get()).suspend(ask.to_word()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::MAX_PROCESSES;

    #[test]
    fn each_reason_to_give_control_back_comes_back_from_its_word() {
        let mut all = vec![Ask::Done(false), Ask::Done(true), Ask::Panicked];
        for process in 0..MAX_PROCESSES as u8 {
            let both = [Decision::Run(process), Decision::Kill(process)];
            all.extend(both.map(Ask::Next));
        }
        for stop in Stop::ALL {
            all.extend([Ask::Next(Decision::Stop(stop)), Ask::End(stop)]);
        }
        for ask in all {
            assert_eq!(Ask::from_word(ask.to_word()), ask);
        }
    }

    #[test]
    fn the_payload_of_a_panic_waits_for_the_host() {
        let resumed = Resumed::new();
        assert_eq!(resumed.panicked(Box::new(7)), Ask::Panicked);
        let panic = resumed.take_panic().unwrap();
        assert_eq!(*panic.downcast::<i32>().unwrap(), 7);
        assert!(resumed.take_panic().is_none());
    }
}
