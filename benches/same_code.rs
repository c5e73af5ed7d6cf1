//! The publications on the machine's own memory, and the same by hand: two functions each, which
//! ci/same-code.sh compares instruction by instruction. The program itself does nothing.
#![allow(
    unsafe_code,
    reason = "names that can be found in the assembly, and are used nowhere else"
)]
#![allow(
    dead_code,
    missing_docs,
    reason = "functions to be compiled, not called"
)]

#[path = "measured/by_hand.rs"]
mod by_hand;

use by_hand::Line;
use forkcheck::publish::{Latest, OneShot, Ring, SeqLock, Writer};

macro_rules! pairs {
    ($($ours:ident $by_hand:ident: |$publication:ident: $Ours:ty, $Hand:ty $(, $value:ident: $Value:ty)?| -> $Result:ty $body:block)*) => {$(
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $ours($publication: $Ours $(, $value: $Value)?) -> $Result $body
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $by_hand($publication: $Hand $(, $value: $Value)?) -> $Result $body
    )*};
}

/// Whether a push or a set succeeded: this crate's return the value if not.
trait Went {
    fn went(self) -> bool;
}
impl Went for bool {
    fn went(self) -> bool {
        self
    }
}
impl<T, E> Went for Result<T, E> {
    fn went(self) -> bool {
        self.is_ok()
    }
}

pairs! {
    pair_one_shot_set pair_one_shot_set_by_hand: |it: &OneShot<Line>, &by_hand::OneShot, value: Line| -> bool { it.set(value).went() }
    pair_one_shot_get pair_one_shot_get_by_hand: |it: &OneShot<Line>, &by_hand::OneShot| -> Option<Line> { it.get() }
    pair_seq_lock_write pair_seq_lock_write_by_hand: |it: &mut Writer<'_, Line>, &mut by_hand::Writer<'_>, value: Line| -> () { it.write(value) }
    pair_seq_lock_read pair_seq_lock_read_by_hand: |it: &SeqLock<Line>, &by_hand::SeqLock| -> Option<Line> { it.try_read() }
    pair_latest_write pair_latest_write_by_hand: |it: &Latest<Line>, &by_hand::Latest, value: Line| -> () { it.write(value) }
    pair_latest_read pair_latest_read_by_hand: |it: &Latest<Line>, &by_hand::Latest| -> Line { it.read() }
    pair_ring_push pair_ring_push_by_hand: |it: &Ring<Line, 8>, &by_hand::Ring<8>, value: Line| -> bool { it.push(value).went() }
    pair_ring_pop pair_ring_pop_by_hand: |it: &Ring<Line, 8>, &by_hand::Ring<8>| -> Option<Line> { it.pop() }
}

fn main() {}
