//! The publications' protocols written by hand over `std::sync::atomic`, for one payload and no
//! other memory: the bound that the crate's own may not exceed.
//!
//! There are two loops that do the same: for the one the compiler loads all words before it stores them, for the other it
//! alternates. Each protocol has the one that ours compiles to, so that ci/same-code.sh compares protocols, not loops.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::fence;

/// The words of the payload.
pub(crate) const WORDS: usize = 8;
/// The payload: a cache line.
pub(crate) type Line = [u64; WORDS];

fn store(words: &[AtomicU64; WORDS], value: Line) {
    for (word, value) in words.iter().zip(value) {
        word.store(value, Relaxed);
    }
}
fn store_each(words: &[AtomicU64; WORDS], value: &Line) {
    for (word, value) in words.iter().zip(value) {
        word.store(*value, Relaxed);
    }
}
fn load(words: &[AtomicU64; WORDS]) -> Line {
    std::array::from_fn(|n| words[n].load(Relaxed))
}
fn zeros() -> [AtomicU64; WORDS] {
    [const { AtomicU64::new(0) }; WORDS]
}

#[repr(C)]
pub(crate) struct OneShot {
    state: AtomicU32,
    data: [AtomicU64; WORDS],
}

impl OneShot {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            data: zeros(),
        }
    }
    #[inline]
    pub(crate) fn set(&self, value: Line) -> bool {
        if self.state.compare_exchange(0, 1, Relaxed, Relaxed).is_err() {
            return false;
        }
        store(&self.data, value);
        self.state.store(2, Release);
        true
    }
    #[inline]
    pub(crate) fn get(&self) -> Option<Line> {
        (self.state.load(Acquire) == 2).then(|| load(&self.data))
    }
}

#[repr(C)]
pub(crate) struct SeqLock {
    sequence: AtomicU64,
    owner: AtomicU64,
    data: [AtomicU64; WORDS],
}

impl SeqLock {
    pub(crate) fn new() -> Self {
        Self {
            sequence: AtomicU64::new(0),
            owner: AtomicU64::new(0),
            data: zeros(),
        }
    }
    #[inline]
    pub(crate) fn try_read(&self) -> Option<Line> {
        let before = self.sequence.load(Acquire);
        if before & 1 == 1 {
            return None;
        }
        let value = load(&self.data);
        fence(Acquire);
        (self.sequence.load(Relaxed) == before).then_some(value)
    }
}

/// The writer, and whether readers know it.
pub(crate) struct Writer<'a> {
    lock: &'a SeqLock,
    me: u64,
    known: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(lock: &'a SeqLock) -> Self {
        Self {
            lock,
            me: std::process::id().into(),
            known: false,
        }
    }
    #[inline]
    pub(crate) fn write(&mut self, value: Line) {
        if !self.known {
            self.introduce();
        }
        let SeqLock { sequence, data, .. } = self.lock;
        let even = sequence.load(Relaxed) & !1;
        sequence.store(even.wrapping_add(1), Relaxed);
        fence(Release);
        store_each(data, &value);
        sequence.store(even.wrapping_add(2), Release);
    }
    #[cold]
    fn introduce(&mut self) {
        self.lock.owner.store(self.me, Relaxed);
        fence(Release);
        self.known = true;
    }
}

#[repr(C, align(128))]
struct Padded<T>(T);

/// Three slots and a state: the front slot in two bits, whether the middle one is the second after
/// it, and whether it is fresh.
#[repr(C)]
pub(crate) struct Latest {
    state: Padded<AtomicU32>,
    slots: [Padded<[AtomicU64; WORDS]>; 3],
}

impl Latest {
    pub(crate) fn new() -> Self {
        Self {
            state: Padded(AtomicU32::new(0)),
            slots: [(); 3].map(|()| Padded(zeros())),
        }
    }
    #[inline]
    pub(crate) fn write(&self, value: Line) {
        let mut state = self.state.0.load(Relaxed);
        let back = ((state & 3) + 2 - (state & 4) / 4) as usize % 3;
        store(&self.slots[back].0, value);
        while let Err(now) = self
            .state
            .0
            .compare_exchange(state, (state ^ 4) | 8, AcqRel, Relaxed)
        {
            state = now;
        }
    }
    #[inline]
    pub(crate) fn read(&self) -> Line {
        let mut state = self.state.0.load(Relaxed);
        while state & 8 != 0 {
            let middle = ((state & 3) + 1 + (state & 4) / 4) % 3;
            let taken = middle | (!state & 4);
            match self.state.0.compare_exchange(state, taken, AcqRel, Relaxed) {
                Ok(_) => state = taken,
                Err(now) => state = now,
            }
        }
        load(&self.slots[(state & 3) as usize % 3].0)
    }
}

struct Side {
    next: AtomicU32,
    seen: AtomicU32,
}

impl Side {
    fn new() -> Padded<Self> {
        Padded(Self {
            next: AtomicU32::new(0),
            seen: AtomicU32::new(0),
        })
    }
}

#[repr(C)]
pub(crate) struct Ring<const N: usize> {
    producer: Padded<Side>,
    consumer: Padded<Side>,
    slots: [[AtomicU64; WORDS]; N],
}

impl<const N: usize> Ring<N> {
    const SLOTS: u32 = N as u32;
    pub(crate) fn new() -> Self {
        Self {
            producer: Side::new(),
            consumer: Side::new(),
            slots: [(); N].map(|()| zeros()),
        }
    }
    fn slot(index: u32) -> usize {
        (if index < Self::SLOTS {
            index
        } else {
            index.wrapping_sub(Self::SLOTS) % Self::SLOTS
        }) as usize
    }
    fn after(index: u32) -> u32 {
        if index < 2 * Self::SLOTS - 1 {
            index + 1
        } else {
            0
        }
    }
    fn between(head: u32, tail: u32) -> u32 {
        if head >= 2 * Self::SLOTS || tail >= 2 * Self::SLOTS {
            u32::MAX
        } else if tail >= head {
            tail - head
        } else {
            tail + (2 * Self::SLOTS - head)
        }
    }
    fn holds(head: u32, tail: u32) -> bool {
        (1..=Self::SLOTS).contains(&Self::between(head, tail))
    }
    #[inline]
    pub(crate) fn push(&self, value: Line) -> bool {
        let producer = &self.producer.0;
        let tail = producer.next.load(Relaxed);
        if Self::between(producer.seen.load(Relaxed), tail) >= Self::SLOTS {
            let head = self.consumer.0.next.load(Acquire);
            if Self::between(head, tail) >= Self::SLOTS {
                return false;
            }
            producer.seen.store(head, Relaxed);
        }
        store(&self.slots[Self::slot(tail)], value);
        producer.next.store(Self::after(tail), Release);
        true
    }
    #[inline]
    pub(crate) fn pop(&self) -> Option<Line> {
        let consumer = &self.consumer.0;
        let head = consumer.next.load(Relaxed);
        if !Self::holds(head, consumer.seen.load(Relaxed)) {
            let tail = self.producer.0.next.load(Acquire);
            if !Self::holds(head, tail) {
                return None;
            }
            consumer.seen.store(tail, Relaxed);
        }
        let value = load(&self.slots[Self::slot(head)]);
        consumer.next.store(Self::after(head), Release);
        Some(value)
    }
}
