//! The integers that a word may hold: words of them have arithmetic, and words of `bool` do not.

/// An integer of the machine, with whose words a memory can calculate.
///
/// A `bool` is not one, so a word of it has no `fetch_add`:
/// ```compile_fail
/// use forkcheck::memory::{Atomic, HardwareBool, Ordering};
/// Atomic::fetch_add(&HardwareBool::new(false), true, Ordering::Relaxed);
/// ```
pub trait Integer: sealed::Calculate {}

mod sealed {
    pub trait Calculate: Copy + Ord {
        fn plus(self, other: Self) -> Self;
        fn minus(self, other: Self) -> Self;
    }
}
use sealed::Calculate;

macro_rules! integers {
    ($($Value:ty)*) => {$(
        impl Integer for $Value {}
        impl Calculate for $Value {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
