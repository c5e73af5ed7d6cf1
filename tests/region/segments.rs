//! System V segments of other programs, unfinished ones, and those that are just being made.
#![allow(
    unsafe_code,
    reason = "System V segments of other programs, which nix has no calls for"
)]

use crate::sandbox::forbid;
use crate::scratch::{Scratch, clean, skipped, sweeping};
use forkcheck::region::{Name, sweep};
use forkcheck::{Region, process};
use nix::libc;
use nix::unistd::{Uid, geteuid, setuid};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A segment of 256 zeros with its own key, attached or not.
struct Segment(i32);

impl Segment {
    fn new(key: i32) -> Self {
        // SAFETY: shmget takes three integers.
        let id = unsafe { libc::shmget(key, 256, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        assert!(id >= 0, "{}", nix::errno::Errno::last());
        Self(id)
    }
    fn attach(&self) -> &AtomicU32 {
        // SAFETY: shmat takes addresses that nothing uses; the segment is longer than a word, stays attached until this
        // process ends, and any bytes are a value.
        unsafe {
            let base = libc::shmat(self.0, std::ptr::null(), 0).cast::<AtomicU32>();
            assert_ne!(base.addr(), usize::MAX);
            &*base
        }
    }
    /// Gives the segment to another user; its creator keeps its rights.
    fn give_to(&self, user: u32) {
        // SAFETY: zeros are a value of these plain integers; IPC_STAT fills them in, IPC_SET reads them.
        let given = unsafe {
            let mut about: libc::shmid_ds = std::mem::zeroed();
            libc::shmctl(self.0, libc::IPC_STAT, &mut about);
            about.shm_perm.uid = user;
            libc::shmctl(self.0, libc::IPC_SET, &mut about)
        };
        assert_eq!(given, 0);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID takes no buffer.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

#[test]
fn another_programs_segment_is_not_removed() {
    let (used, begun, unfinished) = clean(|| {
        let scratch = Scratch::new();
        let key = i32::from_ne_bytes((std::process::id() | 1 << 30).to_ne_bytes());
        let name = Name::sysv(key).unwrap();
        let removed = || name.remove().map_err(|error| error.to_string());
        let segment = Segment::new(key);
        segment.attach();
        let used = removed();
        drop(segment);
        // The first word is zero, a later one is not, and no process has it attached.
        let segment = Segment::new(key);
        let id = segment.0;
        process::run(|| {
            let first = Segment(id);
            // SAFETY: the third word of a segment of 256 bytes.
            unsafe { &*std::ptr::from_ref(first.attach()).add(2) }.store(7, Relaxed);
            std::mem::forget(first);
        })
        .unwrap();
        let begun = removed();
        drop(segment);
        // A segment that was not finished, and that no process has attached: its creator was killed in between.
        process::run(|| std::mem::forget(Segment::new(key))).unwrap();
        let unfinished = removed();
        drop(scratch);
        (used, begun, unfinished)
    });
    for refused in [used, begun] {
        let why = refused.unwrap_err();
        assert!(why.contains("another program's segment"), "{why}");
    }
    unfinished.unwrap();
}

#[test]
fn a_segment_that_its_creator_gave_away_is_still_its_creators() {
    if !geteuid().is_root() {
        return skipped("only root can become two users");
    }
    let error = clean(|| {
        let scratch = Scratch::new();
        let name = scratch.sysv();
        let find = || {
            let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
            let me = std::process::id().to_string();
            let mut rows = table.lines().map(|row| row.split_ascii_whitespace());
            let mine = rows.find(|row| row.clone().nth(4) == Some(&me));
            mine.and_then(|mut row| row.nth(1)?.parse().ok()).unwrap()
        };
        process::run(|| {
            setuid(Uid::from_raw(1001)).unwrap();
            let region = Region::create(&name, 8).unwrap().keep();
            let segment = Segment(find());
            segment.give_to(1002);
            std::mem::forget((region, segment));
        })
        .unwrap();
        let error = process::run(|| {
            setuid(Uid::from_raw(1002)).unwrap();
            Region::open(&name, 8).map(drop).unwrap_err().to_string()
        });
        process::run(|| {
            setuid(Uid::from_raw(1001)).unwrap();
            // The segment belongs to another user by now, but its creator may still remove it.
            let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
            for row in table.lines().skip(1) {
                let row: Vec<&str> = row.split_ascii_whitespace().collect();
                if row[7..9].contains(&"1002") {
                    drop(Segment(row[1].parse().unwrap()));
                }
            }
        })
        .unwrap();
        error.unwrap()
    });
    assert!(error.contains("belongs to user 1001"), "{error}");
}

/// The segments here are those that a creator makes before it attaches them, and those whose header
/// it has begun and not finished.
#[test]
fn a_segment_that_is_just_being_made_is_left_alone_and_one_that_never_was_is_not() {
    /// The first word of a header that a creator has begun.
    const BEGUN: u64 = u64::from_le_bytes(*b"forkchk\xff");
    let (unattached, begun, opened, removed, swept) = clean(|| {
        let _alone = sweeping();
        let key = i32::from_ne_bytes((std::process::id() | 1 << 29).to_ne_bytes());
        let name = Name::sysv(key).unwrap();
        let remove = || name.remove().map_err(|error| error.to_string());
        let swept = || {
            let removed = sweep().unwrap();
            removed.iter().any(|one| one.contains(&format!("{key:#x}")))
        };
        let begin = |segment: &Segment| {
            let first = std::ptr::from_ref(segment.attach()).cast::<AtomicU64>();
            // SAFETY: the first words of a segment of 256 bytes, which begins with a page.
            let words = unsafe { std::slice::from_raw_parts(first, 3) };
            let begun = [BEGUN, 128, 7];
            words
                .iter()
                .zip(begun)
                .for_each(|(word, begun)| word.store(begun, Relaxed));
        };
        // The creator is alive, between two calls.
        let segment = Segment::new(key);
        let unattached = (remove(), swept());
        begin(&segment);
        let opened = Region::open(&name, 8).map(drop).unwrap_err().to_string();
        let begun = (remove(), swept());
        drop(segment);
        // The creator was killed.
        let killed = || {
            process::run(|| {
                let segment = Segment::new(key);
                begin(&segment);
                std::mem::forget(segment);
            })
            .unwrap();
        };
        killed();
        let removed = remove();
        killed();
        let swept = swept();
        let _ = remove();
        (unattached, begun, opened, removed, swept)
    });
    let why = unattached.0.unwrap_err();
    assert!(why.contains("is just making it"), "{why}");
    let why = begun.0.unwrap_err();
    assert!(why.contains("is just making it"), "{why}");
    assert!(
        !unattached.1 && !begun.1,
        "the living lose nothing by a sweep"
    );
    assert!(opened.contains("not complete yet"), "{opened}");
    removed.unwrap();
    assert!(swept);
}

#[test]
fn a_segment_that_goes_as_it_is_made_is_reported() {
    let why = clean(|| {
        process::run(|| {
            let scratch = Scratch::new();
            // EINVAL is the kernel's answer for a segment that is gone.
            forbid(libc::SYS_shmat, libc::EINVAL);
            Region::create(&scratch.sysv(), 8)
                .map(drop)
                .unwrap_err()
                .to_string()
        })
        .unwrap()
    });
    assert!(why.contains("was removed meanwhile"), "{why}");
}
