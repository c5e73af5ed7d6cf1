//! Panics of the children of a fresh process, printed with a backtrace only where a report shows
//! it.
//!
//! Each process that prints a backtrace reads the names from the debug information of the whole
//! program. That takes up to a second, and an operation may panic or fail to allocate in each
//! execution of a search.
#![allow(
    unsafe_code,
    reason = "the environment of a process with one thread is changed"
)]

use crate::Error;
use crate::region::Region;
use std::ffi::OsString;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counters that all children of a fresh process see, whenever they were forked. The first is not zero
/// where panics are printed as the standard library does; the second counts the panics that
/// processes have begun to print so; the third counts those that they have printed. Other values
/// than ours cost only time.
type Counters = [AtomicU32; 3];

/// The fresh process whose children the words are for, and the words.
static CHOICE: OnceLock<(u32, Region)> = OnceLock::new();

/// The variable that asks the standard library for backtraces, and its value before it was changed.
/// The library reads it when a process prints its first backtrace.
const VARIABLE: &str = "RUST_BACKTRACE";
static ASKED: OnceLock<Option<OsString>> = OnceLock::new();

/// Sets whether panics of the children of this process are printed with backtraces, where `RUST_BACKTRACE` asks for them.
pub(crate) fn print_backtraces(print: bool) -> Result<(), Error> {
    if CHOICE.get().is_none() {
        let region = Region::anonymous(size_of::<Counters>())?;
        // Only one thread here asks.
        let _ = CHOICE.set((std::process::id(), region));
    }
    let asked = ASKED.get_or_init(|| std::env::var_os(VARIABLE));
    let value = if print {
        asked.as_deref()
    } else {
        Some("0".as_ref())
    };
    // SAFETY: set_var and remove_var.
    // 1. No other thread reads or writes the environment: a fresh process has one, which answers requests, when it is asked for
    //    this. Threads and processes that a structure starts end with its worker. 2. The name has no `=` and no NUL.
    unsafe {
        match value {
            Some(value) => std::env::set_var(VARIABLE, value),
            None => std::env::remove_var(VARIABLE),
        }
    }
    if let Some([with, begun, printed]) = words() {
        with.store(print.into(), Relaxed);
        // A process may have been killed in between.
        begun.store(0, Relaxed);
        printed.store(0, Relaxed);
    }
    Ok(())
}

fn words() -> Option<&'static Counters> {
    let (_, region) = CHOICE.get()?;
    region.get(0).ok()
}

/// Prints a panic without a backtrace, if this process is a child that should do so. Returns
/// whether it did.
pub(super) fn printed_without(info: &PanicHookInfo<'_>, message: &str) -> bool {
    if !is_child() || words().is_none_or(|[with, ..]| with.load(Relaxed) != 0) {
        return false;
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let place = info
        .location()
        .map_or("an unknown place".into(), ToString::to_string);
    // A panic that cannot be written is reported all the same.
    let _ = writeln!(
        std::io::stderr(),
        "\nthread '{name}' panicked at {place}:\n{message}"
    );
    true
}

fn is_child() -> bool {
    CHOICE
        .get()
        .is_some_and(|(parent, _)| *parent != std::process::id())
}

/// A panic that this process is printing, for as long as this value lives.
pub(super) struct Printing(());

impl Printing {
    pub(super) fn begin() -> Self {
        if let Some([_, begun, _]) = words().filter(|_| is_child()) {
            begun.fetch_add(1, Relaxed);
        }
        Self(())
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        if let Some([_, _, printed]) = words().filter(|_| is_child()) {
            printed.fetch_add(1, Relaxed);
        }
    }
}

/// Returns the number of panics that the children of this process have printed, and whether one of
/// them is printing one now.
pub(crate) fn printed_panics() -> (u32, bool) {
    words().map_or((0, false), |[_, begun, printed]| {
        let printed = printed.load(Relaxed);
        (printed, begun.load(Relaxed) != printed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    #[test]
    fn a_panic_that_a_child_prints_is_seen_while_it_does_and_counted() {
        let seen = |()| {
            print_backtraces(true).unwrap();
            let seen = Region::anonymous(8).unwrap();
            let seen: &'static [AtomicU32; 2] = Box::leak(Box::new(seen)).get(0).unwrap();
            std::panic::set_hook(Box::new(|_| {
                seen[0].store(printed_panics().0, Relaxed);
                seen[1].store(printed_panics().1.into(), Relaxed);
            }));
            let before = printed_panics();
            process::run(|| -> () { panic!("printed") }).unwrap_err();
            let meanwhile = seen.each_ref().map(|word| word.load(Relaxed));
            (before, meanwhile, printed_panics())
        };
        let seen = process::in_fresh_process(seen, ()).unwrap();
        assert_eq!(seen, ((0, false), [0, 1], (1, false)));
    }
}
