//! The header of a named region: that it is a region, complete, its length, and its creator.
//!
//! It is written before the region has a name. Where the kernel gives a name first (System V), the
//! magic number is written last. So a region exists completely or not at all. A process that opens
//! one reads each word once, and trusts none.

#![allow(unsafe_code, reason = "unsafe impl Resident")]

use super::layout::Layout;
use super::mapping::length;
use crate::Error;
use crate::memory::{Hardware, Incarnation, Memory, Resident};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// The size of the header in bytes, so that the bytes after it can be aligned to a pair of cache
/// lines.
pub(super) const HEADER: usize = 128;

/// Returns an error if a layout cannot begin right behind a header. A header begins at the start of a page.
pub(super) fn check_align(layout: Layout, what: &str) -> Result<(), Error> {
    let align = layout.align();
    if HEADER.is_multiple_of(align) {
        return Ok(());
    }
    Err(Error::invalid(
        format!(
            "{what} of a layout that begins at a multiple of {align} bytes, where {HEADER} stand in front of it"
        ),
        format!(
            "align it to {HEADER} at most, or use Region::anonymous, Region::sysv or Region::file, which have nothing in front"
        ),
    ))
}

/// Returns the size of a header and the bytes after it.
pub(super) fn total(layout: Layout, what: &str) -> Result<usize, Error> {
    let len = length(layout.len(), what)?.get();
    check_align(layout, what)?;
    Ok(HEADER + len)
}

/// `forkchk` and the version of the header's layout.
const MAGIC: u64 = u64::from_le_bytes(*b"forkchk\x01");
/// The value of the magic word between the first store and the last: the region is being made, or its creator died
/// meanwhile.
const BEGUN: u64 = u64::from_le_bytes(*b"forkchk\xff");

#[repr(C, align(128))]
pub(super) struct Header {
    /// [`BEGUN`], stored first, and then [`MAGIC`], stored last.
    magic: AtomicU64,
    /// The number of bytes that follow this header.
    len: AtomicU64,
    /// The creator's [`Layout`]; zero: it gave none.
    shape: AtomicU64,
    /// The creator's [`Incarnation`], and where that is valid: [`here`].
    incarnation: AtomicU64,
    place: AtomicU64,
    /// Not zero: the name should outlive its creator.
    kept: AtomicU64,
}

const _: () = assert!(size_of::<Header>() == HEADER);

// SAFETY: Resident. 1. Integers: any bytes are values. 2. All of it is atomic. 3. No pointer; `len` is checked. 4. No Drop.
unsafe impl Resident for Header {}

/// The creator of a region, as its header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Creator {
    incarnation: Incarnation,
    place: u64,
}

impl Creator {
    pub(super) fn me() -> Self {
        Self {
            incarnation: Hardware::me(),
            place: here(),
        }
    }

    /// Returns the creator for a region without a name, which no sweep can find.
    pub(super) fn nameless() -> Self {
        Self {
            incarnation: Hardware::me(),
            place: 0,
        }
    }

    pub(super) fn pid(self) -> u32 {
        self.incarnation.to_bits() as u32
    }

    pub(super) fn is_me(self) -> bool {
        // Without a start time the pid alone decides; see `Hardware::me`.
        let incarnation = self.incarnation.to_bits();
        self.pid() == std::process::id()
            && (incarnation >> 32 == 0 || self.incarnation == Hardware::me())
    }

    /// Returns whether it is known to be dead: false where its process ids mean nothing here.
    pub(super) fn is_dead(self) -> bool {
        self.place != 0 && self.place == here() && !Hardware::alive(self.incarnation)
    }

    /// Returns the creator as part of a name: its [`Incarnation`] and where that is valid.
    pub(super) fn to_text(self) -> String {
        format!("{:016x}-{:016x}", self.incarnation.to_bits(), self.place)
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (incarnation, place) = text.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(Self {
            incarnation: Incarnation::from_bits(number(incarnation)?),
            place: number(place)?,
        })
    }
}

/// Returns a number for the context of process ids and start times: this boot, and the namespaces
/// of pids and of time. Zero if it is not known, or if `/proc` shows other processes than this
/// namespace's.
fn here() -> u64 {
    let link = |path| std::fs::read_link(path).map(|link| link.to_string_lossy().into_owned());
    let place = || {
        let me = link("/proc/self").ok()?;
        if me != std::process::id().to_string() {
            return None;
        }
        let pids = link("/proc/self/ns/pid").ok()?;
        // Kernels before 5.6 have no time namespaces.
        let time = link("/proc/self/ns/time").unwrap_or_default();
        Some(crate::memory::shape(&format!("{pids}{time}"), &[boot()?]))
    };
    place().unwrap_or(0)
}

/// Returns a number for this boot.
fn boot() -> Option<u64> {
    // Zero: not asked yet. All processes that inherit it have the same boot.
    static BOOT: AtomicU64 = AtomicU64::new(0);
    if BOOT.load(Relaxed) == 0 {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        BOOT.store(crate::memory::shape(&id, &[]), Relaxed);
    }
    Some(BOOT.load(Relaxed))
}

