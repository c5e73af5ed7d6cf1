//! Regions, as the kernel sees them: bounds, permissions, what a fork shares, and when pages go away.
#![cfg(feature = "harness")]
#![allow(
    unsafe_code,
    reason = "a private mapping, to show that sharing is noticed"
)]

mod backings;
mod faults;
mod hostile;
mod indices;
mod lengths;
mod names;
mod neighbours;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod scratch;
#[path = "../seeds/mod.rs"]
mod seeds;
mod segments;
#[path = "../victim/mod.rs"]
mod victim;

use forkcheck::{Region, process};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use scratch::{mapping, page};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

#[test]
fn a_region_takes_whole_pages_and_keeps_the_length_that_was_asked_for() {
    for (len, pages) in [(1, 1), (page(), 1), (page() + 1, 2), (3 * page(), 3)] {
        let region = Region::anonymous(len).unwrap();
        assert_eq!(region.len(), len);
        let first: &AtomicU8 = region.get(0).unwrap();
        let (range, _) = mapping(first).unwrap();
        assert_eq!(
            (range.start, range.len()),
            (first.as_ptr().addr(), pages * page())
        );
        assert_eq!(region.get::<AtomicU8>(len - 1).unwrap().load(Relaxed), 0);
        assert!(region.get::<AtomicU8>(len).is_err(), "byte {len} of {len}");
    }
}

#[test]
fn a_region_can_be_read_and_written_and_never_executed() {
    let region = Region::anonymous(1).unwrap();
    let (_, permissions) = mapping(region.get::<AtomicU8>(0).unwrap()).unwrap();
    assert_eq!(permissions, "rw-s");
}

#[test]
fn a_length_that_cannot_be_is_an_error_with_a_remedy() {
    for (len, word) in [
        (0, "at least one byte"),
        (usize::MAX, "ask for less"),
        (isize::MAX as usize, "ask for less"),
    ] {
        let error = Region::anonymous(len).unwrap_err().to_string();
        assert!(
            error.contains(word) && error.contains(&len.to_string()),
            "{error}"
        );
    }
}

#[test]
fn a_place_outside_of_the_region_is_an_error() {
    let region = Region::anonymous(16).unwrap();
    assert!(region.get::<AtomicU64>(8).is_ok());
    assert!(region.get::<[AtomicU64; 2]>(0).is_ok());
    assert!(
        region.get::<[AtomicU64; 0]>(16).is_ok(),
        "nothing fits at the end"
    );
    for offset in [9, 16, 17, usize::MAX - 7, usize::MAX] {
        let error = region.get::<AtomicU64>(offset).unwrap_err().to_string();
        assert!(
            error.contains("16 bytes") && error.contains(&offset.to_string()),
            "{error}"
        );
    }
    assert!(region.get::<[AtomicU64; 3]>(0).is_err());
    assert!(region.get::<[AtomicU64; 0]>(17).is_err());
}

#[test]
fn a_place_that_is_not_aligned_is_an_error() {
    let region = Region::anonymous(16).unwrap();
    for offset in 0..=8 {
        assert_eq!(
            region.get::<AtomicU64>(offset).is_ok(),
            offset % 8 == 0,
            "u64 at {offset}"
        );
        assert_eq!(
            region.get::<AtomicU32>(offset).is_ok(),
            offset % 4 == 0,
            "u32 at {offset}"
        );
        assert!(region.get::<AtomicU8>(offset).is_ok(), "u8 at {offset}");
    }
    let error = region.get::<AtomicU64>(4).unwrap_err().to_string();
    assert!(
        error.contains("offset 4") && error.contains("a multiple of 8"),
        "{error}"
    );
}

/// The private twin does the same with one flag changed: if the region were private, the first
/// number would be 0 as well.
#[test]
fn what_a_forked_child_writes_to_a_region_is_seen_and_to_a_private_mapping_is_not() {
    let seen = process::in_fresh_process(
        |()| {
            let region = Region::anonymous(8).unwrap();
            let shared: &AtomicU64 = region.get(0).unwrap();
            let read_write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
            let private = unsafe {
                mmap_anonymous(None, NonZeroUsize::MIN, read_write, MapFlags::MAP_PRIVATE)
            };
            // SAFETY: a page of zeros, aligned, never unmapped, and used as this atomic alone.
            let private = unsafe { private.unwrap().cast::<AtomicU64>().as_ref() };
            let in_child = process::run(|| {
                shared.store(7, Relaxed);
                private.store(7, Relaxed);
                (shared.load(Relaxed), private.load(Relaxed))
            });
            (
                in_child.unwrap(),
                (shared.load(Relaxed), private.load(Relaxed)),
            )
        },
        (),
    );
    assert_eq!(seen.unwrap(), ((7, 7), (7, 0)));
}

#[test]
fn a_handle_dropped_in_a_child_leaves_the_parents_mapping() {
    let seen = process::in_fresh_process(
        |()| {
            let mut region = Some(Region::anonymous(8).unwrap());
            let place = region.as_ref().unwrap().get::<AtomicU64>(0).unwrap() as *const AtomicU64;
            let child = process::run(|| {
                let region = region.take().unwrap();
                region.get::<AtomicU64>(0).unwrap().store(7, Relaxed);
                let creator = region.creator();
                drop(region);
                (creator, mapping(place).is_none())
            });
            let region = region.unwrap();
            let left = region.get::<AtomicU64>(0).unwrap().load(Relaxed);
            (child.unwrap(), left, std::process::id())
        },
        (),
    );
    let ((creator, unmapped_in_child), left, parent) = seen.unwrap();
    assert_eq!((creator, unmapped_in_child, left), (parent, true, 7));
}

#[test]
fn dropping_a_region_unmaps_all_of_it() {
    // In a process of its own: next to other threads the addresses would be reused at once.
    let seen = process::in_fresh_process(
        |()| {
            let region = Region::anonymous(3 * page()).unwrap();
            let places = [0, 2 * page()]
                .map(|offset| region.get::<AtomicU8>(offset).unwrap() as *const AtomicU8);
            let before = places.map(|place| mapping(place).is_some());
            drop(region);
            (before, places.map(|place| mapping(place).is_some()))
        },
        (),
    );
    assert_eq!(seen.unwrap(), ([true; 2], [false; 2]));
}

#[test]
fn threads_share_a_region_as_well() {
    let region = Region::anonymous(8).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| region.get::<AtomicU64>(0).unwrap().fetch_add(1, Relaxed));
        }
    });
    assert_eq!(region.get::<AtomicU64>(0).unwrap().load(Relaxed), 2);
}
