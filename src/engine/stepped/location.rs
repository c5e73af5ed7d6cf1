//! The location of a step.

#[cfg(forkcheck_instrumented)]
use super::symbols;
use std::borrow::Cow;
use std::panic::Location;

/// The location of a step: a line of the source, or an instruction, whose line is looked up only
/// where steps are named. The instruction is as wide as a reference: calls then pass either in registers.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Source(&'a Location<'a>),
    #[cfg(forkcheck_instrumented)]
    Code(usize),
}

impl<'a> From<&'a Location<'a>> for At<'a> {
    fn from(at: &'a Location<'a>) -> Self {
        Self::Source(at)
    }
}

impl<'a> At<'a> {
    /// Returns file, line and column.
    pub(in crate::engine::stepped) fn place(self) -> (Cow<'a, str>, u32, u32) {
        match self {
            Self::Source(at) => (at.file().into(), at.line(), at.column()),
            #[cfg(forkcheck_instrumented)]
            Self::Code(code) => {
                let place = symbols::site(code as u32);
                (place.file.into(), place.line, place.column)
            }
        }
    }

    /// Returns a number that tells it from others, the same in each process and each run.
    #[inline]
    pub(in crate::engine::stepped) fn number(self) -> u64 {
        match self {
            Self::Source(at) => {
                u64::from(at.line()) << 32 | u64::from(at.column()) << 16 | at.file().len() as u64
            }
            #[cfg(forkcheck_instrumented)]
            Self::Code(code) => code as u64,
        }
    }
}
