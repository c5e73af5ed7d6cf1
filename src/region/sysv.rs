//! Regions by a System V key, with direct libc calls, since nix has none for them. shmget(2),
//! shmat(2), shmctl(2).
#![allow(unsafe_code, reason = "shmget, shmat and shmctl")]

use super::file::{not_removed, private, refused_call};
use super::header::{Claims, Creator, HEADER, Header, total};
use super::layout::Layout;
use super::mapping::{Access, Mapping, length};
use super::pages::{Pages, Source};
use super::refusal::refused;
use super::room::check_limit;
use crate::Error;
use crate::memory::{Hardware, Incarnation, Memory};
use nix::errno::Errno;
use std::ptr::NonNull;

/// The commands of shmctl(2) that libc does not name.
const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;

/// Makes the segment of a key, which must not exist yet.
pub(super) fn create(
    key: i32,
    layout: Layout,
    creator: Creator,
    what: &str,
) -> Result<Pages, Error> {
    let len = total(layout, what)?;
    check_limit(len, what)?;
    let id = get(key, len, libc::IPC_CREAT | libc::IPC_EXCL | 0o600)
        .map_err(|errno| refused_call(format!("create {what}"), errno, "shmget"))?;
    let mapping = attach(id, len, Access::Write, what).inspect_err(|_| {
        let _ = remove(id, what);
    })?;
    let header: &Header = mapping.start_as().expect("as long as a header and more");
    header.write(layout, creator);
    Ok(Pages::new(mapping, HEADER, layout.len()).from(Source::SysV(id)))
}

/// Makes a segment without a key, for this process and the children that it forks. Its id is
/// removed at once: the kernel keeps the pages until the last process that has them attached is
/// gone.
pub(super) fn without_key(len: usize) -> Result<Pages, Error> {
    let what = "a System V segment without a key";
    let size = length(len, what)?.get();
    check_limit(size, what)?;
    let id = get(libc::IPC_PRIVATE, size, 0o600)
        .map_err(|errno| refused_call(format!("create {what} of {len} bytes"), errno, "shmget"))?;
    let mapping = attach(id, size, Access::Write, what);
    remove(id, what)?;
    Ok(Pages::new(mapping?, 0, len))
}

/// Opens the segment of a key, if it is a region of this user with the expected layout.
pub(super) fn open(
    key: i32,
    expected: Layout,
    access: Access,
    what: &str,
) -> Result<(Pages, Claims), Error> {
    let id = get(key, 0, 0).map_err(|errno| refused(format!("open {what}"), errno))?;
    let about = stat(id).map_err(|errno| refused(format!("look at {what}"), errno))?;
    ours(&about, what)?;
    let Some(room) = about.shm_segsz.checked_sub(HEADER).filter(|room| *room > 0) else {
        return Err(Error::invalid(
            format!("{what} has {} bytes, which no region has", about.shm_segsz),
            "name a region, or remove it if it is a left-over (ipcrm)",
        ));
    };
    let mapping = attach(id, HEADER + room, access, what)?;
    let header: &Header = mapping.start_as().expect("as long as a header and more");
    let claims = header.read();
    claims.check(room, expected, what)?;
    let pages = Pages::new(mapping, HEADER, claims.len).from(Source::SysV(id));
    Ok((pages, claims))
}

/// Removes a key, if its segment is a region of this user, complete or never finished.
pub(super) fn remove_key(key: i32, what: &str) -> Result<(), Error> {
    let failed = |errno| refused(format!("remove {what}"), errno);
    let id = get(key, 0, 0).map_err(failed)?;
    let about = stat(id).map_err(failed)?;
    ours(&about, what)?;
    let claims = look(id, about.shm_segsz, what)?;
    let room = about.shm_segsz.saturating_sub(HEADER);
    let in_use = stat(id).map_err(failed)?.shm_nattch != 0;
    let maker = Incarnation::from_bits(about.shm_cpid as u32 as u64);
    let making = format!(
        "{what} is another program's segment, or process {} is just making it",
        about.shm_cpid
    );
    match claims {
        Some(claims) if claims.is_region(room) => remove(id, what),
        Some(claims) if claims.is_begun() && !in_use => remove(id, what),
        // An empty segment is one whose creator has not attached it yet. A pid of 0 means a process
        // of another namespace, which may be alive.
        Some(claims)
            if claims.is_empty() && !in_use && about.shm_cpid != 0 && !Hardware::alive(maker) =>
        {
            remove(id, what)
        }
        Some(claims) if claims.is_blank() => Err(Error::invalid(
            making,
            "try again when that process is done or dead; if no program needs it, remove it with ipcrm",
        )),
        _ => Err(Error::invalid(
            format!("{what} is another program's segment"),
            "if no program needs it, remove it with ipcrm",
        )),
    }
}

