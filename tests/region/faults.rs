//! Refused regions are refused when they are made, with a message, and leave nothing; and the
//! effects of truncating a file.

use crate::scratch::{Held, Scratch, clean, page, skipped};
use forkcheck::process::{self, Exit};
use forkcheck::region::Name;
use forkcheck::{Error, Region};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Uid, getegid, geteuid, setgid, setuid};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Tries every way to make a region of this many bytes; returns the message of each that failed.
pub(crate) fn make_all(scratch: &Scratch, len: usize) -> Vec<(String, Option<String>)> {
    let why = |made: Result<Region, Error>| made.err().map(|error| error.to_string());
    let named = scratch
        .names()
        .map(|(what, name)| (what, why(Region::create(&name, len))));
    let others = [
        ("anonymous", why(Region::anonymous(len))),
        ("memfd", why(Region::memfd(len))),
        ("sysv, no key", why(Region::sysv(len))),
    ];
    let all = named.into_iter().chain(others);
    all.map(|(what, why)| (what.to_string(), why)).collect()
}

/// Returns the resources that this process holds, and the number of files in the directory.
fn held(scratch: &Scratch) -> (Held, usize) {
    let files = std::fs::read_dir(scratch.directory()).unwrap();
    (Held::now(), files.count())
}

/// Returns, from a child with these limits, what failed, and whether anything is left.
fn limited(resource: Resource, limit: u64, len: usize) -> (Vec<(String, Option<String>)>, bool) {
    process::run(|| {
        // The child's own: names are known by the process that chose them.
        let scratch = Scratch::new();
        let before = held(&scratch);
        setrlimit(resource, limit, limit).unwrap();
        let made = make_all(&scratch, len);
        (made, before == held(&scratch))
    })
    .unwrap()
}

#[test]
fn a_name_of_each_kind_that_is_left_is_noticed() {
    let noticed = clean(|| {
        process::run(|| {
            let scratch = Scratch::new();
            scratch.names().map(|(what, name)| {
                let before = held(&scratch);
                drop(Region::create(&name, 8).unwrap());
                let gone = held(&scratch) == before;
                drop(Region::create(&name, 8).unwrap().keep());
                let left = held(&scratch) != before;
                name.remove().unwrap();
                (what.to_string(), gone, left, held(&scratch) == before)
            })
        })
        .unwrap()
    });
    for (what, gone, left, removed) in noticed {
        assert_eq!((gone, left, removed), (true, true, true), "{what}");
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_signal() {
    let (made, nothing_left) = clean(|| limited(Resource::RLIMIT_FSIZE, 100_000, 200_000));
    assert!(nothing_left);
    for (what, why) in made {
        match (what.as_str(), why) {
            ("posix" | "file" | "memfd", Some(why)) => {
                assert!(
                    why.contains("EFBIG") && why.contains("ulimit -f"),
                    "{what}: {why}"
                );
            }
            ("anonymous" | "sysv" | "sysv, no key", None) => {}
            (what, why) => panic!("{what}: {why:?}"),
        }
    }
}

#[test]
fn a_limit_on_memory_is_an_error() {
    let (made, nothing_left) = clean(|| limited(Resource::RLIMIT_AS, 200 << 20, 1 << 30));
    assert!(nothing_left);
    for (what, why) in made {
        let why = why.unwrap_or_default();
        let known = why.contains("ENOMEM") && why.contains("ulimit -v")
            // A small /dev/shm or disk is full before that.
            || why.contains("ENOSPC");
        assert!(known, "{what}: {why:?}");
    }
}

/// With no descriptor left, and with one, two, and so on, until there are enough.
#[test]
fn a_limit_on_descriptors_is_an_error() {
    let all = clean(|| {
        let scratch = Scratch::new();
        let with = |limit: u64| {
            process::run(|| {
                let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
                let made = make_all(&scratch, 8);
                setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
                (made, make_all(&scratch, 8))
            })
            .unwrap()
        };
        (0..24).map(with).collect::<Vec<_>>()
    });
    let mut refused = [0, 0];
    for (made, made_later) in &all {
        for (what, why) in made {
            match (what.as_str(), why) {
                ("posix" | "file" | "memfd", Some(why)) => {
                    assert!(
                        why.contains("EMFILE") && why.contains("ulimit -n"),
                        "{what}: {why}"
                    );
                }
                (_, None) => {}
                (what, why) => panic!("{what}: {why:?}"),
            }
        }
        // None of the names is left, or they would exist already.
        assert!(
            made_later.iter().all(|(_, why)| why.is_none()),
            "{made_later:?}"
        );
        let all_made = made.iter().all(|(_, why)| why.is_none());
        refused[usize::from(all_made)] += 1;
    }
    assert!(refused[0] > 0 && refused[1] > 0, "{refused:?}");
}

/// Runs `body` in a child with a mount namespace of its own, where it may mount anything; `None` if
/// that is not permitted here.
fn with_mounts<T>(body: impl FnOnce() -> T) -> Option<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    process::run(|| {
        let (user, group) = (geteuid(), getegid());
        let allowed = unshare(CloneFlags::CLONE_NEWNS).is_ok()
            || unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER).is_ok()
                && std::fs::write("/proc/self/setgroups", "deny").is_ok()
                && std::fs::write("/proc/self/uid_map", format!("{user} {user} 1")).is_ok()
                && std::fs::write("/proc/self/gid_map", format!("{group} {group} 1")).is_ok();
        // Mounts made here stay in this namespace.
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        let none = None::<&str>;
        (allowed && mount(none, "/", none, private, none).is_ok()).then(body)
    })
    .unwrap()
}

