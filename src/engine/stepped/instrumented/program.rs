//! The symbols of the program itself, which name the crate of each static.

use super::crates::{crate_of, path_of};
use super::locked;
use crate::error::Error;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::ops::Range;

/// The crate whose statics are none of code under test.
const OURS: &str = "forkcheck";

/// Statics of this crate: of the program by distance from its first byte, and thread-locals by distance from the first byte of
/// the block of a thread.
#[derive(Default)]
pub(super) struct Ours {
    pub(super) shared: Vec<Range<usize>>,
    pub(super) of_threads: Vec<Range<usize>>,
}

/// Crates that are not instrumented: the standard library's, and those that answer instrumented code. The wrapper's list has the
/// second.
const PLAIN: &[&str] = &[
    "addr2line",
    "adler2",
    "alloc",
    "cfg_if",
    "compiler_builtins",
    "core",
    "corosensei",
    "fallible_iterator",
    "forkcheck",
    "getopts",
    "gimli",
    "hashbrown",
    "libc",
    "memchr",
    "memmap2",
    "miniz_oxide",
    "nix",
    "object",
    "panic_abort",
    "panic_unwind",
    "postcard",
    "proptest",
    "ron",
    "rustc_demangle",
    "scopeguard",
    "std",
    "std_detect",
    "test",
    "unwind",
];

fn failed(why: String) -> Error {
    Error::invalid(why, "build it by cargo forkcheck, and let nothing strip it")
}

/// Returns the bytes of the program.
fn bytes() -> Result<Vec<u8>, Error> {
    std::fs::read("/proc/self/exe")
        .map_err(|error| failed(format!("the program's file cannot be read: {error}")))
}

/// Returns the program in these bytes.
fn parsed(bytes: &[u8]) -> Result<object::File<'_>, Error> {
    object::File::parse(bytes)
        .map_err(|error| failed(format!("the program's file is none that is known: {error}")))
}

/// Returns the functions of instrumented crates that have atomic instructions all the same, by their paths.
pub(super) fn plain_atomics() -> Result<Vec<String>, Error> {
    let bytes = bytes()?;
    let file = parsed(&bytes)?;
    let mut found = Vec::new();
    for symbol in file.symbols() {
        let Ok(name) = symbol.name() else { continue };
        let is_instrumented = crate_of(name).is_some_and(|of| !PLAIN.contains(&of));
        if symbol.kind() != SymbolKind::Text || symbol.size() == 0 || !is_instrumented {
            continue;
        }
        let section = symbol
            .section_index()
            .and_then(|index| file.section_by_index(index).ok());
        let code = section
            .and_then(|section| section.data_range(symbol.address(), symbol.size()).ok())
            .flatten();
        if cfg!(target_arch = "x86_64") && code.is_some_and(locked::is_there) {
            found.push(path_of(name));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Reads the symbols of the program.
pub(super) fn read() -> Result<Ours, Error> {
    let bytes = bytes()?;
    let file = parsed(&bytes)?;
    let mut ours = Ours::default();
    for symbol in file.symbols() {
        let places = match symbol.kind() {
            SymbolKind::Data => &mut ours.shared,
            SymbolKind::Tls => &mut ours.of_threads,
            _ => continue,
        };
        if symbol.size() == 0 || symbol.name().ok().and_then(crate_of) != Some(OURS) {
            continue;
        }
        let at = symbol.address() as usize;
        places.push(at..at + symbol.size() as usize);
    }
    // This module's own state is a static: where there is none, the symbols are gone.
    if ours.shared.is_empty() || ours.of_threads.is_empty() {
        return Err(failed("the program has no symbols".into()));
    }
    ours.shared.sort_by_key(|range| range.start);
    ours.of_threads.sort_by_key(|range| range.start);
    Ok(ours)
}
