//! The statics and thread-locals of code under test. At the end of each execution they are put back to the bytes that they had
//! before it. The statics of this crate are left as they are, and those that a check of a history changes keep their changes.
#![allow(
    unsafe_code,
    reason = "the program's own writable segments are compared and copied as bytes"
)]

use super::keys;
use super::program::{self, Ours};
use crate::engine::stepped::pieces::{PrivatePiece, private_pieces};
use crate::error::Error;
use std::ops::Range;
use std::sync::OnceLock;

/// The bytes that are compared at once.
const PAGE: usize = 4 << 10;

/// Memory of the program with the bytes that it is put back to.
pub(super) struct Piece {
    at: usize,
    kept: Vec<u8>,
    /// Addresses of statics of this crate, in their order.
    ours: Vec<Range<usize>>,
}

impl Piece {
    /// # Safety
    /// The bytes are mapped and writable as long as the piece is used, and nothing holds a reference to them in a call of its
    /// functions.
    pub(super) unsafe fn of(at: usize, length: usize, ours: Vec<Range<usize>>) -> Self {
        let mut piece = Self {
            at,
            kept: vec![0; length],
            ours,
        };
        piece.keep();
        piece
    }

    fn pages(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let length = self.kept.len();
        (0..length)
            .step_by(PAGE)
            .map(move |first| first..length.min(first + PAGE))
    }

    fn differs(&self, page: &Range<usize>) -> bool {
        let (now, kept) = (self.at + page.start, self.kept[page.clone()].as_ptr());
        let now = std::ptr::with_exposed_provenance(now);
        // SAFETY: memcmp of the bytes of a page. 1. By the contract of `of` they are mapped; the copy has as many. 2. No other
        // thread writes meanwhile, and if one did, the result would be either.
        unsafe { libc::memcmp(now, kept.cast(), page.len()) != 0 }
    }

    /// Keeps the bytes as they are now, to be put back later.
    pub(super) fn keep(&mut self) {
        for page in self.pages() {
            if self.differs(&page) {
                let now = std::ptr::with_exposed_provenance::<u8>(self.at + page.start);
                let kept = self.kept[page.clone()].as_mut_ptr();
                // SAFETY: a copy to the vector. 1. As for `differs`. 2. The vector is no static, so they do not overlap.
                unsafe { kept.copy_from_nonoverlapping(now, page.len()) };
            }
        }
    }

    /// Puts the bytes back that code under test has changed.
    pub(super) fn put_back(&self) {
        for page in self.pages() {
            if self.differs(&page) {
                self.put_back_page(&page);
            }
        }
    }

    #[cold]
    fn put_back_page(&self, page: &Range<usize>) {
        let mut from = self.at + page.start;
        let end = self.at + page.end;
        let first = self.ours.partition_point(|ours| ours.end <= from);
        let after = Range { start: end, end };
        for ours in self.ours[first..].iter().chain([&after]) {
            let until = ours.start.min(end);
            if from < until {
                let kept = self.kept[from - self.at..until - self.at].as_ptr();
                let now = std::ptr::with_exposed_provenance_mut::<u8>(from);
                // SAFETY: a copy from the vector. 1. As for `keep`. 2. The bytes are of statics of code under test or of std, with
                // values that they had before; no code that uses them runs.
                unsafe { now.copy_from_nonoverlapping(kept, until - from) };
            }
            from = from.max(ours.end);
            if from >= end {
                return;
            }
        }
    }
}

/// Statics and thread-locals that are this crate's, for this program.
fn ours() -> Result<&'static Ours, Error> {
    static OURS: OnceLock<Ours> = OnceLock::new();
    if let Some(known) = OURS.get() {
        return Ok(known);
    }
    let read = program::read()?;
    Ok(OURS.get_or_init(|| read))
}

/// Reads the symbols, before processes are forked that use them.
pub(super) fn start() -> Result<(), Error> {
    ours().map(|_| ())
}