/// Returns the content of the header, if the segment is long enough for one. The segment is
/// detached again.
fn look(id: i32, len: usize, what: &str) -> Result<Option<Claims>, Error> {
    let mapping = attach(id, len, Access::Read, what)?;
    Ok(mapping.start_as().map(Header::read))
}

/// Removes the key; the pages stay until the last process that has them attached is gone.
pub(super) fn remove(id: i32, what: &str) -> Result<(), Error> {
    // SAFETY: IPC_RMID takes no buffer.
    match Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }) {
        // The segment was removed meanwhile.
        Ok(_) | Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
        Err(errno) => Err(not_removed(what, errno)),
    }
}

/// Returns the creator, id and key of each segment of this user that is a region. The creator is `None` for one that
/// was begun, never finished, and that no process has attached. A creator attaches a segment before it begins it.
pub(super) fn creators() -> Vec<(Option<Creator>, i32, i32)> {
    // SAFETY: zeros are a value of these plain integers. SHM_INFO fills in a shm_info, which is shorter than a shmid_ds.
    let highest = unsafe {
        let mut about: libc::shmid_ds = std::mem::zeroed();
        const { assert!(size_of::<libc::shmid_ds>() >= 48, "a shm_info has 48 bytes") };
        libc::shmctl(0, SHM_INFO, &mut about)
    };
    let mut found = Vec::new();
    for index in 0..=highest {
        // SAFETY: zeros are a value of these plain integers, and SHM_STAT fills them in.
        let (id, about) = unsafe {
            let mut about: libc::shmid_ds = std::mem::zeroed();
            (libc::shmctl(index, SHM_STAT, &mut about), about)
        };
        let room = about.shm_segsz.checked_sub(HEADER).filter(|room| *room > 0);
        let (true, Some(room)) = (id >= 0, room) else {
            continue;
        };
        if ours(&about, "").is_err() {
            continue;
        }
        let unused = || stat(id).is_ok_and(|about| about.shm_nattch == 0);
        let creator = match look(id, HEADER + room, "") {
            Ok(Some(claims)) if claims.is_region(room) && !claims.kept => Some(claims.creator),
            Ok(Some(claims)) if claims.is_begun() && unused() => None,
            _ => continue,
        };
        found.push((creator, id, about.shm_perm.__key));
    }
    found
}

fn get(key: i32, len: usize, flags: i32) -> nix::Result<i32> {
    // SAFETY: shmget takes three integers.
    Errno::result(unsafe { libc::shmget(key, len, flags) })
}

fn stat(id: i32) -> nix::Result<libc::shmid_ds> {
    // SAFETY: zeros are a value of these plain integers.
    let mut about: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT writes to `about`, which is a live shmid_ds.
    let looked = Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, &mut about) });
    looked.map(|_| about).map_err(gone)
}

/// Returns an error unless the segment is of this user alone. Its creator keeps all rights, even
/// after giving it to another user.
fn ours(about: &libc::shmid_ds, what: &str) -> Result<(), Error> {
    private(about.shm_perm.uid, mode(about), what)?;
    private(about.shm_perm.cuid, mode(about), what)
}

/// Returns whether its creator has marked it as kept meanwhile.
pub(super) fn is_kept(id: i32) -> bool {
    let kept = |about: libc::shmid_ds| Some(look(id, about.shm_segsz, "").ok()??.kept);
    stat(id).ok().and_then(kept).unwrap_or(true)
}

#[allow(clippy::unnecessary_cast, reason = "its width differs between targets")]
fn mode(about: &libc::shmid_ds) -> u32 {
    about.shm_perm.mode as u32
}

/// Turns EINVAL into EIDRM: for the id of a removed segment, the kernel returns either.
fn gone(errno: Errno) -> Errno {
    if errno == Errno::EINVAL {
        Errno::EIDRM
    } else {
        errno
    }
}

fn attach(id: i32, len: usize, access: Access, what: &str) -> Result<Mapping, Error> {
    let flags = match access {
        Access::Write => 0,
        Access::Read => libc::SHM_RDONLY,
    };
    // SAFETY: shmat without an address takes addresses that nothing uses, so no other memory is touched.
    let base = unsafe { libc::shmat(id, std::ptr::null(), flags) };
    match NonNull::new(base) {
        Some(base) if base.addr().get() != usize::MAX => Ok(Mapping { base, len }),
        _ => {
            let errno = gone(Errno::last());
            Err(refused_call(format!("attach {what}"), errno, "shmat"))
        }
    }
}
