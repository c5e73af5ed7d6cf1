//! Names: complete or not there, for their owner alone, and removed with the process that made
//! them.

use crate::scratch::{Scratch, clean, page, sweeping};
use forkcheck::memory::{Hardware, Incarnation, Memory};
use forkcheck::region::{Layout, Name, View, sweep, sweep_files};
use forkcheck::{Region, process};
use nix::sys::stat::{Mode, umask};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

fn there(name: &Name) -> bool {
    View::open(name, 0).is_ok()
}

#[test]
fn a_name_is_taken_once_and_gone_with_the_handle_that_made_it() {
    let scratch = Scratch::new();
    for (what, name) in scratch.names() {
        assert!(!there(&name), "{what}");
        let region = Region::create(&name, 8).unwrap();
        let error = Region::create(&name, 8).unwrap_err().to_string();
        assert!(error.contains("the name is taken"), "{what}: {error}");
        let other = Region::open(&name, 8).unwrap();
        assert_eq!(other.creator(), std::process::id(), "{what}");
        drop(other);
        assert!(there(&name), "{what}: an opener removes nothing");
        drop(region);
        let error = Region::open(&name, 8).unwrap_err().to_string();
        assert!(
            error.contains("ENOENT") && error.contains("create it first"),
            "{what}: {error}"
        );
    }
}

#[test]
fn a_forked_child_that_drops_an_inherited_handle_removes_nothing() {
    let left = clean(|| {
        let scratch = Scratch::new();
        scratch.names().map(|(what, name)| {
            let mut region = Some(Region::create(&name, 8).unwrap());
            process::run(|| drop(region.take())).unwrap();
            let after_drop = there(&name);
            // A handle that does not know its file would have done this.
            process::run(|| name.remove().unwrap()).unwrap();
            let after_removal = there(&name);
            // Another region has that name now: the old handle leaves it alone.
            let mut successor =
                process::run(|| Region::create(&name, 8).map(Region::keep).is_ok()).unwrap();
            drop(region);
            successor &= there(&name);
            name.remove().unwrap();
            (what.to_string(), after_drop, after_removal, successor)
        })
    });
    for (what, after_drop, after_removal, successor) in left {
        assert!(after_drop && !after_removal && successor, "{what}");
    }
}

#[test]
fn what_is_kept_outlives_its_handle_and_is_removed_by_name() {
    let scratch = Scratch::new();
    for (what, name) in scratch.names() {
        let region = Region::create(&name, 8).unwrap();
        region.get::<AtomicU64>(0).unwrap().store(7, Relaxed);
        drop(region.keep());
        let again = Region::open(&name, 8).unwrap();
        assert_eq!(
            again.get::<AtomicU64>(0).unwrap().load(Relaxed),
            7,
            "{what}"
        );
        name.remove().unwrap();
        assert!(!there(&name), "{what}");
        again.get::<AtomicU64>(0).unwrap().store(8, Relaxed);
        assert!(
            name.remove().unwrap_err().to_string().contains("ENOENT"),
            "{what}"
        );
    }
}

/// The offsets of a header's words. (This test knows more than a user should.)
const INCARNATION: u64 = 24;
const PLACE: u64 = 32;

fn patch(path: &Path, at: u64, change: impl Fn(u64) -> u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).unwrap();
    file.write_all_at(&change(u64::from_le_bytes(word)).to_le_bytes(), at)
        .unwrap();
}

#[test]
fn a_sweep_removes_what_the_dead_left_and_nothing_of_the_living() {
    let (before, told, mine, theirs, kept) = clean(|| {
        let scratch = Scratch::new();
        let names = || scratch.names().map(|(_, name)| name);
        // Other findings of a sweep of the machine are not this test's; in its own directory it is
        // alone.
        let swept = || {
            let _alone = sweeping();
            sweep().unwrap();
            let path = scratch.file("region").display().to_string();
            sweep_files(scratch.directory()).unwrap() == [path]
        };
        let all_there = || names().map(|name| there(&name));

        let regions = names().map(|name| Region::create(&name, 8).unwrap());
        let told_of_mine = swept();
        let mine = all_there();
        drop(regions);

        // A child that is killed while it holds them; a sweep while it is alive, and one when it is
        // dead.
        let ready = Region::anonymous(4).unwrap();
        let ready: &AtomicU32 = ready.get(0).unwrap();
        let mut child = process::spawn(|| {
            let _regions = names().map(|name| Region::create(&name, 8).unwrap());
            ready.store(1, Release);
            Hardware::wake(ready, 1);
            loop {
                Hardware::wait(ready, 1);
            }
        })
        .unwrap();
        let _: &process::Child<()> = &child;
        while ready.load(Acquire) == 0 {
            Hardware::wait(ready, 0);
        }
        swept();
        let before = all_there();
        child.kill().unwrap();
        let told = [told_of_mine, swept()];
        let theirs = all_there();

        process::run(|| {
            names()
                .map(|name| Region::create(&name, 8).unwrap().keep())
                .len()
        })
        .unwrap();
        swept();
        let kept = all_there();
        names().iter().for_each(|name| name.remove().unwrap());
        (before, told, mine, theirs, kept)
    });
    assert_eq!(
        (mine, before, theirs, kept),
        ([true; 3], [true; 3], [false; 3], [true; 3])
    );
    assert_eq!(told, [false, true], "what it removed, and only that");
}