/// The words of a header, each read once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims {
    magic: u64,
    said_len: u64,
    shape: u64,
    /// The bytes that follow the header: as many as it says, if the backing has them.
    pub(super) len: usize,
    pub(super) creator: Creator,
    pub(super) kept: bool,
}

impl Header {
    /// Writes all words, the magic number last.
    pub(super) fn write(&self, layout: Layout, creator: Creator) {
        self.magic.store(BEGUN, Relaxed);
        // Release: a process that sees a later word sees BEGUN as well; a creator that dies in between leaves BEGUN.
        fence(Release);
        self.len.store(layout.len() as u64, Relaxed);
        self.shape.store(layout.shape(), Relaxed);
        self.incarnation
            .store(creator.incarnation.to_bits(), Relaxed);
        self.place.store(creator.place, Relaxed);
        // Release: pairs with the Acquire load in `read`.
        self.magic.store(MAGIC, Release);
    }

    pub(super) fn keep(&self) {
        self.kept.store(1, Relaxed);
    }

    /// Does what `keep` does, by a write to the file: that raises no SIGBUS if the file was
    /// truncated meanwhile.
    pub(super) fn keep_in_file(file: &File) -> io::Result<()> {
        let at = std::mem::offset_of!(Self, kept) as u64;
        file.write_all_at(&1u64.to_ne_bytes(), at)
    }

    /// Reads the header from memory.
    pub(super) fn read(&self) -> Claims {
        // Acquire: pairs with the Release store in `write`, so the words behind it are there if it is.
        let magic = self.magic.load(Acquire);
        let others = [
            &self.len,
            &self.shape,
            &self.incarnation,
            &self.place,
            &self.kept,
        ];
        let [len, shape, incarnation, place, kept] = others.map(|word| word.load(Relaxed));
        Claims::new([magic, len, shape, incarnation, place, kept])
    }
}

impl Claims {
    fn new([magic, said_len, shape, incarnation, place, kept]: [u64; 6]) -> Self {
        Self {
            magic,
            said_len,
            shape,
            len: usize::try_from(said_len).unwrap_or(usize::MAX),
            creator: Creator {
                incarnation: Incarnation::from_bits(incarnation),
                place,
            },
            kept: kept != 0,
        }
    }

    /// Reads the header from a file, by a read: if the file is truncated meanwhile that is an
    /// error, where mapped pages would raise SIGBUS.
    pub(super) fn from_file(file: &File) -> io::Result<Self> {
        let mut bytes = [0; 48];
        file.read_exact_at(&mut bytes, 0)?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(Self::new(std::array::from_fn(|i| {
            u64::from_le_bytes(words[i])
        })))
    }

    /// Returns whether no creator has finished it.
    pub(super) fn is_blank(&self) -> bool {
        self.magic == 0 || self.is_begun()
    }

    /// Returns whether a creator has begun it and not finished.
    pub(super) fn is_begun(&self) -> bool {
        self.magic == BEGUN
    }

    /// Returns whether no creator has begun it.
    pub(super) fn is_empty(&self) -> bool {
        let words = [self.magic, self.said_len, self.shape, self.creator.place];
        words == [0; 4] && self.creator.incarnation.to_bits() == 0 && !self.kept
    }

    /// Returns whether it is a region that can be judged, with `room` bytes behind the header.
    pub(super) fn is_region(&self, room: usize) -> bool {
        self.magic == MAGIC && (1..=room).contains(&self.len)
    }

    /// Returns an error unless the header is what an opener of `what` expects.
    pub(super) fn check(&self, room: usize, expected: Layout, what: &str) -> Result<(), Error> {
        check_align(expected, what)?;
        let (said, len) = (self.said_len, self.len);
        let (wrong, remedy) = if self.is_blank() {
            (
                format!("{what} is not complete yet, or is no region"),
                "open it again when its creator is done; if that died meanwhile, remove it",
            )
        } else if self.magic != MAGIC {
            (
                format!("{what} does not start with the header of a region of this version"),
                "let the same version of forkcheck create and open it, or remove it if it is a left-over",
            )
        } else if !self.is_region(room) {
            (
                format!("the header of {what} says {said} bytes, where 1 to {room} are possible"),
                "a process wrote over it: remove it and create it again",
            )
        } else if expected.shape() != 0 && self.shape != 0 && self.shape != expected.shape() {
            (
                format!(
                    "{what} was created for another layout than the one that this program expects"
                ),
                "build both programs from the same definition, or create it again",
            )
        } else if len < expected.len() {
            (
                format!(
                    "{what} has {len} bytes, fewer than the {} expected",
                    expected.len()
                ),
                "let creator and opener agree on the size, or create it again",
            )
        } else {
            return Ok(());
        };
        Err(Error::invalid(wrong, remedy))
    }
}
