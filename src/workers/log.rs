//! A list of records in shared memory. One process appends; others read once it has said that it is done, or has
//! died. Bytes are atomic, so a log of a process that was killed in the middle of a record is short, never undefined.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use super::seal::Seal;
use crate::error::Error;
use crate::memory::Resident;
use crate::region::Region;
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// The room for the results of one process in one execution, and for one program.
pub(crate) const CAPACITY: usize = 128 * 1024 - 24;

/// The appended bytes and their number. A reader has synchronised with the writer by other means.
#[repr(C)]
pub(crate) struct Log {
    length: AtomicU64,
    first: Seal,
    bytes: [AtomicU8; CAPACITY],
    last: Seal,
}

// SAFETY: Resident.
// 1. and 2. Only atomics, each accessed with its own size. 3. `length` is checked by `len` before it is used
// as an index. 4. No Drop.
unsafe impl Resident for Log {}

/// The error of a full log, to which the record was not appended.
#[derive(Debug)]
pub(crate) struct Full;

/// The bytes behind the records, to encode another one in.
struct Tail<'a>(&'a [AtomicU8]);

impl Flavor for Tail<'_> {
    /// The number of bytes that are left.
    type Output = usize;

    #[inline]
    fn try_push(&mut self, value: u8) -> postcard::Result<()> {
        let (byte, left) = (self.0.split_first()).ok_or(postcard::Error::SerializeBufferFull)?;
        byte.store(value, Relaxed);
        self.0 = left;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.0.len())
    }
}

impl Log {
    /// Makes the memory of an empty log.
    pub(crate) fn region() -> Result<Region, Error> {
        let region = Region::anonymous(size_of::<Self>())?;
        region.get::<Self>(0)?.seals().for_each(Seal::set);
        Ok(region)
    }
    pub(crate) fn seals(&self) -> impl Iterator<Item = &Seal> {
        [&self.first, &self.last].into_iter()
    }
    pub(crate) fn clear(&self) {
        self.length.store(0, Relaxed);
    }
    fn len(&self) -> usize {
        (self.length.load(Relaxed) as usize).min(CAPACITY)
    }
    /// Appends a record. It is encoded in place, and counts once its length is stored.
    pub(crate) fn push<T: Serialize>(&self, record: &T) -> Result<(), Full> {
        let tail = Tail(&self.bytes[self.len()..]);
        let left = postcard::serialize_with_flavor(record, tail).map_err(|_| Full)?;
        self.length.store((CAPACITY - left) as u64, Relaxed);
        Ok(())
    }
    /// Appends the log's bytes to `to`.
    pub(crate) fn copy(&self, to: &mut Vec<u8>) {
        to.extend(
            self.bytes[..self.len()]
                .iter()
                .map(|byte| byte.load(Relaxed)),
        );
    }
    /// Returns the records that are complete.
    pub(crate) fn records<T: DeserializeOwned>(&self) -> Vec<T> {
        self.read(&mut Vec::new()).collect()
    }
    /// Returns the records that are complete, decoded one by one from a copy in `bytes`.
    pub(crate) fn read<'b, T: DeserializeOwned + 'b>(
        &self,
        bytes: &'b mut Vec<u8>,
    ) -> impl Iterator<Item = T> + 'b {
        bytes.clear();
        self.copy(bytes);
        let mut rest = &bytes[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (record, after) = postcard::take_from_bytes(rest).ok()?;
            rest = after;
            Some(record)
        })
    }
}
