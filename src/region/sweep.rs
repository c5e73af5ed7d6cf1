//! Removal of names whose creators are dead, so that no process will remove them.

use super::header::Creator;
use super::{file, posix, sysv};
use crate::Error;
use std::path::Path;

/// Removes the names of POSIX and System V regions of this user whose creators are dead, and
/// returns a description of each.
///
/// A creator is dead if its process is gone or its id was reused (the header has the start time as
/// well). Where ids mean something else (another pid or time namespace, another boot) nothing is
/// removed; nor is a region that was [kept](super::Region::keep). Regions of an earlier boot in a
/// directory of files therefore stay: [`Name::remove`] removes one that is not needed any more.
/// Processes that have a removed region open keep it.
///
/// Call it at the start of a program, or in a cron job. A process that is killed between the two
/// calls that make a System V segment and attach it leaves a segment that looks like another
/// program's: [`Name::remove`] removes it. A segment that was attached, and whose header was begun
/// and never finished, is removed here too.
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
        // Looked at again: between the two looks the creator may have marked it as kept, and ended.
        // A dead creator changes nothing more.
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

/// Removes as [`sweep`] does, for the regions that are files in this directory.
///
/// ```
/// let directory = std::env::temp_dir().join(format!("forkcheck-{}", std::process::id()));
/// std::fs::create_dir(&directory).unwrap();
/// assert!(forkcheck::region::sweep_files(&directory)?.is_empty()); // no process left a file there
/// # std::fs::remove_dir(&directory).unwrap();
/// # Ok::<(), forkcheck::Error>(())
/// ```
///
/// # Errors
/// The directory cannot be read, or no descriptor is left.
pub fn sweep_files(directory: impl AsRef<Path>) -> Result<Vec<String>, Error> {
    let directory = directory.as_ref();
    file::sweep(directory).map_err(|error| {
        super::refusal::refused(
            format!("look for regions in {}", directory.display()),
            file::errno(&error),
        )
    })
}
