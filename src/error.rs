//! The error of the whole crate: what was tried, on what, and the remedy.
//!
//! Every file may import this one; it imports nothing of the crate.

use std::error::Error as StdError;

/// A failure. Its text says what was tried, on what, the cause, and the remedy.
///
/// The kinds are private, so a new one breaks no caller. Where the cause has a type of its own it
/// is the [`source`](StdError::source): a `nix::Errno`, a `std::io::Error`, or the
/// [`Exit`](crate::process::Exit) of a child.
/// ```
/// let error = forkcheck::Region::anonymous(0).unwrap_err();
/// assert!(error.to_string().contains("at least one byte"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    /// The operating system refused a call.
    #[error("{tried}: {source}; {remedy}")]
    System {
        tried: String,
        source: Box<dyn StdError + Send + Sync>,
        remedy: String,
    },
    /// The arguments, or bytes from another process, are invalid.
    #[error("{what}; {remedy}")]
    Invalid { what: String, remedy: String },
    /// The text of an error of another process.
    #[cfg(feature = "harness")]
    #[error("{0}")]
    Relayed(String),
}

impl Error {
    /// Returns the error of a failed operation of the operating system or of a child: what was
    /// `tried`, the cause, the remedy.
    pub(crate) fn system(
        tried: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
        remedy: impl Into<String>,
    ) -> Self {
        Cause::System {
            tried: tried.into(),
            source: source.into(),
            remedy: remedy.into(),
        }
        .into()
    }

    /// Returns the error of a system call that failed. If a sandbox may have forbidden it, the remedy is to permit
    /// `call`.
    pub(crate) fn call(
        tried: impl Into<String>,
        errno: nix::errno::Errno,
        call: &str,
        otherwise: &str,
    ) -> Self {
        use nix::errno::Errno;
        match errno {
            Errno::EPERM | Errno::EACCES | Errno::ENOSYS => {
                let remedy = format!(
                    "let the sandbox of this process (seccomp, a container) permit {call}, or use a newer Linux"
                );
                Self::system(tried, errno, remedy)
            }
            _ => Self::system(tried, errno, otherwise),
        }
    }

    /// Returns the error of an invalid input: `what` is wrong, and the remedy.
    pub(crate) fn invalid(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Cause::Invalid {
            what: what.into(),
            remedy: remedy.into(),
        }
        .into()
    }

    /// Returns an error of another process, by its text.
    #[cfg(feature = "harness")]
    pub(crate) fn relayed(text: String) -> Self {
        Cause::Relayed(text).into()
    }
}
