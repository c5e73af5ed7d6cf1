//! The bytes that a region hands out: a part of a mapping, with its bounds, and of which file they are.
#![allow(unsafe_code, reason = "addresses inside a mapping")]

use super::descriptor::{Descriptor, closed};
use super::header::{HEADER, Header};
use super::mapping::{Access, Mapping};
use crate::Error;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

#[derive(Debug)]
pub(super) struct Pages {
    mapping: Mapping,
    /// Where in the mapping the first byte is that is handed out: behind a header, or inside of the file's first page.
    start: usize,
    len: usize,
    pub(super) source: Source,
}

/// Of what the pages are.
#[derive(Debug)]
pub(super) enum Source {
    /// Nothing that can be named.
    Nameless,
    /// A memfd, which can be passed on. It is sealed: nobody makes it shorter.
    Memfd(Descriptor<OwnedFd>),
    /// A file, which anybody who may write to it can cut short, and at which length that hurts.
    File(Descriptor<File>, u64),
    /// A System V segment, by its id.
    SysV(i32),
}

impl Pages {
    /// `len` bytes of a mapping from `start`; all of them lie inside.
    pub(super) fn new(mapping: Mapping, start: usize, len: usize) -> Self {
        assert!(start.checked_add(len).is_some_and(|end| end <= mapping.len));
        Self {
            mapping,
            start,
            len,
            source: Source::Nameless,
        }
    }

    pub(super) fn from(self, source: Source) -> Self {
        Self { source, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The same pages at another address as well, of nothing that can be named.
    pub(super) fn map_again(&self, access: Access) -> Result<Self, Error> {
        let again = self.mapping.map_again()?;
        again.open_for(access.flags())?;
        Ok(Self::new(again, self.start, self.len))
    }

    /// All that is mapped, from its first address.
    #[cfg(feature = "harness")]
    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Puts guard pages around. It moves: nobody may hold an address inside.
    pub(super) fn guard(&mut self) -> Result<(), Error> {
        self.mapping.guard()?;
        self.start += super::mapping::page_size();
        Ok(())
    }

    /// Marks a region that has a name as kept, in its header, so that a sweep leaves it alone.
    pub(super) fn keep(&self) {
        match &self.source {
            // A file that was cut short is not a region any more, and is left alone as it is.
            Source::File(file, _) => {
                if self.intact().is_ok()
                    && let Ok(file) = file.get()
                {
                    let _ = Header::keep_in_file(file);
                }
            }
            _ => self.header().keep(),
        }
    }

    /// The header of a region that has a name: it stands in front of the first byte.
    fn header(&self) -> &Header {
        assert!(self.start >= HEADER, "a region with a name has a header");
        // SAFETY: byte_sub stays inside the mapping, as was just checked. What is there is aligned, since the first byte of a
        // region with a header is; any bytes are a `Header`, and nobody has a `&mut` to them: the contract of `Resident`.
        unsafe { self.first().byte_sub(HEADER).cast::<Header>().as_ref() }
    }

    /// The first byte.
    pub(super) fn first(&self) -> NonNull<u8> {
        // SAFETY: byte_add stays inside the mapping: `new` checked it, and `guarded` put a page in front.
        unsafe { self.mapping.base.byte_add(self.start) }.cast()
    }

    /// An error, if the file became shorter than what is mapped of it: touching what is gone would be SIGBUS.
    pub(super) fn intact(&self) -> Result<(), Error> {
        let Source::File(file, end) = &self.source else {
            return Ok(());
        };
        let about = file
            .stat()
            .map_err(closed("look at the file under a region"))?;
        let there = u64::try_from(about.st_size).unwrap_or(0);
        if there < *end {
            return Err(Error::invalid(
                format!(
                    "the file under a region was cut short to {there} bytes, of which {end} are mapped"
                ),
                "drop the region and make it anew: touching what is gone is SIGBUS. Let nobody truncate the file, or use a memfd, which is sealed",
            ));
        }
        Ok(())
    }

    /// Where a `T` at `offset` would lie, inside and aligned.
    pub(super) fn slot<T>(&self, offset: usize) -> Result<NonNull<T>, Error> {
        let (size, align, len) = (size_of::<T>(), align_of::<T>(), self.len);
        if offset.checked_add(size).is_none_or(|end| end > len) {
            return Err(Error::invalid(
                format!(
                    "{size} bytes at offset {offset} do not lie inside a region of {len} bytes"
                ),
                "use a smaller offset or a larger region",
            ));
        }
        // SAFETY: byte_add stays inside the mapping, or one past its end: `offset <= len` was checked above,
        // and no mapping is longer than `isize::MAX`.
        let place = unsafe { self.first().byte_add(offset) }.cast::<T>();
        if !place.is_aligned() {
            let past = place.addr().get() % align;
            let remedy = if self.first().addr().get().is_multiple_of(align) {
                format!("use a multiple of {align}")
            } else {
                let next = offset + (align - past);
                format!("this region does not start at a multiple of {align}: use offset {next}")
            };
            return Err(Error::invalid(
                format!(
                    "offset {offset} is not aligned for a {}",
                    std::any::type_name::<T>()
                ),
                remedy,
            ));
        }
        self.intact()?;
        Ok(place)
    }
}
