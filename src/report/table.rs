//! Events in one column a process, in the order in which they happened; one below the other where the columns
//! would not fit.

use crate::case::named;

/// Widest line of a report.
pub(super) const WIDTH: usize = 100;
/// Events shown; of more, the middle is left out.
const ROWS: usize = 60;

/// One event: whose it is, its text, and what it makes of the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) process: usize,
    pub(super) text: String,
    pub(super) region: String,
}

impl Row {
    /// One that changes nothing.
    pub(super) fn of(process: usize, text: String) -> Self {
        Self {
            process,
            text,
            region: String::new(),
        }
    }
}

pub(super) fn render(roles: &[String], rows: &[Row]) -> String {
    let heads: Vec<String> = (0..roles.len())
        .map(|process| named(roles, process))
        .collect();
    let widths: Vec<usize> = (0..roles.len())
        .map(|process| {
            let of_process = rows
                .iter()
                .filter(|row| row.process == process)
                .map(|row| row.text.chars().count());
            of_process
                .chain([heads[process].chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut lines = Vec::new();
    let processes = widths.iter().map(|width| width + 2).sum::<usize>();
    let beside = processes + 5 <= WIDTH;
    let region = rows
        .iter()
        .map(|row| row.region.chars().count())
        .max()
        .unwrap_or(0);
    // A column of its own, if there is room for it.
    let region = (region > 0 && processes + 5 + 2 + region <= WIDTH).then_some("region");
    if beside {
        let heads = heads.iter().map(String::as_str).chain(region);
        let head: String = heads
            .zip(widths.iter().chain([&0]))
            .map(|(head, width)| format!("  {head:width$}"))
            .collect();
        lines.push(format!("     {}", head.trim_end()));
    }
    for (number, row) in rows.iter().enumerate() {
        if rows.len() > ROWS && number == ROWS / 2 {
            lines.push(format!("  ...  {} more", rows.len() - ROWS));
        }
        if rows.len() > ROWS && (ROWS / 2..rows.len() - ROWS / 2).contains(&number) {
            continue;
        }
        lines.push(if beside {
            let before: usize = widths[..row.process].iter().map(|width| width + 2).sum();
            let line = format!("{:before$}  {}", "", row.text);
            let region = region.map_or("", |_| &row.region);
            let line = format!("{:>5}{line:processes$}  {region}", number + 1);
            line.trim_end().to_owned()
        } else {
            format!("{:>5}  {}: {}", number + 1, heads[row.process], row.text)
        });
    }
    lines.join("\n")
}

/// A value as text that fits a cell.
pub(super) fn short(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    if text.chars().count() <= 60 {
        return text;
    }
    format!("{}…", text.chars().take(59).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(texts: &[(usize, &str)]) -> Vec<Row> {
        texts
            .iter()
            .map(|&(process, text)| Row::of(process, text.into()))
            .collect()
    }

    #[test]
    fn processes_stand_side_by_side_while_they_fit() {
        let roles = ["writer".to_owned(), "reader".to_owned()];
        let table = render(
            &roles,
            &rows(&[(0, "Write(7) -> Written"), (1, "Read -> Value(0)")]),
        );
        assert_eq!(
            table,
            "       writer               reader\n    1  Write(7) -> Written\n    2                       Read -> Value(0)"
        );
    }

    #[test]
    fn wide_events_stand_one_below_the_other() {
        let roles = ["reader".to_owned(), "reader".to_owned()];
        let long = "x".repeat(60);
        let table = render(&roles, &rows(&[(0, &long), (1, &long)]));
        assert!(
            table.lines().all(|line| line.chars().count() <= WIDTH),
            "{table}"
        );
        assert!(table.contains("reader 2: x"), "{table}");
    }

    #[test]
    fn of_very_many_events_the_middle_is_left_out() {
        let many: Vec<Row> = (0..200).map(|n| Row::of(0, format!("event {n}"))).collect();
        let table = render(&["only".to_owned()], &many);
        assert!(
            table.contains("event 0") && table.contains("event 199") && table.contains("140 more"),
            "{table}"
        );
        assert_eq!(table.lines().count(), 1 + ROWS + 1);
    }
}
