//! Regions by a System V key: a thin shim over libc, which nix has none of. shmget(2), shmat(2), shmctl(2).
#![allow(unsafe_code, reason = "shmget, shmat and shmctl")]

use super::file::private;
use super::header::{Creator, HEADER, Header, Told};
use super::layout::Layout;
use super::mapping::{Access, Mapping, length};
use super::pages::{Pages, Source};
use super::room::check_limit;
use super::{refused, total};
use crate::Error;
use nix::errno::Errno;
use std::ptr::NonNull;

/// Commands of shmctl(2) that libc has no names for.
const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;

/// Makes the segment of a key, which must not be there yet.
pub(super) fn create(
    key: i32,
    layout: Layout,
    creator: Creator,
    what: &str,
) -> Result<Pages, Error> {
    let len = total(layout, what)?;
    check_limit(len, what)?;
    let id = get(key, len, libc::IPC_CREAT | libc::IPC_EXCL | 0o600)
        .map_err(|errno| refused(format!("create {what}"), errno))?;
    let mapping = attach(id, len, Access::Write, what).inspect_err(|_| {
        remove(id);
    })?;
    let header: &Header = mapping.start_as().expect("as long as a header and more");
    header.write(layout, creator);
    Ok(Pages::new(mapping, HEADER, layout.len()).from(Source::SysV(id)))
}

/// A segment without a key, for this process and the children that it forks. Its id is removed at once: the kernel keeps
/// the pages until the last of them is gone.
pub(super) fn without_key(len: usize) -> Result<Pages, Error> {
    let what = "a System V segment without a key";
    let size = length(len, what)?.get();
    check_limit(size, what)?;
    let id = get(libc::IPC_PRIVATE, size, 0o600)
        .map_err(|errno| refused(format!("create {what} of {len} bytes"), errno))?;
    let mapping = attach(id, size, Access::Write, what);
    remove(id);
    Ok(Pages::new(mapping?, 0, len))
}

/// Opens the segment of a key, if it is a region, ours, and what we expect.
pub(super) fn open(
    key: i32,
    expected: Layout,
    access: Access,
    what: &str,
) -> Result<(Pages, Told), Error> {
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
    let told = header.read();
    told.check(room, expected, what)?;
    let pages = Pages::new(mapping, HEADER, told.len).from(Source::SysV(id));
    Ok((pages, told))
}

/// Takes a key away, if its segment is a region of ours, complete or never finished.
pub(super) fn remove_key(key: i32, what: &str) -> Result<(), Error> {
    let failed = |errno| refused(format!("remove {what}"), errno);
    let id = get(key, 0, 0).map_err(failed)?;
    let about = stat(id).map_err(failed)?;
    ours(&about, what)?;
    let mapping = attach(id, about.shm_segsz, Access::Read, what)?;
    let told = mapping.start_as().map(Header::read);
    let room = about.shm_segsz.saturating_sub(HEADER);
    // One that was never finished, and in which nobody is at work: who makes one attaches it.
    let unfinished = |told: &Told| told.is_empty() && about.shm_nattch == 0;
    if !told.is_some_and(|told| unfinished(&told) || told.is_region(room)) {
        return Err(Error::invalid(
            format!("{what} is another program's segment"),
            "remove it with ipcrm, if nobody needs it",
        ));
    }
    remove(id);
    Ok(())
}

/// Takes the key away; the pages stay until the last process that has them attached is gone.
pub(super) fn remove(id: i32) -> bool {
    // SAFETY: IPC_RMID takes no buffer.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) == 0 }
}

/// The creator of each segment of ours that is a region, with its id and key.
pub(super) fn creators() -> Vec<(Creator, i32, i32)> {
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
        let Ok(mapping) = attach(id, HEADER + room, Access::Read, "") else {
            continue;
        };
        match mapping.start_as().map(Header::read) {
            Some(told) if told.is_region(room) && !told.kept => {
                found.push((told.creator, id, about.shm_perm.__key));
            }
            _ => {}
        }
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
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, &mut about) }).map(|_| about)
}

/// That it is of this user alone. Whoever created it keeps all rights, also where it gave the segment to another.
fn ours(about: &libc::shmid_ds, what: &str) -> Result<(), Error> {
    private(about.shm_perm.uid, mode(about), what)?;
    private(about.shm_perm.cuid, mode(about), what)
}

/// Whether its creator has meanwhile said that it is to be left alone.
pub(super) fn is_kept(id: i32) -> bool {
    let kept = |about: libc::shmid_ds| {
        let mapping = attach(id, about.shm_segsz, Access::Read, "").ok()?;
        Some(mapping.start_as().map(Header::read)?.kept)
    };
    stat(id).ok().and_then(kept).unwrap_or(true)
}

#[allow(clippy::unnecessary_cast, reason = "its width differs between targets")]
fn mode(about: &libc::shmid_ds) -> u32 {
    about.shm_perm.mode as u32
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
        _ => Err(refused(format!("attach {what}"), Errno::last())),
    }
}
