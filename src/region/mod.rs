//! Memory that several processes see: one mapping, its bounds, and typed views of atomics in it.
//!
//! | backing | shared with | made by |
//! |---|---|---|
//! | anonymous `mmap` | children that are forked later | [`Region::anonymous`] |
//! | memfd, sealed | children, and processes that get the descriptor | [`Region::memfd`], [`Region::send`], [`Region::receive`] |
//! | POSIX name, System V key, file | every program of the user that knows the [`Name`] | [`Region::create`], [`Region::open`] |
//! | a part of any file | every process that maps it | [`Region::file`] |
//! | System V without a key | children | [`Region::sysv`] |
//!
//! A [`View`] is a region that may only be read. [`layout!`](crate::layout) puts several values into one. [`sweep`] removes the
//! names that killed programs left.
//!
//! A region never hands out a reference to plain data that another process may write: only atomics and types made of them
//! ([`Resident`]). Only its own user may access it (mode 0600), and it is never executable.
//!
//! Lengths are not trusted either. A requested length is compared with the memory of the machine and of the cgroup before it is
//! taken up, one in a header with the file or segment behind it, and one in a layout with the region. A file's length is checked
//! at each [`get`](Region::get), and a descriptor's file before the descriptor is written to, passed on or closed. Only
//! [`Region::receive`] and [`View::receive`] wait, and their socket may have a timeout.
//!
//! In this module: `mapping` is pages of this process, `pages` the part of them that is handed out, `header` what precedes a
//! named region; `name` finds one; `file`, `posix`, `sysv` and `memfd` are the backings; `room` is the available memory,
//! `descriptor` a descriptor that a backing keeps.
#![allow(unsafe_code, reason = "views of mapped memory as atomics")]

pub(crate) mod descriptor;
mod file;
mod header;
mod layout;
mod mapping;
mod memfd;
mod name;
mod pages;
mod posix;
mod refusal;
pub(crate) mod room;
mod sweep;
mod sysv;
mod view;

pub use layout::Layout;
pub use name::Name;
pub use sweep::{sweep, sweep_files};
pub use view::View;

use crate::Error;
use crate::memory::{Resident, mark};
use header::Creator;
use mapping::{Access, Mapping};
use pages::{Pages, Source};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
#[cfg(feature = "harness")]
use std::ptr::NonNull;

/// Memory that this process shares with the children that it forks, and, by a name or a descriptor, with other processes.
///
/// It starts as zeros, and at the same address in each process that inherits it. The pages go away when the last process that has
/// them mapped is gone. Dropping a region unmaps it in this process alone. If it has a name, the process that created it removes
/// the name on drop, if it still may ([`close`](Region::close) says whether it did); a forked child that drops an inherited
/// handle removes nothing.
///
/// ```
/// use forkcheck::{Region, process};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let region = Region::anonymous(4096)?;
/// let hits: &AtomicU64 = region.get(64)?;
/// process::run(|| { hits.fetch_add(2, Ordering::Relaxed); })?;
/// assert_eq!(hits.load(Ordering::Relaxed), 2);
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Debug)]
pub struct Region {
    pages: Pages,
    creator: u32,
    /// The name that this handle removes in the process that made it.
    named: Option<(Name, Maker)>,
}

/// The process that made a region, as its handle knows it.
#[derive(Debug)]
struct Maker {
    creator: Creator,
    /// See [`mark`].
    mark: u64,
}

impl Maker {
    /// Returns whether this process made it. A forked child has a copy of the handle, and is another process, whatever its pid.
    fn is_me(&self) -> bool {
        if self.mark == 0 {
            self.creator.is_me()
        } else {
            self.mark == mark()
        }
    }
}

#[allow(
    clippy::len_without_is_empty,
    reason = "a region has at least one byte"
)]
impl Region {
    /// Creates a region of `len` bytes of zeros without a name, for this process and the children that it forks.
    ///
    /// The kernel maps whole pages; the length and the bounds stay as given.
    ///
    /// ```
    /// let region = forkcheck::Region::anonymous(100)?;
    /// assert_eq!(region.len(), 100);
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// A length of zero, one that no address space holds, one beyond the memory of the machine or the limit of the cgroup, or
    /// one that the kernel refuses.
    pub fn anonymous(len: usize) -> Result<Self, Error> {
        let mapping = Mapping::anonymous(len)?;
        Ok(Self::nameless(Pages::new(mapping, 0, len)))
    }

