//! Names and files for tests, that no test leaves behind; and what the kernel says of a process.
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

/// A name of each kind, and a directory. All are gone with it, whatever a test did to them.
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
    /// The file of [`Scratch::posix`].
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
    /// Another program's file, of so many zeros.
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

/// Held by a test while it sweeps the whole machine, or shows a sweep what it takes for a left-over: a name that another
/// sweep is just taking away is neither there nor gone. Who does not know of this, a program or an example, may sweep too.
pub(crate) fn sweeping() -> Flock<File> {
    let all_names = File::open("/dev/shm").unwrap();
    let locked = Flock::lock(all_names, FlockArg::LockExclusive);
    locked.map_err(|(_, errno)| errno).unwrap()
}

/// Runs it in a process of its own with one thread, which may fork; what it returns shows that it ran.
pub(crate) fn clean<T, F>(body: F) -> T
where
    F: Fn() -> T + Copy + Send + Sync + 'static,
    T: Serialize + DeserializeOwned,
{
    process::in_fresh_process(move |()| body(), ()).unwrap()
}

/// Whether a process sleeps: field 3 of `/proc/PID/stat`, proc_pid_stat(5).
pub(crate) fn is_asleep(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}

/// Addresses and permissions of the mapping that holds an address. proc_pid_maps(5).
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

/// The byte at an address, or SIGSEGV.
pub(crate) fn peek(address: usize) -> u8 {
    // SAFETY: none is promised: a child of the test does this to see itself killed. What can be read is a mapped byte.
    unsafe { std::ptr::with_exposed_provenance::<u8>(address).read_volatile() }
}

/// Says that a test did not run here, and why: to the real standard error, since libtest keeps what a test that passes prints.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// What this process holds: descriptors, shared mappings, names and segments that it created, children.
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
        // Other tests run beside this one: what a name or a segment has of ours is the number that scratch names are made of.
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
