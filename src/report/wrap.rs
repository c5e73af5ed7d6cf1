//! Lines of a report that are wrapped: none is broken within a phrase that is to be copied.

use super::phrases::KEPT;
use super::table::WIDTH;

/// Columns of a label, with the space after it.
pub(super) const LABEL: usize = 13;
/// Columns before each line but the first of a headline.
const HANGING: usize = 4;

/// Returns words that stand under each other behind a label. Words that [`kept`](super::phrases::kept) has joined stay on
/// one line.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    hanging(text, width.min(WIDTH), LABEL + 1, LABEL + 1)
}

/// Returns a headline, whose lines are as long as the terminal is wide.
pub(super) fn headed(text: &str, width: usize) -> String {
    let lines = text
        .lines()
        .zip([0].into_iter().chain(std::iter::repeat(HANGING)));
    let lines = lines.map(|(line, from)| " ".repeat(from) + &hanging(line, width, from, HANGING));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a text whose first line begins in one column, and each other one in another.
fn hanging(text: &str, width: usize, first: usize, others: usize) -> String {
    let length = |text: &str| text.chars().count();
    let mut lines: Vec<String> = Vec::new();
    let text = whole_values(&whole_code(text.trim()));
    for word in text.split(|c: char| c.is_whitespace() && c != KEPT) {
        let from = if lines.len() > 1 { others } else { first };
        match lines.last_mut() {
            // Of several spaces in a value none is lost.
            Some(line) if from + length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    let break_ = format!("\n{}", " ".repeat(others));
    lines.join(&break_).replace(KEPT, " ")
}

/// The longest value that stays on one line.
const VALUE: usize = 40;

/// Joins the words of a short value: what is between brackets that open behind a name or another bracket, as in `Some([1, 2])`.
fn whole_values(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut open = Vec::new();
    for at in 0..chars.len() {
        match chars[at] {
            '(' | '[' => {
                let before = at.checked_sub(1).map_or(' ', |before| chars[before]);
                let is_of_value = chars[at] == '[' || before.is_alphanumeric() || before == '(';
                open.push((at, is_of_value));
            }
            ')' | ']' => match open.pop() {
                Some((from, true)) if at - from < VALUE => {
                    let inside = chars[from..at].iter_mut().filter(|c| **c == ' ');
                    inside.for_each(|c| *c = KEPT);
                }
                _ => {}
            },
            _ => {}
        }
    }
    chars.into_iter().collect()
}

/// Joins what is copied as a whole: the words between two backquotes, and an option with the word before it.
fn whole_code(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let last = parts.len() - 1;
    let is_closed = |number: usize| number % 2 == 1 && number < last;
    let parts = parts.iter().enumerate().map(|(number, part)| {
        let mut whole = String::new();
        let mut rest = part.chars().peekable();
        while let Some(c) = rest.next() {
            let mut ahead = rest.clone();
            let is_option = ahead.next() == Some('-')
                && ahead
                    .next()
                    .is_some_and(|c| c == '-' || c.is_ascii_alphabetic());
            whole.push(match c {
                ' ' if is_closed(number) || is_option => KEPT,
                c => c,
            });
        }
        whole
    });
    parts.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::super::phrases::kept;
    use super::*;

    fn lines_fit(text: &str, width: usize) -> bool {
        text.lines().all(|line| line.chars().count() <= width)
    }

    #[test]
    fn a_seed_a_token_and_a_variable_stand_on_one_line() {
        for filler in 60..100 {
            let seed = kept("seed 12345678901234567890");
            let text = format!("{} {seed}, FORKCHECK_REFRESH=1", "x".repeat(filler));
            for text in [wrapped(&text, WIDTH), headed(&text, WIDTH)] {
                let mut lines = text.lines();
                assert!(
                    lines.any(|line| line.contains("seed 12345678901234567890,")),
                    "{text}"
                );
                assert!(lines_fit(&text, WIDTH), "{text}");
            }
        }
        assert_eq!(wrapped("Popped(\"a  b\")", WIDTH), "Popped(\"a  b\")");
        let token = "f".repeat(3 * WIDTH);
        assert_eq!(wrapped(&format!("a {token} b"), WIDTH).lines().count(), 3);
    }

    #[test]
    fn code_in_backquotes_and_an_option_with_its_command_stand_on_one_line() {
        for filler in 20..100 {
            let filler = "x".repeat(filler);
            let text = format!("{filler} let `cargo test --doc` run (ulimit -u), or not: 1 -> 2");
            let text = headed(&text, 60);
            let has = |whole: &str| text.lines().any(|line| line.contains(whole));
            assert!(has("`cargo test --doc`") && has("(ulimit -u)"), "{text}");
        }
        // A backquote without a second one joins nothing, and an arrow is no option.
        let text = format!("`{}", "x -> y ".repeat(30));
        assert!(lines_fit(&headed(&text, 60), 60));
    }

    #[test]
    fn a_short_value_stands_on_one_line_and_a_long_one_or_a_remark_does_not() {
        for filler in 20..60 {
            let text = |value: &str| format!("{} expects {value}", "x".repeat(filler));
            let text = headed(&text("Got(Some([1, 145]))"), 60);
            assert!(text.contains("Got(Some([1, 145]))"), "{text}");
        }
        let breaks = |text: &str| hanging(text, 30, 0, 0).lines().count() > 1;
        assert!(breaks(&format!("Value([{}])", "1, ".repeat(20))));
        assert!(breaks("it goes on (as it does among all others)"));
        assert!(breaks("Value([1, 2 and so on, which never ends, it seems"));
    }

    #[test]
    fn a_headline_is_as_wide_as_the_terminal_and_has_the_lines_of_a_message() {
        let words = "word ".repeat(40);
        for width in [60, 80, 160] {
            let text = headed(&words, width);
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!((width - 5..=width).contains(&longest.unwrap()), "{text}");
            assert!(
                text.lines()
                    .skip(1)
                    .all(|line| line.starts_with("    word"))
            );
        }
        assert_eq!(headed(&words, usize::MAX), words.trim());
        assert_eq!(
            headed("it panicked: one\ntwo", 80),
            "it panicked: one\n    two"
        );
    }
}
