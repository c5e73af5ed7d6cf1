//! Parts of a payload: the words that hold them, and the bytes of these.

use std::ops::Range;

/// The bytes of a part that one word holds.
pub(crate) struct Piece {
    /// The number of the word.
    pub(crate) word: usize,
    /// The bytes of the word that belong to the part.
    pub(crate) within: Range<usize>,
    /// The positions of these bytes in the part.
    pub(crate) of_part: Range<usize>,
}

/// Returns the pieces of these bytes of a payload, whose first `words` bytes are words of 8 bytes.
pub(crate) fn pieces(bytes: &Range<usize>, words: usize) -> impl Iterator<Item = Piece> + use<> {
    let (start, end) = (bytes.start, bytes.end.min(words));
    let all = if start < end {
        start / 8..(end - 1) / 8 + 1
    } else {
        0..0
    };
    all.map(move |word| {
        let (first, last) = (start.max(8 * word), end.min(8 * word + 8));
        Piece {
            word,
            within: first - 8 * word..last - 8 * word,
            of_part: first - start..last - start,
        }
    })
}

impl Piece {
    /// Returns the word's value with these bytes of the part in place of its own.
    pub(crate) fn put(&self, word: u64, part: &[u8]) -> u64 {
        let mut bytes = word.to_ne_bytes();
        bytes[self.within.clone()].copy_from_slice(&part[self.of_part.clone()]);
        u64::from_ne_bytes(bytes)
    }
    /// Copies the piece's bytes from the word's value to the part.
    pub(crate) fn get(&self, word: u64, part: &mut [u8]) {
        let bytes = &word.to_ne_bytes()[self.within.clone()];
        part[self.of_part.clone()].copy_from_slice(bytes);
    }
}

/// Returns the bytes of a `T` that a `P` at this offset takes.
///
/// # Panics
/// If they are not all within the `T`.
#[track_caller]
pub(crate) fn bytes_of<T, P>(offset: usize) -> Range<usize> {
    let (part, whole) = (size_of::<P>(), size_of::<T>());
    assert!(
        part <= whole && offset <= whole - part,
        "a part of {part} bytes at byte {offset} of a payload of {whole}: take the offset from offset_of!"
    );
    offset..offset + part
}
