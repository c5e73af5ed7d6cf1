//! The symbols of the program itself, which say whose its statics are.

use super::crates::crate_of;
use crate::error::Error;
use object::{Object, ObjectSymbol, SymbolKind};
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

/// Reads the symbols of the program.
pub(super) fn read() -> Result<Ours, Error> {
    let failed = |why: String| Error::invalid(why, "build it by cargo forkcheck, and let nothing strip it");
    let program = std::fs::read("/proc/self/exe")
        .map_err(|error| failed(format!("the program's file cannot be read: {error}")))?;
    let file = object::File::parse(&*program)
        .map_err(|error| failed(format!("the program's file is none that is known: {error}")))?;
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
