//! The publications between threads of one process, and payloads copied word by word. They are
//! quick, and `ci/sanitize.sh` runs them under ThreadSanitizer, AddressSanitizer and memcheck,
//! which find errors that no result shows.
#![allow(
    unsafe_code,
    reason = "the three mistakes that the sanitizers have to find"
)]

use forkcheck::memory::{HardwareWords, Words};
use forkcheck::publish::{EventCount, Latest, OneShot, Ring, SeqLock};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::thread::{self, scope};

/// The number of values that each writer writes.
const VALUES: u64 = 2_000;

fn pair(value: u64) -> [u64; 2] {
    [value, !value]
}

#[track_caller]
fn whole(pair: [u64; 2]) -> u64 {
    assert_eq!(pair[1], !pair[0], "torn");
    pair[0]
}

#[test]
fn a_one_shot_is_set_by_one_and_seen_by_all() {
    let once = OneShot::<[u64; 2]>::new();
    let set = scope(|scope| {
        let setters = [1, 2].map(|value| scope.spawn(move || value).join().unwrap());
        let setters = setters.map(|value| {
            let once = &once;
            scope.spawn(move || once.set(pair(value)).is_ok())
        });
        while once.get().is_none() {
            thread::yield_now();
        }
        setters.map(|setter| setter.join().unwrap())
    });
    assert!(set[0] != set[1]);
    assert!([1, 2].contains(&whole(once.get().unwrap())));
}

#[test]
fn readers_of_a_seqlock_see_whole_values_in_order() {
    let lock = SeqLock::new(pair(0));
    scope(|scope| {
        scope.spawn(|| {
            let mut writer = lock.writer();
            (1..=VALUES).for_each(|value| writer.write(pair(value)));
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while last < VALUES {
                    let value = whole(lock.read().unwrap());
                    assert!(value >= last);
                    last = value;
                }
            });
        }
    });
}

#[test]
fn the_reader_of_a_latest_sees_whole_values_in_order() {
    let latest = Latest::new(pair(0));
    scope(|scope| {
        scope.spawn(|| (1..=VALUES).for_each(|value| latest.write(pair(value))));
        let mut last = 0;
        while last < VALUES {
            let value = whole(latest.read());
            assert!(value >= last);
            last = value;
        }
    });
}

#[test]
fn what_goes_through_a_ring_comes_out_once_and_in_order_and_both_sides_sleep() {
    let (ring, more, less) = (
        Ring::<[u64; 2], 4>::new(),
        EventCount::new(),
        EventCount::new(),
    );
    scope(|scope| {
        scope.spawn(|| {
            for value in 1..=VALUES {
                less.wait(|| ring.push(pair(value)).ok());
                more.notify();
            }
        });
        for expected in 1..=VALUES {
            assert_eq!(whole(more.wait(|| ring.pop())), expected);
            less.notify();
        }
    });
}

#[test]
fn a_payload_of_any_length_is_copied_byte_by_byte() {
    fn comes_back<const N: usize>() {
        let value: [u8; N] = std::array::from_fn(|n| n as u8 ^ 0x5a);
        let words = HardwareWords::new([0; N]);
        words.store(value);
        assert_eq!(words.load(), value);
    }
    comes_back::<0>();
    comes_back::<1>();
    comes_back::<7>();
    comes_back::<8>();
    comes_back::<9>();
    comes_back::<4097>();
}

/// Two threads, one word, no atomics.
struct Plain(UnsafeCell<u64>);
// SAFETY: not sound: this is the mistake to be found.
unsafe impl Sync for Plain {}

#[test]
#[ignore = "a data race, which ThreadSanitizer has to find: ci/sanitize.sh runs it"]
fn a_data_race() {
    let plain = Plain(UnsafeCell::new(0));
    scope(|scope| {
        for _ in 0..2 {
            let plain = &plain;
            scope.spawn(move || {
                for n in 0..VALUES {
                    // SAFETY: not sound, see above.
                    unsafe { plain.0.get().write_volatile(n) };
                }
            });
        }
    });
}

#[test]
#[ignore = "a byte that was not written, which memcheck has to find: ci/sanitize.sh runs it"]
fn a_byte_that_was_never_written() {
    let bytes = Box::new([const { MaybeUninit::<u8>::uninit() }; 64]);
    let bytes = std::hint::black_box(bytes);
    // SAFETY: not sound: this is the mistake to be found.
    let byte = unsafe { bytes[32].as_ptr().read_volatile() };
    // memcheck notices that a result depends on it.
    println!("{byte}");
}

#[test]
#[ignore = "a byte behind an allocation, which AddressSanitizer has to find: ci/sanitize.sh runs it"]
fn a_byte_behind_an_allocation() {
    let bytes = std::hint::black_box(vec![1u8; 64]);
    // SAFETY: not sound: this is the mistake to be found.
    let byte = unsafe { bytes.as_ptr().add(64).read_volatile() };
    println!("{byte}");
}
