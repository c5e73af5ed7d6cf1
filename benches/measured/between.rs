//! Cache lines from one process to another, each on a processor of its own: round trips, a stream,
//! and the newest of many values; compared with crates that do it between threads, pipes, sockets
//! and ipc-channel.

use super::Measured;
use super::by_hand::{Line, WORDS};
use forkcheck::memory::Line as Alone;
use forkcheck::process;
use forkcheck::publish::{EventCount, Latest, Ring, SeqLock};
use forkcheck::{Region, memory::Resident};
use ipc_channel::ipc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::hint::{black_box, spin_loop};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};

const SLOTS: usize = 256;
const BYTES: usize = size_of::<Line>();

fn line(n: u64) -> Line {
    [n; WORDS]
}
fn bytes(n: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes
}
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(answer) = ask() {
            // All of the answer is read.
            return black_box(answer);
        }
        spin_loop();
    }
}

fn got<T>(ask: impl FnMut() -> Option<T>) {
    until(ask);
}

/// Keeps this thread on one of the processors that it may use: the first or the second, if there
/// are two.
fn pin(which: usize) {
    let me = Pid::from_raw(0);
    let allowed = sched_getaffinity(me).expect("the kernel says where we may run");
    let mut allowed = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    if let Some(cpu) = allowed.nth(which) {
        let mut one = CpuSet::new();
        one.set(cpu).expect("it is in the set");
        sched_setaffinity(me, &one).expect("we may run there");
    }
}

forkcheck::layout! {
    /// A barrier at which both sides wait for each other.
    struct Start { ready: AtomicU64, go: AtomicU64 }
}

impl Start {
    fn wait(&self) {
        self.ready.store(1, Release);
        until(|| (self.go.load(Acquire) == 1).then_some(()));
    }
    fn now(&self) -> Instant {
        until(|| (self.ready.load(Acquire) == 1).then_some(()));
        let now = Instant::now();
        self.go.store(1, Release);
        now
    }
}

/// Measures two pinned processes, forked in a fresh process: a child does `there` for each turn,
/// this process `here`. Returns the time that `here` took, from when the child runs.
fn processes(turns: u64, mut here: impl FnMut(u64), mut there: impl FnMut(u64)) -> Duration {
    let start: &Start = shared();
    let mut child = process::spawn(|| {
        pin(1);
        start.wait();
        (1..=turns).for_each(&mut there);
    })
    .expect("a child");
    // Pinned after the fork, since a child inherits the processors that this process may use.
    pin(0);
    let start = start.now();
    (1..=turns).for_each(&mut here);
    let took = start.elapsed();
    child.wait().expect("it ends with its last turn");
    took
}

/// Measures as [`processes`] does, with two threads.
fn threads(
    turns: u64,
    mut here: impl FnMut(u64) + Send,
    mut there: impl FnMut(u64) + Send,
) -> Duration {
    let start: &Start = shared();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            start.wait();
            (1..=turns).for_each(&mut there);
        });
        let here = scope.spawn(|| {
            pin(0);
            let start = start.now();
            (1..=turns).for_each(&mut here);
            start.elapsed()
        });
        here.join().expect("it has done its turns")
    })
}

/// Returns memory that both processes see.
fn shared<T: Resident>() -> &'static T {
    let region = Box::leak(Box::new(
        Region::anonymous(size_of::<T>()).expect("memory for it"),
    ));
    region.get(0).expect("it was made for it")
}

/// Round trips.
mod round_trip {
    use super::*;

    pub(super) fn cache_line(turns: u64) -> Duration {
        let [ping, pong]: &[Alone<AtomicU64>; 2] = shared();
        let is = |word: &AtomicU64, n| until(|| (word.load(Acquire) == n).then_some(()));
        let here = |n| {
            ping.store(n, Release);
            is(pong, n);
        };
        let there = |n| {
            is(ping, n);
            pong.store(n, Release);
        };
        processes(turns, here, there)
    }

    fn ring(
        turns: u64,
        between: impl FnOnce(
            u64,
            &mut (dyn FnMut(u64) + Send),
            &mut (dyn FnMut(u64) + Send),
        ) -> Duration,
    ) -> Duration {
        let [ping, pong]: &[Ring<Line, SLOTS>; 2] = shared();
        let mut here = |n| {
            let _ = ping.push(line(n));
            until(|| pong.pop());
        };
        let mut there = |_| {
            let _ = pong.push(until(|| ping.pop()));
        };
        between(turns, &mut here, &mut there)
    }
    pub(super) fn ring_processes(turns: u64) -> Duration {
        ring(turns, |turns, here, there| processes(turns, here, there))
    }
    pub(super) fn ring_threads(turns: u64) -> Duration {
        ring(turns, |turns, here, there| threads(turns, here, there))
    }
    pub(super) fn rtrb(turns: u64) -> Duration {
        let (mut ping, mut pinged) = rtrb::RingBuffer::new(SLOTS);
        let (mut pong, mut ponged) = rtrb::RingBuffer::<Line>::new(SLOTS);
        let here = move |n| {
            let _ = ping.push(line(n));
            until(|| ponged.pop().ok());
        };
        let there = move |_| {
            let _ = pong.push(until(|| pinged.pop().ok()));
        };
        threads(turns, here, there)
    }