#[test]
fn a_creator_is_dead_if_its_pid_was_given_away_and_unknown_in_another_namespace() {
    let scratch = Scratch::new();
    let (name, path) = (scratch.named_file(), scratch.file("region"));
    let made = || {
        let _ = Region::create(&name, 8).unwrap().keep();
        // Not kept, so that a sweep judges it.
        patch(&path, 40, |_| 0);
    };
    let sweep = || sweep_files(scratch.directory()).unwrap().len();
    made();
    assert_eq!(sweep(), 0, "its creator, this process, lives");
    // This process's pid, with another start time.
    patch(&path, INCARNATION, |word| word ^ 1 << 40);
    assert_eq!(sweep(), 1);
    made();
    // A pid without a process, in an unknown place: another namespace, or another boot.
    patch(&path, INCARNATION, |_| {
        Incarnation::from_bits(0x7fff_fff0).to_bits()
    });
    patch(&path, PLACE, |place| place ^ 1);
    assert_eq!(sweep(), 0);
    patch(&path, PLACE, |_| 0);
    assert_eq!(sweep(), 0);
}

#[test]
fn a_region_is_for_its_user_alone_whatever_the_umask() {
    let modes = clean(|| {
        [0o000, 0o777].map(|mask| {
            let scratch = Scratch::new();
            umask(Mode::from_bits_truncate(mask));
            let region = scratch
                .names()
                .map(|(_, name)| Region::create(&name, 8).unwrap());
            umask(Mode::from_bits_truncate(0o022));
            let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
            let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
            let mine = std::process::id().to_string();
            let sysv = segments
                .lines()
                .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
            let sysv = sysv
                .filter(|row| row[4] == mine)
                .map(|row| row[2].to_string());
            let modes = (
                mode(&scratch.posix_file()),
                mode(&scratch.file("region")),
                sysv.collect::<Vec<_>>(),
            );
            drop(region);
            modes
        })
    });
    assert_eq!(
        modes,
        [(); 2].map(|()| (0o600, 0o600, vec!["600".to_string()]))
    );
}

#[test]
fn what_others_may_write_and_what_is_no_region_is_refused() {
    let scratch = Scratch::new();
    let (name, path) = (scratch.named_file(), scratch.file("region"));
    let refused = |expected: &str| {
        for error in [
            Region::open(&name, 8).unwrap_err(),
            View::open(&name, 8).map(drop).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains(expected), "{error}");
        }
    };
    let region = Region::create(&name, 8).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
    refused("open to other users (mode 660)");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    // A link to it is not followed.
    symlink(&path, scratch.file("link")).unwrap();
    let error = Region::open(&Name::file(scratch.file("link")).unwrap(), 8).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("symbolic links are not followed"),
        "{error}"
    );
    drop(region);

    std::fs::create_dir(&path).unwrap();
    refused("region");
    std::fs::remove_dir(&path).unwrap();
    // A pipe would let an opener wait indefinitely.
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    refused("region");
    std::fs::remove_file(&path).unwrap();

    let other = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    other(b"");
    refused("0 bytes, which no region has");
    other(&[0; 4096]);
    refused("not complete yet");
    other(&[b'x'; 4096]);
    refused("does not start with the header");
    // Nothing else is ever removed.
    assert!(name.remove().is_err());
    assert!(path.exists());
    assert_eq!(sweep_files(scratch.directory()).unwrap(), [""; 0]);
}

mod old {
    use std::sync::atomic::{AtomicU32, AtomicU64};
    forkcheck::layout! { pub struct Page { pub hits: AtomicU64, pub limit: AtomicU32 } }
}
mod new {
    use std::sync::atomic::{AtomicU32, AtomicU64};
    forkcheck::layout! { pub struct Page { pub limit: AtomicU32, pub hits: AtomicU64 } }
}

#[test]
fn a_program_built_from_another_layout_is_refused() {
    assert_eq!(size_of::<old::Page>(), size_of::<new::Page>());
    let scratch = Scratch::new();
    for (what, name) in scratch.names() {
        let _region = Region::create(&name, Layout::of::<old::Page>()).unwrap();
        assert!(
            Region::open(&name, Layout::of::<old::Page>()).is_ok(),
            "{what}"
        );
        let error = Region::open(&name, Layout::of::<new::Page>())
            .unwrap_err()
            .to_string();
        assert!(error.contains("another layout"), "{what}: {error}");
        // An opener that gives only a length gets at least that, or an error.
        assert_eq!(Region::open(&name, 16).unwrap().len(), 16, "{what}");
        let error = Region::open(&name, 17).unwrap_err().to_string();
        assert!(
            error.contains("16 bytes, fewer than the 17 expected"),
            "{what}: {error}"
        );
    }
}