    /// Creates a region of zeros in a memfd: for the children that this process forks, and for every process that gets its
    /// descriptor ([`send`](Region::send)). It is sealed: no process can change its length. memfd_create(2).
    ///
    /// ```
    /// use forkcheck::{Region, region::{Layout, View}};
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// let region = Region::memfd(Layout::of::<[AtomicU64; 4]>())?;
    /// let fd = || region.fd().expect("it is a memfd").try_clone_to_owned(); // most likely sent to another program
    /// let there = Region::from_fd(fd()?, Layout::of::<[AtomicU64; 4]>())?;
    /// there.get::<AtomicU64>(8)?.store(7, Relaxed);
    /// let view = View::from_fd(fd()?, 32)?;
    /// assert_eq!((view.len(), view.get::<AtomicU64>(8)?.load(Relaxed)), (32, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A length of zero, beyond the limits or beyond the memory that is free now; or no descriptor is left.
    pub fn memfd(layout: impl Into<Layout>) -> Result<Self, Error> {
        memfd::create(layout.into()).map(Self::nameless)
    }

    /// Creates a System V segment without a key (`IPC_PRIVATE`), for this process and the children that it forks. Its id is
    /// removed as soon as it is attached, so nothing is left behind however the process ends. shmget(2).
    ///
    /// ```
    /// let region = forkcheck::Region::sysv(100)?;
    /// assert_eq!(region.len(), 100);
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// A length of zero or beyond the limits (`sysctl kernel.shmmax kernel.shmall kernel.shmmni`).
    pub fn sysv(len: usize) -> Result<Self, Error> {
        sysv::without_key(len).map(Self::nameless)
    }

    /// Maps `len` bytes of a file that is open for reading and writing, from any `offset` in bytes, as they are: other programs
    /// give them their meaning. The file is not made longer; it may be closed meanwhile. mmap(2).
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// # let path = std::env::temp_dir().join(format!("forkcheck-part-{}", std::process::id()));
    /// # std::fs::write(&path, [7; 10_000])?;
    /// let file = std::fs::File::options().read(true).write(true).open(&path)?;
    /// let region = forkcheck::Region::file(&file, 5_000, 8)?;
    /// region.get::<AtomicU32>(0)?.store(u32::from_ne_bytes(*b"fork"), Relaxed);
    /// assert_eq!(std::fs::read(&path)?[4_999..5_005], *b"\x07fork\x07");
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A length of zero, a range that is not in the file, or a file that is not regular or not open for both.
    pub fn file(file: &File, offset: u64, len: usize) -> Result<Self, Error> {
        file::part(file, offset, len, Access::Write).map(Self::nameless)
    }

    /// Creates a region of zeros under a name that does not exist. All its space is reserved (a System V segment's is promised by
    /// the kernel). The name appears last, so it is opened complete. Whatever the umask, only this user may open it.
    ///
    /// It has the name until the process that made it drops this handle, or [`sweep`] finds that process dead; or indefinitely,
    /// if it is asked to [`keep`](Region::keep) it.
    ///
    /// ```
    /// use forkcheck::{Region, region::{Layout, Name}};
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// let name = Name::posix(&format!("/forkcheck-create-{}", std::process::id()))?;
    /// let here = Region::create(&name, Layout::of::<AtomicU64>())?;
    /// let there = Region::open(&name, Layout::of::<AtomicU64>())?; // most likely in another program
    /// there.get::<AtomicU64>(0)?.store(1, Relaxed);
    /// assert_eq!(here.get::<AtomicU64>(0)?.load(Relaxed), 1);
    /// drop(here);
    /// assert!(Region::open(&name, 0).is_err()); // no such name any more
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// The name exists; there is no room, no permission or no descriptor; the file system is read-only; or the layout's alignment
    /// is more than 128 bytes, and the bytes of such a region begin at a multiple of 128. Nothing is left behind.
    pub fn create(name: &Name, layout: impl Into<Layout>) -> Result<Self, Error> {
        let creator = Creator::me();
        let mut region = Self::nameless(name.create(layout.into(), creator)?);
        let mark = mark();
        region.named = Some((name.clone(), Maker { creator, mark }));
        Ok(region)
    }

    /// Opens the region of that name. It has at least the expected length, and the expected layout, if both sides give one.
    ///
    /// # Errors
    /// It does not exist, or not yet; it belongs to another user, or is open to others; it is no region, or another one.
    pub fn open(name: &Name, expected: impl Into<Layout>) -> Result<Self, Error> {
        let (pages, claims) = name.open(expected.into(), Access::Write)?;
        Ok(Self::unnamed(pages, claims.creator.pid()))
    }

    /// Opens the region of a descriptor that another process made by [`memfd`](Region::memfd) and passed on.
    ///
    /// # Errors
    /// It is no memfd, not sealed, sealed against writers, or not a region as expected.
    pub fn from_fd(fd: OwnedFd, expected: impl Into<Layout>) -> Result<Self, Error> {
        let (pages, claims) = memfd::open(fd, expected.into(), Access::Write)?;
        Ok(Self::unnamed(pages, claims.creator.pid()))
    }

