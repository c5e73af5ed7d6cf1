//! Counts and indices that another process overwrote once: each publication bounds their effect.

use crate::scratch::{clean, is_asleep};
use forkcheck::publish::{EventCount, Ring};
use forkcheck::{Region, process};
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::time::{Duration, Instant};

const SLOTS: usize = 7;

/// The offset of each index of a ring: its producer's two words, and its consumer's two in the next pair of cache
/// lines.
const INDICES: [usize; 4] = [0, 4, 128, 132];

#[test]
fn a_ring_with_a_wrong_index_gives_and_takes_no_more_than_it_has_slots() {
    let region = Region::anonymous(size_of::<Ring<u64, SLOTS>>()).unwrap();
    let ring: &Ring<u64, SLOTS> = region.get(0).unwrap();
    let words = INDICES.map(|at| region.get::<AtomicU32>(at).unwrap());
    let wrong = [
        7,
        8,
        12,
        13,
        14,
        15,
        21,
        1000,
        1 << 31,
        u32::MAX - 7,
        u32::MAX,
    ];
    for (pushed, spoilt, value) in (0..=SLOTS).flat_map(|pushed| {
        (0..4).flat_map(move |spoilt| wrong.map(|value| (pushed, spoilt, value)))
    }) {
        words.iter().for_each(|word| word.store(0, Relaxed));
        (0..pushed).for_each(|item| ring.push(item as u64).unwrap());
        words[spoilt].store(value, Relaxed);
        let popped = std::iter::from_fn(|| ring.pop()).take(1000).count();
        assert!(
            popped <= 2 * SLOTS,
            "{popped} of {pushed}: index {spoilt} is {value}"
        );
        if value >= 2 * SLOTS as u32 && spoilt == 0 {
            assert!(
                popped <= pushed,
                "{popped} of {pushed}: the producer's index is {value}"
            );
        }
        let pushes = (0..1000)
            .take_while(|&item| ring.push(item).is_ok())
            .count();
        assert!(
            pushes <= 2 * SLOTS,
            "{pushes} pushes: index {spoilt} is {value}"
        );
    }
}

forkcheck::layout! {
    struct Bell {
        event: EventCount,
        about_to: [AtomicU32; 2],
        rung: AtomicU32,
    }
}

#[test]
fn a_wrong_number_of_sleepers_loses_no_wake_up() {
    /// The offset of the number of sleeping processes in an event count.
    const SLEEPERS: usize = 4;
    let woken = clean(|| {
        let wrong = [
            0,
            1,
            u32::MAX,
            u32::MAX - 1,
            u32::MAX - 2,
            1 << 31,
            (1 << 31) - 1,
        ];
        wrong.map(|number| {
            let region = Region::anonymous(size_of::<Bell>()).unwrap();
            let bell: &Bell = region.get(0).unwrap();
            region
                .get::<AtomicU32>(SLEEPERS)
                .unwrap()
                .store(number, Relaxed);
            // The processes go to sleep one after the other.
            let mut sleepers = [0, 1].map(|n| {
                let about_to = &bell.about_to[n];
                let sleeper = process::spawn(|| {
                    bell.event.wait(|| {
                        let rung = bell.rung.load(Acquire);
                        about_to.store(1, Release);
                        (rung == 1).then_some(())
                    })
                })
                .unwrap();
                let until = Instant::now() + Duration::from_secs(60);
                while about_to.load(Acquire) == 0 || !is_asleep(sleeper.id()) {
                    assert!(Instant::now() < until, "it never falls asleep");
                    std::thread::yield_now();
                }
                sleeper
            });
            bell.rung.store(1, Release);
            bell.event.notify();
            let limit = Duration::from_secs(10);
            let woken = sleepers
                .each_mut()
                .map(|sleeper| sleeper.wait_timeout(limit).unwrap());
            (number, woken.iter().filter(|exit| exit.is_some()).count())
        })
    });
    for (number, woken) in woken {
        assert_eq!(woken, 2, "where {number} slept before");
    }
}