    pub(super) fn seq_lock(turns: u64) -> Duration {
        let [ping, pong]: &[Alone<SeqLock<Line>>; 2] = shared();
        let is = |lock: &SeqLock<Line>, n| until(|| lock.try_read().filter(|seen| seen[0] == n));
        let mut pinging = None;
        let mut ponging = None;
        let here = |n| {
            pinging.get_or_insert_with(|| ping.writer()).write(line(n));
            is(pong, n);
        };
        let there = |n| {
            let seen = is(ping, n);
            ponging.get_or_insert_with(|| pong.writer()).write(seen);
        };
        processes(turns, here, there)
    }
    pub(super) fn seqlock(turns: u64) -> Duration {
        let (ping, pong) = (
            Alone(seqlock::SeqLock::new(line(0))),
            Alone(seqlock::SeqLock::new(line(0))),
        );
        let is =
            |lock: &seqlock::SeqLock<Line>, n| until(|| Some(lock.read()).filter(|s| s[0] == n));
        let here = |n| {
            *ping.lock_write() = line(n);
            is(&pong, n);
        };
        let there = |n| {
            let seen = is(&ping, n);
            *pong.lock_write() = seen;
        };
        threads(turns, here, there)
    }

    pub(super) fn latest(turns: u64) -> Duration {
        let [ping, pong]: &[Latest<Line>; 2] = shared();
        let is = |latest: &Latest<Line>, n| until(|| Some(latest.read()).filter(|s| s[0] == n));
        let (mut pinging, mut ponging) = (ping.writer(), pong.writer());
        let here = |n| {
            pinging.write(line(n));
            is(pong, n);
        };
        let there = |n| {
            let seen = is(ping, n);
            ponging.write(seen);
        };
        processes(turns, here, there)
    }
    pub(super) fn triple_buffer(turns: u64) -> Duration {
        let (mut ping, mut pinged) = triple_buffer::triple_buffer(&line(0));
        let (mut pong, mut ponged) = triple_buffer::triple_buffer(&line(0));
        let here = move |n| {
            ping.write(line(n));
            until(|| Some(*ponged.read()).filter(|seen| seen[0] == n));
        };
        let there = move |n| {
            pong.write(until(|| Some(*pinged.read()).filter(|seen| seen[0] == n)));
        };
        threads(turns, here, there)
    }
}

/// Round trips with sleeps in between.
mod asleep {
    use super::*;

    forkcheck::layout! {
        struct Side { items: Ring<Line, SLOTS>, more: Alone<EventCount> }
    }
    impl Side {
        fn put(&self, item: Line) {
            let _ = self.items.push(item);
            self.more.notify();
        }
        fn take(&self) -> Line {
            self.more.wait(|| self.items.pop())
        }
    }

    pub(super) fn event_count(turns: u64) -> Duration {
        let [ping, pong]: &[Side; 2] = shared();
        let here = |n| {
            ping.put(line(n));
            pong.take();
        };
        processes(turns, here, |_| pong.put(ping.take()))
    }
    pub(super) fn pipe(turns: u64) -> Duration {
        let (mut pinged, mut ping) = std::io::pipe().expect("a pipe");
        let (mut ponged, mut pong) = std::io::pipe().expect("a pipe");
        let here = |n| exchange(&mut ping, &mut ponged, n);
        processes(turns, here, |_| give_back(&mut pinged, &mut pong))
    }
    pub(super) fn socket(turns: u64) -> Duration {
        let (here, there) = UnixStream::pair().expect("a pair of sockets");
        let ping = |n| exchange(&mut &here, &mut &here, n);
        processes(turns, ping, |_| give_back(&mut &there, &mut &there))
    }
    fn exchange(to: &mut impl Write, from: &mut impl Read, n: u64) {
        to.write_all(&bytes(n)).expect("room in it");
        from.read_exact(&mut [0; BYTES]).expect("an answer");
    }
    fn give_back(from: &mut impl Read, to: &mut impl Write) {
        let mut seen = [0; BYTES];
        from.read_exact(&mut seen).expect("a question");
        to.write_all(&seen).expect("room in it");
    }
    pub(super) fn ipc_channel(turns: u64) -> Duration {
        let (ping, pinged) = ipc::channel::<Line>().expect("a channel");
        let (pong, ponged) = ipc::channel::<Line>().expect("a channel");
        let here = |n| {
            ping.send(line(n)).expect("room in it");
            ponged.recv().expect("an answer");
        };
        let there = |_| {
            let seen = pinged.recv().expect("a question");
            pong.send(seen).expect("room in it");
        };
        processes(turns, here, there)
    }
}

/// One way, all values: until the last has arrived.
mod stream {
    use super::*;

