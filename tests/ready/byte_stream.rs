//! A ring of bytes from one writer to one reader, as in pipes of many kernels and in audio
//! libraries: both sides take as much as there is, in one part.

use crate::{caught, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{ByteStream, ByteStreamOp, ByteStreamRet};

const ROOM: usize = 3;

const RIGHT: u8 = 0;
/// Publishes the bytes before they are written.
const EARLY: u8 = 1;
/// Reads beyond the end of the ring.
const NOT_WRAPPED: u8 = 2;
/// Publishes the bytes by a relaxed store, which does not order them.
const RELAXED: u8 = 3;

struct Ring<M: Memory, const TWIN: u8> {
    written: M::AtomicU64,
    read: M::AtomicU64,
    bytes: [M::AtomicU8; ROOM],
}

type Right<M> = Ring<M, RIGHT>;
type Early<M> = Ring<M, EARLY>;
type NotWrapped<M> = Ring<M, NOT_WRAPPED>;

impl<M: Memory, const TWIN: u8> Ring<M, TWIN> {
    fn write(&self, bytes: &[u8]) -> usize {
        let written = self.written.load(Ordering::Relaxed);
        // Acquire: pairs with the Release of `read`, which gives the room back.
        let room = ROOM - (written - self.read.load(Ordering::Acquire)) as usize;
        let taken = room.min(bytes.len());
        let copy = || {
            for (at, byte) in bytes[..taken].iter().enumerate() {
                let slot = &self.bytes[(written as usize + at) % ROOM];
                slot.store(*byte, Ordering::Relaxed);
            }
        };
        let order = match TWIN {
            RELAXED => Ordering::Relaxed,
            // Release: pairs with the Acquire of the reader, which then sees the bytes.
            _ => Ordering::Release,
        };
        if TWIN != EARLY {
            copy();
        }
        self.written.store(written + taken as u64, order);
        if TWIN == EARLY {
            copy();
        }
        taken
    }

    fn read(&self, most: usize) -> Vec<u8> {
        let read = self.read.load(Ordering::Relaxed);
        let there = (self.written.load(Ordering::Acquire) - read) as usize;
        let slot = |at: usize| match TWIN {
            NOT_WRAPPED => &self.bytes[(read as usize % ROOM + at).min(ROOM - 1)],
            _ => &self.bytes[(read as usize + at) % ROOM],
        };
        let got: Vec<u8> = (0..there.min(most))
            .map(|at| slot(at).load(Ordering::Relaxed))
            .collect();
        self.read.store(read + got.len() as u64, Ordering::Release);
        got
    }
}

impl<M: Memory, const TWIN: u8> Structure for Ring<M, TWIN> {
    type Memory = M;
    type Spec = ByteStream;
    fn new(_: &usize) -> Self {
        Ring {
            written: Atomic::new(0),
            read: Atomic::new(0),
            bytes: std::array::from_fn(|_| Atomic::new(0)),
        }
    }
    fn apply(&self, op: &ByteStreamOp) -> ByteStreamRet {
        match op {
            ByteStreamOp::Write(bytes) => ByteStreamRet::Wrote(self.write(bytes)),
            ByteStreamOp::Read(most) => ByteStreamRet::Bytes(self.read(*most)),
        }
    }
}

fn writes() -> impl Strategy<Value = ByteStreamOp> {
    forkcheck::proptest::collection::vec(1u8..9, 1..=ROOM).prop_map(ByteStreamOp::Write)
}

fn reads() -> impl Strategy<Value = ByteStreamOp> {
    (1..=ROOM).prop_map(ByteStreamOp::Read)
}

forkcheck::suite! {
    stream: Right<_>,
    setup: Just(ROOM),
    writer: 1..=3 ops of writes(),
    reader: 1..=3 ops of reads(),
    with: .cases(4).executions(300).regressions(None),
}

fn stream() -> Suite<ByteStream> {
    suite("stream")
        .setup(Just(ROOM))
        .role("writer", 1, 1..=2, writes())
        .role("reader", 1, 1..=2, reads())
}

#[test]
fn bytes_that_are_there_before_they_are_written_are_found() {
    caught::<Stepped, Early<SteppedMemory>>(&stream(), Kind::NotLinearizable);
}

#[test]
fn a_part_that_goes_over_the_end_of_the_ring_is_found_from_a_prefix_that_leads_near_to_it() {
    let suite = stream()
        .prefix("writer", Just(vec![ByteStreamOp::Write(vec![1, 2])]))
        .prefix("reader", Just(vec![ByteStreamOp::Read(2)]));
    let report = caught::<Stepped, NotWrapped<SteppedMemory>>(&suite, Kind::NotLinearizable);
    assert!(report.contains("prefix: Read(2)"), "{report}");
}

#[cfg(feature = "loom")]
#[test]
fn loom_finds_an_index_without_an_order() {
    use forkcheck::engine::loom::{Loom, LoomMemory};
    type Relaxed<M> = Ring<M, RELAXED>;
    caught::<Loom, Relaxed<LoomMemory>>(&stream(), Kind::NotSequentiallyConsistent);
}
