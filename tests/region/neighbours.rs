//! Actions of other programs on the machine, accidental or not: on files, locks, descriptors, names
//! and segments.
#![allow(unsafe_code, reason = "dup2 over descriptors that regions own")]

use crate::sandbox::forbid;
use crate::scratch::{Scratch, clean, skipped};
use forkcheck::memory::{Hardware, Incarnation, Memory};
use forkcheck::region::{Layout, Name, View, sweep_files};
use forkcheck::{Region, process};
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, geteuid, mkfifo, setuid};
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::AtomicU64;

/// The kernel cuts a process's name after 15 bytes, in the middle of a letter if need be.
#[test]
fn a_name_that_is_no_text_hides_nobodys_death() {
    let (with_start, dead) = clean(|| {
        let mut child = process::spawn(|| {
            nix::sys::prctl::set_name(
                c"\xd0\xbf\xd1\x80\xd0\xbe\xd0\xb3\xd1\x80\xd0\xb0\xd0\xbc\xd0",
            )
            .unwrap();
            Hardware::me().to_bits()
        })
        .unwrap();
        child.wait().unwrap();
        let word = child.value().unwrap();
        (
            word >> 32 != 0,
            !Hardware::alive(Incarnation::from_bits(word)),
        )
    });
    assert!(with_start && dead, "{with_start} {dead}");
}

#[test]
fn what_a_process_knows_of_itself_is_not_inherited() {
    let (mine, childs, again) = clean(|| {
        let mine = Hardware::me();
        let (childs, alive) = process::run(|| {
            let me = Hardware::me();
            (me.to_bits(), Hardware::alive(me))
        })
        .unwrap();
        assert!(alive);
        (mine.to_bits(), childs, Hardware::me().to_bits())
    });
    assert_ne!(mine, childs);
    assert_eq!(mine, again);
}

/// Parent and child are each the first process of their namespace.
#[test]
fn a_child_with_its_parents_pid_removes_nothing_and_begins_at_all() {
    if !geteuid().is_root() {
        return skipped("only root can make a namespace of pids");
    }
    let (first, second, there) = clean(|| {
        unshare(CloneFlags::CLONE_NEWPID).unwrap();
        process::run(|| {
            let first = std::process::id();
            let scratch = Scratch::new();
            let name = scratch.named_file();
            let mut region = Some(Region::create(&name, 8).unwrap());
            unshare(CloneFlags::CLONE_NEWPID).unwrap();
            let second = process::run(|| {
                drop(region.take());
                std::process::id()
            });
            (first, second.unwrap(), View::open(&name, 8).is_ok())
        })
        .unwrap()
    });
    assert_eq!((first, second), (1, 1));
    assert!(there, "its parent still has it");
}

#[test]
fn a_process_that_unwinds_a_panic_does_not_fork() {
    struct Forks;
    impl Drop for Forks {
        fn drop(&mut self) {
            let error = process::run(|| ()).unwrap_err().to_string();
            assert!(error.contains("while a panic unwinds it"), "{error}");
        }
    }
    let panicked = std::panic::catch_unwind(|| {
        let _forks = Forks;
        panic!("the first");
    });
    assert!(panicked.is_err());
}

/// Opening a FIFO would release a writer that waits for a reader, and kill it as soon as it writes.
#[test]
fn a_sweep_opens_no_fifo() {
    let scratch = Scratch::new();
    let fifo = scratch.file("fifo");
    mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut writer = Command::new("sh")
        .args(["-c", "echo line > \"$0\"; echo $?"])
        .arg(&fifo)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It waits in open(2) for a reader.
    let stat = format!("/proc/{}/stat", writer.id());
    while !std::fs::read_to_string(&stat).unwrap().contains(") S ") {
        std::thread::yield_now();
    }
    assert_eq!(sweep_files(scratch.directory()).unwrap(), [""; 0]);
    let error = Region::open(&Name::file(&fifo).unwrap(), 0).unwrap_err();
    assert!(error.to_string().contains("ENXIO"), "{error}");
    assert_eq!(writer.try_wait().unwrap(), None, "it waits still");
    assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "line\n");
    assert!(writer.wait().unwrap().success());
}

/// No process removes a name without the lock: the name could be another file's by then. A lock of
/// another program is reported, and is no hang.
#[test]
fn a_name_that_a_stranger_has_locked_is_not_removed_and_that_is_said() {
    let scratch = Scratch::new();
    let name = scratch.named_file();
    let region = Region::create(&name, 8).unwrap();
    let file = std::fs::File::open(scratch.file("region")).unwrap();
    let lock = Flock::lock(file, FlockArg::LockExclusive).unwrap();
    let error = name.remove().unwrap_err().to_string();
    assert!(error.contains("holds a lock on it"), "{error}");
    drop(region);
    assert!(View::open(&name, 0).is_ok(), "its creator left it, too");
    drop(lock);
    name.remove().unwrap();
    assert!(View::open(&name, 0).is_err());
}

#[test]
fn descriptors_that_were_not_asked_for_are_closed() {
    let (before, after) = clean(|| {
        let (here, there) = UnixStream::pair().unwrap();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        for _ in 0..20 {
            let fds = [here.as_raw_fd(); 3];
            let rights = [ControlMessage::ScmRights(&fds)];
            let bytes = [IoSlice::new(b"R")];
            let (to, flags) = (here.as_raw_fd(), MsgFlags::empty());
            sendmsg::<UnixAddr>(to, &bytes, &rights, flags, None).unwrap();
            assert!(Region::receive(&there, 8).is_err());
        }
        (before, open())
    });
    assert_eq!(before, after);
}