    /// Returns the descriptor of a [`memfd`](Region::memfd), to be passed on; `None` for other backings, and if it was closed.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.pages.source {
            Source::Memfd(fd) => fd.get().ok().map(AsFd::as_fd),
            _ => None,
        }
    }

    /// Sends the descriptor of a [`memfd`](Region::memfd), with one byte, to the other side of a UNIX socket, which calls
    /// [`receive`](Region::receive) or [`View::receive`]. unix(7).
    ///
    /// ```
    /// use forkcheck::{Region, region::View};
    /// use std::os::unix::net::UnixStream;
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// let (here, there) = UnixStream::pair()?; // most likely between two programs
    /// let region = Region::memfd(8)?;
    /// region.seal_writes()?; // for all but us
    /// region.send(&here)?;
    ///
    /// let view = View::receive(&there, 8)?;
    /// region.get::<AtomicU64>(0)?.store(7, Relaxed);
    /// assert_eq!(view.get::<AtomicU64>(0)?.load(Relaxed), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Another backing, or the socket is closed.
    pub fn send(&self, to: &UnixStream) -> Result<(), Error> {
        match &self.pages.source {
            Source::Memfd(fd) => memfd::send(fd, to),
            _ => Err(no_memfd("send")),
        }
    }

    /// Receives the region that the other side of a socket [sends](Region::send). Waits for it.
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// let (here, there) = UnixStream::pair()?; // most likely between two programs
    /// forkcheck::Region::memfd(8)?.send(&here)?;
    /// assert_eq!(forkcheck::Region::receive(&there, 8)?.len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The other side closed the socket or sent something else, or the errors of [`from_fd`](Region::from_fd).
    pub fn receive(from: &UnixStream, expected: impl Into<Layout>) -> Result<Self, Error> {
        Self::from_fd(memfd::receive(from)?, expected)
    }

    /// Refuses new writable mappings of this [`memfd`](Region::memfd); existing ones stay. fcntl(2), `F_SEAL_FUTURE_WRITE`.
    ///
    /// # Errors
    /// Another backing, or a kernel before 5.1.
    pub fn seal_writes(&self) -> Result<(), Error> {
        match &self.pages.source {
            Source::Memfd(fd) => memfd::seal_writes(fd),
            _ => Err(no_memfd("seal")),
        }
    }

    /// Maps the same region for reading only, at another address of this process.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// let region = forkcheck::Region::anonymous(8)?;
    /// let view = region.view()?;
    /// region.get::<AtomicU64>(0)?.store(7, Relaxed);
    /// assert_eq!(view.get::<AtomicU64>(0)?.load(Relaxed), 7);
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file, for which there are [`View::open`] and [`View::file`]; a region with guard pages; no room.
    pub fn view(&self) -> Result<View, Error> {
        if let Source::File(..) = &self.pages.source {
            return Err(Error::invalid(
                "look twice at a region that is a file",
                "open it by its name (View::open), or the part of the file that it is (View::file)",
            ));
        }
        self.pages.map_again(Access::Read).map(View::of)
    }

    /// Keeps the name when this is dropped, and makes [`sweep`] leave it alone.
    #[must_use]
    pub fn keep(mut self) -> Self {
        if self.named.take().is_some() {
            self.pages.keep();
        }
        self
    }

    /// Drops the region, and returns an error if this handle should remove its name and cannot. A drop cannot report that.
    ///
    /// ```
    /// use forkcheck::{Region, region::Name};
    /// let name = Name::posix(&format!("/forkcheck-close-{}", std::process::id()))?;
    /// Region::create(&name, 8)?.keep(); // dropped, and the name stays
    /// Region::open(&name, 8)?.close()?; // removes nothing: another handle made the name
    /// name.remove()?;
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// The process has lost the right to remove the name since it created it, for example because it runs as another user now;
    /// or a process holds a lock on the file. The name then stays, until [`sweep`] or [`Name::remove`] removes it.
    pub fn close(mut self) -> Result<(), Error> {
        self.remove_name()
    }

    /// Removes the name once, and never in a forked child's copy of the handle, even if the child got a dead creator's id.
    fn remove_name(&mut self) -> Result<(), Error> {
        match self.named.take() {
            Some((name, maker)) if maker.is_me() => {
                name.remove_from(std::mem::replace(&mut self.pages.source, Source::Nameless))
            }
            _ => Ok(()),
        }
    }

    /// Moves the region between two pages that no process may access: an access beyond its whole pages is SIGSEGV, and does not
    /// reach another structure's bytes. Its address changes.
    ///
    /// ```
    /// let region = forkcheck::Region::anonymous(4096)?.guarded()?; // an access to the byte 4096 is SIGSEGV
    /// assert_eq!(region.len(), 4096);
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no room in the address space. The region is then dropped, and with it its name.
    pub fn guarded(mut self) -> Result<Self, Error> {
        self.pages.guard()?;
        Ok(self)
    }

    fn nameless(pages: Pages) -> Self {
        Self::unnamed(pages, std::process::id())
    }

    fn unnamed(pages: Pages, creator: u32) -> Self {
        Self {
            pages,
            creator,
            named: None,
        }
    }

    /// Returns its length in bytes, as requested: at least one.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Returns the id of the process that made it: in a forked child still the parent's. For an opened one, its header says it.
    ///
    /// ```
    /// let region = forkcheck::Region::anonymous(1)?;
    /// assert_eq!(region.creator(), std::process::id());
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    pub fn creator(&self) -> u32 {
        self.creator
    }

    /// Returns the atomics at `offset`, a number of bytes from the start.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, AtomicU64};
    ///
    /// let region = forkcheck::Region::anonymous(16)?;
    /// let pair: &[AtomicU64; 2] = region.get(0)?;
    /// assert!(region.get::<AtomicU64>(12).is_err()); // neither aligned nor inside
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// Use one size at one place: a view of the same bytes as words of another size, used at the same time, is more than the
    /// rules for atomics allow, and no type can detect it.
    ///
    /// The compiler refuses plain data, since another process may write it at any time:
    /// ```compile_fail
    /// let region = forkcheck::Region::anonymous(16).unwrap();
    /// let number: &u64 = region.get(0).unwrap();
    /// ```
    ///
    /// # Errors
    /// The value would not lie inside the region, or `offset` is not a multiple of its alignment. Or the region is a file that
    /// was truncated since: accessing the lost part would be SIGBUS. (This checks once. Truncation later, while references are in
    /// use, is SIGBUS: let no process truncate the file, or use a memfd, which is sealed.)
    pub fn get<T: Resident>(&self, offset: usize) -> Result<&T, Error> {
        let place = self.pages.slot::<T>(offset)?;
        // SAFETY: as_ref, for the lifetime of `&self`.
        // 1. Aligned, non-null and inside the mapping: `slot` checked it; the mapping is readable and writable,
        //    and lives as long as `self`.
        // 2. The bytes are a valid `T`, whatever other processes wrote: clause 1 of `Resident`.
        // 3. There is no `&mut` to them (a region hands out none), and all accesses to bytes that others write are
        //    atomic: clause 2 of `Resident`. Callers that place values through `slot` answer for theirs.
        Ok(unsafe { place.as_ref() })
    }

    /// Moves the pages to another address, in this process alone, and closes the old one: an access by an earlier address faults.
    #[cfg(feature = "harness")]
    pub(crate) fn relocate(&self) -> Result<Self, Error> {
        let again = self.map_again()?;
        self.pages
            .mapping()
            .open_for(nix::sys::mman::ProtFlags::PROT_NONE)?;
        Ok(again)
    }

    /// Returns whether this process may write to it: if not, a write is SIGSEGV.
    #[cfg(feature = "harness")]
    pub(crate) fn may_write(&self, may: bool) -> Result<(), Error> {
        let access = if may { Access::Write } else { Access::Read };
        self.pages.mapping().open_for(access.flags())
    }

    /// Maps the same pages at another address as well, in this process alone.
    #[cfg(feature = "harness")]
    pub(crate) fn map_again(&self) -> Result<Self, Error> {
        self.pages.map_again(Access::Write).map(Self::nameless)
    }

    /// Returns a number that changes with the first 64 KiB of its bytes. Only while no process writes to them.
    #[cfg(feature = "harness")]
    pub(crate) fn fingerprint(&self) -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let words = (self.len() / size_of::<AtomicU64>()).min(1 << 13);
        // SAFETY: a slice of atomics over the start of the mapping.
        // 1. The mapping starts at a page, is readable, at least that long, and lives as long as `self`.
        // 2. Any bytes are an `AtomicU64`, and it may change behind a shared reference.
        let words = unsafe {
            std::slice::from_raw_parts(self.pages.first().as_ptr().cast::<AtomicU64>(), words)
        };
        let mut seen = 0;
        for word in words {
            seen = (u64::rotate_left(seen, 5) ^ word.load(Relaxed))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        seen
    }

    /// Returns its first address.
    #[cfg(feature = "harness")]
    pub(crate) fn address(&self) -> usize {
        self.pages.first().addr().get()
    }

    /// Returns the place of a `T` at `offset`, inside and aligned. Engines that place a value themselves start here.
    #[cfg(feature = "harness")]
    pub(crate) fn slot<T>(&self, offset: usize) -> Result<NonNull<T>, Error> {
        self.pages.slot(offset)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // Errors are ignored here; `close` reports them.
        let _ = self.remove_name();
    }
}

fn no_memfd(verb: &str) -> Error {
    Error::invalid(
        format!("{verb} a region that is no memfd"),
        "make it by Region::memfd; regions with names are opened by their names",
    )
}
