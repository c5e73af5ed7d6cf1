//! Source lines with marks below their accesses, as rustc writes them.

use super::data::Excerpt;
use super::screen::{Screen, Tone};
use std::fmt::Write;

/// Writes excerpts, each with its row in the table, if it has one. Those of one line or of neighbouring lines stand together, as
/// rustc has them.
pub(super) fn write_excerpts(
    to: &mut String,
    excerpts: &[(&Excerpt, Option<usize>)],
    screen: Screen,
) -> std::fmt::Result {
    let mut groups: Vec<Vec<(&Excerpt, Option<usize>)>> = Vec::new();
    for &(excerpt, row) in excerpts {
        let is_near = |other: &(&Excerpt, Option<usize>)| {
            other.0.file == excerpt.file && other.0.line.abs_diff(excerpt.line) <= 1
        };
        match groups.iter_mut().find(|group| group.iter().any(is_near)) {
            Some(group) => group.push((excerpt, row)),
            None => groups.push(vec![(excerpt, row)]),
        }
    }
    groups
        .iter_mut()
        .try_for_each(|group| write_together(to, group, screen))
}

/// Writes lines of one file, each with the marks of its accesses below.
fn write_together(
    to: &mut String,
    excerpts: &mut [(&Excerpt, Option<usize>)],
    screen: Screen,
) -> std::fmt::Result {
    let Some(&(first, _)) = excerpts.first() else {
        return Ok(());
    };
    let (file, line, column) = (&first.file, first.line, first.column);
    excerpts.sort_by_key(|(excerpt, _)| (excerpt.line, excerpt.column));
    let lines = excerpts.iter().map(|(excerpt, _)| excerpt.line);
    let gutter = lines.max().map_or(4, |line| line.to_string().len().max(4));
    let indents = excerpts.iter().map(|(excerpt, _)| excerpt.indent());
    let indent = indents.min().unwrap_or(0);
    let arrow = screen.paint(Tone::Label, "-->");
    writeln!(to, "{:gutter$}{arrow} {file}:{line}:{column}", "")?;
    let mut last = None;
    for (excerpt, row) in excerpts {
        // A long line is cut around each of its accesses: the mark of one would stand below another part of it.
        let (text, _) = excerpt.fitted(indent, room(gutter, screen));
        let shown = Some((excerpt.line, text));
        if last != shown {
            excerpt.write_line(to, indent, gutter, screen)?;
            last = shown;
        }
        excerpt.write_mark(to, *row, indent, gutter, screen)?;
    }
    Ok(())
}

impl Excerpt {
    fn write_line(
        &self,
        to: &mut String,
        indent: usize,
        gutter: usize,
        screen: Screen,
    ) -> std::fmt::Result {
        let number = screen.paint(Tone::Label, &format!("{:>gutter$}", self.line));
        let rule = screen.paint(Tone::Label, "|");
        let (text, _) = self.fitted(indent, room(gutter, screen));
        writeln!(to, "{number} {rule} {text}")
    }

    /// Writes the mark below its access, and the label.
    fn write_mark(
        &self,
        to: &mut String,
        row: Option<usize>,
        indent: usize,
        gutter: usize,
        screen: Screen,
    ) -> std::fmt::Result {
        let room = room(gutter, screen);
        let (_, from) = self.fitted(indent, room);
        let tone = match self.label.ends_with("is killed before this") {
            true => Tone::Bad,
            false => Tone::Telling,
        };
        let rule = screen.paint(Tone::Label, "|");
        let mark = "^".repeat(self.length.min(room.saturating_sub(from)).max(1));
        let row = row.map_or(String::new(), |row| format!("row {row}: "));
        let label = format!("{row}{}", self.label);
        let words = from + mark.chars().count() + 1 + label.chars().count();
        let before = format!("{:gutter$} {rule} ", "");
        let behind = " ".repeat(from);
        if words <= room {
            let marked = screen.paint(tone, &format!("{mark} {label}"));
            return writeln!(to, "{before}{behind}{marked}");
        }
        writeln!(to, "{before}{behind}{}", screen.paint(tone, &mark))?;
        writeln!(to, "{before}{}", screen.paint(tone, &label))
    }

