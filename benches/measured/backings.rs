//! The costs of creating, touching and removing a page of each backing: by the bare calls of a C
//! program, and by this crate, which reserves the space, writes a header, gives the name last,
//! seals, and checks.
#![allow(unsafe_code, reason = "the floor is the bare system calls")]

use super::Measured;
use forkcheck::Region;
use forkcheck::region::Name;
use nix::libc::{self, c_int, c_void};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
const READ_WRITE: c_int = libc::PROT_READ | libc::PROT_WRITE;
const EXCLUSIVE: c_int = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;

fn timed(turns: u64, mut turn: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..turns).for_each(|_| turn());
    start.elapsed()
}

fn touched(region: Result<Region, forkcheck::Error>) {
    let region = region.expect("a region");
    let word: &AtomicU64 = region.get(0).expect("it is a page");
    word.store(1, Relaxed);
}

fn map(flags: c_int, fd: c_int) {
    // SAFETY: mmap at an address that the kernel chooses, a store to its first word, and munmap of the same.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), PAGE, READ_WRITE, flags, fd, 0);
        assert_ne!(page, libc::MAP_FAILED);
        page.cast::<u64>().write_volatile(1);
        libc::munmap(page, PAGE);
    }
}

fn memfd() {
    // SAFETY: a new descriptor, sealed, mapped and closed.
    unsafe {
        let fd = libc::memfd_create(
            c"bench".as_ptr(),
            libc::MFD_ALLOW_SEALING | libc::MFD_CLOEXEC,
        );
        assert!(fd >= 0 && libc::ftruncate(fd, PAGE as i64) == 0);
        libc::fcntl(
            fd,
            libc::F_ADD_SEALS,
            libc::F_SEAL_SHRINK | libc::F_SEAL_GROW,
        );
        map(libc::MAP_SHARED, fd);
        libc::close(fd);
    }
}

fn posix(name: &CString) {
    // SAFETY: a new name, mapped, closed and unlinked.
    unsafe {
        let fd = libc::shm_open(name.as_ptr(), EXCLUSIVE, 0o600);
        assert!(fd >= 0 && libc::ftruncate(fd, PAGE as i64) == 0);
        map(libc::MAP_SHARED, fd);
        libc::close(fd);
        libc::shm_unlink(name.as_ptr());
    }
}

fn sysv(key: c_int) {
    // SAFETY: a new segment, attached where the kernel likes, stored to, detached and removed.
    unsafe {
        let id = libc::shmget(key, PAGE, libc::IPC_CREAT | libc::IPC_EXCL | 0o600);
        let page: *mut c_void = libc::shmat(id, std::ptr::null(), 0);
        assert!(id >= 0 && page.addr() != usize::MAX);
        page.cast::<u64>().write_volatile(1);
        libc::shmdt(page);
        libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut());
    }
}

/// Creates a file as a careful program does: it gives the name last, reserves the space, and
/// removes no other file's name.
fn careful(directory: &CString, path: &CString) {
    // SAFETY: a new file without a name, as long as its pages, mapped, linked, and unlinked if it is still there; closed.
    unsafe {
        let fd = libc::open(
            directory.as_ptr(),
            libc::O_RDWR | libc::O_TMPFILE | libc::O_CLOEXEC,
            0o600,
        );
        assert!(fd >= 0 && libc::fchmod(fd, 0o600) == 0);
        assert_eq!(libc::posix_fallocate(fd, 0, PAGE as i64 + 128), 0);
        map(libc::MAP_SHARED, fd);
        let link = CString::new(format!("/proc/self/fd/{fd}")).expect("no zeros in it");
        let linked = libc::linkat(
            libc::AT_FDCWD,
            link.as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        );
        assert_eq!(linked, 0);
        let mut is = [std::mem::zeroed::<libc::stat>(), std::mem::zeroed()];
        libc::flock(fd, libc::LOCK_EX);
        libc::fstat(fd, &mut is[0]);
        libc::lstat(path.as_ptr(), &mut is[1]);
        assert_eq!(is[0].st_ino, is[1].st_ino);
        libc::unlink(path.as_ptr());
        libc::close(fd);
    }
}

