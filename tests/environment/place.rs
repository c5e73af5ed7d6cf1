//! Functions that bring a process into a place, and that list the names and files that it left there.

use crate::sandbox::forbid;
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid, geteuid, setgid, setgroups, setuid};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directories of a row: one that the place leaves alone, and in it one for temporary files.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        fs::create_dir(scratch.temporary()).unwrap();
        // Other users need access as well.
        for (path, mode) in [(scratch.directory(), 0o755), (&scratch.temporary(), 0o777)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        scratch
    }
    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }
    pub(crate) fn temporary(&self) -> PathBuf {
        self.directory().join("temporary")
    }
}

/// Gives this process and its children POSIX names and System V keys of their own, so that all names that are left
/// are theirs. Returns whether that is possible.
pub(crate) fn own_names() -> bool {
    set_child_subreaper(true).unwrap();
    unshare(CloneFlags::CLONE_NEWIPC).is_ok() && own_mounts() && small("/dev/shm", "64m")
}

/// Returns the names, files and processes that a row left.
pub(crate) fn left(scratch: &Scratch, alone: bool) -> Vec<String> {
    // Processes that are about to end are children of this subreaper by now. One that does not end is for the
    // watchdog.
    let mut left = names(scratch, alone);
    while let Ok(ended) = waitpid(Pid::from_raw(-1), None) {
        println!("ended behind its parent: {ended:?}");
    }
    if waitpid(Pid::from_raw(-1), None) != Err(Errno::ECHILD) {
        left.push("children".into());
    }
    left
}

/// Returns the names and files that are there, without those of other programs.
pub(crate) fn names(scratch: &Scratch, alone: bool) -> Vec<String> {
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten();
    let shown = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().path().display().to_string();
    let mut names: Vec<_> = entries(scratch.temporary()).map(shown).collect();
    if alone {
        names.extend(entries("/dev/shm".into()).map(shown));
        let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
        names.extend(segments.lines().skip(1).map(str::to_string));
    }
    names
}

/// Makes the mounts of this process visible to it and its children alone.
pub(crate) fn own_mounts() -> bool {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).is_ok() && mount(none, "/", none, private, none).is_ok()
}

/// Mounts an empty file system of that size on the path.
pub(crate) fn small(path: impl AsRef<Path>, size: &str) -> bool {
    let options = format!("size={size}");
    let options = Some(options.as_str());
    mount(
        Some("none"),
        path.as_ref(),
        Some("tmpfs"),
        MsFlags::empty(),
        options,
    )
    .is_ok()
}

/// Mounts a `/proc` of this pid namespace.
pub(crate) fn proc(options: Option<&str>) -> bool {
    let (none, kind) = (Some("none"), Some("proc"));
    mount(none, "/proc", kind, MsFlags::empty(), options).is_ok()
}

/// Changes to another user, one that may read the programs.
pub(crate) fn other_user() -> bool {
    let nobody = 65_534;
    let changed = setgroups(&[]).is_ok()
        && setgid(Gid::from_raw(nobody)).is_ok()
        && setuid(Uid::from_raw(nobody)).is_ok();
    changed && fs::File::open(env!("CARGO_BIN_EXE_forkcheck")).is_ok()
}

/// Enters a user namespace without mappings: in it this process and all others run as the overflow user (65534).
pub(crate) fn nobody() -> bool {
    unshare(CloneFlags::CLONE_NEWUSER).is_ok() && geteuid().as_raw() == 65_534
}

/// Enters a sandbox that refuses the call.
pub(crate) fn without(call: libc::c_long) -> bool {
    forbid(call, libc::EPERM);
    true
}

pub(crate) fn limited(resource: Resource, limit: u64) -> bool {
    setrlimit(resource, limit, limit).is_ok()
}

/// Restricts this process to one of the processors that it may use.
pub(crate) fn one_processor() -> bool {
    let may = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|&number| may.is_set(number).unwrap());
    one.set(first.unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).is_ok()
}

/// Restricts this process to a tenth of a processor. cgroups(7).
pub(crate) fn a_tenth(scratch: &Scratch) -> bool {
    scratch.groups().iter().any(|(group, limits)| {
        let made = fs::create_dir(group).is_ok() || group.is_dir();
        let limit = |(file, limit): &(&str, &str)| fs::write(group.join(file), limit).is_ok();
        made && limits.iter().all(limit)
            && fs::write(group.join("cgroup.procs"), std::process::id().to_string()).is_ok()
    })
}

/// Files of a cgroup, and the values to write to them.
type Limits = &'static [(&'static str, &'static str)];

impl Scratch {
    /// Returns the places where a cgroup of the row's processes can be, with the limits that give it a tenth of a
    /// processor.
    fn groups(&self) -> Vec<(PathBuf, Limits)> {
        let of = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let kinds: [(&str, &[&str], Limits); 2] = [
            (
                "/sys/fs/cgroup/cpu",
                &["cpu", "cpu,cpuacct"],
                &[
                    ("cpu.cfs_period_us", "100000"),
                    ("cpu.cfs_quota_us", "10000"),
                ],
            ),
            ("/sys/fs/cgroup", &[""], &[("cpu.max", "10000 100000")]),
        ];
        let name = self.directory().file_name().unwrap();
        let place = |(mount, controllers, limits): (&str, &[&str], Limits)| {
            let path = of.lines().find_map(|line| {
                let (of, path) = line.split_once(':')?.1.split_once(':')?;
                controllers
                    .contains(&of)
                    .then(|| path.trim_start_matches('/'))
            })?;
            Some((Path::new(mount).join(path).join(name), limits))
        };
        kinds.into_iter().filter_map(place).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for (group, _) in self.groups() {
            let _ = fs::remove_dir(group);
        }
    }
}