/// Returns the pieces of statics, and those of the thread-locals of this thread.
pub(super) fn pieces() -> (Vec<Piece>, Vec<PrivatePiece>) {
    let ours = ours().expect("`start` has read them");
    let (of_threads, shared): (Vec<_>, Vec<_>) = private_pieces(true)
        .into_iter()
        .partition(|piece| piece.is_thread_local);
    let shared = shared.into_iter().map(|piece| {
        let within = moved(&ours.shared, piece.base, &piece);
        // SAFETY: 1. The loader said that they are mapped and writable, until the program ends. 2. They are statics, of which
        // those of this crate are left out; no code under test runs where they are put back.
        unsafe { Piece::of(piece.at, piece.length, within) }
    });
    (shared.collect(), of_threads)
}

/// Returns the parts of these ranges, moved by `base`, that are within a piece of the program itself.
fn moved(ranges: &[Range<usize>], base: usize, piece: &PrivatePiece) -> Vec<Range<usize>> {
    if !piece.is_of_program {
        return Vec::new();
    }
    let all = ranges
        .iter()
        .map(|range| base + range.start..base + range.end);
    all.filter(|range| range.end > piece.at && range.start < piece.at + piece.length)
        .collect()
}

/// Returns the program's thread-locals of a thread, whose block lies `distance` behind that of this thread. Those of shared libraries
/// may lie elsewhere.
pub(super) fn of_thread(pieces: &[PrivatePiece], distance: usize) -> Vec<Piece> {
    let ours = ours().expect("`start` has read them");
    let pieces = pieces.iter().filter(|piece| piece.is_of_program);
    let pieces = pieces.map(|piece| {
        let within = moved(&ours.of_threads, piece.at, piece);
        let within = within
            .into_iter()
            .map(|range| range.start.wrapping_add(distance)..range.end.wrapping_add(distance));
        // SAFETY: 1. The blocks of a thread are mapped as long as it lives, in the same order for each thread, and it lives as long as
        // this process. 2. As for statics.
        unsafe {
            Piece::of(
                piece.at.wrapping_add(distance),
                piece.length,
                within.collect(),
            )
        }
    });
    pieces.collect()
}

/// Statics, and the thread-locals of the thread that made it.
pub(crate) struct Globals {
    pieces: Vec<Piece>,
    /// The number of the execution whose code has run with them last.
    execution: u64,
}

impl Globals {
    pub(crate) fn of_this_thread() -> Self {
        let (mut pieces, of_threads) = pieces();
        pieces.extend(of_thread(&of_threads, 0));
        Self {
            pieces,
            execution: 0,
        }
    }

    /// Takes what code of the check has changed as it is.
    pub(crate) fn keep(&mut self) {
        self.pieces.iter_mut().for_each(Piece::keep);
    }

    /// Puts back what code under test has changed.
    pub(crate) fn put_back(&self) {
        keys::give_back();
        self.pieces.iter().for_each(Piece::put_back);
    }

    /// Puts them back unless the last code that ran with them was of this execution.
    pub(crate) fn enter(&mut self, execution: u64) {
        if self.execution != execution {
            self.put_back();
            self.stay(execution);
        }
    }

    /// Notes that they are as code of this execution has left them.
    pub(crate) fn stay(&mut self, execution: u64) {
        self.execution = execution;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_put_back_but_for_those_of_this_crate_and_those_that_are_kept() {
        let mut memory = vec![0u8; 3 * PAGE];
        let at = memory.as_mut_ptr().expose_provenance();
        let ours = vec![
            at + 8..at + 16,
            at + PAGE - 4..at + PAGE + 4,
            at + 3 * PAGE - 1..at + 3 * PAGE,
        ];
        // SAFETY: the vector lives longer, and is accessed between calls alone.
        let mut piece = unsafe { Piece::of(at, memory.len(), ours.clone()) };
        memory.fill(7);
        piece.put_back();
        for (byte, value) in memory.iter().enumerate() {
            let is_ours = ours.iter().any(|range| range.contains(&(at + byte)));
            assert_eq!(*value, if is_ours { 7 } else { 0 }, "byte {byte}");
        }
        memory.fill(9);
        piece.keep();
        memory[PAGE + 100] = 1;
        piece.put_back();
        assert_eq!(memory[PAGE + 100], 9);
    }
}
