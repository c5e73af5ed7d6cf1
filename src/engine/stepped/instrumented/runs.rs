//! The place of what a thread runs, for hooks: they look before they save a register, and return where code of the check runs.
#![allow(
    unsafe_code,
    reason = "a function that the loader calls before the program begins"
)]

use super::RUNS;
use super::blocks::register;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The distance of [`RUNS`] from the register of thread-locals. It is one in all threads: the program's own thread-locals, of which
/// it is one, lie at a fixed distance from it, and a program that does not have this crate within itself is refused.
pub(super) static DISTANCE: AtomicUsize = AtomicUsize::new(0);

/// Notes it before any code under test runs. Until then a hook looks at the first byte of what the register points to, and whatever
/// that is, returns or looks again in its own way.
extern "C" fn find() {
    let place = RUNS.with(|runs| runs.as_ptr().addr());
    DISTANCE.store(place.wrapping_sub(register()), Relaxed);
}
#[used]
#[unsafe(link_section = ".init_array")]
static FIND: extern "C" fn() = find;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_what_it_runs_at_one_distance() {
        let distance = || {
            RUNS.with(|runs| runs.as_ptr().addr())
                .wrapping_sub(register())
        };
        assert_eq!(distance(), DISTANCE.load(Relaxed));
        let elsewhere = std::thread::spawn(distance).join().unwrap();
        assert_eq!(elsewhere, DISTANCE.load(Relaxed));
    }
}
