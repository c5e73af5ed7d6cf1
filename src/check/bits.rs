//! Sets of small numbers as bits of words.

pub(super) fn has(set: &[u64], n: usize) -> bool {
    set[n / 64] >> (n % 64) & 1 == 1
}

pub(super) fn add(set: &mut [u64], n: usize) {
    set[n / 64] |= 1 << (n % 64);
}

/// Returns whether each number of `few` is in `many`.
pub(super) fn within(few: &[u64], many: &[u64]) -> bool {
    few.iter().zip(many).all(|(few, many)| few & !many == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added_and_nothing_else() {
        let mut set = [0; 3];
        for n in [0, 5, 63, 64, 130, 5] {
            add(&mut set, n);
        }
        let all: Vec<usize> = (0..192).filter(|&n| has(&set, n)).collect();
        assert_eq!(all, [0, 5, 63, 64, 130]);
    }

    #[test]
    fn a_set_is_within_another_that_has_each_of_its_numbers() {
        assert!(within(&[0b0101, 1], &[0b1101, 1]));
        assert!(within(&[0, 0], &[0, 0]));
        assert!(!within(&[0b0111, 1], &[0b1101, 1]), "one of the first word");
        assert!(!within(&[0b0101, 1], &[0b1101, 0]), "one of the second");
    }
}
