//! Tables of integers in shared memory that is never given back.
#![allow(unsafe_code, reason = "a table of zeros is placed in a region")]

use crate::error::Error;
use crate::region::Region;

/// A type whose tables may be all zeros: made of integers, and of arrays and structs of those.
///
/// # Safety
/// Any bytes are a value of it.
pub(super) unsafe trait Table: 'static {}

/// Makes a table of zeros, which processes that are forked later share.
pub(super) fn zeroed<T: Table>() -> Result<&'static mut T, Error> {
    let region: &'static Region = Box::leak(Box::new(Region::anonymous(size_of::<T>())?));
    let mut table = region.slot::<T>(0)?;
    // SAFETY: as_mut, for the rest of the program.
    // 1. `slot` checked that the table lies in the region and is aligned; the region is never
    // dropped. 2. The region is new and known here alone. 3. Zeros are a `T`, by the contract of
    // `Table`.
    Ok(unsafe { table.as_mut() })
}
