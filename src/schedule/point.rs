//! A scheduling point as a strategy sees it, and the choice that a strategy makes there.

/// The most processes of a case: a set of them is a mask of bits.
pub(crate) const MAX_PROCESSES: usize = 16;
/// The number that stands for no process.
pub(crate) const NO_PROCESS: u32 = u32::MAX;

/// The state that a strategy sees between two steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchedulePoint {
    /// The processes that can take a step, as bits.
    pub(crate) enabled: u32,
    /// The sleeping processes, which can be killed as well.
    pub(crate) asleep: u32,
    /// The processes that may be killed at all.
    pub(crate) killable: u32,
    /// The process that took the last step, or `NO_PROCESS`.
    pub(crate) current: u32,
    /// The number of steps so far.
    pub(crate) step: u32,
    /// Whether the order of the pending step of `current` and those of other processes can make a
    /// difference.
    pub(crate) conflicts: bool,
    /// Nothing has changed since all enabled processes were found to wait: they continue, to see
    /// whether they give up.
    pub(crate) probes: bool,
}

impl SchedulePoint {
    pub(super) fn can(&self, process: u32) -> bool {
        process < MAX_PROCESSES as u32 && self.enabled >> process & 1 == 1
    }
    /// Returns the process that moves by default: the last one, or else the first that can.
    pub(super) fn default(&self) -> u32 {
        if self.can(self.current) {
            self.current
        } else {
            self.enabled.trailing_zeros()
        }
    }
}

/// A decision of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This process takes its pending step.
    Step(usize),
    /// This process is killed before that step.
    Kill(usize),
}

impl Choice {
    /// Returns the choice as a byte: the process, and the top bit for a kill.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Step(process) => process as u8,
            Self::Kill(process) => process as u8 | 0x80,
        }
    }
    pub(crate) fn from_byte(byte: u8) -> Self {
        let process = (byte & 0x7f) as usize % MAX_PROCESSES;
        if byte & 0x80 == 0 {
            Self::Step(process)
        } else {
            Self::Kill(process)
        }
    }
}