    pub(super) fn ring(turns: u64) -> Duration {
        let ring: &Ring<Line, SLOTS> = shared();
        let here = |_| got(|| ring.pop());
        processes(turns, here, |n| until(|| ring.push(line(n)).ok()))
    }
    pub(super) fn ring_threads(turns: u64) -> Duration {
        let ring: &Ring<Line, SLOTS> = shared();
        let here = |_| got(|| ring.pop());
        threads(turns, here, |n| until(|| ring.push(line(n)).ok()))
    }
    pub(super) fn rtrb(turns: u64) -> Duration {
        let (mut push, mut pop) = rtrb::RingBuffer::new(SLOTS);
        let here = move |_| got(|| pop.pop().ok());
        threads(turns, here, move |n| until(|| push.push(line(n)).ok()))
    }
    pub(super) fn pipe(turns: u64) -> Duration {
        let (mut from, mut to) = std::io::pipe().expect("a pipe");
        let here = |_| from.read_exact(&mut [0; BYTES]).expect("a line");
        processes(turns, here, |n| to.write_all(&bytes(n)).expect("a reader"))
    }
    pub(super) fn socket(turns: u64) -> Duration {
        let (mut from, mut to) = UnixStream::pair().expect("a pair of sockets");
        let here = |_| from.read_exact(&mut [0; BYTES]).expect("a line");
        processes(turns, here, |n| to.write_all(&bytes(n)).expect("a reader"))
    }
    pub(super) fn ipc_channel(turns: u64) -> Duration {
        let (to, from) = ipc::channel::<Line>().expect("a channel");
        let here = |_| got(|| from.recv().ok());
        processes(turns, here, |n| to.send(line(n)).expect("a reader"))
    }
}

/// One side writes all values, the other looks until it sees the last.
mod newest {
    use super::*;

    pub(super) fn seq_lock(turns: u64) -> Duration {
        let lock: &SeqLock<Line> = shared();
        let mut writer = None;
        let last = || got(|| lock.try_read().filter(|seen| seen[0] == turns));
        let there = |n| writer.get_or_insert_with(|| lock.writer()).write(line(n));
        processes(turns, at_first(last), there)
    }
    pub(super) fn seqlock(turns: u64) -> Duration {
        let lock = seqlock::SeqLock::new(line(0));
        let last = || got(|| Some(lock.read()).filter(|seen| seen[0] == turns));
        threads(turns, at_first(last), |n| *lock.lock_write() = line(n))
    }
    pub(super) fn latest(turns: u64) -> Duration {
        let latest: &Latest<Line> = shared();
        let last = || got(|| Some(latest.read()).filter(|seen| seen[0] == turns));
        let mut writer = latest.writer();
        processes(turns, at_first(last), |n| writer.write(line(n)))
    }
    pub(super) fn triple_buffer(turns: u64) -> Duration {
        let (mut input, mut output) = triple_buffer::triple_buffer(&line(0));
        let last = move || got(|| Some(*output.read()).filter(|seen| seen[0] == turns));
        threads(turns, at_first(last), move |n| input.write(line(n)))
    }

    /// Returns a reader with a single turn, which ends when it has seen the last value.
    fn at_first(mut last: impl FnMut()) -> impl FnMut(u64) {
        move |n| {
            if n == 1 {
                last();
            }
        }
    }
}

pub(super) fn all() -> Vec<Measured> {
    let mut all = Vec::new();
    macro_rules! group {
        ($group:literal, $unit:literal, $turns:literal, $($name:literal: $how:ident $run:path;)*) => {
            $(all.push(Measured::new($group, $name, $unit, $turns, group!(@ $how $run)));)*
        };
        (@ processes $run:path) => { |turns| process::in_fresh_process($run, turns).expect("a child runs and ends") };
        (@ threads $run:path) => { $run };
    }
    group!("there and back, spinning, two processors", "round trip", 50_000,
        "two words, two processes: the cache lines themselves": processes round_trip::cache_line;
        "rtrb, two threads": threads round_trip::rtrb;
        "Ring, two threads": threads round_trip::ring_threads;
        "Ring, two processes": processes round_trip::ring_processes;
        "seqlock, two threads": threads round_trip::seqlock;
        "SeqLock, two processes": processes round_trip::seq_lock;
        "triple_buffer, two threads": threads round_trip::triple_buffer;
        "Latest, two processes": processes round_trip::latest;
    );
    group!("there and back, sleeping, two processes", "round trip", 2_000,
        "pipe": processes asleep::pipe;
        "UNIX socket": processes asleep::socket;
        "ipc-channel": processes asleep::ipc_channel;
        "Ring and EventCount": processes asleep::event_count;
    );
    group!("a stream of cache lines, two processors", "line", 200_000,
        "rtrb, two threads": threads stream::rtrb;
        "Ring, two threads": threads stream::ring_threads;
        "Ring, two processes": processes stream::ring;
        "pipe, two processes": processes stream::pipe;
        "UNIX socket, two processes": processes stream::socket;
        "ipc-channel, two processes": processes stream::ipc_channel;
    );
    group!("the newest of many, two processors", "write", 200_000,
        "seqlock, two threads": threads newest::seqlock;
        "SeqLock, two processes": processes newest::seq_lock;
        "triple_buffer, two threads": threads newest::triple_buffer;
        "Latest, two processes": processes newest::latest;
    );
    all
}
