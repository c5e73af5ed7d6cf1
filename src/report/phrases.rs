//! Phrases: those that stay on one line, and numbers with their noun.

/// A space at which lines are not broken.
pub(super) const KEPT: char = '\u{a0}';

pub(super) fn kept(text: &str) -> String {
    text.replace(' ', &KEPT.to_string())
}

pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Says of a finding of forked processes that the same program passes under `stepped`.
pub(super) const PASSES_STEPPED: &str = "the program of this case, step by step: it passes under `stepped`, so the failure needs \
    something that `stepped` does not check";
