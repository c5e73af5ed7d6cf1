//! The terminal that a report is rendered for: its width, whether it shows colours, and how much of a report it has room for.
//!
//! Colours are five escape sequences (ECMA-48, SGR), written here: users of the library compile no crate for them.
#![allow(unsafe_code, reason = "nix has no call for the size of a terminal")]

use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd};

/// The width of a terminal, whether it shows colours, and the room on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    pub(super) columns: usize,
    /// Columns of the headline and the line below it.
    pub(super) head: usize,
    pub(super) colors: bool,
    pub(super) room: Room,
}

/// The room for a report: the rows of its table, and the characters of an operation, a result or a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) rows: usize,
    cell: usize,
    /// The lines of a state.
    pub(super) state: usize,
}

impl Room {
    /// The most events that are shown; beyond that, the least informative ones are omitted.
    pub(super) const ROWS: usize = 60;
    /// The room that a reader looks through.
    pub(super) const USUAL: Self = Self {
        rows: Self::ROWS,
        cell: 60,
        state: 2,
    };
    /// Room for all.
    pub(super) const ALL: Self = Self {
        rows: usize::MAX,
        cell: usize::MAX,
        state: usize::MAX,
    };

    /// Returns the room for a report that leaves out and cuts nothing, or for any other.
    pub(super) fn of(verbose: bool) -> Self {
        match verbose {
            true => Self::ALL,
            false => Self::USUAL,
        }
    }

    /// Returns a text, cut to fit a cell.
    pub(super) fn cut(self, text: &str) -> String {
        cut(text, self.cell)
    }
}

/// Returns a text of at most this many characters, the last of which says that more were cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(most - 1).collect::<String>())
}

/// The meaning of a text that has a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// A finding, or a kill.
    Bad,
    /// A verdict that is neither a finding nor Ok.
    Undecided,
    /// Ok.
    Good,
    /// An access that matters.
    Telling,
    /// A label or a heading.
    Label,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Bad => "1;31",
            Tone::Undecided => "1;33",
            Tone::Good => "1;32",
            Tone::Telling => "33",
            Tone::Label => "1",
        }
    }
}

impl Screen {
    pub(super) fn plain(columns: usize) -> Self {
        Self {
            columns,
            head: columns,
            colors: false,
            room: Room::USUAL,
        }
    }

    /// Returns a text in the colour of this tone, where the terminal shows colours.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        match self.colors {
            true => format!("\x1b[{}m{text}\x1b[0m", tone.code()),
            false => text.to_owned(),
        }
    }
}

/// Returns the columns of the terminal that this stream is, if it is one that knows.
pub(crate) fn columns_of(stream: &impl AsFd) -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let stream = stream.as_fd().as_raw_fd();
    // SAFETY: ioctl(2) with TIOCGWINSZ, ioctl_tty(2).
    // 1. The descriptor is open: `stream` is borrowed.
    // 2. The kernel writes one `winsize` through the pointer, or nothing and returns -1. It is valid for that, and exclusively ours.
    let asked = unsafe { libc::ioctl(stream, libc::TIOCGWINSZ, &raw mut size) };
    (asked == 0 && size.ws_col > 0).then_some(size.ws_col.into())
}

/// Returns whether a report written to this stream should have colours: the stream is a terminal, and neither `NO_COLOR`
/// nor `CLICOLOR=0` nor `TERM` says otherwise; or `CLICOLOR_FORCE` asks for them.
///
/// ```
/// let file = std::fs::File::open("/dev/null").unwrap();
/// # if std::env::var_os("CLICOLOR_FORCE").is_none() {
/// assert!(!forkcheck::report::shows_colors(&file));
/// # }
/// ```
pub fn shows_colors(stream: &impl IsTerminal) -> bool {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into());
    wanted(stream.is_terminal(), variable)
}

/// Returns whether colours are wanted. The order is that of no-color.org and bixense.com/clicolors, as clap has it.
fn wanted(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|force| force != "0") {
        return true;
    }
    match set("CLICOLOR").as_deref() {
        Some("0") => false,
        Some(_) => is_terminal,
        // A job of continuous integration with a terminal may set no `TERM`.
        None => match set("TERM").as_deref() {
            Some("dumb") => false,
            Some(_) => is_terminal,
            None => is_terminal && set("CI").is_some(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_and_the_environment_can_refuse_or_force_them() {
        let of = |terminal: bool, set: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            wanted(terminal, variable)
        };
        let term = ("TERM", "xterm");
        assert!(of(true, &[term]));
        assert!(!of(false, &[term]) && !of(false, &[term, ("CI", "true")]));
        assert!(!of(true, &[term, ("NO_COLOR", "1")]));
        // An empty variable is none.
        assert!(of(true, &[term, ("NO_COLOR", "")]));
        assert!(of(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!of(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!of(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!of(true, &[term, ("CLICOLOR", "0")]));
        assert!(!of(false, &[term, ("CLICOLOR", "1")]));
        assert!(!of(true, &[("TERM", "dumb")]) && !of(true, &[]));
        assert!(of(true, &[("CI", "true")]) && !of(true, &[("TERM", "dumb"), ("CI", "true")]));
        assert!(of(true, &[("TERM", "dumb"), ("CLICOLOR", "1")]));
    }

    #[test]
    fn a_text_is_the_same_but_for_its_colour() {
        let screen = |colors| Screen {
            colors,
            ..Screen::plain(80)
        };
        assert_eq!(screen(false).paint(Tone::Bad, "x"), "x");
        assert_eq!(screen(true).paint(Tone::Bad, "x"), "\x1b[1;31mx\x1b[0m");
    }
}
