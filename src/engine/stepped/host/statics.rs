//! Memory that is private to a process: the statics of the program, and the thread-locals of this thread. Coroutines of one
//! process share them, and processes do not, so structures that change them are searched by processes. dl_iterate_phdr(3).
#![allow(
    unsafe_code,
    reason = "the program's own writable segments are read as bytes"
)]

use crate::engine::stepped::pieces::private_pieces;

/// Pieces of memory, by address and length in bytes. They are read as words, of which the last may
/// be cut.
pub(super) struct Statics(Vec<(usize, usize)>);

impl Statics {
    /// Returns the statics of the program itself, without those of its shared libraries.
    pub(super) fn of_this_program() -> Self {
        let pieces = private_pieces(false).into_iter();
        Self(pieces.map(|piece| (piece.at, piece.length)).collect())
    }

    /// Returns a number that changes with their bytes. It is never inlined: where the user's crate is instrumented, so is what is
    /// inlined into it, and each of these reads would be a call.
    #[inline(never)]
    pub(super) fn sum(&self) -> u64 {
        let mut sum = 0u64;
        for &(at, length) in &self.0 {
            let words = std::ptr::with_exposed_provenance::<u64>(at);
            for word in 0..length / size_of::<u64>() {
                // SAFETY: a volatile read of a word.
                // 1. The loader said that it is mapped, until the program ends; it is aligned: `add` rounded up.
                // 2. No other thread of ours writes meanwhile; where a structure has started one, the word may be torn, which makes the sum differ.
                //    Volatile, since the variable has another owner.
                let word = unsafe { words.add(word).read_volatile() };
                sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            }
        }
        sum
    }
}

/// Returns the number of threads of this process, from /proc/self/task; 1 where that cannot be
/// read.
pub(super) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
