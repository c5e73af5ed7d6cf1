//! Names that nobody will take away any more, because who would have is dead.

use super::header::Creator;
use super::{file, posix, sysv};
use crate::Error;
use std::path::Path;

/// Removes the names of POSIX and System V regions of this user whose creators are dead, and returns them in words.
///
/// A creator is dead if its process is gone or its id was given to another (the header has the start time as well).
/// Where ids mean something else (another pid or time namespace, another boot) nothing is removed; nor is what was
/// [kept](super::Region::keep). So what a boot before this one left in a directory of files stays: [`Name::remove`] takes it,
/// if you know that nobody needs it. Those who have such a region open keep what they have.
///
/// Call it where your program starts, or in a cron job. A process that is killed between the two calls that make a
/// System V segment and attach it leaves a segment that looks like another program's: [`Name::remove`] removes it. A
/// segment that was attached, and whose header was begun and never finished, is removed here too.
///
/// ```
/// for name in forkcheck::region::sweep()? {
///     println!("removed {name}");
/// }
/// # Ok::<(), forkcheck::Error>(())
/// ```
///
/// [`Name::remove`]: super::Name::remove
///
/// # Errors
/// The directory of POSIX names cannot be read, or no descriptor is left.
pub fn sweep() -> Result<Vec<String>, Error> {
    let mut removed = sweep_files(posix::DIRECTORY)?;
    for (creator, id, key) in sysv::creators() {
        // Looked at again: it may have said so and ended between the two looks. The dead say nothing more.
        let what = format!("System V key {key:#x}");
        if creator.is_none_or(Creator::is_dead)
            && !sysv::is_kept(id)
            && sysv::remove(id, &what).is_ok()
        {
            removed.push(what);
        }
    }
    Ok(removed)
}

/// As [`sweep`], for the regions that are files in this directory.
///
/// # Errors
/// The directory cannot be read, or no descriptor is left.
pub fn sweep_files(directory: impl AsRef<Path>) -> Result<Vec<String>, Error> {
    let directory = directory.as_ref();
    file::sweep(directory).map_err(|error| {
        super::refused(
            format!("look for regions in {}", directory.display()),
            file::errno(&error),
        )
    })
}
