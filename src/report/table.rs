//! Events in the order in which they happened, in one column per process; one below the other where
//! the columns would not fit.

use super::screen::{Room, Screen, Tone};

/// The default width of a report, and the greatest to which its sentences are wrapped.
pub(crate) const WIDTH: usize = 100;
/// The longest cell: more is not read.
const MOST: usize = 240;

/// A part of the text of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Words(String),
    /// An operation or a result, which is cut where there is no room for it.
    Value(String),
}

/// An event: its process, its text, and its effect on the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) process: usize,
    pub(super) text: Vec<Piece>,
    pub(super) region: String,
    /// Whether the table needs it to show what happened: a kill, the begin or the end of an
    /// operation.
    pub(super) kept: bool,
    /// The number of the step in the run, if it is one.
    pub(super) step: Option<usize>,
    /// The tone of its text, if it has one.
    pub(super) tone: Option<Tone>,
}

impl Row {
    /// Returns a row that changes nothing.
    pub(super) fn of(process: usize, text: Vec<Piece>) -> Self {
        Self {
            process,
            text,
            region: String::new(),
            kept: false,
            step: None,
            tone: None,
        }
    }

    /// Returns the row of the begin or the end of an operation.
    pub(super) fn end(process: usize, text: Vec<Piece>) -> Self {
        Self {
            kept: true,
            ..Self::of(process, text)
        }
    }

    /// Adds words to its text.
    pub(super) fn say(&mut self, words: String) {
        self.text.push(Piece::Words(words));
    }

    /// Returns its text, with values cut to this room.
    pub(super) fn text(&self, room: Room) -> String {
        let pieces = self.text.iter().map(|piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Value(value) => room.cut(value),
        });
        pieces.collect()
    }

    /// Returns whether both rows say the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.process, &self.text, &self.region) == (other.process, &other.text, &other.region)
    }
}

/// Returns which rows are shown: all, or the ones to be kept, and of the others the first and the
/// last.
fn shown(rows: &[Row], Room { rows: most, .. }: Room) -> Vec<bool> {
    let all = rows.len();
    if all <= most {
        return vec![true; all];
    }
    let ends = |shown: &mut [bool], left: usize| {
        let hidden: Vec<usize> = (0..all).filter(|&row| !shown[row]).collect();
        let last = hidden.len().saturating_sub(left / 2);
        let (first, last) = (hidden.iter().take(left - left / 2), &hidden[last..]);
        for &row in first.chain(last) {
            shown[row] = true;
        }
    };
    let switches = |row: usize| {
        let other = |n: Option<&Row>| n.is_some_and(|n| n.process != rows[row].process);
        other(rows.get(row + 1)) || row > 0 && other(rows.get(row - 1))
    };
    let mut shown: Vec<bool> = (0..all)
        .map(|row| rows[row].kept || switches(row))
        .collect();
    let needed = shown.iter().filter(|&&shown| shown).count();
    if needed > MOST {
        // Kills, and as many others as there is room for.
        shown = rows
            .iter()
            .map(|row| row.kept && row.step.is_some())
            .collect();
        ends(&mut shown, MOST);
    } else {
        ends(&mut shown, most.saturating_sub(needed));
    }
    shown
}

