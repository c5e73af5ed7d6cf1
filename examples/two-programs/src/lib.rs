//! The code that the two programs share: the layout of the page between them, and the argument that
//! names its place.

#![forbid(unsafe_code)]

use forkcheck::memory::Line;
use forkcheck::publish::{Ring, SeqLock};
use forkcheck::region::Name;
use std::sync::atomic::AtomicU64;

forkcheck::layout! {
    /// Jobs go one way through a ring, progress and results the other way.
    pub struct Page {
        /// Jobs from `client` to `server`; [`STOP`] is the last.
        pub jobs: Ring<u64, 16>,
        /// The number of jobs that the server has done.
        pub done: Line<AtomicU64>,
        /// The number and the sum of the jobs, always of the same moment.
        pub statistics: Line<SeqLock<[u64; 2]>>,
    }
}

/// The job that ends the server.
pub const STOP: u64 = 0;

/// The place of the page.
pub enum Place {
    /// Under a name that both know.
    Named(Name),
    /// In a memfd that the server sends to each process that connects to this socket.
    Socket(String),
}

/// Returns the place that the first argument names: `posix:/NAME`, `sysv:KEY`, `file:PATH` or
/// `socket:PATH`.
///
/// # Errors
/// If it names none; the text has the usage.
pub fn place() -> Result<Place, Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let named = match argument.split_once(':') {
        Some(("posix", name)) => Name::posix(name)?,
        Some(("sysv", key)) => Name::sysv(key.parse()?)?,
        Some(("file", path)) => Name::file(path)?,
        Some(("socket", path)) => return Ok(Place::Socket(path.to_string())),
        _ => return Err("say where: posix:/NAME, sysv:KEY, file:PATH or socket:PATH".into()),
    };
    Ok(Place::Named(named))
}
