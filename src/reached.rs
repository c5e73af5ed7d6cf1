//! Marks in the code of structures ([`reached!`](crate::reached!),
//! [`sometimes!`](crate::sometimes!)), and which of them executions reached.
//!
//! Each mark is a static in one section of the program, so that unreached marks are known too.
//! While an engine runs a case, its processes set flags in a shared page, at the index of the mark
//! in the section: one load and at most one store of a byte, which order nothing. An engine's
//! answer includes the flags.
#![allow(
    unsafe_code,
    reason = "marks lie in a section of the program, and flags behind a pointer to a page"
)]

use crate::region::Region;
use serde::{Deserialize, Serialize};
use std::ptr::{addr_of, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering::Relaxed};

/// The most marks of a program that are followed; any beyond count as reached.
const MOST: usize = 512;

type Flags = [AtomicU8; MOST];

/// A mark in the source.
#[doc(hidden)]
#[derive(Debug)]
#[repr(C)]
pub struct Mark {
    pub label: &'static str,
    pub module: &'static str,
    pub file: &'static str,
    pub line: u32,
    /// Whether it has a condition.
    pub is_conditional: bool,
}

/// A mark of no module: it makes sure that each program has the section.
#[used]
#[unsafe(link_section = "forkcheck_marks")]
static FIRST: Mark = Mark {
    label: "",
    module: "",
    file: "",
    line: 0,
    is_conditional: false,
};

unsafe extern "Rust" {
    #[link_name = "__start_forkcheck_marks"]
    static START: Mark;
    #[link_name = "__stop_forkcheck_marks"]
    static STOP: Mark;
}

/// The flags of the engine that runs in this process or its parent; null outside of a check.
static FLAGS: AtomicPtr<Flags> = AtomicPtr::new(null_mut());

/// Returns all marks of this program.
fn all() -> &'static [Mark] {
    // The linker defines the bounds of the section only if some part of it is in the program.
    std::hint::black_box(&FIRST);
    let (start, stop) = (addr_of!(START), addr_of!(STOP));
    let length = (stop.addr() - start.addr()) / size_of::<Mark>();
    // SAFETY: a slice of the section.
    // 1. The linker sets both names to the bounds of the section `forkcheck_marks`. 2. It holds statics of type `Mark` alone,
    // which the macros of this file and `FIRST` put there; their size is a multiple of their alignment, so they stand without
    // gaps. 3. They are never written to, and live as long as the program.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// Returns the labels of all marks of this program, in order, each once.
pub(crate) fn labels() -> Vec<&'static str> {
    let mut labels: Vec<&str> = all().iter().map(|mark| mark.label).collect();
    labels.retain(|label| !label.is_empty());
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// Returns whether an engine runs a case here. Where code is compiled with instrumentation, the load is no step of it.
#[doc(hidden)]
#[cfg_attr(not(forkcheck_instrumented), inline(always))]
#[cfg_attr(forkcheck_instrumented, inline(never))]
pub fn is_checked() -> bool {
    !FLAGS.load(Relaxed).is_null()
}

/// Notes that a mark was reached.
#[doc(hidden)]
#[cold]
pub fn note(mark: &'static Mark) {
    let place = (std::ptr::from_ref(mark).addr() - addr_of!(START).addr()) / size_of::<Mark>();
    // SAFETY: a shared reference to the flags.
    // 1. `follow` stored the pointer to a region that it never gives back. 2. Atomics may be written by others.
    let flags = unsafe { FLAGS.load(Relaxed).as_ref() };
    if let Some(flag) = flags.and_then(|flags| flags.get(place))
        && flag.load(Relaxed) == 0
    {
        flag.store(1, Relaxed);
    }
}

/// Follows marks in this process and in all that it forks from now on. Without memory for that none
/// counts as reached.
pub(crate) fn follow() {
    if is_checked() {
        return;
    }
    let Ok(region) = Region::anonymous(size_of::<Flags>()) else {
        return;
    };
    let region: &'static Region = Box::leak(Box::new(region));
    if let Ok(flags) = region.get::<Flags>(0) {
        FLAGS.store(std::ptr::from_ref(flags).cast_mut(), Relaxed);
    }
}

