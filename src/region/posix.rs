//! Regions by a POSIX name: files in the directory that `shm_open` looks in. shm_open(3), shm_overview(7).

use crate::Error;
use std::path::{Path, PathBuf};

/// The directory in which the C libraries of Linux keep them.
pub(super) const DIRECTORY: &str = "/dev/shm";

/// Returns the file of a name: a slash, then 1 to 255 bytes without another one.
pub(super) fn path(name: &str) -> Result<PathBuf, Error> {
    let rest = name.strip_prefix('/').unwrap_or_default();
    let possible = !rest.is_empty()
        && rest.len() <= 255
        && !rest.contains(['/', '\0'])
        && rest != "."
        && rest != "..";
    if !possible {
        return Err(Error::invalid(
            format!("the POSIX name {name:?}"),
            "use a slash and 1 to 255 bytes without another slash, such as /statistics",
        ));
    }
    Ok(Path::new(DIRECTORY).join(rest))
}
