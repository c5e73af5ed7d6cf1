//! Names and files for tests, which no test leaves behind; and the kernel's view of a process.
#![allow(unsafe_code, reason = "a byte of memory that may not be there")]

use forkcheck::process;
use forkcheck::region::Name;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A name of each kind, and a directory. All are removed with it, whatever a test did to them.
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
    number: u32,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Unique among processes and within one.
        let number = std::process::id() << 8 | NEXT.fetch_add(1, Relaxed) & 0xff;
        Self {
            directory: tempfile::tempdir().unwrap(),
            number: number | 1 << 31,
        }
    }
    pub(crate) fn names(&self) -> [(&'static str, Name); 3] {
        [
            ("posix", self.posix()),
            ("sysv", self.sysv()),
            ("file", self.named_file()),
        ]
    }
    pub(crate) fn posix(&self) -> Name {
        Name::posix(&format!("/forkcheck-test-{:x}", self.number)).unwrap()
    }
    /// Returns the file of [`Scratch::posix`].
    pub(crate) fn posix_file(&self) -> PathBuf {
        Path::new("/dev/shm").join(format!("forkcheck-test-{:x}", self.number))
    }
    pub(crate) fn sysv(&self) -> Name {
        Name::sysv(self.number as i32).unwrap()
    }
    pub(crate) fn named_file(&self) -> Name {
        Name::file(self.file("region")).unwrap()
    }
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
    /// Returns another program's file, of `len` zeros.
    pub(crate) fn bytes(&self, len: usize) -> File {
        let path = self.file("bytes");
        std::fs::write(&path, vec![0; len]).unwrap();
        File::options().read(true).write(true).open(path).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.posix_file());
        let _ = self.sysv().remove();
    }
}

/// A lock that a test holds while it sweeps the whole machine, or shows a left-over to a sweep: a
/// name that another sweep is removing neither exists nor is gone. A program or an example does not
/// know of the lock, and may sweep too.
pub(crate) fn sweeping() -> Flock<File> {
    let all_names = File::open("/dev/shm").unwrap();
    let locked = Flock::lock(all_names, FlockArg::LockExclusive);
    locked.map_err(|(_, errno)| errno).unwrap()
}

/// Runs `body` in a process of its own with one thread, which may fork; its result shows that it
/// ran.
pub(crate) fn clean<T, F>(body: F) -> T
where
    F: Fn() -> T + Copy + Send + Sync + 'static,
    T: Serialize + DeserializeOwned,
{
    process::in_fresh_process(move |()| body(), ()).unwrap()
}

/// Returns whether a process sleeps: field 3 of `/proc/PID/stat`, proc_pid_stat(5).
pub(crate) fn is_asleep(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}

/// Returns the addresses and permissions of the mapping that holds an address. proc_pid_maps(5).
pub(crate) fn mapping<T>(place: *const T) -> Option<(Range<usize>, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let number = |hex| usize::from_str_radix(hex, 16).unwrap();
        let range = number(start)..number(end);
        range
            .contains(&place.addr())
            .then(|| (range, fields.next().unwrap().to_string()))
    })
}

pub(crate) fn page() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .unwrap()
        .unwrap() as usize
}

/// Returns the byte at an address, or dies of SIGSEGV.
pub(crate) fn peek(address: usize) -> u8 {
    // SAFETY: not sound: a child of the test does this to see itself killed. What can be read is a
    // mapped byte.
    unsafe { std::ptr::with_exposed_provenance::<u8>(address).read_volatile() }
}

/// Reports that a test did not run here, and why: to the real standard error, since libtest keeps
/// the output of a test that passes.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The resources of this process: descriptors, shared mappings, names and segments that it created,
/// children.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    descriptors: usize,
    mappings: usize,
    names: Vec<String>,
    segments: Vec<String>,
    childless: bool,
}

impl Held {
    pub(crate) fn now() -> Self {
        let me = std::process::id();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
        // Other tests run at the same time: names and segments of this process contain the number
        // of its scratch names.
        let ours = |name: &String| {
            name.starts_with(&format!("forkcheck-test-{:x}", (me << 8 | 1 << 31) >> 8))
        };
        let names = std::fs::read_dir("/dev/shm").unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let created_here =
            |row: &&str| row.split_ascii_whitespace().nth(4) == Some(&me.to_string());
        let waited = nix::sys::wait::waitpid(
            nix::unistd::Pid::from_raw(-1),
            Some(nix::sys::wait::WaitPidFlag::WNOHANG),
        );
        Self {
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            mappings: maps
                .lines()
                .filter(|line| line.split(' ').nth(1).is_some_and(|p| p.ends_with('s')))
                .count(),
            names: names.filter(ours).collect(),
            segments: segments
                .lines()
                .filter(created_here)
                .map(str::to_string)
                .collect(),
            childless: waited == Err(nix::errno::Errno::ECHILD),
        }
    }
}
