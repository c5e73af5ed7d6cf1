//! Phrases: those that stay on one line, and numbers with their noun.

/// A space at which lines are not broken.
pub(super) const KEPT: char = '\u{a0}';

pub(super) fn kept(text: &str) -> String {
    text.replace(' ', &KEPT.to_string())
}

pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
