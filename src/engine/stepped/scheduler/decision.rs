//! The decision between two steps of an execution, and the reasons to stop an execution or a batch.

/// The next action of an execution. The [`Plan`](super::Plan) decides it. The
/// [`host`](super::super::host) does it where processes are coroutines, and
/// [`Board::carry_out`](super::super::board::Board::carry_out) where they are forked. Two bytes, which a
/// call returns in registers: it is made at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Decision {
    /// This process takes its next step, or begins.
    Run(u8),
    /// This process dies.
    Kill(u8),
    /// The execution stops.
    Stop(Stop),
}

/// The reason why an execution or a batch stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    /// Every process has done its program, or is dead.
    Over,
    /// No process can move any more.
    Stuck,
    /// The execution, or an operation in it, takes too many steps.
    TooLong,
    /// All processes but one sleep, and that one is in the middle of an operation: if it were
    /// delayed, none would make progress.
    Waits,
    /// Two processes accessed one cell at the same time.
    Race,
    /// The invariant of the structure does not hold.
    Invariant,
    /// A process accessed memory that was freed.
    Freed,
    /// More memory was allocated or touched than the engine follows.
    Beyond,
    /// A process started a thread.
    Thread,
    /// A process with a read-only mapping wrote.
    Wrote,
    /// Coroutines did something that processes could not do, or would not notice.
    Differs,
    /// A coroutine panicked.
    Panicked,
    /// All executions that were asked for are done, or the time is up.
    Done,
    /// The strategy has no other execution within its bounds.
    Exhausted,
    /// The last history is not Ok.
    Judged,
    /// The check of the last history took too long.
    Unjudged,
    /// The log of a process was full.
    Full,
    /// An execution had a step of a kind that none had before: [`resume`](super::super::Crew::resume)
    /// continues the batch.
    Novel,
    /// The host has no room left for the memory of killed coroutines: the batch continues with
    /// another host.
    Spent,
}

impl Stop {
    pub(in super::super) const ALL: [Self; 19] = [
        Self::Over,
        Self::Stuck,
        Self::TooLong,
        Self::Waits,
        Self::Race,
        Self::Invariant,
        Self::Freed,
        Self::Beyond,
        Self::Thread,
        Self::Wrote,
        Self::Differs,
        Self::Panicked,
        Self::Done,
        Self::Exhausted,
        Self::Judged,
        Self::Unjudged,
        Self::Full,
        Self::Novel,
        Self::Spent,
    ];

    /// Returns whether the processes can run another execution.
    pub(crate) fn leaves_crew_usable(self) -> bool {
        matches!(self, Self::Done | Self::Exhausted | Self::Judged)
    }

    /// Returns the reason as a number for shared memory; 0 stands for none.
    pub(in super::super) fn to_word(stop: Option<Self>) -> u32 {
        stop.map_or(0, |stop| stop as u32 + 1)
    }

    /// Returns the reason for such a number. Any other number was written by mistake, and counts as
    /// [`Stuck`](Self::Stuck).
    pub(in super::super) fn from_word(word: u32) -> Option<Self> {
        let stop = |index: u32| Self::ALL.get(index as usize).copied();
        word.checked_sub(1)
            .map(|index| stop(index).unwrap_or(Self::Stuck))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_comes_back_from_its_number_and_any_number_is_one() {
        for stop in Stop::ALL {
            assert_eq!(Stop::from_word(Stop::to_word(Some(stop))), Some(stop));
        }
        assert_eq!(Stop::from_word(Stop::to_word(None)), None);
        assert_eq!(Stop::from_word(u32::MAX), Some(Stop::Stuck));
    }
}
