//! Files as regions: created complete under a name, opened with care, mapped in part. open(2), linkat(2), flock(2).
//!
//! A new file has no name until it is complete: `O_TMPFILE`, then a link. Where the file system has
//! no such files, it has a temporary name that names its creator, so that a sweep can judge it.
//! `posix` is a directory of such files.

use super::descriptor::{Descriptor, closed};
use super::header::{Claims, Creator, HEADER, Header, total};
use super::layout::Layout;
use super::mapping::{Access, Mapping, page_size};
use super::pages::{Pages, Source};
use super::refusal::refused;
use super::room::check_free;
use crate::Error;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, posix_fallocate};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::{geteuid, linkat};
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The start of a temporary name; the creator and a number follow.
const TEMPORARY: &str = ".forkcheck-";

/// Makes a region's complete file, and then its name, which must not exist yet.
pub(super) fn create(
    path: &Path,
    layout: Layout,
    creator: Creator,
    what: &str,
) -> Result<Pages, Error> {
    let complete = |unfinished: Unfinished| -> Result<_, Error> {
        let pages = fill(&unfinished.file, layout, creator, what)?;
        Ok(unfinished.publish(path).map(|file| (pages, file)))
    };
    let published = match complete(Unfinished::new(path, creator, what)?)? {
        // If hard links are forbidden, a file that has a name can usually be renamed.
        Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            let unfinished = Unfinished::temporary(directory(path), creator)
                .map_err(|error| refused(format!("create {what}"), errno(&error)))?;
            complete(unfinished)?
        }
        published => published,
    };
    let (pages, file) = published.map_err(|errno| refused(format!("create {what}"), errno))?;
    let end = (HEADER + layout.len()) as u64;
    Ok(pages.from(Source::File(kept(file, what)?, end)))
}

/// Makes the file private to this user, reserves all its space, and writes the header.
pub(super) fn fill(
    file: &File,
    layout: Layout,
    creator: Creator,
    what: &str,
) -> Result<Pages, Error> {
    let len = total(layout, what)?;
    // Set whatever the umask is, and for a memfd too: a process that may see this one's descriptors
    // could open it by its path in /proc.
    file.set_permissions(Permissions::from_mode(0o600))
        .map_err(|error| refused(format!("set the mode of {what}"), errno(&error)))?;
    reserve(file, len as u64, what)?;
    let mapping = Mapping::of(file, 0, len, Access::Write, what)?;
    let header: &Header = mapping.start_as().expect("as long as a header and more");
    header.write(layout, creator);
    Ok(Pages::new(mapping, HEADER, layout.len()))
}

/// Reserves space on the disk or in memory for all of the file, so that a lack of it is an error
/// now and not SIGBUS later. It never asks for memory that is not free: the kernel would kill a
/// process for it.
fn reserve(file: &File, len: u64, what: &str) -> Result<(), Error> {
    let failed = |errno| refused(format!("reserve {len} bytes for {what}"), errno);
    // Beyond this limit the kernel sends SIGXFSZ, which kills the process.
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).map_err(failed)?;
    let size = i64::try_from(len).map_err(|_| failed(Errno::EFBIG))?;
    if len > limit {
        return Err(failed(Errno::EFBIG));
    }
    if fstatfs(file).is_ok_and(|system| system.filesystem_type() == TMPFS_MAGIC) {
        check_free(len, what)?;
    }
    loop {
        match posix_fallocate(file.as_fd(), 0, size) {
            Err(Errno::EINTR) => {}
            done => {
                let tried = format!("reserve {len} bytes for {what}");
                return done.map_err(|errno| refused_call(tried, errno, "fallocate"));
            }
        }
    }
}

/// A file that no other process can find yet: it has no name, or a temporary one.
struct Unfinished {
    file: File,
    temporary: Option<Temporary>,
}

