//! Atomic instructions in the bytes of a function. The pass replaces each by a call, but for those that it has no call for
//! (`fetch_max`, `fetch_min`) and those of inline assembly.

/// Returns whether there is an instruction of x86-64 with the prefix `lock` that exchanges, adds or changes bits: where there is none,
/// these bytes hardly ever follow each other.
pub(super) fn is_there(code: &[u8]) -> bool {
    code.windows(5).any(|bytes| {
        let [0xF0, rest @ ..] = bytes else {
            return false;
        };
        // A prefix for 16 bits, and one for registers.
        let rest = rest.strip_prefix(&[0x66]).unwrap_or(rest);
        let rest = match rest {
            [0x40..=0x4F, rest @ ..] => rest,
            rest => rest,
        };
        matches!(
            rest,
            [
                0x0F,
                0xB0 | 0xB1 | 0xC0 | 0xC1 | 0xC7 | 0xAB | 0xB3 | 0xBB | 0xBA,
                ..
            ]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_and_additions_with_the_prefix_are_seen_in_all_widths_and_without_it_are_not() {
        for seen in [
            &[0x90, 0xF0, 0x48, 0x0F, 0xB1, 0x17][..], // lock cmpxchg [rdi], rdx
            &[0xF0, 0x0F, 0xB1, 0x17, 0xC3],           // lock cmpxchg [rdi], edx
            &[0xF0, 0x41, 0x0F, 0xB0, 0x10],           // lock cmpxchg [r8], dl
            &[0xF0, 0x66, 0x0F, 0xC1, 0x07],           // lock xadd [rdi], ax
        ] {
            assert!(is_there(seen), "{seen:x?}");
        }
        for other in [
            &[0x48, 0x0F, 0xB1, 0x17, 0xC3][..], // cmpxchg without it
            &[0xF0, 0x90, 0x90, 0x90, 0x90, 0x90],
            &[0xF0, 0x0F],
        ] {
            assert!(!is_there(other), "{other:x?}");
        }
    }
}
