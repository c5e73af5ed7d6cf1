//! The decision between two steps of an execution, and the reasons to stop an execution or a batch.

/// The next thing to do: decided by the [`Plan`](super::plan::Plan), done by the [`host`](super::host) where processes are
/// coroutines, and by [`Board::carry_out`](super::board::Board::carry_out) where they are forked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// This process takes its next step, or begins.
    Run(usize),
    /// This process dies.
    Kill(usize),
    /// The execution stops.
    Stop(Stop),
}

/// Why an execution stops, or a batch of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Every process has done its program, or is dead.
    Over,
    /// No process can move any more.
    Stuck,
    /// The execution, or an operation in it, takes too many steps.
    TooLong,
    /// All processes sleep but one, which is in the middle of an operation: if that were held up, none would get on.
    Waits,
    /// Two processes were in one cell.
    Race,
    /// A process accessed memory that was freed.
    Freed,
    /// More memory was allocated, or touched, than is followed.
    Beyond,
    /// A process wrote whose mapping is read-only.
    Wrote,
    /// Coroutines did what processes could not do, or would not notice.
    Differs,
    /// A coroutine panicked.
    Panicked,
    /// All executions that were asked for ran, or the time is over.
    Done,
    /// The strategy has no other execution within its bounds.
    Exhausted,
    /// The last history is not Ok.
    Judged,
    /// The check of the last history took too long.
    Unjudged,
    /// The log of a process was full.
    Full,
    /// An execution had a step of a kind that none had before: [`resume`](super::Crew::resume) goes on with the batch.
    Novel,
    /// The host has no room left for what killed coroutines own: the batch goes on with another host.
    Spent,
}

impl Stop {
    const ALL: [Self; 17] = [
        Self::Over,
        Self::Stuck,
        Self::TooLong,
        Self::Waits,
        Self::Race,
        Self::Freed,
        Self::Beyond,
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

    /// Whether the processes can run another execution.
    pub(crate) fn leaves_crew_usable(self) -> bool {
        matches!(self, Self::Done | Self::Exhausted | Self::Judged)
    }

    /// As a number for shared memory; 0 stands for none.
    pub(super) fn to_word(stop: Option<Self>) -> u32 {
        stop.map_or(0, |stop| stop as u32 + 1)
    }

    /// Returns the reason for such a number. A number without one was written over, and counts as [`Stuck`](Self::Stuck).
    pub(super) fn from_word(word: u32) -> Option<Self> {
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