/// A name that is removed on drop.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Unfinished {
    fn new(path: &Path, creator: Creator, what: &str) -> Result<Self, Error> {
        let directory = directory(path);
        let made = match new_file().custom_flags(libc::O_TMPFILE).open(directory) {
            Ok(file) if Path::new("/proc/self/fd").exists() => Ok(Self {
                file,
                temporary: None,
            }),
            Ok(_) => Self::temporary(directory, creator),
            // A kernel or a file system without O_TMPFILE tries to open the directory itself; a sandbox may forbid
            // the flag.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL | libc::EPERM)
                ) =>
            {
                Self::temporary(directory, creator)
            }
            Err(error) => Err(error),
        };
        made.map_err(|error| refused(format!("create {what}"), errno(&error)))
    }

    fn temporary(directory: &Path, creator: Creator) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("{TEMPORARY}{}-{number}", creator.to_text());
        let path = directory.join(name);
        let file = new_file().create_new(true).open(&path)?;
        Ok(Self {
            file,
            temporary: Some(Temporary(path)),
        })
    }

    /// Gives the file its name; an error if that name exists already.
    fn publish(self, path: &Path) -> nix::Result<File> {
        let linked = match &self.temporary {
            None => linkat(
                AT_FDCWD,
                format!("/proc/self/fd/{}", self.file.as_raw_fd()).as_str(),
                AT_FDCWD,
                path,
                AtFlags::AT_SYMLINK_FOLLOW,
            ),
            // A file system without hard links can usually rename to a name that does not exist.
            Some(Temporary(from)) => linkat(AT_FDCWD, from, AT_FDCWD, path, AtFlags::empty())
                .or_else(|errno| match errno {
                    Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EOPNOTSUPP => {
                        rename_to_new(from, path)
                    }
                    errno => Err(errno),
                }),
        };
        linked.map(|()| self.file)
    }
}

/// renameat2(2), which nix has for glibc alone.
fn rename_to_new(from: &Path, to: &Path) -> nix::Result<()> {
    #[cfg(target_env = "gnu")]
    {
        use nix::fcntl::{RenameFlags, renameat2};
        renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let _ = (from, to);
        Err(Errno::EPERM)
    }
}

/// Returns options for a new file that only this user may access, closed on exec.
fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Wraps a descriptor that is kept as long as the region.
pub(super) fn kept<F: AsFd>(fd: F, what: &str) -> Result<Descriptor<F>, Error> {
    Descriptor::new(fd).map_err(|error| refused(format!("look at {what}"), errno(&error)))
}

pub(super) fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Opens a region's file, if it is a region of this user with the expected layout.
pub(super) fn open(
    path: &Path,
    expected: Layout,
    access: Access,
    what: &str,
) -> Result<(Pages, Claims), Error> {
    let file = find(path, access, what)?;
    map(file, expected, access, what)
}

/// Opens the file of that name: no symbolic link, no file whose opening waits, and only a file that
/// this user alone may access.
pub(super) fn find(path: &Path, access: Access, what: &str) -> Result<File, Error> {
    let file =
        look(path, access).map_err(|error| refused(format!("open {what}"), errno(&error)))?;
    let about = file
        .metadata()
        .map_err(|error| refused(format!("look at {what}"), errno(&error)))?;
    ours(&about, what)?;
    Ok(file)
}