#[test]
fn a_full_dev_shm_is_an_error_as_the_region_is_made() {
    let seen = clean(|| {
        with_mounts(|| {
            let options = Some("size=64k");
            mount(
                Some("none"),
                "/dev/shm",
                Some("tmpfs"),
                MsFlags::empty(),
                options,
            )
            .unwrap();
            let scratch = Scratch::new();
            let small = Region::create(&scratch.posix(), 20_000).map_err(|error| error.to_string());
            let small = small.map(|small| {
                // All of it can be accessed.
                small.get::<AtomicU8>(19_999).unwrap().store(1, Relaxed);
                small.len()
            });
            let large = Region::create(&scratch.posix(), 200_000)
                .unwrap_err()
                .to_string();
            (small, large, std::fs::read_dir("/dev/shm").unwrap().count())
        })
    });
    let Some((small, large, left)) = seen else {
        return skipped("no mount namespace is permitted here");
    };
    assert_eq!(small, Ok(20_000));
    assert!(
        large.contains("ENOSPC") && large.contains("--shm-size"),
        "{large}"
    );
    assert_eq!(left, 0);
}

#[test]
fn a_read_only_file_system_is_an_error() {
    let seen = clean(|| {
        with_mounts(|| {
            let scratch = Scratch::new();
            let flags = MsFlags::MS_RDONLY;
            mount(
                Some("none"),
                scratch.directory(),
                Some("tmpfs"),
                flags,
                None::<&str>,
            )
            .unwrap();
            Region::create(&scratch.named_file(), 8)
                .unwrap_err()
                .to_string()
        })
    });
    let Some(why) = seen else {
        return skipped("no mount namespace is permitted here");
    };
    assert!(
        why.contains("EROFS") && why.contains("can be written to"),
        "{why}"
    );
}

#[test]
fn another_users_region_is_refused_both_ways() {
    if !geteuid().is_root() {
        return skipped("only root can become another user");
    }
    let seen = clean(|| {
        let scratch = Scratch::new();
        let names = [scratch.posix(), scratch.sysv()];
        let why = |made: Result<Region, Error>| made.map(drop).unwrap_err().to_string();
        let _ours = names
            .each_ref()
            .map(|name| Region::create(name, 8).unwrap());
        let by_them = process::run(|| {
            setgid(65_534.into()).unwrap();
            setuid(Uid::from_raw(65_534)).unwrap();
            names.each_ref().map(|name| why(Region::open(name, 8)))
        });
        drop(_ours);
        process::run(|| {
            setgid(65_534.into()).unwrap();
            setuid(Uid::from_raw(65_534)).unwrap();
            names
                .each_ref()
                .map(|name| Region::create(name, 8).unwrap().keep())
                .len()
        })
        .unwrap();
        let by_us = names.each_ref().map(|name| why(Region::open(name, 8)));
        // Files of others stay; only their owners, or ipcrm and rm, remove them.
        let removed = names.each_ref().map(|name| name.remove().is_ok());
        process::run(|| {
            setgid(65_534.into()).unwrap();
            setuid(Uid::from_raw(65_534)).unwrap();
            names.each_ref().map(|name| name.remove().unwrap()).len()
        })
        .unwrap();
        (by_them.unwrap(), by_us, removed)
    });
    let (by_them, by_us, removed) = seen;
    for why in by_them {
        assert!(
            why.contains("EACCES") && why.contains("see which user owns it"),
            "{why}"
        );
    }
    for why in by_us {
        assert!(why.contains("belongs to user 65534"), "{why}");
    }
    assert_eq!(removed, [false; 2]);
}