/// Returns how often at least a name is made while an opener tries: 100,000 were tried once (see
/// CHANGELOG), fewer in CI.
fn races() -> u64 {
    std::env::var("FORKCHECK_RACES").map_or(2_000, |count| count.parse().unwrap())
}

/// A child makes a name repeatedly while this process opens it whenever it exists, and looks at the
/// first, middle and last byte, which would be SIGBUS if they did not exist yet. Returns how the
/// child ended, the number of times that the name was found, and the first error other than these
/// words. However little processor time the opener gets, it continues until it has found the name
/// often enough.
fn race(
    name: &Name,
    allowed: &[&str],
    enough: impl Fn(u64, &Option<String>) -> bool,
    create: impl Fn(),
) -> (String, u64, Option<String>) {
    let (flags, races) = (Region::anonymous(16).unwrap(), races());
    let [done, satisfied]: &[AtomicU64; 2] = flags.get(0).unwrap();
    let mut creator = process::spawn(|| {
        let until = Instant::now() + Duration::from_secs(60);
        let mut round = 0;
        while round < races || satisfied.load(Acquire) == 0 && Instant::now() < until {
            create();
            round += 1;
        }
        done.store(1, Release);
    })
    .unwrap();
    let (mut found, mut wrong) = (0, None);
    while done.load(Acquire) == 0 && creator.wait_timeout(Duration::ZERO).unwrap().is_none() {
        match Region::open(name, 3 * page()) {
            Ok(region) => {
                let words = region.len() / 8;
                let three = [0, words / 2, words - 1].map(|word| {
                    let word = region.get::<AtomicU64>(8 * word).ok();
                    word.map(|word| word.load(Relaxed))
                });
                if three != [Some(0); 3] {
                    wrong.get_or_insert(format!("{three:?}"));
                }
                found += 1;
            }
            Err(error) => {
                let error = error.to_string();
                if !allowed.iter().any(|allowed| error.contains(allowed)) {
                    wrong.get_or_insert(error);
                }
            }
        }
        if enough(found, &wrong) {
            satisfied.store(1, Release);
        }
    }
    (format!("{:?}", creator.wait().unwrap()), found, wrong)
}

#[test]
fn an_opener_that_races_the_creator_finds_all_of_it_or_nothing() {
    let raced = clean(|| {
        let scratch = Scratch::new();
        let names = scratch.names();
        names.map(|(what, name)| {
            let create = || drop(Region::create(&name, 3 * page()).unwrap());
            // Only a System V key exists before its header, and may be removed between two calls of
            // an opener.
            let allowed: &[&str] = match what {
                "sysv" => &["ENOENT", "not complete yet", "EIDRM", "EINVAL"],
                _ => &["ENOENT"],
            };
            (
                what.to_string(),
                race(
                    &name,
                    allowed,
                    |found, wrong| found > 0 || wrong.is_some(),
                    create,
                ),
            )
        })
    });
    for (what, (exit, found, wrong)) in raced {
        assert_eq!((exit.as_str(), wrong), ("Code(0)", None), "{what}");
        assert!(found > 0, "{what}: the opener never found it: no race");
        println!("{what}: opened {found} times in {} races or more", races());
    }
}

/// Calls `shm_open`, `ftruncate` and a few stores; then the same with all of the space before the
/// name, and the header after.
#[test]
fn a_name_that_is_there_before_its_bytes_is_noticed() {
    let [wrong, blank] = clean(|| {
        let scratch = Scratch::new();
        let path = scratch.file("region");
        let original = Region::create(&scratch.named_file(), 3 * page()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        drop(original);
        let new = |path: &Path| {
            let mut options = std::fs::File::options();
            let options = options.write(true).create_new(true).mode(0o600);
            options.open(path).unwrap()
        };
        let half_named = || {
            let file = new(&path);
            file.set_len(bytes.len() as u64 / 2).unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            std::fs::remove_file(&path).unwrap();
        };
        let blank_named = || {
            let hidden = scratch.file("hidden");
            let file = new(&hidden);
            file.set_len(bytes.len() as u64).unwrap();
            std::fs::rename(hidden, &path).unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            std::fs::remove_file(&path).unwrap();
        };
        let name = scratch.named_file();
        let (_, _, half) = race(&name, &["ENOENT"], |_, wrong| wrong.is_some(), half_named);
        let (_, _, blank) = race(&name, &["ENOENT"], |_, wrong| wrong.is_some(), blank_named);
        [half, blank]
    });
    let wrong = wrong.expect("the opener saw it before it was complete");
    let blank = blank.expect("the opener saw it before its header");
    // It is chance which of its parts did not exist yet.
    let known = ["which no region has", "header", "not complete yet"];
    for seen in [wrong, blank] {
        assert!(known.iter().any(|known| seen.contains(known)), "{seen}");
    }
}
