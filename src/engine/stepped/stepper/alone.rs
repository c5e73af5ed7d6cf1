//! Operations that one process runs one after the other, outside of an execution: a wait that no
//! other process could end is noticed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The iterations of a spin after which an operation waits: no other process changes what it reads.
const SPINS: u32 = 10_000;

/// The accesses after which an operation that runs alone is ended.
const LONGEST_ALONE: u32 = 1_000_000;

/// An operation that runs alone.
#[derive(Clone, Copy)]
struct Alone {
    process: usize,
    spins: u32,
    steps: u32,
}

thread_local! {
    /// The operation that runs alone on this thread.
    static ALONE: Cell<Option<Alone>> = const { Cell::new(None) };
}

/// Unwinds an operation that waits.
struct Waits;

/// Runs an operation of a process alone. Returns `None` if it waits.
pub(crate) fn alone<R>(process: usize, operation: impl FnOnce() -> R) -> Option<R> {
    let begun = Alone {
        process,
        spins: 0,
        steps: 0,
    };
    let outer = ALONE.replace(Some(begun));
    let result = catch_unwind(AssertUnwindSafe(operation));
    ALONE.set(outer);
    match result {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<Waits>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

/// Returns the process whose operation runs alone here.
pub(super) fn process() -> Option<usize> {
    ALONE.get().map(|alone| alone.process)
}

fn waits() -> ! {
    resume_unwind(Box::new(Waits))
}

/// Counts an access.
pub(super) fn step() {
    if let Some(alone) = ALONE.get() {
        let steps = alone.steps + 1;
        ALONE.set(Some(Alone { steps, ..alone }));
        assert!(
            steps < LONGEST_ALONE,
            "an operation that runs alone took {LONGEST_ALONE} steps and did not return: a loop that waits calls \
             `Memory::spin_loop` or `Memory::wait`"
        );
    }
}

/// Spins once.
pub(super) fn spin() {
    match ALONE.get() {
        None => std::hint::spin_loop(),
        Some(alone) if alone.spins == SPINS => waits(),
        Some(alone) => {
            let spins = alone.spins + 1;
            ALONE.set(Some(Alone { spins, ..alone }));
        }
    }
}

/// Waits, if `look` says that the word has the expected value.
pub(super) fn wait(look: impl FnOnce() -> (bool, u64)) {
    if process().is_some() && look().0 {
        waits();
    }
}

/// Waits, and returns whether it ended before its time was up.
pub(super) fn wait_timeout(look: impl FnOnce() -> (bool, u64)) -> bool {
    process().is_none() || !look().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_waits_alone_is_noticed_and_one_that_returns_is_not() {
        assert_eq!(alone(3, process), Some(Some(3)));
        assert_eq!(process(), None);
        assert_eq!(alone(0, || wait(|| (true, 0))), None);
        assert_eq!(alone(0, || wait(|| (false, 0))), Some(()));
        assert_eq!(alone(0, || wait_timeout(|| (true, 0))), Some(false));
        assert_eq!(alone(0, || wait_timeout(|| (false, 0))), Some(true));
        assert_eq!(alone(0, || (0..SPINS).for_each(|_| spin())), Some(()));
        assert_eq!(alone(0, || (0..=SPINS).for_each(|_| spin())), None);
    }

    #[test]
    fn an_operation_that_takes_too_many_steps_alone_panics_with_the_remedy() {
        let endless = || alone(0, || (0..LONGEST_ALONE).for_each(|_| step()));
        let words = crate::check::words_of_panic(endless).unwrap_err();
        assert!(words.contains("`Memory::spin_loop`"), "{words}");
        assert_eq!(
            alone(0, || (1..LONGEST_ALONE).for_each(|_| step())),
            Some(())
        );
    }
}