/// Renders the rows, each in the column of its process if that fits the terminal; `heads` are the names of the processes. The
/// least informative rows are left out where there is no room for them.
pub(super) fn render(heads: &[&str], rows: &[Row], screen: Screen) -> String {
    let (width, room) = (screen.columns, screen.room);
    let texts: Vec<String> = rows.iter().map(|row| row.text(room)).collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|process| {
            let of_process = rows
                .iter()
                .zip(&texts)
                .filter(|(row, _)| row.process == process)
                .map(|(_, text)| text.chars().count());
            of_process
                .chain([heads[process].chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let named = 1 + heads
        .iter()
        .map(|head| head.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    let processes = widths.iter().map(|wide| wide + 2).sum::<usize>();
    let beside = processes + 5 <= width;
    let region = rows
        .iter()
        .map(|row| row.region.chars().count())
        .max()
        .unwrap_or(0);
    // The region has a column of its own, if there is room for it.
    let region = (region > 0 && processes + 5 + 2 + region <= width).then_some("region");
    if beside {
        let heads = heads.iter().copied().chain(region);
        let head: String = heads
            .zip(widths.iter().chain([&0]))
            .map(|(head, wide)| format!("  {head:wide$}"))
            .collect();
        let head = format!("     {}", head.trim_end());
        lines.push(screen.paint(Tone::Label, &head));
    }
    let shown = shown(rows, room);
    let mut hidden = 0;
    for (number, row) in rows.iter().enumerate() {
        if !shown[number] {
            hidden += 1;
            continue;
        }
        if hidden > 0 {
            lines.push(format!("  ...  {hidden} more"));
            hidden = 0;
        }
        let text = match row.tone {
            Some(tone) => screen.paint(tone, &texts[number]),
            None => texts[number].clone(),
        };
        lines.push(if beside {
            let before: usize = widths[..row.process].iter().map(|wide| wide + 2).sum();
            // Escape sequences take no columns.
            let behind = processes.saturating_sub(before + 2 + texts[number].chars().count());
            let region = region.map_or("", |_| &row.region);
            let line = format!(
                "{:>5}{:before$}  {text}{:behind$}  {region}",
                number + 1,
                "",
                ""
            );
            line.trim_end().to_owned()
        } else {
            let head = format!("{}:", heads[row.process]);
            format!("{:>5}  {head:named$} {text}", number + 1)
        });
    }
    lines.join("\n")
}

/// Returns a value as text that fits a cell.
pub(super) fn short(value: &impl std::fmt::Debug, room: Room) -> String {
    room.cut(&format!("{value:?}"))
}

/// Returns two values as texts that fit a cell, cut at their difference if cut from the front they
/// would look the same.
pub(super) fn apart<T: std::fmt::Debug, U: std::fmt::Debug>(
    one: &T,
    other: &U,
    room: Room,
) -> (String, String) {
    let (from_one, from_other) = (short(one, room), short(other, room));
    let [one, other] = [format!("{one:?}"), format!("{other:?}")];
    if from_one != from_other || one == other {
        return (from_one, from_other);
    }
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let from = same.count().saturating_sub(20);
    let around = |text: &str| {
        let cut: String = text.chars().skip(from).take(58).collect();
        let more = text.chars().count() > from + 58;
        format!("…{cut}{}", if more { "…" } else { "" })
    };
    (around(&one), around(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_far_behind_is_cut_where_it_differs() {
        let mut torn = [0u64; 64];
        assert_eq!(
            apart(&torn, &1, Room::USUAL),
            (short(&torn, Room::USUAL), "1".into())
        );
        torn[60] = 7;
        let (torn, whole) = apart(&torn, &[0u64; 64], Room::USUAL);
        assert_ne!(torn, whole);
        assert!(torn.starts_with('…') && torn.contains(", 7, "), "{torn}");
        assert!(torn.chars().count() <= 60, "{torn}");
        assert!(whole.ends_with("0, 0]"), "{whole}");
    }

    #[test]
    fn of_very_many_events_the_kills_the_ends_of_operations_and_the_switches_stay() {
        let mut many: Vec<Row> = (0..400)
            .map(|n| row(usize::from((150..250).contains(&n)), &format!("event {n}")))
            .collect();
        many[100] = Row {
            kept: true,
            ..row(0, "the end")
        };
        many[200].kept = true;
        many[200].text = vec![Piece::Words("SIGKILL".into())];
        let roles = ["one", "two"];
        let table = render(&roles, &many, Screen::plain(WIDTH));
        for kept in [
            "event 0",
            "event 399",
            "the end",
            "SIGKILL",
            "event 149",
            "event 150",
            "event 249",
            "event 250",
        ] {
            assert!(table.contains(kept), "{kept}: {table}");
        }
        let hidden = table
            .lines()
            .filter_map(|line| line.trim().strip_prefix("...  "));
        let hidden: usize = hidden
            .map(|line| line.trim_end_matches(" more").parse::<usize>().unwrap())
            .sum();
        assert_eq!(hidden, 400 - Room::ROWS, "{table}");
        let all = render(
            &roles,
            &many,
            Screen {
                room: Room::ALL,
                ..Screen::plain(WIDTH)
            },
        );
        assert_eq!(all.lines().count(), 1 + 400, "{all}");
    }

    fn row(process: usize, text: &str) -> Row {
        Row::of(process, vec![Piece::Words(text.into())])
    }

    fn rows(texts: &[(usize, &str)]) -> Vec<Row> {
        texts
            .iter()
            .map(|&(process, text)| row(process, text))
            .collect()
    }

    #[test]
    fn a_coloured_row_stands_where_it_stands_without_colour() {
        let roles = ["writer", "reader"];
        let mut rows = rows(&[(0, "killed"), (1, "reads")]);
        rows[0].tone = Some(Tone::Bad);
        rows[0].region = "word=1".into();
        let screen = |colors| Screen {
            colors,
            ..Screen::plain(WIDTH)
        };
        let (plain, coloured) = (
            render(&roles, &rows, screen(false)),
            render(&roles, &rows, screen(true)),
        );
        assert!(coloured.contains("\x1b[1;31mkilled\x1b[0m") && !plain.contains('\x1b'));
        let mut without = coloured.clone();
        for code in ["\x1b[1;31m", "\x1b[1m", "\x1b[0m"] {
            without = without.replace(code, "");
        }
        assert_eq!(without, plain);
    }

    #[test]
    fn processes_stand_side_by_side_while_they_fit() {
        let roles = ["writer", "reader"];
        let table = render(
            &roles,
            &rows(&[(0, "Write(7) -> Written"), (1, "Read -> Value(0)")]),
            Screen::plain(WIDTH),
        );
        assert_eq!(
            table,
            "       writer               reader\n    1  Write(7) -> Written\n    2                       Read -> Value(0)"
        );
    }

    #[test]
    fn wide_events_stand_one_below_the_other() {
        let roles = ["reader 1", "reader 2"];
        let long = "x".repeat(60);
        let table = render(
            &roles,
            &rows(&[(0, &long), (1, &long)]),
            Screen::plain(WIDTH),
        );
        assert!(
            table.lines().all(|line| line.chars().count() <= WIDTH),
            "{table}"
        );
        assert!(table.contains("reader 2: x"), "{table}");
        let uneven = render(
            &["one", "reader 2"],
            &rows(&[(0, &long), (1, &long)]),
            Screen::plain(WIDTH),
        );
        assert!(uneven.starts_with("    1  one:      x"), "{uneven}");
        assert!(uneven.contains("    2  reader 2: x"), "{uneven}");
        // A wider terminal has room for them.
        let table = render(&roles, &rows(&[(0, &long), (1, &long)]), Screen::plain(160));
        assert!(!table.contains("reader 2: x"), "{table}");
        assert!(
            table.lines().all(|line| line.chars().count() <= 160),
            "{table}"
        );
    }

    #[test]
    fn of_very_many_events_the_middle_is_left_out() {
        let many: Vec<Row> = (0..200).map(|n| row(0, &format!("event {n}"))).collect();
        let table = render(&["only"], &many, Screen::plain(WIDTH));
        assert!(
            table.contains("event 0") && table.contains("event 199") && table.contains("140 more"),
            "{table}"
        );
        assert_eq!(table.lines().count(), 1 + Room::ROWS + 1);
    }
}
