//! The record that a process leaves behind for its parent: a value of any size, or the message of a
//! panic.
//!
//! It is a memfd made before the fork. The bytes are written first and the header last, so a
//! process that dies half way through leaves nothing. The panic hook writes at once, so a panic
//! that aborts is recorded as well. Used by [`fork`](super::fork) and the zygote in the child, and
//! by [`Process`](super::child) in the parent.

use super::{Exit, Panic, decode, encode};
use crate::Error;
use crate::region::descriptor::Descriptor;
use crate::region::room::check_free;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
#[cfg(any(test, feature = "harness"))]
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The exit code of a body that panicked, as in a Rust program.
const PANICKED: i32 = 101;

/// The function that says which panics are caught and reported elsewhere.
static IS_CAUGHT: OnceLock<fn(&PanicHookInfo<'_>) -> bool> = OnceLock::new();

/// Neither records nor prints panics of which this function says that they are caught and reported
/// elsewhere. A second call changes nothing.
#[cfg(feature = "harness")]
pub(crate) fn leave_caught_panics_to(is_caught: fn(&PanicHookInfo<'_>) -> bool) {
    let _ = IS_CAUGHT.set(is_caught);
}

/// The exit code of a child whose body did not begin.
pub(super) const NOT_BEGUN: i32 = 1;

/// A header: the kind and the number of the bytes that follow it, each a little-endian u64. Zeros: nothing.
const HEADER: usize = 16;

/// The kinds of bytes.
#[derive(Clone, Copy, PartialEq)]
#[repr(u64)]
enum Entry {
    /// The body's value.
    Value = 1,
    /// The reason why there is no value although the body returned.
    Refused = 2,
    /// A panic that has begun, and may still be caught.
    Panicking = 3,
    /// The panic that ended the body.
    Panicked = 4,
}

/// The content of a record once the child is gone.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Nothing,
    Value(Vec<u8>),
    Refused(String),
}

/// The handle that both sides have.
#[derive(Clone)]
pub(super) struct Record(Arc<Inner>);

struct Inner {
    file: Descriptor<File>,
    /// Whether the final content was written. Threads that the body left behind may still panic.
    closed: Mutex<bool>,
}

impl Record {
    pub(super) fn new() -> Result<Self, Error> {
        let tried = "make a memfd for what a child leaves behind";
        let otherwise = "close descriptors or raise RLIMIT_NOFILE (ulimit -n)";
        let fd = memfd_create(c"forkcheck", MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| Error::call(tried, errno, "memfd_create", otherwise))?;
        Self::from_fd(fd).map_err(|error| Error::system(tried, error, otherwise))
    }

    pub(super) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            file: Descriptor::new(fd.into())?,
            closed: Mutex::new(false),
        })))
    }

    #[cfg(any(test, feature = "harness"))]
    pub(super) fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.0.file.get().map(AsFd::as_fd)
    }

    /// Runs a body to its end in the process that leaves the record, and returns the exit code. The
    /// body returns the bytes of its value, or the reason why there is none.
    pub(super) fn of(&self, body: &mut dyn FnMut() -> Result<Vec<u8>, String>) -> i32 {
        self.set_hook();
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(value) => {
                let written = value.and_then(|value| {
                    self.close(Entry::Value, &value)
                        .map_err(|e| format!("writing {} bytes: {e}", value.len()))
                });
                if let Err(why) = written {
                    // If even this fails there is no header, and the parent says that nothing was
                    // left.
                    let _ = self.close(Entry::Refused, why.as_bytes());
                }
                0
            }
            Err(payload) => {
                let panic = self
                    .panic()
                    .map_or_else(|| silent(&*payload), |(_, panic)| panic);
                let _ = encode(&panic).map(|bytes| self.close(Entry::Panicked, &bytes));
                // Its drop might panic again.
                std::mem::forget(payload);
                PANICKED
            }
        }
    }

    /// Leaves the reason why the body did not begin, and returns the exit code.
    pub(super) fn not_begun(&self, why: &Error) -> i32 {
        let _ = self.close(Entry::Refused, why.to_string().as_bytes());
        NOT_BEGUN
    }

    /// Records each panic of this process, then calls the previous hook.
    fn set_hook(&self) {
        let (record, me, before) = (self.clone(), std::process::id(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            if IS_CAUGHT.get().is_some_and(|is_caught| is_caught(info)) {
                return;
            }
            // A child that this process forks has its own record.
            if std::process::id() == me {
                let panic = told(info);
                let _ = encode(&panic).map(|bytes| record.write(Entry::Panicking, &bytes, false));
                #[cfg(feature = "harness")]
                if super::backtraces::printed_without(info, &panic.message) {
                    return;
                }
            }
            #[cfg(feature = "harness")]
            let _printing = super::backtraces::Printing::begin();
            before(info);
        }));
    }

    fn close(&self, kind: Entry, bytes: &[u8]) -> io::Result<()> {
        self.write(kind, bytes, true)
    }

    fn write(&self, kind: Entry, bytes: &[u8], last: bool) -> io::Result<()> {
        let mut closed = self.0.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed && !last {
            return Ok(());
        }
        *closed = last;
        let file = self.0.file.get()?;
        file.write_all_at(&[0; HEADER], 0)?;
        file.write_all_at(bytes, HEADER as u64)?;
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&(kind as u64).to_le_bytes());
        header[8..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        file.write_all_at(&header, 0)
    }

    /// Returns the bytes of a kind, if they are what was left and are complete.
    fn read(&self, kind: Entry) -> Option<Vec<u8>> {
        let len = self.len(kind)?;
        check_free(len, "what a child left").ok()?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let file = self.0.file.get().ok()?;
        file.read_exact_at(&mut bytes, HEADER as u64).ok()?;
        Some(bytes)
    }

    /// Returns the number of bytes of a kind.
    fn len(&self, kind: Entry) -> Option<u64> {
        let about = self.0.file.stat().ok()?;
        let mut header = [0; HEADER];
        let file = self.0.file.get().ok()?;
        file.read_exact_at(&mut header, 0).ok()?;
        let (found, len) = header.split_at(8);
        let len = u64::from_le_bytes(len.try_into().ok()?);
        // The length is bounded by the allocated blocks: a file may be longer than all that was
        // ever written to it, and a hole takes no room in the file, but would take memory here.
        let said = u64::try_from(about.st_size).ok()?;
        let written = u64::try_from(about.st_blocks).ok()?.saturating_mul(512);
        let there = said.min(written).saturating_sub(HEADER as u64);
        (found == (kind as u64).to_le_bytes() && len <= there).then_some(len)
    }

    fn panic(&self) -> Option<(Entry, Panic)> {
        [Entry::Panicking, Entry::Panicked]
            .into_iter()
            .find_map(|kind| Some((kind, decode(&self.read(kind)?).ok()?)))
    }

    pub(super) fn left(&self) -> Content {
        let value = self.len(Entry::Value).unwrap_or(0);
        if let Err(error) = check_free(value, "what a child left") {
            Content::Refused(error.to_string())
        } else if let Some(value) = self.read(Entry::Value) {
            Content::Value(value)
        } else if let Some(why) = self.read(Entry::Refused) {
            Content::Refused(String::from_utf8_lossy(&why).into_owned())
        } else {
            Content::Nothing
        }
    }

    /// Returns the kernel's report on the child, corrected by the child's record: a panic that it
    /// caught, and did not die of, does not count.
    pub(super) fn explain(&self, exit: Exit) -> Exit {
        match (&exit, self.panic()) {
            (Exit::Code(PANICKED), Some((Entry::Panicked, panic)))
            | (Exit::Signal(libc::SIGABRT), Some((Entry::Panicking, panic))) => Exit::Panic(panic),
            _ => exit,
        }
    }
}