/// Takes the marks that were reached since the last call.
pub(crate) fn taken() -> Reached {
    let mut reached = Reached::default();
    // SAFETY: as in `note`.
    let flags = unsafe { FLAGS.load(Relaxed).as_ref() };
    for (place, flag) in flags.into_iter().flatten().enumerate() {
        if flag.swap(0, Relaxed) != 0 {
            reached.0[place / 64] |= 1 << (place % 64);
        }
    }
    reached
}

/// Marks that executions reached, each by its number in the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached([u64; MOST / 64]);

impl Reached {
    /// Adds marks that other executions reached.
    pub(crate) fn add(&mut self, more: Self) {
        for (word, more) in self.0.iter_mut().zip(more.0) {
            *word |= more;
        }
    }

    fn has(&self, place: usize) -> bool {
        let word = self.0.get(place / 64);
        word.is_none_or(|word| word >> (place % 64) & 1 == 1)
    }

    /// Returns in words the marks that no execution reached, only those of modules that the check
    /// is about: the module of the structure, and each of which some mark was reached.
    pub(crate) fn missing(&self, structure: &str, exempt: &[&str]) -> Vec<String> {
        missing(all(), |place| self.has(place), structure, exempt)
    }
}

fn missing(
    marks: &[Mark],
    reached: impl Fn(usize) -> bool,
    structure: &str,
    exempt: &[&str],
) -> Vec<String> {
    let marks = || marks.iter().enumerate();
    let own = module_of(structure);
    let is_about = |module: &str| {
        module == own || marks().any(|(place, mark)| mark.module == module && reached(place))
    };
    let mut missing = Vec::new();
    for (_, mark) in marks() {
        // A label may be used at several points.
        let mut same =
            marks().filter(|(_, other)| (other.label, other.module) == (mark.label, mark.module));
        if mark.label.is_empty()
            || exempt.contains(&mark.label)
            || same.any(|(place, _)| reached(place))
            || !is_about(mark.module)
        {
            continue;
        }
        let file = mark.file.rsplit('/').next().unwrap_or(mark.file);
        let words = match mark.is_conditional {
            true => format!("{:?} was never true ({file}:{})", mark.label, mark.line),
            false => format!("{:?} ({file}:{})", mark.label, mark.line),
        };
        missing.push(words);
    }
    missing.sort();
    missing
}

/// Returns the module of a type: `ring::spsc` of `ring::spsc::Ring<forkcheck::Hardware>`.
fn module_of(structure: &str) -> &str {
    let path = structure.split('<').next().unwrap_or(structure);
    path.rsplit_once("::").map_or("", |(module, _)| module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(label: &'static str, module: &'static str, is_conditional: bool) -> Mark {
        Mark {
            label,
            module,
            file: "src/ring.rs",
            line: 7,
            is_conditional,
        }
    }

    #[test]
    fn what_is_missing_is_of_the_modules_that_a_check_is_about() {
        let marks = [
            mark("", "", false),
            mark("wrapped", "ring", false),
            mark("full", "ring", true),
            mark("grown", "vector", false),
            mark("shrunk", "vector", false),
            mark("shrunk", "vector", false),
            mark("far", "elsewhere", false),
        ];
        let missing = |reached: &[usize], structure, exempt: &[&str]| {
            missing(&marks, |place| reached.contains(&place), structure, exempt)
        };
        let (wrapped, full) = (
            "\"wrapped\" (ring.rs:7)",
            "\"full\" was never true (ring.rs:7)",
        );
        let ring = "ring::Ring<forkcheck::memory::Hardware, 3>";
        assert_eq!(missing(&[], ring, &[]), [full, wrapped]);
        assert_eq!(missing(&[1], ring, &[]), [full]);
        assert_eq!(missing(&[1], ring, &["full"]), [""; 0]);
        // A structure of another module is built on that one.
        assert_eq!(missing(&[2], "tests::Checked", &[]), [wrapped]);
        // One point of a label is enough.
        assert_eq!(
            missing(&[5], "tests::Checked", &[]),
            ["\"grown\" (ring.rs:7)"]
        );
        assert_eq!(missing(&[], "tests::Checked", &[]), [""; 0]);
    }

    #[test]
    fn outside_of_a_check_nothing_is_noted() {
        assert!(!is_checked());
        note(&FIRST);
        assert_eq!(taken(), Reached::default());
        assert!(all().iter().any(|mark| mark.label.is_empty()));
    }
}
