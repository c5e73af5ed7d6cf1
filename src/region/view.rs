//! A region that this process may only read: the pages have no write permission here.
#![allow(unsafe_code, reason = "views of mapped memory as atomics")]

use super::layout::Layout;
use super::mapping::Access;
use super::pages::Pages;
use super::{Name, file, memfd};
use crate::Error;
use crate::memory::{Reading, Resident};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// A region that is only read: the references that it hands out have the methods that read, and a
/// stray write to its pages is SIGSEGV.
///
/// ```
/// use forkcheck::{Region, publish::SeqLock, region::{Layout, Name, View}};
/// type Position = SeqLock<[f64; 2]>;
/// let name = Name::posix(&format!("/forkcheck-view-{}", std::process::id()))?;
///
/// let region = Region::create(&name, Layout::of::<Position>())?; // one program
/// region.get::<Position>(0)?.writer().write([1.5, 2.5]);
///
/// let view = View::open(&name, Layout::of::<Position>())?; // another one
/// assert_eq!(view.get::<Position>(0)?.read(), Ok([1.5, 2.5]));
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Debug)]
pub struct View {
    pages: Pages,
}

#[allow(clippy::len_without_is_empty, reason = "a view has at least one byte")]
impl View {
    /// Opens the region of that name, as [`Region::open`](super::Region::open) does.
    ///
    /// # Errors
    /// The errors of that function.
    pub fn open(name: &Name, expected: impl Into<Layout>) -> Result<Self, Error> {
        let (pages, _) = name.open(expected.into(), Access::Read)?;
        Ok(Self { pages })
    }

    /// Opens the region of a descriptor, as [`Region::from_fd`](super::Region::from_fd) does. It
    /// may be sealed against writers.
    ///
    /// # Errors
    /// The errors of that function.
    pub fn from_fd(fd: OwnedFd, expected: impl Into<Layout>) -> Result<Self, Error> {
        let (pages, _) = memfd::open(fd, expected.into(), Access::Read)?;
        Ok(Self { pages })
    }

    /// Receives the region that the other side of a socket [sends](super::Region::send).
    ///
    /// # Errors
    /// The errors of [`Region::receive`](super::Region::receive).
    pub fn receive(from: &UnixStream, expected: impl Into<Layout>) -> Result<Self, Error> {
        Self::from_fd(memfd::receive(from)?, expected)
    }

    /// Maps a part of a file, as [`Region::file`](super::Region::file) does. The file may be open
    /// for reading alone.
    ///
    /// ```
    /// use forkcheck::region::View;
    /// use std::{fs::File, sync::atomic::{AtomicU32, Ordering::Relaxed}};
    /// # let path = std::env::temp_dir().join(format!("forkcheck-read-{}", std::process::id()));
    /// # std::fs::write(&path, "our fork")?;
    /// let view = View::file(&File::open(&path)?, 4, 4)?; // the file holds "our fork"
    /// assert_eq!(view.get::<AtomicU32>(0)?.load(Relaxed).to_ne_bytes(), *b"fork");
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of that function.
    pub fn file(file: &File, offset: u64, len: usize) -> Result<Self, Error> {
        let pages = file::part(file, offset, len, Access::Read)?;
        Ok(Self { pages })
    }

    pub(super) fn of(pages: Pages) -> Self {
        Self { pages }
    }

    /// Returns its length in bytes: at least one.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Returns the atomics at `offset`, a number of bytes from the start, for reading.
    ///
    /// # Errors
    /// The errors of [`Region::get`](super::Region::get).
    pub fn get<T: Resident>(&self, offset: usize) -> Result<Reading<'_, T>, Error> {
        let place = self.pages.slot::<T>(offset)?;
        // SAFETY: as in `Region::get`. Nothing stores through the reference: `Reading` has loads
        // alone.
        Ok(Reading(unsafe { place.as_ref() }))
    }
}