#[test]
fn a_directory_that_is_not_there_and_names_that_cannot_be_are_errors() {
    let scratch = Scratch::new();
    let nowhere = Name::file(scratch.file("no/such/place")).unwrap();
    let error = Region::create(&nowhere, 8).unwrap_err().to_string();
    assert!(
        error.contains("ENOENT") && error.contains("directory"),
        "{error}"
    );
    for name in [
        "",
        "/",
        "name",
        "/a/b",
        "/.",
        "/..",
        "/a\0b",
        &format!("/{}", "x".repeat(256)),
    ] {
        let error = Name::posix(name).unwrap_err().to_string();
        assert!(error.contains("use a slash"), "{name:?}: {error}");
    }
    assert!(
        Name::sysv(0)
            .unwrap_err()
            .to_string()
            .contains("Region::sysv")
    );
    for path in ["", "/", ".."] {
        assert!(Name::file(path).is_err(), "{path:?}");
    }
    for (what, name) in scratch.names() {
        for len in [0, usize::MAX, isize::MAX as usize - 4096] {
            assert!(Region::create(&name, len).is_err(), "{what}: {len} bytes");
        }
        // None of the attempts left the name behind.
        assert!(Region::create(&name, 8).is_ok(), "{what}");
    }
}

/// Any process that may write to a file may truncate it. Making a region of it then is an error;
/// one that is still used ends its process by SIGBUS, and only that process.
#[test]
fn a_file_that_is_cut_short_is_an_error_where_it_is_looked_up_and_sigbus_where_it_is_touched() {
    let (looked_up, opened, touched, whole) = clean(|| {
        let scratch = Scratch::new();
        let region = Region::create(&scratch.named_file(), 2 * page()).unwrap();
        let last: &AtomicU64 = region.get(2 * page() - 8).unwrap();
        last.store(1, Relaxed);
        let file = std::fs::File::options()
            .write(true)
            .open(scratch.file("region"))
            .unwrap();
        file.set_len(page() as u64).unwrap();
        let looked_up = region.get::<AtomicU64>(0).unwrap_err().to_string();
        let opened = Region::open(&scratch.named_file(), 8)
            .unwrap_err()
            .to_string();
        let mut child = process::spawn(|| last.load(Relaxed)).unwrap();
        let touched = child.wait().unwrap();
        // The twin: a memfd cannot be truncated.
        let memfd = Region::memfd(2 * page()).unwrap();
        let file = std::fs::File::from(memfd.fd().unwrap().try_clone_to_owned().unwrap());
        let whole = file.set_len(page() as u64).is_err()
            && process::run(|| {
                memfd
                    .get::<AtomicU64>(2 * page() - 8)
                    .unwrap()
                    .load(Relaxed)
            })
            .is_ok();
        (looked_up, opened, touched, whole)
    });
    assert!(looked_up.contains("truncated to 4096 bytes"), "{looked_up}");
    assert!(opened.contains("are possible"), "{opened}");
    assert_eq!(touched, Exit::Signal(7));
    assert!(whole);
}

/// Returns the number of rounds: 1,000,000 were run once (see CHANGELOG), fewer in CI.
fn rounds() -> u32 {
    std::env::var("FORKCHECK_ROUNDS").map_or(300, |count| count.parse().unwrap())
}

#[test]
fn rounds_of_create_fork_kill_and_drop_leave_nothing() {
    let (before, after, rounds, without_drop) = clean(|| {
        let scratch = Scratch::new();
        // The first round opens everything that stays open.
        let round = |number: u32| {
            let named = scratch
                .names()
                .map(|(_, name)| Region::create(&name, 8).unwrap());
            let nameless =
                [Region::anonymous(8), Region::memfd(8), Region::sysv(8)].map(Result::unwrap);
            let killed = number.is_multiple_of(2);
            let mut child = process::spawn(|| {
                let word: &AtomicU64 = named[0].get(0).unwrap();
                word.store(1, Relaxed);
                if killed {
                    loop {
                        std::hint::spin_loop();
                    }
                }
            })
            .unwrap();
            if killed {
                child.kill().unwrap();
            } else {
                child.wait().unwrap();
            }
            drop((named, nameless));
        };
        round(0);
        let before = Held::now();
        (1..=rounds()).for_each(round);
        let after = Held::now();
        // A forgotten one is noticed.
        std::mem::forget(Region::memfd(8).unwrap());
        (before, after, rounds(), Held::now())
    });
    assert_eq!(before, after, "after {rounds} rounds");
    assert_ne!(after, without_drop);
}
