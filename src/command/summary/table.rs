//! The table of the summary: a row for each test, with the sentence on what it covered beside it, or below it where the
//! output is narrow.

use super::line::Line;

/// The space between two columns.
const GAP: usize = 2;
/// The characters of a line of the sentence below which it does not stand beside its row.
const BESIDE: usize = 40;
/// The indentation of the sentence below its row.
const BELOW: usize = 4;

/// A row: the name of the test, the verdict, three numbers, and the sentence.
struct Row {
    cells: [String; 5],
    covered: String,
}

impl Row {
    fn header() -> Self {
        Self {
            cells: ["test", "verdict", "programs", "executions", "seconds"].map(String::from),
            covered: "covered".into(),
        }
    }

    fn of(line: &Line) -> Self {
        // The first two parts are the numbers before.
        let covered = line.covered.get(2..).unwrap_or_default();
        Self {
            cells: [
                line.shown.clone(),
                line.kind.as_ref().unwrap_or(&line.verdict).clone(),
                line.programs.to_string(),
                line.executions.to_string(),
                format!("{:.1}", line.milliseconds as f64 / 1_000.0),
            ],
            covered: covered.join(", "),
        }
    }
}

/// Returns the table for an output of this width, or of an unlimited one. A name that leaves no room for the numbers has a line of its own.
pub(super) fn table(lines: &[Line], width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let rows: Vec<Row> = std::iter::once(Row::header())
        .chain(lines.iter().map(Row::of))
        .collect();
    let widest = |column: usize| rows.iter().map(|row| length(&row.cells[column])).max();
    let mut widths = [0, 1, 2, 3, 4].map(|column| widest(column).unwrap_or(0));
    let after_name: usize = widths[1..].iter().map(|width| GAP + width).sum();
    let room = width.saturating_sub(after_name);
    widths[0] = widths[0].min(room).max("test".len());
    let beside = width.saturating_sub(widths[0] + after_name + GAP);
    let longest = rows.iter().map(|row| length(&row.covered)).max();
    let is_beside = beside >= BESIDE.min(longest.unwrap_or(0));

    let mut text: Vec<String> = Vec::new();
    for Row { cells, covered } in &rows {
        let [name, verdict, programs, executions, seconds] = cells;
        let [of_name, of_verdict, of_programs, of_executions, of_seconds] = widths;
        let name = match length(name) > of_name {
            true => {
                text.push(name.clone());
                ""
            }
            false => name,
        };
        let row = format!(
            "{name:of_name$}  {verdict:of_verdict$}  {programs:>of_programs$}  {executions:>of_executions$}  {seconds:>of_seconds$}"
        );
        if is_beside {
            let indent = length(&row) + GAP;
            let mut sentence = wrapped(covered, beside).into_iter();
            let first = sentence.next().unwrap_or_default();
            text.push(format!("{row}  {first}").trim_end().to_owned());
            text.extend(sentence.map(|line| format!("{:indent$}{line}", "")));
        } else {
            text.push(row);
            let sentence = wrapped(covered, width.saturating_sub(BELOW));
            text.extend(sentence.iter().map(|line| format!("{:BELOW$}{line}", "")));
        }
    }
    text.join("\n")
}

/// Returns a text in lines, none longer than `width` but for a word that is.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut room = 0;
        for word in line.split_whitespace() {
            let needed = length(word) + 1;
            match lines.last_mut().filter(|_| needed <= room) {
                Some(line) => {
                    line.push(' ');
                    line.push_str(word);
                    room -= needed;
                }
                None => {
                    lines.push(word.to_owned());
                    room = width.saturating_sub(length(word));
                }
            }
        }
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}
