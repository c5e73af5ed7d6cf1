//! The crates whose accesses were seen, in code that is not written for `Memory`.

use serde::{Deserialize, Serialize};

/// The most crates that are counted one by one.
const MOST: usize = 12;
/// The most bytes of a name.
const LENGTH: usize = 40;

/// Crates with their releases, each with the number of its accesses in the executions in which a program's memory was learned. It
/// serializes as a list of pairs; the thirteenth crate and all after it are counted with the last one.
///
/// ```
/// use forkcheck::engine::Crates;
///
/// let mut crates = Crates::default();
/// crates.add("spmc-0.3.0", 3);
/// crates.add("spmc-0.3.0", 4);
/// assert_eq!(crates.all(), [("spmc-0.3.0".to_owned(), 7)]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(String, u64)>", into = "Vec<(String, u64)>")]
pub struct Crates([Counted; MOST]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    name: [u8; LENGTH],
    accesses: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            name: [0; LENGTH],
            accesses: 0,
        }
    }
}

impl Crates {
    /// Counts accesses of a crate.
    pub fn add(&mut self, name: &str, accesses: u64) {
        let mut short = [0; LENGTH];
        let end = (0..=name.len().min(LENGTH))
            .rev()
            .find(|&end| name.is_char_boundary(end));
        let bytes = &name.as_bytes()[..end.unwrap_or(0)];
        short[..bytes.len()].copy_from_slice(bytes);
        let is_it = |counted: &Counted| counted.name == short || counted.accesses == 0;
        let place = self.0.iter().position(is_it).unwrap_or(MOST - 1);
        let counted = &mut self.0[place];
        if counted.accesses == 0 {
            counted.name = short;
        }
        counted.accesses += accesses;
    }

    /// Adds the counts of others.
    pub(super) fn add_all(&mut self, more: Self) {
        for (name, accesses) in more.all() {
            self.add(&name, accesses);
        }
    }

    /// Returns them, the first that was counted first.
    pub fn all(&self) -> Vec<(String, u64)> {
        let counted = self.0.iter().filter(|counted| counted.accesses > 0);
        let named = counted.map(|counted| {
            let name = counted
                .name
                .split(|&byte| byte == 0)
                .next()
                .unwrap_or_default();
            (String::from_utf8_lossy(name).into_owned(), counted.accesses)
        });
        named.collect()
    }
}

impl std::fmt::Debug for Crates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.all().fmt(f)
    }
}

impl From<Vec<(String, u64)>> for Crates {
    fn from(all: Vec<(String, u64)>) -> Self {
        let mut crates = Self::default();
        all.into_iter()
            .for_each(|(name, accesses)| crates.add(&name, accesses));
        crates
    }
}

impl From<Crates> for Vec<(String, u64)> {
    fn from(crates: Crates) -> Self {
        crates.all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_from_their_bytes_and_a_long_name_and_a_thirteenth_crate_lose_no_access() {
        let mut crates = Crates::default();
        for number in 0..20 {
            crates.add(&format!("ö{number}{}", "x".repeat(60)), 1);
        }
        let bytes = postcard::to_stdvec(&crates).unwrap();
        assert_eq!(postcard::from_bytes::<Crates>(&bytes).unwrap(), crates);
        assert_eq!(crates.all().len(), MOST);
        assert_eq!(
            crates
                .all()
                .iter()
                .map(|(_, accesses)| accesses)
                .sum::<u64>(),
            20
        );
    }
}
