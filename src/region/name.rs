//! The names of a region: a POSIX name, a System V key, or a file.

use super::header::{Claims, Creator};
use super::layout::Layout;
use super::mapping::Access;
use super::pages::{Pages, Source};
use super::{file, posix, sysv};
use crate::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// The name of a region that unrelated programs share.
///
/// ```
/// use forkcheck::region::Name;
/// let name = Name::posix("/statistics")?;
/// assert_eq!(name.to_string(), "the region /statistics");
/// assert!(Name::posix("statistics").is_err()); // no slash
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(NameKind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum NameKind {
    Posix(String, PathBuf),
    SysV(i32),
    File(PathBuf),
}

impl Name {
    /// A name of POSIX shared memory, such as `/statistics`: in memory, lost at a reboot.
    /// shm_overview(7).
    ///
    /// # Errors
    /// No slash at the start, another one in it, or not 1 to 255 bytes behind it.
    pub fn posix(name: &str) -> Result<Self, Error> {
        Ok(Self(NameKind::Posix(name.to_string(), posix::path(name)?)))
    }

    /// A key of System V shared memory: in memory, lost at a reboot. Its segment begins with a
    /// header of 128 bytes, so programs without this crate cannot share one. shmget(2); `ipcs -m`
    /// lists them.
    ///
    /// ```
    /// use forkcheck::region::Name;
    /// assert!(Name::sysv(0x5eed).is_ok());
    /// assert!(Name::sysv(0).is_err()); // IPC_PRIVATE
    /// ```
    ///
    /// # Errors
    /// Zero, which is `IPC_PRIVATE` and names nothing: see [`Region::sysv`](super::Region::sysv).
    pub fn sysv(key: i32) -> Result<Self, Error> {
        if key == libc::IPC_PRIVATE {
            return Err(Error::invalid(
                "the System V key 0, which is IPC_PRIVATE and names nothing",
                "use another number, or Region::sysv for a segment without a key",
            ));
        }
        Ok(Self(NameKind::SysV(key)))
    }

    /// A file, which survives a reboot if its file system does. To map a part of a file of other
    /// programs, use [`Region::file`](super::Region::file).
    ///
    /// ```
    /// use forkcheck::region::Name;
    /// assert!(Name::file("/var/tmp/statistics").is_ok());
    /// assert!(Name::file("/").is_err());
    /// ```
    ///
    /// # Errors
    /// An empty path, or one that does not end in a name.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        // An absolute path stays the same after a change of the current directory.
        match std::path::absolute(path) {
            Ok(absolute) if absolute.file_name().is_some() => Ok(Self(NameKind::File(absolute))),
            _ => Err(Error::invalid(
                format!("{} as the name of a file", path.display()),
                "use a path that ends in a name",
            )),
        }
    }

    pub(super) fn create(&self, layout: Layout, creator: Creator) -> Result<Pages, Error> {
        let what = self.to_string();
        match &self.0 {
            NameKind::Posix(_, path) | NameKind::File(path) => {
                file::create(path, layout, creator, &what)
            }
            NameKind::SysV(key) => sysv::create(*key, layout, creator, &what),
        }
    }

    pub(super) fn open(&self, expected: Layout, access: Access) -> Result<(Pages, Claims), Error> {
        let what = self.to_string();
        match &self.0 {
            NameKind::Posix(_, path) | NameKind::File(path) => {
                file::open(path, expected, access, &what)
            }
            NameKind::SysV(key) => sysv::open(*key, expected, access, &what),
        }
    }

    /// Removes the name, whichever process created it. Processes that have it open keep it; no
    /// other finds it any more.
    ///
    /// ```
    /// use forkcheck::{Region, region::Name};
    /// let name = Name::posix(&format!("/forkcheck-doc-{}", std::process::id()))?;
    /// Region::create(&name, 64)?.keep(); // it would be removed by its drop
    /// name.remove()?;
    /// assert!(Region::open(&name, 64).is_err());
    /// # Ok::<(), forkcheck::Error>(())
    /// ```
    ///
    /// # Errors
    /// The name does not exist, or it is not that of a region of this user: nothing else is ever
    /// removed. Or a living process is just making it (System V). Or a process holds a lock
    /// (flock(2)) on the file: one that is removing it, or an unrelated one.
    pub fn remove(&self) -> Result<(), Error> {
        let what = self.to_string();
        match &self.0 {
            NameKind::Posix(_, path) | NameKind::File(path) => {
                let (pages, _) = file::open(path, Layout::from(0), Access::Read, &what)?;
                let Source::File(file, _) = pages.source else {
                    unreachable!("a file was opened");
                };
                file::remove(file, path, &what)
            }
            NameKind::SysV(key) => sysv::remove_key(*key, &what),
        }
    }

    /// Removes the name, if it is still that of these pages.
    pub(super) fn remove_from(&self, source: Source) -> Result<(), Error> {
        let what = self.to_string();
        match (&self.0, source) {
            (NameKind::Posix(_, path) | NameKind::File(path), Source::File(file, _)) => {
                file::remove(file, path, &what)
            }
            (NameKind::SysV(_), Source::SysV(id)) => sysv::remove(id, &what),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            NameKind::Posix(name, _) => write!(f, "the region {name}"),
            NameKind::SysV(key) => write!(f, "the region of System V key {key:#x}"),
            NameKind::File(path) => write!(f, "the region {}", path.display()),
        }
    }
}
