//! Sets of small numbers as bits of words.

pub(super) fn has(set: &[u64], n: usize) -> bool {
    set[n / 64] >> (n % 64) & 1 == 1
}

pub(super) fn add(set: &mut [u64], n: usize) {
    set[n / 64] |= 1 << (n % 64);
}

/// Whether each number of `few` is in `many`.
pub(super) fn within(few: &[u64], many: &[u64]) -> bool {
    few.iter().zip(many).all(|(few, many)| few & !many == 0)
}