fn told(info: &PanicHookInfo<'_>) -> Panic {
    Panic {
        message: message(info.payload()),
        location: info
            .location()
            .map_or("an unknown place".into(), ToString::to_string),
    }
}

/// Returns a panic that no hook saw: `resume_unwind`.
fn silent(payload: &(dyn std::any::Any + Send)) -> Panic {
    Panic {
        message: message(payload),
        location: "an unknown place".into(),
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_without_their_header_are_nothing() {
        let record = Record::new().unwrap();
        assert_eq!(record.left(), Content::Nothing);
        record.write(Entry::Value, b"all of it", true).unwrap();
        assert_eq!(record.left(), Content::Value(b"all of it".to_vec()));
        // A writer that dies before its last write leaves this.
        record
            .0
            .file
            .get()
            .unwrap()
            .write_all_at(&[0; HEADER], 0)
            .unwrap();
        assert_eq!(record.left(), Content::Nothing);
    }

    #[test]
    fn a_write_that_ends_half_way_leaves_nothing_of_what_was_there_before() {
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        let file = memfd_create(c"forkcheck", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        let record = Record::from_fd(file).unwrap();
        record.write(Entry::Panicking, b"short", false).unwrap();
        assert!(record.read(Entry::Panicking).is_some());
        let grow = FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW);
        fcntl(record.fd().unwrap(), grow).unwrap();
        let longer = record.write(Entry::Panicking, b"longer than before", false);
        assert!(longer.is_err());
        assert_eq!(record.read(Entry::Panicking), None);
    }

    #[test]
    fn a_header_that_promises_more_than_there_is_counts_as_nothing() {
        let record = Record::new().unwrap();
        record.write(Entry::Value, b"all of it", true).unwrap();
        record
            .0
            .file
            .get()
            .unwrap()
            .set_len(HEADER as u64 + 3)
            .unwrap();
        assert_eq!(record.left(), Content::Nothing);
    }

    #[test]
    fn a_panic_of_a_thread_left_behind_does_not_replace_the_value() {
        let record = Record::new().unwrap();
        record.close(Entry::Value, b"all of it").unwrap();
        record.write(Entry::Panicking, b"late", false).unwrap();
        assert_eq!(record.left(), Content::Value(b"all of it".to_vec()));
    }

    #[test]
    fn a_caught_panic_explains_no_later_end_but_an_abort() {
        let record = Record::new().unwrap();
        let panic = Panic {
            message: "m".into(),
            location: "l".into(),
        };
        record
            .write(Entry::Panicking, &encode(&panic).unwrap(), false)
            .unwrap();
        for exit in [Exit::Code(101), Exit::Code(3), Exit::Signal(libc::SIGKILL)] {
            assert_eq!(record.explain(exit.clone()), exit);
        }
        assert_eq!(
            record.explain(Exit::Signal(libc::SIGABRT)),
            Exit::Panic(panic.clone())
        );
        record
            .close(Entry::Panicked, &encode(&panic).unwrap())
            .unwrap();
        assert_eq!(record.explain(Exit::Code(101)), Exit::Panic(panic));
    }
}
