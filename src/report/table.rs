//! Events in one column a process, in the order in which they happened; one below the other where the columns
//! would not fit.

/// Widest line of a report.
pub(super) const WIDTH: usize = 100;
/// Events shown; of more, the middle is left out.
const ROWS: usize = 60;

/// One event: whose it is, and its text.
pub(super) struct Row {
    pub(super) process: usize,
    pub(super) text: String,
}

pub(super) fn render(roles: &[String], rows: &[Row]) -> String {
    let heads: Vec<String> = (0..roles.len())
        .map(|process| name(roles, process))
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
    let beside = widths.iter().map(|width| width + 2).sum::<usize>() + 5 <= WIDTH;
    if beside {
        let head: String = heads
            .iter()
            .zip(&widths)
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
            format!("{:>5}{:before$}  {}", number + 1, "", row.text)
        } else {
            format!("{:>5}  {}: {}", number + 1, heads[row.process], row.text)
        });
    }
    lines.join("\n")
}

/// A process by its role, with its number where several have the same.
pub(super) fn name(roles: &[String], process: usize) -> String {
    let role = &roles[process];
    if roles.iter().filter(|other| *other == role).count() > 1 {
        let among = roles[..process]
            .iter()
            .filter(|other| *other == role)
            .count();
        format!("{role} {}", among + 1)
    } else {
        role.clone()
    }
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
            .map(|&(process, text)| Row {
                process,
                text: text.into(),
            })
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
        let many: Vec<Row> = (0..200)
            .map(|n| Row {
                process: 0,
                text: format!("event {n}"),
            })
            .collect();
        let table = render(&["only".to_owned()], &many);
        assert!(
            table.contains("event 0") && table.contains("event 199") && table.contains("140 more"),
            "{table}"
        );
        assert_eq!(table.lines().count(), 1 + ROWS + 1);
    }
}
