//! Regions without a name that are passed on as descriptors: memfd, sealed, over a UNIX socket. memfd_create(2), unix(7).

#![allow(unsafe_code, reason = "descriptors that the kernel made are owned")]

use super::descriptor::{Descriptor, closed};
use super::file::{checked, errno, fill, kept};
use super::header::{Claims, Creator, HEADER};
use super::layout::Layout;
use super::mapping::Access;
use super::pages::{Pages, Source};
use super::refusal::refused;
use crate::Error;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

const WHAT: &str = "a memfd";

/// The most descriptors of one message (unix(7)): with room for all of them, none is left without
/// an owner.
const MOST_FDS: usize = 253;

/// The byte that accompanies a descriptor: a socket passes none without a byte.
const TOKEN: u8 = b'R';

pub(super) fn create(layout: Layout) -> Result<Pages, Error> {
    let sealable = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // It is never executable, and cannot be made so. Kernels before 6.3 do not know the flag.
    let never_executed = MFdFlags::from_bits_retain(0x8);
    let fd = match memfd_create(c"forkcheck", sealable | never_executed) {
        Err(Errno::EINVAL) => memfd_create(c"forkcheck", sealable),
        made => made,
    };
    let file = File::from(fd.map_err(|errno| match errno {
        Errno::EPERM | Errno::EACCES | Errno::ENOSYS => {
            Error::call(format!("create {WHAT}"), errno, "memfd_create", "")
        }
        _ => refused(format!("create {WHAT}"), errno),
    })?);
    let pages = fill(&file, layout, Creator::nameless(), WHAT)?;
    seal(&file, SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW)?;
    Ok(pages.from(Source::Memfd(kept(file.into(), WHAT)?)))
}

fn seal(file: &File, seals: SealFlag) -> Result<(), Error> {
    fcntl(file, FcntlArg::F_ADD_SEALS(seals))
        .map(drop)
        .map_err(|errno| refused(format!("seal {WHAT}"), errno))
}

/// Allows only read-only mappings of it from now on; existing mappings stay as they are.
pub(super) fn seal_writes(fd: &Descriptor<OwnedFd>) -> Result<(), Error> {
    let fd = fd.get().map_err(closed("seal a memfd"))?;
    let seals = SealFlag::F_SEAL_FUTURE_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(fd, FcntlArg::F_ADD_SEALS(seals))
        .map(drop)
        .map_err(|errno| refused(format!("seal {WHAT}"), errno))
}

/// Opens a region from a descriptor of another process, if no process can make it shorter.
pub(super) fn open(
    fd: OwnedFd,
    expected: Layout,
    access: Access,
) -> Result<(Pages, Claims), Error> {
    // A descriptor that has no seals is EINVAL.
    let seals =
        fcntl(&fd, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_retain);
    if !seals.contains(SealFlag::F_SEAL_SHRINK) {
        return Err(Error::invalid(
            "a descriptor that is no memfd sealed against shrinking: the process that passed it on could truncate it while it is used",
            "let the other side make it by Region::memfd",
        ));
    }
    if access == Access::Write && seals.contains(SealFlag::F_SEAL_FUTURE_WRITE) {
        return Err(Error::invalid(
            "a memfd that its creator sealed against new writers",
            "open it as a View, or let the other side pass it on before it seals it",
        ));
    }
    let file = File::from(fd);
    let size = file
        .metadata()
        .map_err(|error| refused(format!("look at {WHAT}"), errno(&error)))?
        .len();
    let (mapping, claims) = checked(&file, size, expected, access, WHAT)?;
    let pages =
        Pages::new(mapping, HEADER, claims.len).from(Source::Memfd(kept(file.into(), WHAT)?));
    Ok((pages, claims))
}

pub(super) fn send(fd: &Descriptor<OwnedFd>, to: &UnixStream) -> Result<(), Error> {
    let fds = [fd.get().map_err(closed("pass a memfd on"))?.as_raw_fd()];
    let bytes = [IoSlice::new(&[TOKEN])];
    let rights = [ControlMessage::ScmRights(&fds)];
    loop {
        let sent = sendmsg::<UnixAddr>(
            to.as_raw_fd(),
            &bytes,
            &rights,
            MsgFlags::MSG_NOSIGNAL,
            None,
        );
        match sent {
            Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(refused(format!("pass {WHAT} on"), errno)),
        }
    }
}

/// Receives the descriptor of the next message.
pub(super) fn receive(from: &UnixStream) -> Result<OwnedFd, Error> {
    let tried = || format!("receive {WHAT}");
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!([i32; MOST_FDS]);
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<UnixAddr>(from.as_raw_fd(), &mut bytes, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            message => break message.map_err(|errno| refused(tried(), errno))?,
        }
    };
    let count = message.bytes;
    let mut fds = Vec::new();
    for part in message.cmsgs().map_err(|errno| refused(tried(), errno))? {
        if let ControlMessageOwned::ScmRights(received) = part {
            // SAFETY: the kernel just made these descriptors for us, so they are open and have no
            // other owner.
            fds.extend(
                received
                    .into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    match (count, fds.pop(), byte[0]) {
        (1, Some(fd), TOKEN) if fds.is_empty() => Ok(fd),
        (0, ..) => Err(Error::invalid(
            format!("{}: the other side closed the socket", tried()),
            "let it send a region first",
        )),
        _ => Err(Error::invalid(
            format!("{}: the other side sent something else", tried()),
            "let it call Region::send; and if this happened after other messages, frame them so that none is cut",
        )),
    }
}
