//! The code in which breakpoints are set, and the instructions of it that operations were seen to take.
//!
//! Breakpoints are set only in the program and in libraries loaded before the fork, not in the C library: it
//! blocks all signals where it starts processes and threads, which share their memory for a moment.
#![allow(unsafe_code, reason = "the bytes of instructions are read")]
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no process is paused")
)]

use crate::workers::maps::{Mapped, Maps};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The most instructions that are remembered.
const MAX_INSTRUCTIONS: usize = 16_384;
/// The size of the hash table of their addresses, and the buckets that are looked at for one.
const BUCKETS: usize = 4 * MAX_INSTRUCTIONS;
const MAX_PROBES: usize = 16;
/// 2 to the power of 64, divided by the golden ratio: its multiples soon cover a range evenly.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// An instruction: its address, and the bytes from there on, by which other code at the same address is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) address: u64,
    pub(super) bytes: u64,
}

/// The addresses of code in which breakpoints may be set.
#[derive(Debug)]
pub(super) struct Code(Vec<Range<usize>>);

impl Code {
    /// Returns the code of this process; none where the kernel does not show it, where the C library is a part of it, or under a
    /// debugger, which takes the signal.
    pub(super) fn of_this_process() -> Self {
        let has_kind = cfg!(all(
            target_arch = "x86_64",
            not(target_feature = "crt-static")
        ));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let is_usable = has_kind && status.lines().any(|line| line == "TracerPid:\t0");
        let maps = if is_usable { Maps::of("self") } else { None };
        let all = maps.iter().flat_map(Maps::all);
        let code = all.filter(|mapping| mapping.mapped == Mapped::Code);
        Self(code.map(|mapping| mapping.start..mapping.end).collect())
    }

    /// Returns whether no breakpoint may be set anywhere.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the instruction at an address; `None` if no breakpoint may be set there. Async-signal-safe.
    pub(super) fn at(&self, address: usize) -> Option<Instruction> {
        let last = address.checked_add(size_of::<u64>() - 1)?;
        let holds = |range: &Range<usize>| range.contains(&address) && range.contains(&last);
        if !self.0.iter().any(holds) {
            return None;
        }
        // SAFETY: an unaligned read.
        // 1. All eight bytes lie in one mapping of code, which could be read when it was listed; a process that executes it, or has
        // just changed its protection, has it mapped. 2. No other thread writes to code: see `breakpoint`.
        let bytes = unsafe { std::ptr::with_exposed_provenance::<u64>(address).read_unaligned() };
        Some(Instruction {
            address: address as u64,
            bytes,
        })
    }

    /// Returns whether a breakpoint may be set at this address.
    pub(super) fn contains(&self, address: usize) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }
}

/// The instructions that operations were seen to take, in shared memory. One process at a time adds to them.
#[repr(C)]
pub(super) struct KnownCode {
    count: AtomicU32,
    all: [[AtomicU64; 2]; MAX_INSTRUCTIONS],
    /// The number of an instruction, plus one, by the hash of its address; 0: none.
    buckets: [AtomicU32; BUCKETS],
}

