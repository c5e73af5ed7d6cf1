//! A payload over any memory's 64-bit words, boxed: for the models, in which each word is a
//! separate object.

use super::part::{bytes_of, pieces};
use super::{Atomic, Payload, Words};
use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;

/// The `size_of::<T>()` bytes of a payload in words `A`, the last one filled up with zeros.
pub struct WordsOf<T, A> {
    words: Box<[A]>,
    payload: PhantomData<fn() -> T>,
}

impl<T: Payload, A: Atomic<u64>> Words<T> for WordsOf<T, A> {
    fn new(value: T) -> Self {
        Self {
            words: value
                .as_bytes()
                .chunks(8)
                .map(|chunk| A::new(word(chunk)))
                .collect(),
            payload: PhantomData,
        }
    }
    fn load(&self) -> T {
        let mut copy = T::new_zeroed();
        for (chunk, word) in copy.as_mut_bytes().chunks_mut(8).zip(&self.words) {
            let length = chunk.len();
            chunk.copy_from_slice(&word.load(Relaxed).to_ne_bytes()[..length]);
        }
        copy
    }
    fn store(&self, value: T) {
        for (chunk, to) in value.as_bytes().chunks(8).zip(&self.words) {
            to.store(word(chunk), Relaxed);
        }
    }
    fn load_part<P: Payload>(&self, offset: usize) -> P {
        let mut copy = P::new_zeroed();
        for piece in pieces(&bytes_of::<T, P>(offset), size_of::<T>()) {
            piece.get(self.words[piece.word].load(Relaxed), copy.as_mut_bytes());
        }
        copy
    }
    fn store_part<P: Payload>(&self, offset: usize, part: P) {
        let part = part.as_bytes();
        for piece in pieces(&bytes_of::<T, P>(offset), size_of::<T>()) {
            let word = &self.words[piece.word];
            // The last word may have fewer bytes of the payload.
            if piece.within.len() == (size_of::<T>() - 8 * piece.word).min(8) {
                word.store(piece.put(0, part), Relaxed);
            } else {
                let _ = word.fetch_update(Relaxed, Relaxed, |found| Some(piece.put(found, part)));
            }
        }
    }
}

fn word(chunk: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..chunk.len()].copy_from_slice(chunk);
    u64::from_ne_bytes(bytes)
}
