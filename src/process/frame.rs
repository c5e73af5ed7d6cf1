//! The frames between a fresh process and its client, over a stream socket: a mark, a length and
//! that many bytes. Bytes without the mark come from code that does not own the socket, such as a
//! spec that the fresh process calls.

use crate::Error;
use crate::region::descriptor::Descriptor;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// The longest frame, in bytes: a greater length counts as an error.
const LONGEST_FRAME: u64 = 1 << 30;
/// The mark at the start of a frame. Without it the reader would wait for as many bytes as a stray
/// length says.
const MARK: [u8; 8] = *b"forkchk\xff";
/// The mark and the length: a little-endian u64.
pub(super) const HEADER: usize = MARK.len() + 8;

/// Returns a frame around `bytes`.
pub(super) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    check(bytes.len() as u64)?;
    let mut frame = Vec::with_capacity(HEADER + bytes.len());
    frame.extend_from_slice(&header(bytes.len() as u64));
    frame.extend_from_slice(bytes);
    Ok(frame)
}

fn check(len: u64) -> io::Result<()> {
    if len > LONGEST_FRAME {
        let text = format!("a frame of {len} bytes, where {LONGEST_FRAME} are allowed");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    Ok(())
}

fn header(len: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..MARK.len()].copy_from_slice(&MARK);
    header[MARK.len()..].copy_from_slice(&len.to_le_bytes());
    header
}

/// Returns the length in a header.
fn length(header: [u8; HEADER]) -> io::Result<u64> {
    let (mark, len) = header.split_at(MARK.len());
    if mark != MARK {
        let text = "bytes that are no frame of its own";
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let len = u64::from_le_bytes(len.try_into().expect("there are eight"));
    check(len)?;
    Ok(len)
}

/// The frames in bytes that arrive in pieces.
#[derive(Default)]
pub(super) struct Incoming(Vec<u8>);

impl Incoming {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Returns the next frame, if all of it has arrived.
    pub(super) fn take(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(header) = self.0.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = length(*header)?;
        let end = HEADER + len as usize;
        if self.0.len() < end {
            return Ok(None);
        }
        let rest = self.0.split_off(end);
        let mut frame = std::mem::replace(&mut self.0, rest);
        frame.drain(..HEADER);
        Ok(Some(frame))
    }
}

/// Reads the next frame, if all of it arrives. The buffer grows with the bytes that arrive, whatever length the frame
/// announces.
fn read(mut from: impl Read) -> Option<Vec<u8>> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header).ok()?;
    let len = length(header).ok()?;
    let mut bytes = Vec::new();
    from.take(len).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == len).then_some(bytes)
}

/// The fresh process's end of the socket: a job reads its requests from it, and replies on it.
pub(crate) struct Channel(Descriptor<UnixStream>);

