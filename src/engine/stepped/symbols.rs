//! Source lines of instructions, from the debug information of the program. A supervisor looks
//! lines up before it forks, so that its children need not.

use addr2line::Loader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A location in the source; all fields are empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceLine {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The lines that were looked up, for all coroutines of a process, which have thread-locals of their own.
static KNOWN: Mutex<BTreeMap<u32, SourceLine>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The loader; `None` if the program cannot be read.
    static LOADER: Option<Loader> = Loader::new("/proc/self/exe").ok();
}

/// Returns the line of an instruction: that of the innermost call outside of the standard library
/// and this crate.
pub(crate) fn site(code: u32) -> SourceLine {
    let mut lines = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lines.get(&code) {
        return known.clone();
    }
    let place = LOADER.with(|loader| innermost(loader.as_ref()?, code));
    let place = place.unwrap_or_default();
    lines.insert(code, place.clone());
    place
}

/// The bytes before an instruction without a line in which the line of another one counts: the
/// compiler merged the two.
const BEFORE: u64 = 64;

fn innermost(loader: &Loader, code: u32) -> Option<SourceLine> {
    // A return address is that of the instruction after the call.
    let address = loader.relative_address_base() + u64::from(code.checked_sub(1)?);
    let found = (0..BEFORE).find_map(|bytes| line(loader, address.checked_sub(bytes)?));
    found.map(|(place, _)| place)
}

/// Returns a line, and whether it is outside of the standard library and this crate.
fn line(loader: &Loader, address: u64) -> Option<(SourceLine, bool)> {
    let mut frames = loader.find_frames(address).ok()?;
    let mut innermost = None;
    while let Ok(Some(frame)) = frames.next() {
        let Some(at) = frame.location else { continue };
        // Line 0 is code that the compiler made up.
        let (Some(file), Some(line @ 1..)) = (at.file, at.line) else {
            continue;
        };
        let place = SourceLine {
            file: relative(file).to_owned(),
            line,
            column: at.column.unwrap_or(0),
        };
        if !is_below(file) {
            return Some((place, true));
        }
        innermost.get_or_insert(place);
    }
    innermost.map(|place| (place, false))
}

/// Returns the line of an instruction, if it is outside of the standard library and this crate.
pub(super) fn line_of_user(code: u32) -> Option<SourceLine> {
    let address = u64::from(code.checked_sub(1)?);
    let found = LOADER.with(|loader| {
        let loader = loader.as_ref()?;
        line(loader, loader.relative_address_base() + address)
    });
    found
        .filter(|(_, is_users)| *is_users)
        .map(|(place, _)| place)
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
