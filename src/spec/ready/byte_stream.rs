//! A stream of bytes that is written and read in parts.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A stream of bytes of one writer and one reader; its setup is the number of bytes that it has
/// room for. A write takes a first part of its bytes, and a read gets the oldest bytes, as many as
/// it asked for or fewer. Bytes are read in the order in which they were written, once.
///
/// A part is at least one byte, wherever the caller can see that there is room for one, or that one is there: each side
/// may be late to see what the other did, as in a [`StaleQueue`](crate::spec::StaleQueue); what it has once seen it has seen.
/// An operation that a kill interrupts took as much as it could, or nothing. A ring that publishes an operation in several parts, or
/// by a copy of the other side's index that may be late, can take less when it is killed: leave `kills` out for it.
///
/// ```
/// use forkcheck::spec::{ByteStream, ByteStreamOp, ByteStreamRet, Spec};
/// let (writer, reader) = (0, 1);
/// let mut stream = ByteStream::start(&2);
/// let write = ByteStreamOp::Write(vec![7, 8, 9]);
/// assert!(!stream.clone().accept(writer, &write, &ByteStreamRet::Wrote(0)));
/// assert!(!stream.clone().accept(writer, &write, &ByteStreamRet::Wrote(3)));
/// assert!(stream.accept(writer, &write, &ByteStreamRet::Wrote(2)));
/// assert!(!stream.clone().accept(reader, &ByteStreamOp::Read(9), &ByteStreamRet::Bytes(vec![8])));
/// assert!(stream.accept(reader, &ByteStreamOp::Read(9), &ByteStreamRet::Bytes(vec![7])));
/// assert!(stream.accept(reader, &ByteStreamOp::Read(9), &ByteStreamRet::Bytes(vec![8])));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ByteStream {
    capacity: usize,
    bytes: VecDeque<u8>,
    /// How many bytes of room, made by the latest reads, the writer may not have seen yet.
    room_not_seen: usize,
    /// How many of the latest bytes the reader may not have seen yet.
    bytes_not_seen: usize,
}

/// An operation of [`ByteStream`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByteStreamOp {
    /// Appends a first part of these bytes.
    Write(Vec<u8>),
    /// Takes the oldest bytes, this many at most.
    Read(usize),
}

/// A result of [`ByteStream`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByteStreamRet {
    /// This many bytes were appended.
    Wrote(usize),
    /// The oldest bytes.
    Bytes(Vec<u8>),
}

impl ByteStream {
    fn room(&self) -> usize {
        self.capacity - self.bytes.len()
    }

    /// Appends the first bytes of a write, and returns whether it may take this many.
    fn write(&mut self, bytes: &[u8], taken: usize) -> bool {
        let room = self.room();
        if taken > room.min(bytes.len()) {
            return false;
        }
        if taken == 0 && !bytes.is_empty() {
            // It saw no room: none of the room that the last reads made.
            let may = room <= self.room_not_seen;
            self.room_not_seen = room;
            return may;
        }
        self.bytes.extend(&bytes[..taken]);
        self.room_not_seen = self.room_not_seen.min(room - taken);
        self.bytes_not_seen += taken;
        true
    }

    /// Takes the oldest bytes, and returns whether a read may get these.
    fn read(&mut self, most: usize, got: &[u8]) -> bool {
        let there = self.bytes.len();
        if got.len() > most.min(there) || !self.bytes.iter().zip(got).all(|(a, b)| a == b) {
            return false;
        }
        if got.is_empty() && most > 0 {
            let may = there <= self.bytes_not_seen;
            self.bytes_not_seen = there;
            return may;
        }
        self.bytes.drain(..got.len());
        self.bytes_not_seen = self.bytes_not_seen.min(there - got.len());
        self.room_not_seen += got.len();
        true
    }
}