impl Channel {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        Descriptor::new(socket).map(Self)
    }

    /// Returns the number of its descriptor, unless that was closed.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        Some(self.0.get().ok()?.as_raw_fd())
    }

    /// Returns the next request; `None` once the client is gone.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        read(self.0.get().ok()?)
    }

    /// Replies once to the request.
    pub(crate) fn reply(&mut self, bytes: &[u8]) -> Result<(), Error> {
        pack(bytes)
            .and_then(|frame| self.0.get()?.write_all(&frame))
            .map_err(|e| {
                Error::system(
                    format!("reply {} bytes", bytes.len()),
                    e,
                    "reply less, or end: the client may be gone",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let sent = [b"".to_vec(), b"one".to_vec(), vec![7; 300]];
        let bytes: Vec<u8> = sent.iter().flat_map(|frame| pack(frame).unwrap()).collect();
        for cut in 1..bytes.len() {
            let (mut incoming, mut got) = (Incoming::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                incoming.extend(piece);
                while let Some(frame) = incoming.take().unwrap() {
                    got.push(frame);
                }
            }
            assert_eq!(got, sent);
        }
    }

    #[test]
    fn a_length_beyond_the_longest_is_an_error_and_not_an_allocation() {
        let mut incoming = Incoming::default();
        incoming.extend(&header(u64::MAX));
        assert!(
            incoming
                .take()
                .unwrap_err()
                .to_string()
                .contains("a frame of 18446744073709551615 bytes")
        );

        let (mut client, server) = UnixStream::pair().unwrap();
        client.write_all(&header(u64::MAX)).unwrap();
        assert_eq!(Channel::new(server).unwrap().next(), None);
    }

    #[test]
    fn what_others_write_into_a_socket_is_an_error_and_no_length_to_wait_for() {
        let mut incoming = Incoming::default();
        // A header that announces a megabyte, once.
        incoming.extend(&[0, 0, 16, 0, 0, 0, 0, 0, 7, 7]);
        assert_eq!(incoming.take().unwrap(), None);
        incoming.extend(&pack(b"the answer").unwrap());
        let error = incoming.take().unwrap_err().to_string();
        assert!(error.contains("no frame of its own"), "{error}");
    }

    /// A reader that gives bytes in pieces, and notes the largest buffer that it was offered.
    struct Pieces<'a> {
        bytes: &'a [u8],
        piece: usize,
        offered: usize,
    }
    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.offered = self.offered.max(into.len());
            let end = into.len().min(self.piece);
            self.bytes.read(&mut into[..end])
        }
    }

    /// Returns the frames that both ends read from the bytes, up to the first invalid one; asserts that they are the
    /// same.
    fn taken(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let (mut incoming, mut arrived) = (Incoming::default(), Vec::new());
        'all: for piece in bytes.chunks(piece) {
            incoming.extend(piece);
            while let Some(frame) = incoming.take().transpose() {
                let Ok(frame) = frame else { break 'all };
                arrived.push(frame);
            }
        }
        let mut pieces = Pieces {
            bytes,
            piece,
            offered: 0,
        };
        let read: Vec<_> = std::iter::from_fn(|| super::read(&mut pieces)).collect();
        assert_eq!(read, arrived);
        // `read_to_end` begins with a buffer of some KiB, and doubles it.
        assert!(
            pieces.offered <= 2 * bytes.len() + (32 << 10),
            "room for {} bytes for {}",
            pieces.offered,
            bytes.len()
        );
        arrived
    }

    #[test]
    fn any_bytes_are_frames_up_to_the_first_that_is_none_and_take_room_in_proportion() {
        use proptest::collection::vec;
        use proptest::prelude::{any, prop_oneof};
        use proptest::strategy::{Just, Strategy};
        use proptest::test_runner::{Config, TestRunner};
        let count = std::env::var("FORKCHECK_INPUTS");
        let config = Config {
            cases: count.map_or(2_000, |count| count.parse().unwrap()),
            failure_persistence: None,
            ..Config::default()
        };
        let length = prop_oneof![
            0..300u64,
            Just(LONGEST_FRAME),
            Just(LONGEST_FRAME + 1),
            Just(u64::MAX),
            any::<u64>()
        ];
        let frame = (length, any::<bool>(), vec(any::<u8>(), 0..300));
        let frame = frame.prop_map(|(length, wrong, bytes)| {
            let length = if wrong { length } else { bytes.len() as u64 };
            [&header(length), &bytes[..]].concat()
        });
        let frames = vec(frame, 0..4).prop_map(|frames| frames.concat());
        let inputs = (prop_oneof![frames, vec(any::<u8>(), 0..300)], 1..700usize);
        let taken = TestRunner::new(config).run(&inputs, |(bytes, piece)| {
            taken(&bytes, piece);
            Ok(())
        });
        taken.unwrap();
    }

    #[test]
    fn a_client_that_dies_in_a_frame_is_gone() {
        let (mut client, server) = UnixStream::pair().unwrap();
        client.write_all(&pack(b"whole").unwrap()).unwrap();
        client
            .write_all(&pack(b"cut short").unwrap()[..HEADER + 4])
            .unwrap();
        drop(client);
        let mut channel = Channel::new(server).unwrap();
        assert_eq!(channel.next(), Some(b"whole".to_vec()));
        assert_eq!(channel.next(), None);
    }
}
