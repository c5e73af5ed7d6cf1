//! The error for a call that the kernel refused, with its remedy.

use crate::Error;
use nix::errno::Errno;

/// Returns the error for a call that the kernel refused, with the remedy.
pub(super) fn refused(tried: String, errno: Errno) -> Error {
    let remedy = match errno {
        Errno::EEXIST => {
            "the name is taken: open it, or let its owner or `region::sweep` remove it first"
        }
        Errno::ENOENT => {
            "let another process create it first; of a file, see that its directory is there"
        }
        Errno::ENOSPC => {
            "make room, or ask for less (df -h /dev/shm; in a container --shm-size; System V: sysctl kernel.shmmni kernel.shmall)"
        }
        Errno::EFBIG => "ask for less, or raise RLIMIT_FSIZE (ulimit -f)",
        Errno::ENOMEM => {
            "ask for less, or raise RLIMIT_AS (ulimit -v), the memory limit of the cgroup or, with vm.overcommit_memory=2, vm.overcommit_ratio"
        }
        Errno::EMFILE | Errno::ENFILE => "close descriptors or raise RLIMIT_NOFILE (ulimit -n)",
        Errno::EACCES | Errno::EPERM => {
            "see which user owns it and with what mode; a file has to be open for what it is mapped for"
        }
        Errno::EIDRM => {
            "it was removed meanwhile: create it again, and remove no name that is in use"
        }
        Errno::EWOULDBLOCK => {
            "try again: another process is removing it, or holds a lock on it (flock)"
        }
        Errno::EROFS => "choose a place that can be written to",
        Errno::ELOOP => "name the file itself: symbolic links are not followed",
        Errno::ENAMETOOLONG => "choose a shorter name",
        Errno::ENOTDIR | Errno::EISDIR | Errno::ENXIO => {
            "name a regular file in a directory that exists"
        }
        Errno::EINVAL => "ask for a size within the limits (System V: sysctl kernel.shmmax)",
        Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => {
            "keep the other side of the socket open"
        }
        _ => "see the manual page of the call for this error",
    };
    Error::system(tried, errno, remedy)
}
