//! A list of records in shared memory. One process appends; others read once it has said that it is done, or has
//! died. Bytes are atomic, so a log of a process that was killed in the middle of a record is short, never undefined.
#![allow(unsafe_code, reason = "one `unsafe impl Resident`")]

use super::seal::Seal;
use crate::error::Error;
use crate::memory::Resident;
use crate::region::Region;
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
    /// Appends a record; `scratch` is a buffer to encode it in.
    pub(crate) fn push<T: Serialize>(&self, record: &T, scratch: &mut Vec<u8>) -> Result<(), Full> {
        scratch.clear();
        postcard::to_io(record, &mut *scratch).map_err(|_| Full)?;
        let at = self.len();
        let room = self.bytes[at..].get(..scratch.len()).ok_or(Full)?;
        for (byte, value) in room.iter().zip(&*scratch) {
            byte.store(*value, Relaxed);
        }
        self.length.store((at + scratch.len()) as u64, Relaxed);
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
        let mut bytes = Vec::new();
        self.copy(&mut bytes);
        let mut rest = &bytes[..];
        let mut records = Vec::new();
        while !rest.is_empty() {
            let Ok((record, after)) = postcard::take_from_bytes(rest) else {
                break;
            };
            records.push(record);
            rest = after;
        }
        records
    }
}
