//! One API over every backing: the processes that share it, its length, its permissions, and the use of a name.

use crate::scratch::{Scratch, clean, is_asleep, mapping, page};
use forkcheck::publish::{EventCount, Latest, OneShot, Ring, SeqLock};
use forkcheck::region::{Layout, Name, View};
use forkcheck::{Region, process};
use std::mem::offset_of;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

forkcheck::layout! {
    /// One of each publication.
    pub struct Page {
        pub words: [AtomicU64; 3],
        pub once: OneShot<[u8; 13]>,
        pub lock: SeqLock<[u64; 4]>,
        pub latest: Latest<u32>,
        pub ring: Ring<u64, 3>,
        pub event: EventCount,
    }
}

/// Returns the offset of that region in its file.
fn part_of_a_file() -> u64 {
    page() as u64 + 256
}

/// Returns a region of each backing, with its name if it has one.
fn each(scratch: &Scratch) -> Vec<(&'static str, Region, Option<Name>)> {
    let layout = Layout::of::<Page>();
    let named = scratch.names().map(|(what, name)| {
        let region = Region::create(&name, layout).unwrap();
        (what, region, Some(name))
    });
    let nameless = [
        ("anonymous", Region::anonymous(layout.len()).unwrap()),
        ("memfd", Region::memfd(layout).unwrap()),
        ("sysv, no key", Region::sysv(layout.len()).unwrap()),
        // The offset is no multiple of a page, but one that suits the structure's alignment.
        (
            "part of a file",
            Region::file(&scratch.bytes(page() * 5), part_of_a_file(), layout.len()).unwrap(),
        ),
    ]
    .map(|(what, region)| (what, region, None));
    nameless.into_iter().chain(named).collect()
}

#[test]
fn publications_on_every_backing_pass_values_from_a_child_to_its_parent() {
    let seen = clean(|| {
        let scratch = Scratch::new();
        let mut seen = Vec::new();
        for (what, region, _) in each(&scratch) {
            assert_eq!(region.len(), size_of::<Page>(), "{what}");
            let page: &Page = region.get(0).unwrap();
            process::run(|| {
                page.words[2].store(7, Relaxed);
                page.once.set([9; 13]).unwrap();
                page.lock.writer().write([1, 2, 3, 4]);
                page.latest.write(5);
                page.ring.push(6).unwrap();
            })
            .unwrap();
            assert_eq!(page.words[2].load(Relaxed), 7, "{what}");
            assert_eq!(page.once.get(), Some([9; 13]), "{what}");
            assert_eq!(page.lock.read(), Ok([1, 2, 3, 4]), "{what}");
            assert_eq!(page.latest.read(), 5, "{what}");
            assert_eq!(page.ring.pop(), Some(6), "{what}");
            let (_, permissions) = mapping(page).unwrap();
            assert_eq!(permissions, "rw-s", "{what}");
            seen.push(what.to_string());
        }
        seen
    });
    assert_eq!(
        seen,
        [
            "anonymous",
            "memfd",
            "sysv, no key",
            "part of a file",
            "posix",
            "sysv",
            "file"
        ]
    );
}

/// The child sleeps in a mapping of its own, if there is a name by which to open one.
#[test]
fn an_event_count_on_every_backing_wakes_a_sleeper_in_another_process_and_mapping() {
    let seen = clean(|| {
        let scratch = Scratch::new();
        let seen = each(&scratch).into_iter().map(|(what, region, name)| {
            let page: &Page = region.get(0).unwrap();
            let mut child = process::spawn(|| {
                let own = name.map(|name| Region::open(&name, Layout::of::<Page>()).unwrap());
                let page: &Page = own.as_ref().unwrap_or(&region).get(0).unwrap();
                page.event.wait(|| {
                    let there = page.ring.pop();
                    page.words[0].store(1, Release);
                    there
                })
            })
            .unwrap();
            // After that word it sleeps for no other reason.
            let until = Instant::now() + Duration::from_secs(60);
            while page.words[0].load(Acquire) == 0 || !is_asleep(child.id()) {
                assert!(Instant::now() < until, "{what}: it never falls asleep");
                std::thread::yield_now();
            }
            page.ring.push(7).unwrap();
            page.event.notify();
            let woken = child.wait_timeout(Duration::from_secs(10)).unwrap();
            let woken = woken.is_some().then(|| child.value().unwrap());
            (what.to_string(), woken)
        });
        seen.collect::<Vec<_>>()
    });
    assert_eq!(seen.len(), 7);
    for (what, woken) in seen {
        assert_eq!(woken, Some(7), "{what}");
    }
}

