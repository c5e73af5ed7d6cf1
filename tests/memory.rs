//! The hardware memory: payloads of every shape, liveness, and waits that are woken, across fork.

mod seeds;

use forkcheck::Region;
use forkcheck::memory::{Hardware, HardwareWords, Incarnation, Memory, Payload, Words};
use forkcheck::process::{Child, in_fresh_process, spawn};
use forkcheck::publish::{EventCount, Ring};
use proptest::prelude::*;
use seeds::kept_in;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

fn comes_back<T: Payload + PartialEq + std::fmt::Debug>(first: T, second: T) {
    let words = HardwareWords::new(first);
    assert_eq!(words.load(), first);
    words.store(second);
    assert_eq!(words.load(), second);
}

proptest! {
    #![proptest_config(kept_in!("memory.txt", 256))]

    /// Whole words, tails of one to seven bytes, less than a word, a page.
    #[test]
    fn payloads_of_every_shape_come_back_whole(bytes in any::<[u8; 32]>(), more in any::<[u8; 32]>()) {
        fn part<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
            std::array::from_fn(|n| bytes[n % 32])
        }
        macro_rules! sizes {
            ($($n:literal)*) => { $(comes_back::<[u8; $n]>(part(&bytes), part(&more));)* };
        }
        sizes!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 23 24 25 31 32 4095 4096);
        comes_back(u64::from_ne_bytes(part(&bytes)), 7);
        comes_back([1.5f64, -0.0], [2.5, 1e300]);
    }
}

#[test]
fn a_child_is_alive_until_it_ends_even_while_it_is_not_reaped() {
    let (alive, zombie, reaped, reused) = in_fresh_process(
        |()| {
            let region = Region::anonymous(8).unwrap();
            let go: &AtomicU32 = region.get(0).unwrap();
            let mut child = spawn(|| {
                while go.load(Acquire) == 0 {
                    Hardware::wait(go, 0);
                }
            })
            .unwrap();
            let of_child = |born: u64| Incarnation::from_bits(u64::from(child.id()) | born << 32);
            // Field 22 is the start time of the process that is asked for itself.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            let born: u64 = stat
                .rsplit_once(')')
                .unwrap()
                .1
                .split_whitespace()
                .nth(19)
                .unwrap()
                .parse()
                .unwrap();
            let (incarnation, other) = (of_child(born), of_child(born + 1));
            let (alive, reused) = (Hardware::alive(incarnation), Hardware::alive(other));
            go.store(1, Release);
            Hardware::wake(go, 1);
            // A zombie: its end is seen, and not yet waited for.
            let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            while !state().contains(") Z ") {
                std::thread::yield_now();
            }
            let zombie = Hardware::alive(incarnation);
            child.wait().unwrap();
            (alive, zombie, Hardware::alive(incarnation), reused)
        },
        (),
    )
    .unwrap();
    assert!(alive, "it waits");
    assert!(!zombie, "a zombie does not run");
    assert!(!reaped);
    assert!(
        !reused,
        "the same pid, born at another time, is another process"
    );
}

#[test]
fn a_forked_child_is_another_incarnation_than_its_parent() {
    let (parent, child) = in_fresh_process(
        |()| {
            let parent = Hardware::me();
            (parent, forkcheck::process::run(Hardware::me).unwrap())
        },
        (),
    )
    .unwrap();
    assert_ne!(parent, child);
    assert_ne!(parent.to_bits(), 0);
    assert!(Hardware::alive(Hardware::me()) && !Hardware::alive(child));
}

#[test]
fn a_wait_returns_at_once_where_the_word_has_changed_and_is_woken_by_another_process() {
    let woken = in_fresh_process(
        |()| {
            let region = Region::anonymous(8).unwrap();
            let [word, looked]: &[AtomicU32; 2] = region.get(0).unwrap();
            Hardware::wait(word, 1);
            let child = spawn(|| {
                while word.load(Acquire) == 0 {
                    looked.store(1, Release);
                    Hardware::wait(word, 0);
                }
                word.load(Acquire)
            })
            .unwrap();
            until_asleep(&child, looked);
            word.store(7, Release);
            Hardware::wake(word, u32::MAX);
            woken(child)
        },
        (),
    )
    .unwrap();
    assert_eq!(woken, Some(7));
}

/// Waits until a child sleeps that has announced it, and has no other reason to sleep after that:
/// field 3 of `/proc/PID/stat`, proc_pid_stat(5).
fn until_asleep<T>(child: &Child<T>, about_to: &AtomicU32) {
    let until = Instant::now() + Duration::from_secs(60);
    let sleeps = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        about_to.load(Acquire) == 1 && stat.rsplit_once(") ").unwrap().1.starts_with('S')
    };
    while !sleeps() {
        assert!(Instant::now() < until, "it never falls asleep");
        std::thread::yield_now();
    }
}

/// Returns the value of a child that should be awake by now; `None` if it is not.
fn woken<T: Serialize + DeserializeOwned>(mut child: Child<T>) -> Option<T> {
    if child
        .wait_timeout(Duration::from_secs(10))
        .unwrap()
        .is_none()
    {
        child.kill().unwrap();
        return None;
    }
    child.value().ok()
}

