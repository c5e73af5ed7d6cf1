//! Inputs: random bytes, and valid ones with changes.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::Just;

/// Numbers at which lengths and counts go wrong.
const NUMBERS: [u64; 10] = [
    0,
    1,
    0x7f,
    0xffff,
    1 << 20,
    1 << 30,
    u32::MAX as u64,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// A change of bytes, at positions that are drawn before the length is known.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index, usize),
    /// Overwrites the eight bytes there, the lowest first.
    Number(Index, u64),
    /// Replaces a byte by a number in postcard's form: seven bits a byte, the lowest first.
    Varint(Index, u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let end = bytes.len() + 1;
        match self {
            Change::Flip(at, mask) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Change::Cut(at) => bytes.truncate(at.index(end)),
            Change::Remove(a, b) => {
                let (a, b) = (a.index(end), b.index(end));
                bytes.drain(a.min(b)..a.max(b));
            }
            Change::Insert(at, more) => {
                let at = at.index(end);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Repeat(a, b, times) => {
                let (a, b) = (a.index(end), b.index(end));
                let again = bytes[a.min(b)..a.max(b)].repeat(*times);
                bytes.splice(a.max(b)..a.max(b), again);
            }
            Change::Number(at, number) => {
                let at = at.index(end);
                let to = (at + 8).min(bytes.len());
                bytes.splice(at..to, number.to_le_bytes());
            }
            Change::Varint(at, number) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes.splice(at..at + 1, varint(*number));
            }
            Change::Flip(..) | Change::Varint(..) => {}
        }
    }
}

/// Returns the number as postcard writes it.
pub(crate) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, mask)| Change::Flip(at, mask)),
        index().prop_map(Change::Cut),
        (index(), index()).prop_map(|(a, b)| Change::Remove(a, b)),
        (index(), vec(any::<u8>(), 0..20)).prop_map(|(at, more)| Change::Insert(at, more)),
        (index(), index(), 1..40usize).prop_map(|(a, b, times)| Change::Repeat(a, b, times)),
        (index(), select(&NUMBERS[..])).prop_map(|(at, number)| Change::Number(at, number)),
        (index(), select(&NUMBERS[..])).prop_map(|(at, number)| Change::Varint(at, number)),
    ]
}

/// Random bytes, or one of the valid inputs with up to four changes.
pub(crate) fn bytes(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changed = (select(valid), vec(change(), 0..5)).prop_map(|(mut bytes, changes)| {
        for change in changes {
            change.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![1 => vec(any::<u8>(), 0..300), 6 => changed]
}

/// A change of the words of a text: one is left out, or replaced by another.
type WordChange = (Index, Option<String>);

fn change_words(text: &str, changes: &[WordChange]) -> String {
    let mut words = split(text);
    for (at, other) in changes {
        let is_word = |at: &usize| words[*at].starts_with(char::is_alphanumeric);
        let places: Vec<_> = (0..words.len()).filter(is_word).collect();
        if !places.is_empty() {
            words[places[at.index(places.len())]] = other.clone().unwrap_or_default();
        }
    }
    words.concat()
}

/// Splits a text into words and the characters between them.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if c.is_alphanumeric() && word.ends_with(char::is_alphanumeric) => {
                word.push(c);
            }
            _ => words.push(c.into()),
        }
    }
    words
}

/// Texts: changed bytes, with invalid UTF-8 replaced; valid texts with some words replaced by other valid ones or by
/// odd numbers; words in another order; and brackets without end.
pub(crate) fn text(valid: &[&str]) -> impl Strategy<Value = String> + use<> {
    let mut pool: Vec<String> = valid.iter().flat_map(|text| split(text)).collect();
    let odd = [
        "9",
        "-1",
        "1e400",
        "18446744073709551616",
        "null",
        "true",
        "\u{0}",
        "é",
    ];
    pool.extend(odd.map(str::to_string));
    pool.extend(NUMBERS.map(|number| number.to_string()));
    pool.sort_unstable();
    pool.dedup();
    let bytes = bytes(valid.iter().map(|text| text.as_bytes().to_vec()).collect());
    let bytes = bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let texts: Vec<String> = valid.iter().map(|text| (*text).to_string()).collect();
    let other = prop_oneof![1 => Just(None), 2 => select(pool.clone()).prop_map(Some)];
    let words = (select(texts), vec((any::<Index>(), other), 0..5))
        .prop_map(|(text, changes): (String, Vec<WordChange>)| change_words(&text, &changes));
    let shuffled = vec(select(pool), 0..60).prop_map(|words| words.concat());
    let nested = (select(&["[", "(", "{\"a\":", "Some("][..]), 1..3_000usize)
        .prop_map(|(open, depth)| open.repeat(depth));
    prop_oneof![3 => bytes, 5 => words, 1 => shuffled, 1 => nested]
}
