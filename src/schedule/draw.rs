//! Drawing from a seed.

/// Returns the next number of the SplitMix64 generator (Steele, Lea, Flood 2014).
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns a number below `n`.
pub(super) fn below(state: &mut u64, n: u32) -> u32 {
    (((split_mix(state) >> 32) * u64::from(n)) >> 32) as u32
}

/// Returns the nth member of a set.
#[inline]
pub(super) fn nth(mut set: u32, n: u32) -> u32 {
    let (first, last) = (set.trailing_zeros(), set.checked_ilog2().unwrap_or(0));
    if set.count_ones() == 2 {
        // Without a branch, which nothing could predict.
        return [first, last][(n & 1) as usize];
    }
    for _ in 0..n {
        set &= set - 1;
    }
    set.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_of_a_set_is_the_one_of_its_number() {
        for set in 1..1u32 << 10 {
            let members = (0..u32::BITS).filter(|member| set >> member & 1 == 1);
            for (number, member) in members.enumerate() {
                assert_eq!(nth(set, number as u32), member, "{number} of {set:b}");
            }
        }
    }
}
