//! A write and a read of a cache line on one thread: this crate's, the same by hand, and the
//! best-known crate of the kind.

use super::Measured;
use super::by_hand::{self, Line, WORDS};
use forkcheck::publish::{Latest, OneShot, Ring, SeqLock};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SLOTS: usize = 256;

fn line(n: u64) -> Line {
    [n; WORDS]
}

/// Returns the time of a number of turns, each of which gets its number.
fn timed(turns: u64, mut turn: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    (0..turns).for_each(&mut turn);
    start.elapsed()
}

macro_rules! group {
    ($all:ident, $group:literal, $unit:literal, $turns:literal, $($name:literal: $run:expr;)*) => {
        $($all.push(Measured::new($group, $name, $unit, $turns, $run));)*
    };
}

pub(super) fn all() -> Vec<Measured> {
    let mut all = Vec::new();
    group!(all, "OneShot: new, set, get", "value", 200_000,
        "by hand": |turns| timed(turns, |n| {
            let shot = black_box(by_hand::OneShot::new());
            black_box(shot.set(line(n)));
            black_box(shot.get());
        });
        "forkcheck": |turns| timed(turns, |n| {
            let shot = black_box(OneShot::<Line>::new());
            black_box(shot.set(line(n)).is_ok());
            black_box(shot.get());
        });
    );
    // They live as long as the program, and so do the writers' handles.
    let ours: &SeqLock<Line> = Box::leak(Box::new(SeqLock::new(line(0))));
    let hand: &by_hand::SeqLock = Box::leak(Box::new(by_hand::SeqLock::new()));
    let (mut our_writer, mut hand_writer) = (ours.writer(), by_hand::Writer::new(hand));
    let peer = seqlock::SeqLock::new(line(0));
    group!(all, "SeqLock: write, read", "value", 200_000,
        "by hand": move |turns| timed(turns, |n| {
            black_box(&mut hand_writer).write(line(n));
            black_box(hand.try_read());
        });
        "forkcheck": move |turns| timed(turns, |n| {
            black_box(&mut our_writer).write(line(n));
            black_box(ours.try_read());
        });
        "seqlock (volatile copies under a mutex)": move |turns| timed(turns, |n| {
            *black_box(&peer).lock_write() = line(n);
            black_box(peer.read());
        });
    );
    let (ours, hand) = (Latest::new(line(0)), by_hand::Latest::new());
    let (mut input, mut output) = triple_buffer::triple_buffer(&line(0));
    group!(all, "Latest: write, read", "value", 200_000,
        "by hand": move |turns| timed(turns, |n| {
            black_box(&hand).write(line(n));
            black_box(hand.read());
        });
        "forkcheck": move |turns| timed(turns, |n| {
            black_box(&ours).write(line(n));
            black_box(ours.read());
        });
        "triple_buffer": move |turns| timed(turns, |n| {
            black_box(&mut input).write(line(n));
            black_box(*output.read());
        });
    );
    let (ours, hand) = (Ring::<Line, SLOTS>::new(), by_hand::Ring::<SLOTS>::new());
    let (mut push, mut pop) = rtrb::RingBuffer::new(SLOTS);
    group!(all, "Ring: push, pop", "value", 200_000,
        "by hand": move |turns| timed(turns, |n| {
            black_box(black_box(&hand).push(line(n)));
            black_box(hand.pop());
        });
        "forkcheck": move |turns| timed(turns, |n| {
            black_box(black_box(&ours).push(line(n)).is_ok());
            black_box(ours.pop());
        });
        "rtrb": move |turns| timed(turns, |n| {
            black_box(black_box(&mut push).push(line(n)).is_ok());
            black_box(pop.pop().ok());
        });
    );
    all
}