#[test]
fn a_view_reads_what_the_region_writes_and_its_pages_cannot_be_written() {
    let seen = clean(|| {
        let scratch = Scratch::new();
        let mut seen = Vec::new();
        for (what, region, name) in each(&scratch) {
            let view = match name {
                Some(name) => View::open(&name, Layout::of::<Page>()).unwrap(),
                None if what == "part of a file" => {
                    let file = std::fs::File::open(scratch.file("bytes")).unwrap();
                    View::file(&file, part_of_a_file(), region.len()).unwrap()
                }
                None => region.view().unwrap(),
            };
            let page: &Page = region.get(0).unwrap();
            page.lock.writer().write([4, 3, 2, 1]);
            page.once.set([1; 13]).unwrap();
            page.words[1].store(8, Relaxed);
            let lock = view.get::<SeqLock<[u64; 4]>>(offset_of!(Page, lock));
            assert_eq!(lock.unwrap().read(), Ok([4, 3, 2, 1]), "{what}");
            let once = view.get::<OneShot<[u8; 13]>>(offset_of!(Page, once));
            assert_eq!(once.unwrap().get(), Some([1; 13]), "{what}");
            let words = view.get::<[AtomicU64; 3]>(offset_of!(Page, words)).unwrap();
            assert_eq!(words.get(1).unwrap().load(Relaxed), 8, "{what}");
            assert!(words.get(3).is_none());
            assert!(view.get::<AtomicU64>(view.len() - 7).is_err(), "{what}");
            // The address of the pages: only /proc shows the second mapping.
            let readable = std::fs::read_to_string("/proc/self/maps").unwrap();
            let readable = readable
                .lines()
                .filter(|line| line.contains(" r--s "))
                .count();
            assert_eq!(readable, 1, "{what}");
            drop(view);
            seen.push(what.to_string());
        }
        seen
    });
    let all = [
        "anonymous",
        "memfd",
        "sysv, no key",
        "part of a file",
        "posix",
        "sysv",
        "file",
    ];
    assert_eq!(seen, all);
}

#[test]
fn a_part_of_a_file_begins_at_any_byte_and_must_be_there() {
    let scratch = Scratch::new();
    let file = scratch.bytes(page() * 3);
    for offset in [0, 1, page() - 1, page(), page() + 513, 3 * page() - 1] {
        let region = Region::file(&file, offset as u64, 1).unwrap();
        region
            .get::<AtomicU8>(0)
            .unwrap()
            .store(offset as u8 | 1, Relaxed);
        let bytes = std::fs::read(scratch.file("bytes")).unwrap();
        assert_eq!(bytes[offset], offset as u8 | 1, "offset {offset}");
        // Dropping it leaves the file, which it does not own.
        drop(region);
        assert!(scratch.file("bytes").exists());
    }
    for (offset, len) in [(0, 3 * page() + 1), (3 * page(), 1), (usize::MAX, 1)] {
        let error = Region::file(&file, offset as u64, len).unwrap_err();
        assert!(
            error.to_string().contains("make the file longer"),
            "{error}"
        );
    }
    let region = Region::file(&file, 4, 100).unwrap();
    let error = region.get::<AtomicU64>(0).unwrap_err().to_string();
    assert!(error.contains("use offset 4"), "{error}");
    assert!(region.get::<AtomicU64>(4).is_ok());
    let read_only = std::fs::File::open(scratch.file("bytes")).unwrap();
    let error = Region::file(&read_only, 0, 1).unwrap_err().to_string();
    assert!(error.contains("EACCES"), "{error}");
    assert!(View::file(&read_only, 0, 1).is_ok());
}

