//! One error for the whole crate: what was tried, on what, and what to do about it.
//!
//! Everything may import this file; it imports nothing of ours.

use std::error::Error as StdError;

/// Why something could not be done. Its text says what was tried, on what, what came back, and the remedy.
///
/// The kinds are private, so that new ones break nobody. Where the cause has a type of its own
/// it is the [`source`](StdError::source): a `nix::Errno`, a `std::io::Error`, or the
/// [`Exit`](crate::process::Exit) of a child.
///
/// ```
/// let error = forkcheck::Region::anonymous(0).unwrap_err();
/// assert!(error.to_string().contains("at least one byte"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Kind);

#[derive(Debug, thiserror::Error)]
enum Kind {
    /// The operating system refused.
    #[error("{tried}: {source}; {remedy}")]
    System {
        tried: String,
        source: Box<dyn StdError + Send + Sync>,
        remedy: String,
    },
    /// The arguments, or bytes that came from elsewhere, make no sense.
    #[error("{what}; {remedy}")]
    Invalid { what: String, remedy: String },
    /// The text of an error that arose in another process.
    #[cfg(feature = "harness")]
    #[error("{0}")]
    Relayed(String),
}

impl Error {
    /// An operation of the operating system, or of a child, that failed: `tried` it, this is its cause, do that.
    pub(crate) fn system(
        tried: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
        remedy: impl Into<String>,
    ) -> Self {
        Kind::System {
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

    /// Wrong input: `what` is wrong, and the remedy.
    pub(crate) fn invalid(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Kind::Invalid {
            what: what.into(),
            remedy: remedy.into(),
        }
        .into()
    }

    /// An error of another process, by its text.
    #[cfg(feature = "harness")]
    pub(crate) fn relayed(text: String) -> Self {
        Kind::Relayed(text).into()
    }
}