/// Opens a regular file only: opening some other kinds releases a process that waits there, or
/// starts something.
fn look(path: &Path, access: Access) -> io::Result<File> {
    let kind = std::fs::symlink_metadata(path)?.file_type();
    let refuse = |errno| Err(io::Error::from_raw_os_error(errno));
    if kind.is_symlink() {
        return refuse(libc::ELOOP);
    } else if kind.is_dir() {
        return refuse(libc::EISDIR);
    } else if !kind.is_file() {
        return refuse(libc::ENXIO);
    }
    OpenOptions::new()
        .read(true)
        .write(access == Access::Write)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

fn ours(about: &Metadata, what: &str) -> Result<(), Error> {
    if !about.is_file() {
        return Err(Error::invalid(
            format!("{what} is no regular file"),
            "name the file of a region",
        ));
    }
    private(about.uid(), about.mode(), what)
}

/// Returns an error if another user could write to the file or has made it.
pub(super) fn private(owner: u32, mode: u32, what: &str) -> Result<(), Error> {
    let me = geteuid().as_raw();
    if owner != me {
        return Err(Error::invalid(
            format!("{what} belongs to user {owner}, and this process runs as user {me}"),
            "let the same user create and open it, or pass a memfd on instead of a name",
        ));
    }
    if mode & 0o077 != 0 {
        return Err(Error::invalid(
            format!("{what} is open to other users (mode {:03o})", mode & 0o777),
            "remove it, or take that right away (chmod 600), if you know which user wrote to it",
        ));
    }
    Ok(())
}

fn map(file: File, expected: Layout, access: Access, what: &str) -> Result<(Pages, Claims), Error> {
    let size = file
        .metadata()
        .map_err(|error| refused(format!("look at {what}"), errno(&error)))?
        .len();
    let (mapping, claims) = checked(&file, size, expected, access, what)?;
    let end = (HEADER + claims.len) as u64;
    let pages = Pages::new(mapping, HEADER, claims.len).from(Source::File(kept(file, what)?, end));
    Ok((pages, claims))
}

/// Checks the header of a file of that size, and maps as many bytes as it says.
pub(super) fn checked(
    file: &File,
    size: u64,
    expected: Layout,
    access: Access,
    what: &str,
) -> Result<(Mapping, Claims), Error> {
    let room = usize::try_from(size)
        .ok()
        .and_then(|size| size.checked_sub(HEADER));
    let Some(room) = room.filter(|room| *room > 0) else {
        return Err(Error::invalid(
            format!("{what} has {size} bytes, which no region has"),
            "name a region, or remove it if it is a left-over",
        ));
    };
    let claims = Claims::from_file(file)
        .map_err(|error| refused(format!("read the header of {what}"), errno(&error)))?;
    claims.check(room, expected, what)?;
    let mapping = Mapping::of(file, 0, HEADER + claims.len, access, what)?;
    Ok((mapping, claims))
}

/// Maps a part of any file as it is: no header, no name. That part must exist already.
pub(super) fn part(file: &File, offset: u64, len: usize, access: Access) -> Result<Pages, Error> {
    let what = "a part of a file";
    let file = file
        .try_clone()
        .map_err(|error| refused(format!("keep {what} open"), errno(&error)))?;
    let about = file
        .metadata()
        .map_err(|error| refused(format!("look at {what}"), errno(&error)))?;
    if !about.is_file() {
        return Err(Error::invalid(
            "a region of what is no regular file",
            "open a regular file",
        ));
    }
    let end = offset.checked_add(len as u64);
    let Some(end) = end.filter(|end| *end <= about.len()) else {
        return Err(Error::invalid(
            format!(
                "{len} bytes at offset {offset} of a file of {} bytes",
                about.len()
            ),
            "make the file longer first, by writing to it or posix_fallocate(3), which reserve the space: what is mapped beyond the end, or finds no room when it is touched, is SIGBUS",
        ));
    };
    let inside = offset % page_size() as u64;
    let start = inside as usize;
    super::mapping::length(len, "a region of a file")?;
    let mapping = Mapping::of(&file, offset - inside, start + len, access, what)?;
    let source = Source::File(kept(file, what)?, end);
    Ok(Pages::new(mapping, start, len).from(source))
}

/// Removes the name, if it is still that of this file. If it is not, another process removed the name first.
pub(super) fn remove(file: Descriptor<File>, path: &Path, what: &str) -> Result<(), Error> {
    let file = file
        .into_inner()
        .map_err(closed("remove the name of a region"))?;
    match unlink(file, path) {
        Ok(_) => Ok(()),
        Err(Unremoved::Lock(errno)) => Err(refused_call(
            format!("lock and remove {what}"),
            errno,
            "flock",
        )),
        Err(Unremoved::Name(errno)) => Err(not_removed(what, errno)),
    }
}

/// Returns the error of [`refused`] for a call that the kernel permits to every process: if it is
/// forbidden, a sandbox forbids it.
pub(super) fn refused_call(tried: String, errno: Errno, call: &str) -> Error {
    match errno {
        Errno::EPERM | Errno::ENOSYS => Error::call(tried, errno, call, ""),
        _ => refused(tried, errno),
    }
}

/// Returns the error for a name that could not be removed.
pub(super) fn not_removed(what: &str, errno: Errno) -> Error {
    let tried = format!("remove {what}");
    match errno {
        Errno::EPERM | Errno::EACCES => Error::system(
            tried,
            errno,
            "let the user that created it remove it (Name::remove, or region::sweep once its creator is dead), and drop regions before the right to remove them",
        ),
        _ => refused(tried, errno),
    }
}

/// The reason why a name was not removed.
pub(super) enum Unremoved {
    /// The file could not be locked.
    Lock(Errno),
    Name(Errno),
}

/// Removes the name, if it is still that of this file; returns whether it was.
///
/// A process that removes a name holds the file's lock meanwhile, so that none removes a name that
/// was given to another file between the look and the removal. If another process holds the lock,
/// to remove the name or for other reasons, the error is `EWOULDBLOCK`.
pub(super) fn unlink(file: File, path: &Path) -> Result<bool, Unremoved> {
    let name = |error: io::Error| Unremoved::Name(errno(&error));
    let same = |about: &Metadata, other: &Metadata| {
        (about.dev(), about.ino()) == (other.dev(), other.ino())
    };
    let about = file.metadata().map_err(name)?;
    let _lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| Unremoved::Lock(errno))?;
    match std::fs::symlink_metadata(path) {
        Ok(there) if same(&there, &about) => match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(name(error)),
        },
        _ => Ok(false),
    }
}

