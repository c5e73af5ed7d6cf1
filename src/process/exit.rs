//! The end of a child: its code, a signal, or a panic with its message. Plain data that may cross
//! processes.

use crate::Error;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// The end of a child.
///
/// ```
/// use forkcheck::process::{self, Exit};
///
/// let exit = process::spawn(|| -> () { std::process::exit(3) })?.wait()?;
/// assert_eq!(exit, Exit::Code(3));
/// assert_eq!(Exit::Signal(9).to_string(), "ended by signal 9 (SIGKILL)");
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Exit {
    /// The child exited with this code: 0 where its body returned, otherwise what it passed to
    /// `exit`.
    #[error("exited with code {0}")]
    Code(i32),
    /// A signal ended it.
    #[error("ended by {}", name(*.0))]
    Signal(i32),
    /// A panic ended it. A child that aborts after a panic counts as panicked too, since with
    /// `panic = "abort"` and in a panic that cannot unwind the two are the same.
    #[error("panicked at {}: {}", .0.location, .0.message)]
    Panic(Panic),
}

/// The message of a panic, and its location.
///
/// ```
/// use forkcheck::process::{self, Exit};
///
/// let Exit::Panic(panic) = process::spawn(|| -> u8 { panic!("no {}", "tea") })?.wait()? else { unreachable!() };
/// assert_eq!(panic.message, "no tea");
/// assert!(panic.location.contains(".rs:"));
/// # Ok::<(), forkcheck::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Panic {
    /// The text given to `panic!`.
    pub message: String,
    /// The file, line and column: `src/x.rs:10:5`.
    pub location: String,
}

fn name(signal: i32) -> String {
    Signal::try_from(signal).map_or(format!("signal {signal}"), |known| {
        format!("signal {signal} ({known})")
    })
}

impl Exit {
    /// Returns the remedy for a child that ended so before it gave its result.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Code(0) => {
                "let its body return instead of ending the process, and leave descriptors that it did not open"
            }
            Self::Code(_) => "let its body return instead of ending the process",
            Self::Signal(libc::SIGKILL) => {
                "find what killed it: a timeout, a person, or the kernel when memory was short (dmesg)"
            }
            Self::Signal(_) => "run its body under a debugger, or look at a core dump",
            Self::Panic(_) => {
                "look at the place that it names; RUST_BACKTRACE=1 shows the way there"
            }
        }
    }
}

impl Error {
    /// Returns how the child ended, if that is the cause of this error.
    ///
    /// ```
    /// use forkcheck::process::{self, Exit};
    ///
    /// let error = process::run(|| -> u8 { std::process::abort() }).unwrap_err();
    /// assert_eq!(error.exit(), Some(&Exit::Signal(6)));
    /// ```
    pub fn exit(&self) -> Option<&Exit> {
        std::error::Error::source(self)?.downcast_ref()
    }
}
