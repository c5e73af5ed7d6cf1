//! Panics of the children of a fresh process, printed with a backtrace only where a report shows it.
//!
//! The names in a backtrace are read from the debug information of the whole program, by each process again. That takes up
//! to a second, and an operation may panic in each execution of a search.

use crate::Error;
use crate::region::Region;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The fresh process whose children this is about, and a word that these see whenever they were forked: not zero where
/// panics are printed as the standard library does. Another value than ours does no harm.
static CHOICE: OnceLock<(u32, Region)> = OnceLock::new();

/// Sets whether panics of the children of this process are printed with backtraces, where `RUST_BACKTRACE` asks for them.
pub(crate) fn print_backtraces(print: bool) -> Result<(), Error> {
    if CHOICE.get().is_none() {
        let region = Region::anonymous(size_of::<AtomicU32>())?;
        // There is one thread here that asks.
        let _ = CHOICE.set((std::process::id(), region));
    }
    if let Some(word) = word() {
        word.store(print.into(), Relaxed);
    }
    Ok(())
}

fn word() -> Option<&'static AtomicU32> {
    let (_, region) = CHOICE.get()?;
    region.get(0).ok()
}

/// Prints a panic without a backtrace, if this is a child that is to do so, and returns whether it did.
pub(super) fn printed_without(info: &PanicHookInfo<'_>, message: &str) -> bool {
    let is_child = CHOICE
        .get()
        .is_some_and(|(parent, _)| *parent != std::process::id());
    if !is_child || word().is_none_or(|word| word.load(Relaxed) != 0) {
        return false;
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let place = info
        .location()
        .map_or("an unknown place".into(), ToString::to_string);
    // One that cannot be written is told all the same.
    let _ = writeln!(
        std::io::stderr(),
        "\nthread '{name}' panicked at {place}:\n{message}"
    );
    true
}
