//! The bytes that a region hands out: a part of a mapping, with its bounds and its backing.
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
    /// The position in the mapping of the first byte that is handed out: behind a header, or inside
    /// of the file's first page.
    start: usize,
    len: usize,
    pub(super) source: Source,
}

/// The backing of the pages.
#[derive(Debug)]
pub(super) enum Source {
    /// A backing without a name.
    Nameless,
    /// A memfd, which can be passed on. It is sealed, so it cannot become shorter.
    Memfd(Descriptor<OwnedFd>),
    /// A file, and the length that it must keep. Any process that may write to it can truncate it.
    File(Descriptor<File>, u64),
    /// A System V segment, with its id.
    SysV(i32),
}

impl Pages {
    /// Returns `len` bytes of a mapping from `start`; all of them lie inside.
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

    /// Maps the same pages at another address as well, as pages without a name.
    pub(super) fn map_again(&self, access: Access) -> Result<Self, Error> {
        let again = self.mapping.map_again()?;
        again.open_for(access.flags())?;
        Ok(Self::new(again, self.start, self.len))
    }

    /// Returns the whole mapping, from its first address.
    #[cfg(feature = "harness")]
    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Puts guard pages around the pages, which moves them: the caller must hold no address inside.
    pub(super) fn guard(&mut self) -> Result<(), Error> {
        self.mapping.guard()?;
        self.start += super::mapping::page_size();
        Ok(())
    }

    /// Marks a region that has a name as kept, in its header, so that a sweep leaves it alone.
    pub(super) fn keep(&self) {
        match &self.source {
            // A truncated file is no longer a region, and is left as it is.
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

    /// Returns the header of a named region, which precedes the first byte.
    fn header(&self) -> &Header {
        assert!(self.start >= HEADER, "a region with a name has a header");
        // SAFETY: byte_sub stays inside the mapping, as was just checked. What is there is aligned,
        // since the first byte of a region with a header is; any bytes are a `Header`, and there is
        // no `&mut` to them: the contract of `Resident`.
        unsafe { self.first().byte_sub(HEADER).cast::<Header>().as_ref() }
    }

    /// Returns the address of the first byte.
    pub(super) fn first(&self) -> NonNull<u8> {
        // SAFETY: byte_add stays inside the mapping: `new` checked it, and `guarded` put a page in front.
        unsafe { self.mapping.base.byte_add(self.start) }.cast()
    }

    /// Returns an error if the file became shorter than its mapped part: accessing the lost part
    /// would be SIGBUS.
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
                    "the file of a region was truncated to {there} bytes, of which {end} are mapped"
                ),
                "drop the region and make it again: accessing the lost part is SIGBUS. Let no process truncate the file, or use a memfd, which is sealed",
            ));
        }
        Ok(())
    }

    /// Returns the place of a `T` at `offset`, inside and aligned.
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
        if matches!(self.source, Source::File(..)) {
            self.intact()?;
        }
        Ok(place)
    }
}