#[test]
fn one_notification_of_an_event_count_wakes_every_process_that_sleeps() {
    let woken = in_fresh_process(
        |()| {
            let region = Region::anonymous(size_of::<Bell>()).unwrap();
            let bell: &Bell = region.get(0).unwrap();
            let sleepers = [0, 1, 2].map(|n| {
                let about_to = &bell.about_to[n];
                let sleeper = spawn(move || {
                    bell.event.wait(|| {
                        let rung = bell.rung.load(Acquire) == 1;
                        about_to.store(1, Release);
                        rung.then_some(n)
                    })
                })
                .unwrap();
                until_asleep(&sleeper, about_to);
                sleeper
            });
            bell.rung.store(1, Release);
            bell.event.notify();
            sleepers.map(woken)
        },
        (),
    )
    .unwrap();
    assert_eq!(woken, [0, 1, 2].map(Some));
}

forkcheck::layout! {
    /// A flag, a number that announces a sleep until it is set, and the word to sleep on.
    struct Bell {
        rung: AtomicU32,
        about_to: [AtomicU32; 3],
        event: EventCount,
    }
}

#[test]
fn a_wait_for_a_time_says_what_is_left_of_it() {
    let (changed, up, woken) = in_fresh_process(
        |()| {
            let region = Region::anonymous(8).unwrap();
            let word: &AtomicU32 = region.get(0).unwrap();
            let limit = Duration::from_millis(20);
            let (mut changed, mut up, mut woken) = (limit, limit, Duration::MAX);
            Hardware::wait_timeout(word, 1, &mut changed);
            while !up.is_zero() {
                Hardware::wait_timeout(word, 0, &mut up);
            }
            let child = spawn(|| {
                word.store(7, Release);
                Hardware::wake(word, u32::MAX);
            })
            .unwrap();
            while word.load(Acquire) == 0 {
                Hardware::wait_timeout(word, 0, &mut woken);
            }
            child.value().unwrap();
            (changed, up, woken)
        },
        (),
    )
    .unwrap();
    assert!(!changed.is_zero(), "the word held another value");
    assert!(up.is_zero());
    assert!(!woken.is_zero(), "an unlimited wait is not over: {woken:?}");
}

/// Workers sleep for jobs, the parent for their results: none spins, and a missed wake-up is a
/// hang.
#[test]
fn an_event_count_between_processes_loses_no_wake_up_and_knows_when_time_is_up() {
    const ITEMS: u32 = 20_000;
    let (sum, late) = in_fresh_process(
        |()| {
            let region = Region::anonymous(size_of::<(Page, Page)>()).unwrap();
            let [jobs, results]: &[Page; 2] = region.get(0).unwrap();
            let worker = spawn(|| {
                for _ in 0..ITEMS {
                    let job = jobs.next();
                    results.put(job * 2);
                }
            })
            .unwrap();
            let feeder = spawn(|| (1..=ITEMS).for_each(|job| jobs.put(job))).unwrap();
            let limit = Duration::from_secs(60);
            let next = || results.next_within(limit).expect("woken in time");
            let sum = (0..ITEMS).map(|_| u64::from(next())).sum::<u64>();
            worker.value().unwrap();
            feeder.value().unwrap();
            let late = results.next_within(Duration::from_millis(5));
            (sum, late)
        },
        (),
    )
    .unwrap();
    assert_eq!(sum, u64::from(ITEMS) * u64::from(ITEMS + 1));
    assert_eq!(late, None);
}

forkcheck::layout! {
    /// A ring of few slots, so that both sides sleep.
    struct Page {
        ring: Ring<u32, 4>,
        more: EventCount,
        less: EventCount,
    }
}

impl Page {
    fn put(&self, item: u32) {
        self.less.wait(|| self.ring.push(item).ok());
        self.more.notify();
    }
    fn next(&self) -> u32 {
        let item = self.more.wait(|| self.ring.pop());
        self.less.notify();
        item
    }
    fn next_within(&self, limit: Duration) -> Option<u32> {
        let item = self.more.wait_timeout(limit, || self.ring.pop());
        self.less.notify();
        item
    }
}

/// A process that has no descriptor left cannot read another's start time; it must not take a
/// living process for dead.
#[test]
fn without_a_descriptor_left_the_living_are_not_taken_for_dead() {
    use forkcheck::memory::Incarnation;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let seen = forkcheck::process::in_fresh_process(
        |()| {
            let parent = Hardware::me();
            let dead = forkcheck::process::run(|| Hardware::me().to_bits()).unwrap();
            let dead = Incarnation::from_bits(dead);
            forkcheck::process::run(|| {
                let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
                let without = Hardware::me();
                let seen = [parent, dead, without].map(Hardware::alive);
                setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
                // Asked again, it knows the start time: nothing was cached while there was no
                // descriptor.
                let with = Hardware::me();
                (
                    seen,
                    [parent, dead, without, with].map(Hardware::alive),
                    with != without,
                )
            })
            .unwrap()
        },
        (),
    );
    assert_eq!(
        seen.unwrap(),
        ([true, false, true], [true, false, true, true], true)
    );
}