    /// Returns the number of characters before its text.
    fn indent(&self) -> usize {
        self.text.chars().take_while(|c| c.is_whitespace()).count()
    }

    /// Returns the line without this indentation, cut to this many characters around the access, and the position of the
    /// access in it.
    fn fitted(&self, indent: usize, room: usize) -> (String, usize) {
        let line: Vec<char> = self
            .text
            .trim_end()
            .chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .collect();
        let indent = indent.min(line.len());
        let at = (self.column as usize)
            .saturating_sub(1)
            .clamp(indent, line.len().max(indent));
        let line = &line[indent..];
        let at = at - indent;
        if line.len() <= room {
            return (line.iter().collect(), at);
        }
        // The access stays in sight.
        let skipped = (at + self.length + 2).saturating_sub(room).min(at);
        let mut shown: Vec<char> = line[skipped..].iter().copied().take(room).collect();
        if skipped > 0 {
            shown[0] = '…';
        }
        if line.len() - skipped > room {
            shown[room - 1] = '…';
        }
        (shown.into_iter().collect(), at - skipped)
    }
}

/// Returns the columns of a line behind its number.
fn room(gutter: usize, screen: Screen) -> usize {
    screen.columns.saturating_sub(gutter + 3).max(20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_of_one_line_or_of_neighbouring_lines_stand_in_one_excerpt() {
        let excerpt = |line: u32, column: u32, text: &str, label: &str| Excerpt {
            step: None,
            label: label.into(),
            file: "ring.rs".into(),
            line,
            column,
            text: text.into(),
            length: 4,
        };
        let (inner, outer) = ("        self.tail.load();", "    loop { head.load() }");
        let written = |excerpts: [Excerpt; 2]| {
            let mut text = String::new();
            let with_rows = [(&excerpts[0], Some(3)), (&excerpts[1], None)];
            write_excerpts(&mut text, &with_rows, Screen::plain(60)).unwrap();
            text
        };
        assert_eq!(
            written([
                excerpt(8, 19, inner, "late"),
                excerpt(7, 17, outer, "early")
            ]),
            "    --> ring.rs:8:19\n   \
               7 | loop { head.load() }\n     \
                 |             ^^^^ early\n   \
               8 |     self.tail.load();\n     \
                 |               ^^^^ row 3: late\n"
        );
        assert_eq!(
            written([excerpt(8, 19, inner, "load"), excerpt(8, 14, inner, "tail")]),
            "    --> ring.rs:8:19\n   \
               8 | self.tail.load();\n     \
                 |      ^^^^ tail\n     \
                 |           ^^^^ row 3: load\n"
        );
        // A line that is too long for both is shown twice, each time with its mark below the access.
        let long = format!("head.load(); {} tail.load();", "x".repeat(70));
        let twice = written([excerpt(8, 6, &long, "head"), excerpt(8, 90, &long, "tail")]);
        let lines: Vec<&str> = twice.lines().collect();
        assert_eq!(lines.len(), 6, "{twice}");
        for mark in [2, 4] {
            let at = lines[mark].chars().position(|c| c == '^').unwrap();
            let marked: String = lines[mark - 1].chars().skip(at).take(4).collect();
            assert_eq!(marked, "load", "{twice}");
        }
        // A line between them, or another file, keeps them apart.
        let apart = written([excerpt(7, 12, outer, "one"), excerpt(9, 19, inner, "other")]);
        assert_eq!(apart.matches("-->").count(), 2, "{apart}");
        let mut elsewhere = excerpt(8, 19, inner, "other");
        elsewhere.file = "tail.rs".into();
        let apart = written([excerpt(7, 12, outer, "one"), elsewhere]);
        assert_eq!(apart.matches("-->").count(), 2, "{apart}");
    }
}