#[test]
fn a_sweep_of_more_regions_than_descriptors_removes_all() {
    let (removed, left) = clean(|| {
        let scratch = Scratch::new();
        let name = |n: u32| Name::file(scratch.file(&format!("region-{n}"))).unwrap();
        // Killed while it holds all of them.
        let mut creator = process::spawn(|| {
            for n in 0..100 {
                std::mem::forget(Region::create(&name(n), 8).unwrap());
            }
            nix::sys::signal::raise(nix::sys::signal::SIGKILL).unwrap();
        })
        .unwrap();
        creator.wait().unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 32, 32).unwrap();
        let removed = sweep_files(scratch.directory()).unwrap().len();
        let left = std::fs::read_dir(scratch.directory()).unwrap().count();
        (removed, left)
    });
    assert_eq!((removed, left), (100, 0));
}

#[test]
fn a_region_that_was_made_by_a_length_opens_by_a_type_and_one_of_another_alignment_does_not() {
    use forkcheck::publish::SeqLock;
    let scratch = Scratch::new();
    let name = scratch.posix();
    let region = Region::create(&name, size_of::<AtomicU64>()).unwrap();
    Region::open(&name, Layout::of::<AtomicU64>()).unwrap();
    drop(region);
    let _region = Region::create(&name, Layout::of::<SeqLock<[u32; 2]>>()).unwrap();
    let error = Region::open(&name, Layout::of::<SeqLock<f64>>()).unwrap_err();
    assert!(error.to_string().contains("another layout"), "{error}");
}

#[test]
fn a_memfd_is_for_its_user_alone() {
    let region = Region::memfd(8).unwrap();
    let path = format!("/proc/self/fd/{}", region.fd().unwrap().as_raw_fd());
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_region_gets_its_name_without_hard_links_too() {
    let seen = clean(|| {
        [libc::EPERM, libc::ENOSYS].map(|errno| {
            process::run(move || {
                let scratch = Scratch::new();
                forbid(libc::SYS_linkat, errno);
                let made = [scratch.posix(), scratch.named_file()].map(|name| {
                    let region = Region::create(&name, 8).map_err(|error| error.to_string())?;
                    Region::create(&name, 8).map(drop).unwrap_err();
                    Region::open(&name, 8).map_err(|error| error.to_string())?;
                    drop(region);
                    Ok::<_, String>(View::open(&name, 8).is_err())
                });
                let left = std::fs::read_dir(scratch.directory()).unwrap().count();
                (made, left)
            })
            .unwrap()
        })
    });
    for seen in seen {
        assert_eq!(seen, ([Ok(true), Ok(true)], 0));
    }
}

#[test]
fn a_memfd_that_a_sandbox_forbids_is_an_error_that_says_so() {
    let why = clean(|| {
        process::run(|| {
            // Only this region needs a new memfd: the record of the child exists already.
            forbid(libc::SYS_memfd_create, libc::EPERM);
            Region::memfd(8).map(drop).unwrap_err().to_string()
        })
        .unwrap()
    });
    assert!(why.contains("permit memfd_create"), "{why}");
}

#[test]
fn a_name_that_its_creator_may_not_remove_any_more_is_reported() {
    if !geteuid().is_root() {
        return skipped("only root can become another user");
    }
    let told = clean(|| {
        let scratch = Scratch::new();
        let names = [scratch.posix(), scratch.sysv()];
        let told = names.each_ref().map(|name| {
            process::run(|| {
                let region = Region::create(name, 8).unwrap();
                setuid(Uid::from_raw(65_534)).unwrap();
                region.close().map_err(|error| error.to_string())
            })
            .unwrap()
        });
        let there = names.each_ref().map(|name| View::open(name, 8).is_ok());
        names.iter().for_each(|name| name.remove().unwrap());
        let region = Region::create(&names[0], 8).unwrap();
        let closed = region.close().is_ok() && View::open(&names[0], 8).is_err();
        (told, there, closed)
    });
    let (told, there, closed) = told;
    for why in told {
        let why = why.unwrap_err();
        assert!(
            why.contains("EPERM") && why.contains("the user that created it"),
            "{why}"
        );
    }
    assert_eq!((there, closed), ([true; 2], true));
}

/// A program that closes all descriptors, as a daemon does, closes a region's as well.
#[test]
fn a_region_whose_descriptor_was_closed_writes_to_no_other_file_and_sends_none() {
    let (kept, told, bytes) = clean(|| {
        let scratch = Scratch::new();
        let region = Region::create(&scratch.named_file(), 8).unwrap();
        let memfd = Region::memfd(8).unwrap();
        let (here, _there) = UnixStream::pair().unwrap();
        let path = scratch.file("precious");
        std::fs::write(&path, [7; 4096]).unwrap();
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let link = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}"));
        let open = open.map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        });
        let here_lies = scratch.directory().display().to_string();
        let ours = |fd: &i32| {
            link(*fd).is_ok_and(|link| {
                let link = link.display().to_string();
                link.contains("memfd:forkcheck") || link.contains(&here_lies)
            })
        };
        let ours: Vec<i32> = open.filter(ours).collect();
        let precious = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        for fd in &ours {
            // SAFETY: dup2 takes two integers.
            unsafe { libc::dup2(precious.as_raw_fd(), *fd) };
        }
        let told = [
            region.get::<AtomicU64>(0).map(drop),
            memfd.send(&here),
            memfd.seal_writes(),
        ];
        let told = told.map(|told| told.unwrap_err().to_string());
        let kept = memfd.fd().is_none();
        let _ = region.keep();
        let bytes = std::fs::read(&path).unwrap() == [7; 4096];
        (kept, told, bytes)
    });
    assert!(kept && bytes);
    for why in told {
        assert!(
            why.contains("descriptor of forkcheck's was closed"),
            "{why}"
        );
    }
}