/// `/proc` shows the processes of another namespace here, among them others with the same numbers.
#[test]
fn a_dead_writer_is_known_where_proc_shows_the_processes_of_another_namespace() {
    use forkcheck::publish::{SeqLock, WriterGone};
    use nix::sched::{CloneFlags, unshare};
    if !nix::unistd::geteuid().is_root() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"SKIPPED: only root can make a namespace of pids\n",
        );
        return;
    }
    let seen = in_fresh_process(
        |()| {
            let outside = std::process::id();
            unshare(CloneFlags::CLONE_NEWPID).unwrap();
            forkcheck::process::run(|| {
                // The first process of its namespace runs this. The next one gets the number that
                // its parent has outside, if the kernel permits that choice.
                let last = std::path::Path::new("/proc/sys/kernel/ns_last_pid");
                let _ = std::fs::write(last, (outside - 1).to_string());
                let region = Region::anonymous(size_of::<SeqLock<u64>>()).unwrap();
                let lock: &SeqLock<u64> = region.get(0).unwrap();
                let words: &[std::sync::atomic::AtomicU64; 2] = region.get(0).unwrap();
                let mut writer = spawn(|| {
                    words[1].store(Hardware::me().to_bits(), Release);
                    words[0].store(1, Release);
                })
                .unwrap();
                let own = Hardware::alive(Hardware::me());
                while words[0].load(Acquire) == 0 {
                    std::thread::yield_now();
                }
                let until = Instant::now() + Duration::from_secs(10);
                // The writer has ended, and is not reaped.
                let incarnation = Incarnation::from_bits(words[1].load(Acquire));
                while Hardware::alive(incarnation) && Instant::now() < until {
                    std::thread::yield_now();
                }
                let zombie = Hardware::alive(incarnation);
                writer.wait().unwrap();
                let mut reader = spawn(|| lock.read()).unwrap();
                if reader
                    .wait_timeout(Duration::from_secs(10))
                    .unwrap()
                    .is_none()
                {
                    reader.kill().unwrap();
                    return (own, zombie, None);
                }
                (own, zombie, Some(reader.value().unwrap()))
            })
            .unwrap()
        },
        (),
    )
    .unwrap();
    assert_eq!(seen, (true, false, Some(Err(WriterGone))));
}

mod small {
    use forkcheck::prelude::*;

    /// A byte and a word of 16 bits, each changed by one read-modify-write.
    struct Small<M: Memory> {
        byte: M::AtomicU8,
        word: M::AtomicU16,
    }

    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    enum Change {
        Xor(u8),
        Min(u8),
        Add(u8),
        /// Doubles the word, unless it cannot hold the result.
        Double,
        Max(u16),
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Both(u8, u16);

    impl Spec for Both {
        type Setup = (u8, u16);
        type Op = Change;
        type Ret = u16;
        fn start(&(byte, word): &(u8, u16)) -> Self {
            Both(byte, word)
        }
        fn step(&mut self, _: usize, change: &Change) -> u16 {
            let before = self.clone();
            match *change {
                Change::Xor(with) => self.0 ^= with,
                Change::Min(with) => self.0 = self.0.min(with),
                Change::Add(more) => self.0 = self.0.wrapping_add(more),
                Change::Double => self.1 = self.1.checked_mul(2).unwrap_or(self.1),
                Change::Max(with) => self.1 = self.1.max(with),
            }
            match change {
                Change::Double | Change::Max(_) => before.1,
                _ => before.0.into(),
            }
        }
    }

    impl<M: Memory> Structure for Small<M> {
        type Memory = M;
        type Spec = Both;
        fn new(&(byte, word): &(u8, u16)) -> Self {
            Small {
                byte: Atomic::new(byte),
                word: Atomic::new(word),
            }
        }
        fn apply(&self, change: &Change) -> u16 {
            let order = Ordering::AcqRel;
            match *change {
                Change::Xor(with) => self.byte.fetch_xor(with, order).into(),
                Change::Min(with) => self.byte.fetch_min(with, order).into(),
                Change::Add(more) => self.byte.fetch_add(more, order).into(),
                Change::Double => {
                    let doubled = |word: u16| word.checked_mul(2);
                    let before = self.word.fetch_update(order, Ordering::Acquire, doubled);
                    before.unwrap_or_else(|too_large| too_large)
                }
                Change::Max(with) => self.word.fetch_max(with, order),
            }
        }
    }

    forkcheck::suite! {
        small: Small<_>,
        setup: (any::<u8>(), any::<u16>()),
        changer: 1..=2 ops of prop_oneof![
            any::<u8>().prop_map(Change::Xor),
            any::<u8>().prop_map(Change::Min),
            any::<u8>().prop_map(Change::Add),
            Just(Change::Double),
            any::<u16>().prop_map(Change::Max),
        ],
        other: 1..=2 ops of prop_oneof![Just(Change::Double), any::<u8>().prop_map(Change::Xor)],
        with: .cases(16).executions(500).regressions(None),
    }
}
