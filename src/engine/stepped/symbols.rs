//! Source lines of instructions, from the debug information of the program. A supervisor looks
//! lines up before it forks, so that its children need not.

use addr2line::Loader;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A location in the source; all fields are empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

#[derive(Default)]
struct Symbols {
    /// The loader; `None` if it was not asked for yet, or if the program cannot be read.
    loader: Option<Option<Loader>>,
    known: HashMap<u32, Place>,
}

thread_local! {
    static SYMBOLS: RefCell<Symbols> = RefCell::default();
}

/// Returns the line of an instruction: that of the innermost call outside of the standard library
/// and this crate.
pub(crate) fn site(code: u32) -> Place {
    SYMBOLS.with_borrow_mut(|symbols| {
        if let Some(known) = symbols.known.get(&code) {
            return known.clone();
        }
        let loader = symbols
            .loader
            .get_or_insert_with(|| Loader::new("/proc/self/exe").ok());
        let place = loader.as_ref().and_then(|loader| innermost(loader, code));
        let place = place.unwrap_or_default();
        symbols.known.insert(code, place.clone());
        place
    })
}

/// The bytes before an instruction without a line in which the line of another one counts: the
/// compiler merged the two.
const BEFORE: u64 = 64;

fn innermost(loader: &Loader, code: u32) -> Option<Place> {
    // A return address is that of the instruction after the call.
    let address = loader.relative_address_base() + u64::from(code.checked_sub(1)?);
    (0..BEFORE).find_map(|bytes| line(loader, address.checked_sub(bytes)?))
}

fn line(loader: &Loader, address: u64) -> Option<Place> {
    let mut frames = loader.find_frames(address).ok()?;
    let mut innermost = None;
    while let Ok(Some(frame)) = frames.next() {
        let Some(at) = frame.location else { continue };
        // Line 0 is code that the compiler made up.
        let (Some(file), Some(line @ 1..)) = (at.file, at.line) else {
            continue;
        };
        let place = Place {
            file: relative(file).to_owned(),
            line,
            column: at.column.unwrap_or(0),
        };
        if !is_below(file) {
            return Some(place);
        }
        innermost.get_or_insert(place);
    }
    innermost
}

/// Returns a file as the compiler names it: from the root of the workspace, if it is in there.
fn relative(file: &str) -> &str {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let above = package.iter().flat_map(|package| package.ancestors());
    let root = above
        .filter(|place| place.join("Cargo.lock").is_file())
        .last();
    let below = root.and_then(|root| Path::new(file).strip_prefix(root).ok());
    below.and_then(Path::to_str).unwrap_or(file)
}

/// Returns whether a file is the standard library's or this crate's.
fn is_below(file: &str) -> bool {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
    file.starts_with("/rustc/") || file.contains("/rustlib/src/") || file.starts_with(own)
}
