//! What the processes of a suite printed lately, without what they printed again and again: each replay of a panic
//! prints the same.

use std::fmt::Write;

/// Lines shown, the last.
const LINES: usize = 20;
/// Lines that repeat are looked for in blocks of at most so many: a panic with a short backtrace.
const BLOCK: usize = 60;

pub(super) fn printed(to: &mut String, output: &str) -> std::fmt::Result {
    if output.trim().is_empty() {
        return Ok(());
    }
    write!(to, "\n its processes printed, last:\n")?;
    let lines = collapsed(output);
    let last = &lines[lines.len().saturating_sub(LINES)..];
    last.iter().try_for_each(|line| writeln!(to, "   | {line}"))
}

/// Blocks of lines that come again at once are kept once, with the number of times.
fn collapsed(output: &str) -> Vec<String> {
    // Empty lines say nothing, and stand before some of what is printed again and not before all of it.
    let lines: Vec<&str> = output.lines().filter(|l| !l.trim().is_empty()).collect();
    // Which process printed it differs each time.
    let said: Vec<String> = lines.iter().map(|line| without_ids(line)).collect();
    let mut kept: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let times = |block: usize| {
            let again = said[at + block..].chunks_exact(block);
            1 + again
                .take_while(|next| **next == said[at..at + block])
                .count()
        };
        let longest = BLOCK.min((lines.len() - at) / 2);
        let best = (1..=longest)
            .map(|block| (block, times(block)))
            .find(|&(_, times)| times > 1);
        let (block, times) = best.unwrap_or((1, 1));
        kept.extend(lines[at..at + block].iter().map(|line| (*line).to_owned()));
        if times > 1
            && let Some(last) = kept.last_mut()
        {
            let lines = if block > 1 {
                format!("these {block} lines ")
            } else {
                String::new()
            };
            *last = format!("{last}  ({lines}{times} times)");
        }
        at += block * times;
    }
    kept
}

/// A line without numbers in round brackets: so the standard library names the thread that panicked.
fn without_ids(line: &str) -> String {
    let mut parts = line.split('(');
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        without.push('(');
        without.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_was_replayed_is_printed_once_with_the_number_of_times() {
        let panic =
            |id: u32| format!("\nthread 'main' ({id}) panicked at a.rs:1:2:\nno such slot\n");
        let output: String = (70..80).map(panic).collect();
        let mut text = String::new();
        printed(&mut text, &format!("first\n{output}last\n")).unwrap();
        assert_eq!(text.matches("panicked").count(), 1, "{text}");
        assert!(
            text.contains("| first\n")
                && text.contains("no such slot  (these 2 lines 10 times)\n")
                && text.contains("| last\n"),
            "{text}"
        );
        assert_eq!(collapsed("a\na\nb\na"), ["a  (2 times)", "b", "a"]);
    }
}