/// Removes the regions of a directory whose creators are dead, one after the other, and returns their paths.
pub(super) fn sweep(directory: &Path) -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let file = match look(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if matches!(errno(&error), Errno::EMFILE | Errno::ENFILE) => {
                return Err(error);
            }
            // Skips a file of another user, another kind of file, or one that is gone by now.
            Err(_) => continue,
        };
        if file
            .metadata()
            .map_or(true, |about| ours(&about, "").is_err())
        {
            continue;
        }
        // Looked at again where its creator is dead: between the two looks the creator may have
        // marked it as kept, and ended. A dead creator changes nothing more.
        let left = |file: &File| creator(file, &path).filter(|creator| creator.is_dead());
        if left(&file).and_then(|_| left(&file)).is_some()
            && matches!(unlink(file, &path), Ok(true))
        {
            removed.push(path.display().to_string());
        }
    }
    Ok(removed)
}

/// Returns the creator of this file, if the file is a region that a sweep may judge by it.
fn creator(file: &File, path: &Path) -> Option<Creator> {
    let temporary = path
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix(TEMPORARY)?.rsplit_once('-'))
        .and_then(|(creator, _)| Creator::from_text(creator));
    if temporary.is_some() {
        return temporary;
    }
    let size = file.metadata().ok()?.len();
    let room = usize::try_from(size).unwrap_or(0).saturating_sub(HEADER);
    let claims = Claims::from_file(file).ok()?;
    (claims.is_region(room) && !claims.kept).then_some(claims.creator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_nameless_files_a_temporary_name_is_there_until_the_real_one_is() {
        let directory = std::env::temp_dir().join(format!("forkcheck-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(&directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let unfinished = Unfinished::temporary(&directory, Creator::me()).unwrap();
        assert!(names()[0].starts_with(TEMPORARY), "{:?}", names());
        let found = creator(&unfinished.file, &directory.join(&names()[0]));
        assert_eq!(found, Some(Creator::me()));
        drop(unfinished.publish(&directory.join("region")).unwrap());
        assert_eq!(names(), ["region"]);
        // A file that is given up, or cannot get its name, leaves nothing.
        drop(Unfinished::temporary(&directory, Creator::me()).unwrap());
        let second = Unfinished::temporary(&directory, Creator::me()).unwrap();
        let error = second.publish(&directory.join("region"));
        assert_eq!(error.map(drop), Err(Errno::EEXIST));
        assert_eq!(names(), ["region"]);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