#[test]
fn a_memfd_is_sealed_and_a_descriptor_that_is_not_is_refused() {
    let (here, there) = UnixStream::pair().unwrap();
    let region = Region::memfd(100).unwrap();
    region.send(&here).unwrap();
    let other = Region::receive(&there, 100).unwrap();
    let word: &AtomicU64 = region.get(8).unwrap();
    word.store(3, Relaxed);
    assert_eq!(other.get::<AtomicU64>(8).unwrap().load(Relaxed), 3);
    // No process can make it shorter, longer, or executable.
    let file = std::fs::File::from(region.fd().unwrap().try_clone_to_owned().unwrap());
    for len in [0, 100_000] {
        let error = file.set_len(len).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc_eperm()), "{len}: {error}");
    }
    // Sealed against writers: this side still writes, others read.
    region.seal_writes().unwrap();
    region.send(&here).unwrap();
    let error = Region::receive(&there, 100).unwrap_err().to_string();
    assert!(error.contains("open it as a View"), "{error}");
    region.send(&here).unwrap();
    let view = View::receive(&there, 100).unwrap();
    word.store(4, Relaxed);
    assert_eq!(view.get::<AtomicU64>(8).unwrap().load(Relaxed), 4);
    // A file, and a memfd that any process can truncate, are not accepted.
    let scratch = Scratch::new();
    let unsealed = nix_memfd();
    for fd in [scratch.bytes(4096).into(), unsealed] {
        let error = Region::from_fd(fd, 8).unwrap_err().to_string();
        assert!(error.contains("no memfd sealed"), "{error}");
    }
    // A sender that sends something else, or closes.
    std::io::Write::write_all(&mut &here, b"x").unwrap();
    let error = Region::receive(&there, 8).unwrap_err().to_string();
    assert!(error.contains("sent something else"), "{error}");
    drop(here);
    let error = Region::receive(&there, 8).unwrap_err().to_string();
    assert!(error.contains("closed the socket"), "{error}");
    let error = Region::anonymous(8).unwrap().send(&there).unwrap_err();
    assert!(error.to_string().contains("Region::memfd"), "{error}");
}

fn libc_eperm() -> i32 {
    nix::errno::Errno::EPERM as i32
}

fn nix_memfd() -> std::os::fd::OwnedFd {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    memfd_create(c"unsealed", MFdFlags::MFD_ALLOW_SEALING).unwrap()
}

#[test]
fn beyond_a_guarded_region_there_is_a_fault_and_before_it_too() {
    let ends = clean(|| {
        let scratch = Scratch::new();
        let mut ends = Vec::new();
        for (what, region, _) in each(&scratch) {
            let region = region.guarded().unwrap();
            let page_: &Page = region.get(0).unwrap();
            page_.words[0].store(7, Relaxed);
            let (range, _) = mapping(page_).unwrap();
            // The bytes just before and just after, by raw reads in children.
            for address in [range.start - 1, range.end] {
                let mut child = process::spawn(|| crate::scratch::peek(address)).unwrap();
                ends.push((what.to_string(), format!("{:?}", child.wait().unwrap())));
            }
            let inside = process::run(|| crate::scratch::peek(range.start)).is_ok();
            assert!(inside, "{what}: the first byte of the pages is there");
            let _ = region.keep();
        }
        ends
    });
    assert_eq!(ends.len(), 14);
    for (what, end) in ends {
        assert_eq!(end, "Signal(11)", "{what}");
    }
}