impl Spec for ByteStream {
    type Setup = usize;
    type Op = ByteStreamOp;
    type Ret = ByteStreamRet;
    fn start(capacity: &usize) -> Self {
        Self {
            capacity: *capacity,
            bytes: VecDeque::new(),
            room_not_seen: 0,
            bytes_not_seen: 0,
        }
    }
    fn step(&mut self, process: usize, op: &ByteStreamOp) -> ByteStreamRet {
        let ret = match op {
            ByteStreamOp::Write(bytes) => ByteStreamRet::Wrote(self.room().min(bytes.len())),
            ByteStreamOp::Read(most) => {
                ByteStreamRet::Bytes(self.bytes.iter().take(*most).copied().collect())
            }
        };
        self.accept(process, op, &ret);
        ret
    }
    fn accept(&mut self, _: usize, op: &ByteStreamOp, ret: &ByteStreamRet) -> bool {
        match (op, ret) {
            (ByteStreamOp::Write(bytes), ByteStreamRet::Wrote(taken)) => self.write(bytes, *taken),
            (ByteStreamOp::Read(most), ByteStreamRet::Bytes(got)) => self.read(*most, got),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteStreamOp::{Read, Write};
    use super::ByteStreamRet::{Bytes, Wrote};
    use super::*;

    fn allowed(calls: &[(ByteStreamOp, ByteStreamRet)]) -> bool {
        let mut stream = ByteStream::start(&3);
        calls.iter().all(|(op, ret)| stream.accept(0, op, ret))
    }

    #[test]
    fn parts_of_any_size_are_allowed_and_bytes_come_once_and_in_order() {
        let written = (Write(vec![1, 2, 3, 4]), Wrote(2));
        let got = |bytes: &[u8]| (Read(9), Bytes(bytes.to_vec()));
        for right in [&[got(&[1, 2])][..], &[got(&[1]), got(&[2])]] {
            assert!(allowed(&[std::slice::from_ref(&written), right].concat()));
        }
        for wrong in [
            &[got(&[2])][..],
            &[got(&[1, 2, 3])],
            &[got(&[1]), got(&[1])],
            &[got(&[1, 2]), got(&[2])],
        ] {
            assert!(
                !allowed(&[std::slice::from_ref(&written), wrong].concat()),
                "{wrong:?}"
            );
        }
        assert!(
            !allowed(&[(Write(vec![1]), Bytes(vec![]))]),
            "no result of it"
        );
    }

    #[test]
    fn nothing_is_a_part_only_where_the_caller_cannot_see_more() {
        let full = (Write(vec![1, 2, 3]), Wrote(3));
        let refused = (Write(vec![4]), Wrote(0));
        let nothing = (Read(1), Bytes(vec![]));
        let one = (Read(1), Bytes(vec![1]));
        assert!(!allowed(std::slice::from_ref(&refused)));
        assert!(allowed(&[full.clone(), refused.clone()]));
        // The writer may be late to see the read. After it has written again it has seen it.
        assert!(allowed(&[full.clone(), one.clone(), refused.clone()]));
        let again = (Write(vec![4]), Wrote(1));
        let two = (Read(1), Bytes(vec![2]));
        assert!(allowed(&[
            full.clone(),
            one.clone(),
            again.clone(),
            two,
            refused
        ]));
        // The reader may be late to see a write. After it has read a byte of it, it has seen it.
        assert!(allowed(&[full.clone(), nothing.clone(), one.clone()]));
        assert!(!allowed(&[
            full,
            one.clone(),
            (Read(1), Bytes(vec![2])),
            (Read(1), Bytes(vec![3])),
            (Read(1), Bytes(vec![4]))
        ]));
        assert!(!allowed(&[
            (Write(vec![1]), Wrote(1)),
            one,
            again,
            (Read(9), Bytes(vec![1]))
        ]));
        // A write and a read of no bytes.
        assert!(allowed(&[
            (Write(vec![]), Wrote(0)),
            (Read(0), Bytes(vec![]))
        ]));
    }
}
