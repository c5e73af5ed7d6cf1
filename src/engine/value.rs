//! Values of words as 64 bits, with the form in which they are written, for the engines that note
//! steps.

use crate::case::Form;

/// A value that a word holds.
pub(super) trait Value: Copy {
    const FORM: Form;
    fn to_bits(self) -> u64;
    /// Returns the value of which `to_bits` returned these bits.
    #[cfg(feature = "loom")]
    fn from_bits(bits: u64) -> Self;
}

macro_rules! values {
    ($form:ident: $($Value:ty)*) => {$(
        impl Value for $Value {
            const FORM: Form = Form::$form;
            fn to_bits(self) -> u64 {
                // A negative number keeps its sign in the high bits.
                self as u64
            }
            #[cfg(feature = "loom")]
            fn from_bits(bits: u64) -> Self {
                bits as Self
            }
        }
    )*};
}
values!(Unsigned: u8 u16 u32 u64 usize);
values!(Signed: i32 i64);

impl Value for bool {
    const FORM: Form = Form::Bool;
    fn to_bits(self) -> u64 {
        self.into()
    }
    #[cfg(feature = "loom")]
    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
}
