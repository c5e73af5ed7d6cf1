//! Keys of independent parts of a history.

use std::hash::Hash;
use std::hash::Hasher;

/// Returns a key as a number, the same in each run.
pub(super) fn hashed(key: &impl Hash) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
