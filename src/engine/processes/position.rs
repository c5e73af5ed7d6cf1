//! The position of a pause in a program, as a value and in the memory that the workers share.

use super::code::Instruction;
use super::point::Target;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The number that stands for no process.
const NO_PROCESS: u32 = u32::MAX;

/// The place of a pause in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) process: u32,
    pub(super) operation: u32,
    pub(super) target: Target,
}

impl Position {
    /// Returns whether the pause is at a breakpoint.
    pub(super) fn is_breakpoint(&self) -> bool {
        matches!(self.target, Target::Before(..))
    }
}

/// A position in memory that processes share; [`NO_PROCESS`]: there is none.
#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub(super) struct SharedPosition {
    process: AtomicU32,
    operation: AtomicU32,
    /// The number of instructions, or of times at the breakpoint.
    number: AtomicU32,
    /// The instruction at the breakpoint; 0: there is none.
    address: AtomicU64,
    bytes: AtomicU64,
}

impl SharedPosition {
    pub(super) fn set(&self, position: Option<Position>) {
        if let Some(position) = position {
            let none = Instruction {
                address: 0,
                bytes: 0,
            };
            let (instruction, number) = match position.target {
                Target::After(instructions) => (none, instructions),
                Target::Before(instruction, times) => (instruction, times),
            };
            self.operation.store(position.operation, Relaxed);
            self.number.store(number, Relaxed);
            self.address.store(instruction.address, Relaxed);
            self.bytes.store(instruction.bytes, Relaxed);
        }
        let process = position.map_or(NO_PROCESS, |position| position.process);
        self.process.store(process, Relaxed);
    }

    pub(super) fn get(&self) -> Option<Position> {
        let process = self.process.load(Relaxed);
        let number = self.number.load(Relaxed);
        let instruction = Instruction {
            address: self.address.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        };
        (process != NO_PROCESS).then(|| Position {
            process,
            operation: self.operation.load(Relaxed),
            target: match instruction.address {
                0 => Target::After(number),
                _ => Target::Before(instruction, number),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::processes::control::Control;
    use crate::region::Region;

    #[test]
    fn a_position_at_a_breakpoint_is_kept_as_it_is() {
        let region = Region::anonymous(size_of::<Control>()).unwrap();
        let shared = &region.get::<Control>(0).unwrap().pauses.failed;
        let instruction = Instruction {
            address: u64::MAX,
            bytes: 3,
        };
        for target in [Target::Before(instruction, 2), Target::After(5)] {
            let position = Position {
                process: 1,
                operation: 7,
                target,
            };
            shared.set(Some(position));
            assert_eq!(shared.get(), Some(position));
        }
    }
}
