//! Lengths and alignments that are not possible, and files that became shorter: an error when a region is made, never
//! a signal.

use crate::faults::make_all;
use crate::scratch::{Scratch, clean, page, skipped, sweeping};
use forkcheck::Region;
use forkcheck::process::{self, Exit};
use forkcheck::region::{Layout, sweep_files};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

/// A cgroup with a limit on memory, which is removed when this is dropped. cgroups(7).
struct Group(PathBuf);

impl Group {
    /// Makes a cgroup; `None` if none may be made here.
    fn with_memory(bytes: u64) -> Option<Self> {
        let of = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = |controllers: &str| {
            let line = of.lines().find_map(|line| line.split_once(controllers));
            line.map_or("", |(_, path)| path)
                .trim_start_matches('/')
                .to_string()
        };
        let name = format!("forkcheck-test-{}", std::process::id());
        let kinds = [
            (
                "/sys/fs/cgroup/memory",
                path(":memory:"),
                "memory.limit_in_bytes",
            ),
            ("/sys/fs/cgroup", path("0::"), "memory.max"),
        ];
        kinds.into_iter().find_map(|(mount, path, limit)| {
            let directory = Path::new(mount).join(path).join(&name);
            fs::create_dir(&directory).ok()?;
            let made = Self(directory);
            fs::write(made.0.join(limit), bytes.to_string()).ok()?;
            Some(made)
        })
    }
    /// Moves this process into the cgroup.
    fn enter(&self) {
        fs::write(self.0.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_length_beyond_the_memory_of_the_cgroup_is_an_error_and_no_kill() {
    let seen = clean(|| {
        let group = Group::with_memory(200 << 20)?;
        let made = [(64 << 20), (400 << 20), (1 << 40)].map(|len| {
            let made = process::run(|| {
                group.enter();
                make_all(&Scratch::new(), len)
            });
            made.map_err(|error| error.to_string())
        });
        Some(made)
    });
    let Some([fits, more, most]) = seen else {
        return skipped("no cgroup with a limit can be made here");
    };
    for (what, why) in fits.unwrap() {
        assert_eq!(why, None, "{what}");
    }
    for made in [more.unwrap(), most.unwrap()] {
        for (what, why) in made {
            match why {
                // A file on a disk takes no memory.
                None => assert_eq!(what, "file"),
                Some(why) => assert!(
                    why.contains("the memory limit of the cgroup") || what == "file",
                    "{what}: {why}"
                ),
            }
        }
    }
}

forkcheck::layout! {
    /// A structure with an alignment larger than the header in front of a region that others open.
    #[repr(align(256))]
    struct Wide { word: AtomicU64 }
}

#[test]
fn a_layout_of_too_wide_an_alignment_is_refused_as_the_region_is_made() {
    let scratch = Scratch::new();
    let layout = Layout::of::<Wide>();
    let named = scratch
        .names()
        .map(|(what, name)| (what, Region::create(&name, layout)));
    for (what, made) in named.into_iter().chain([("memfd", Region::memfd(layout))]) {
        let why = made.map(drop).unwrap_err().to_string();
        assert!(
            why.contains("a multiple of 256") && why.contains("128"),
            "{what}: {why}"
        );
    }
    // A region without a header begins at the start of a page.
    let region = Region::anonymous(layout.len()).unwrap();
    assert_eq!(
        region
            .get::<Wide>(0)
            .unwrap()
            .word
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
}

#[test]
fn a_file_that_was_cut_short_is_kept_all_the_same() {
    let kept = clean(|| {
        let scratch = Scratch::new();
        let path = scratch.file("region");
        [0, 100, page() as u64].map(|left| {
            let mut child = process::spawn(|| {
                let region = Region::create(&scratch.named_file(), 3 * page()).unwrap();
                let file = fs::File::options().write(true).open(&path).unwrap();
                file.set_len(left).unwrap();
                drop(region.keep());
            })
            .unwrap();
            let exit = child.wait().unwrap();
            let _alone = sweeping();
            let swept = sweep_files(scratch.directory()).unwrap();
            let there = path.exists();
            fs::remove_file(&path).unwrap();
            (left, exit, swept, there)
        })
    });
    for (left, exit, swept, there) in kept {
        assert_eq!(exit, Exit::Code(0), "{left}");
        assert!(swept.is_empty() && there, "{left}: {swept:?}");
    }
}