impl KnownCode {
    /// Adds an instruction, unless it is known. Async-signal-safe.
    pub(super) fn add(&self, instruction: Instruction) {
        let number = self.count.load(Relaxed) as usize;
        let first = (instruction.address.wrapping_mul(GOLDEN) >> 32) as usize;
        for bucket in (first..first + MAX_PROBES).map(|bucket| &self.buckets[bucket % BUCKETS]) {
            match bucket.load(Relaxed).checked_sub(1) {
                Some(same) if self.get(same as usize) == Some(instruction) => return,
                Some(_) => {}
                None if number < MAX_INSTRUCTIONS => {
                    self.all[number][0].store(instruction.address, Relaxed);
                    self.all[number][1].store(instruction.bytes, Relaxed);
                    self.count.store(number as u32 + 1, Relaxed);
                    return bucket.store(number as u32 + 1, Relaxed);
                }
                None => return,
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        (self.count.load(Relaxed) as usize).min(MAX_INSTRUCTIONS)
    }

    pub(super) fn get(&self, number: usize) -> Option<Instruction> {
        let [address, bytes] = &self.all[..self.count()].get(number)?;
        Some(Instruction {
            address: address.load(Relaxed),
            bytes: bytes.load(Relaxed),
        })
    }
}

/// Returns whether the instruction at this address enters the kernel, or saves the flags: a copy of the trap flag would outlive it.
/// Instructions are not taken one by one beyond it.
pub(super) fn ends_stepping(at: i64) -> bool {
    /// `int n`, and the first byte of `syscall` and `sysenter`.
    const INT: u8 = 0xcd;
    const PUSHF: u8 = 0x9c;
    const ESCAPE: u8 = 0x0f;
    if at < 0 {
        // The kernel's half: only the page of the old system calls can be executed, and not read.
        return true;
    }
    let byte = |nth: usize| {
        let at = (at as *const u8).wrapping_add(nth);
        // SAFETY: a byte of an instruction.
        // 1. The processor is about to execute it, so all of it is mapped, or what follows is a fault anyway. 2.
        // Code can be read on this architecture, unless a program makes it otherwise on purpose. 3. `nth` goes no
        // further than what was read before says that the instruction does.
        unsafe { at.read() }
    };
    let is_prefix = |byte: u8| {
        let legacy = [
            0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
        ];
        (0x40..=0x4f).contains(&byte) || legacy.contains(&byte)
    };
    let prefixes = (0..14).take_while(|&nth| is_prefix(byte(nth))).count();
    match byte(prefixes) {
        INT | PUSHF => true,
        ESCAPE => matches!(byte(prefixes + 1), 0x05 | 0x34),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::processes::learnt::Learnt;

    #[test]
    fn an_instruction_is_known_once_and_other_code_at_its_address_is_another() {
        let region = Learnt::region().unwrap();
        let known = &region.get::<Learnt>(0).unwrap().known;
        assert_eq!((known.count(), known.get(0)), (0, None));
        let one = |address, bytes| Instruction { address, bytes };
        let all = [one(0x1000, 1), one(0x1001, 2), one(0x1000, 3)];
        for _ in 0..3 {
            all.iter().for_each(|&instruction| known.add(instruction));
        }
        let found: Vec<_> = (0..known.count()).map(|number| known.get(number)).collect();
        assert_eq!(found, all.map(Some));
        for address in 0x2000..0x2000 + 2 * MAX_INSTRUCTIONS as u64 {
            known.add(one(address, 0));
        }
        assert_eq!(
            known.count(),
            MAX_INSTRUCTIONS,
            "and the others are left out"
        );
        assert_eq!(known.get(MAX_INSTRUCTIONS), None);
    }

    #[test]
    fn breakpoints_are_for_the_code_of_the_program_and_for_no_other_memory() {
        let code = Code::of_this_process();
        let own: fn() = breakpoints_are_for_the_code_of_the_program_and_for_no_other_memory;
        let own = (own as *const ()).addr();
        if cfg!(all(
            target_arch = "x86_64",
            not(target_feature = "crt-static")
        )) {
            let instruction = code.at(own).unwrap();
            assert_eq!(instruction.address, own as u64);
            assert_ne!(code.at(own + 1).unwrap().bytes, instruction.bytes);
        }
        let (local, boxed) = (7u64, Box::new(7u64));
        for other in [
            (libc::sigaction as *const ()).addr(),
            (&raw const local).addr(),
            (&raw const *boxed).addr(),
            0,
            usize::MAX,
        ] {
            assert_eq!(code.at(other), None, "{other:x}");
            assert!(!code.contains(other));
        }
    }

    #[test]
    fn a_system_call_and_pushf_are_known_whatever_stands_before_them() {
        let is = |code: &[u8]| ends_stepping(code.as_ptr() as i64);
        for code in [
            &[0x0f, 0x05][..],
            &[0x48, 0x0f, 0x05],
            &[0x66, 0x4f, 0x0f, 0x05],
            &[0x0f, 0x34],
            &[0xcd, 0x80],
            &[0x9c],
            &[0x66, 0x9c],
        ] {
            assert!(is(code), "{code:02x?}");
        }
        for code in [&[0x0f, 0x0b][..], &[0x90], &[0x48, 0x89, 0x05], &[0xcc]] {
            assert!(!is(code), "{code:02x?}");
        }
        assert!(ends_stepping(0xffff_ffff_ff60_0400_u64.cast_signed()));
    }
}