fn file(path: &CString) {
    // SAFETY: a new file, mapped, closed and unlinked.
    unsafe {
        let fd = libc::open(path.as_ptr(), EXCLUSIVE | libc::O_CLOEXEC, 0o600);
        assert!(fd >= 0 && libc::ftruncate(fd, PAGE as i64) == 0);
        map(libc::MAP_SHARED, fd);
        libc::close(fd);
        libc::unlink(path.as_ptr());
    }
}

pub(super) fn all() -> Vec<Measured> {
    let me = std::process::id();
    let directory = std::env::temp_dir();
    let path =
        move |what: &str| -> PathBuf { directory.join(format!("forkcheck-bench-{what}-{me}")) };
    let part = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path("part"))
        .expect("a file");
    // The file exists as long as it is open.
    let _ = std::fs::remove_file(path("part"));
    part.set_len(PAGE as u64).expect("a page of it");
    let c_text = |text: &str| CString::new(text).expect("no zeros in it");
    let (posix_name, ours_posix) = (format!("/bench-{me}"), format!("/bench-ours-{me}"));
    let posix_name = c_text(&posix_name);
    let ours_posix = Name::posix(&ours_posix).expect("a name");
    let (key, ours_key) = (0x4000_0000 | me as i32, 0x2000_0000 | me as i32);
    let ours_key = Name::sysv(ours_key).expect("a key");
    let file_path = c_text(path("file").to_str().expect("a path in UTF-8"));
    let ours_file = Name::file(path("ours")).expect("a path");
    let part_fd = part.as_raw_fd();
    let (shm, shm_path) = (
        c_text("/dev/shm"),
        c_text(&format!("/dev/shm/bench-careful-{me}")),
    );
    let tmp = c_text(std::env::temp_dir().to_str().expect("a path in UTF-8"));
    let tmp_path = c_text(path("careful").to_str().expect("a path in UTF-8"));

    let mut all = Vec::new();
    type Round = Box<dyn FnMut()>;
    let mut group = |group: &str, turns: Vec<(&str, Round)>| {
        for (name, mut turn) in turns {
            all.push(Measured::new(
                format!("create, map, touch, drop: {group}"),
                name,
                "page",
                2_000,
                move |turns| timed(turns, &mut turn),
            ));
        }
    };
    group(
        "anonymous",
        vec![
            (
                "bare calls",
                Box::new(|| map(libc::MAP_SHARED | libc::MAP_ANON, -1)),
            ),
            ("forkcheck", Box::new(|| touched(Region::anonymous(PAGE)))),
        ],
    );
    group(
        "memfd",
        vec![
            ("bare calls", Box::new(memfd)),
            ("forkcheck", Box::new(|| touched(Region::memfd(PAGE)))),
        ],
    );
    group(
        "System V, no key",
        vec![
            ("bare calls", Box::new(|| sysv(libc::IPC_PRIVATE))),
            ("forkcheck", Box::new(|| touched(Region::sysv(PAGE)))),
        ],
    );
    group(
        "System V, a key",
        vec![
            ("bare calls", Box::new(move || sysv(key))),
            (
                "forkcheck",
                Box::new(move || touched(Region::create(&ours_key, PAGE))),
            ),
        ],
    );
    group(
        "POSIX name",
        vec![
            ("bare calls", Box::new(move || posix(&posix_name))),
            (
                "bare calls that promise as much",
                Box::new(move || careful(&shm, &shm_path)),
            ),
            (
                "forkcheck",
                Box::new(move || touched(Region::create(&ours_posix, PAGE))),
            ),
        ],
    );
    group(
        "file",
        vec![
            ("bare calls", Box::new(move || file(&file_path))),
            (
                "bare calls that promise as much",
                Box::new(move || careful(&tmp, &tmp_path)),
            ),
            (
                "forkcheck",
                Box::new(move || touched(Region::create(&ours_file, PAGE))),
            ),
        ],
    );
    group(
        "part of a file that is open",
        vec![
            (
                "bare calls",
                Box::new(move || map(libc::MAP_SHARED, part_fd)),
            ),
            (
                "forkcheck",
                Box::new(move || touched(Region::file(&part, 0, PAGE))),
            ),
        ],
    );
    all
}
